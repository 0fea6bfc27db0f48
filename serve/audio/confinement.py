"""What a decoder may do once it meets strangers' media: compute, and answer on its sockets."""

from __future__ import annotations

import array  # noqa: F401 - what is imported only when used can't be, later
import fcntl
import io
import termios
import wave

import av.subtitles.codeccontext
import av.subtitles.subtitle  # noqa: F401
import numpy as np

from serve.audio.decode import Complete, attempts
from serve.audio.features import FeatureStream
from serve.audio.mel import MelSpectrogram
from serve.workers import sandbox, seccomp

# The sockets, a track's memory, the standard streams and a few for imports.
_MAX_FILES = 64
# Memory, the descriptors that there are, clocks, and the end. Nothing here opens, looks up,
# connects, starts or signals.
_CALLS = (
    *("brk", "madvise", "mmap", "mprotect", "mremap", "munmap"),
    *("close", "dup", "fstat", "lseek", "pread64", "read", "readv", "write", "writev"),
    *("poll", "ppoll", "recvfrom", "recvmsg", "select", "pselect6", "sendmsg", "sendto"),
    *("clock_getres", "clock_gettime", "clock_nanosleep", "gettimeofday", "nanosleep"),
    *("setitimer", "times", "getrusage", "getrandom", "getpid", "gettid", "getrlimit"),
    *("futex", "rseq", "sched_getaffinity", "sched_yield", "membarrier"),
    *("rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall"),
    *("exit", "exit_group"),
)
# Who owns a socket has signals sent to a process of its choice: so neither call may say who does.
_FCNTL, _IOCTL = 1, 1
_FLAGS = 2
_RULES = (
    *(
        (seccomp.Rule("fcntl", _FCNTL, command),)
        for command in (fcntl.F_DUPFD_CLOEXEC, fcntl.F_GETFD, fcntl.F_SETFD, fcntl.F_GETFL)
    ),
    (
        seccomp.Rule("fcntl", _FCNTL, fcntl.F_SETFL),
        seccomp.Rule("fcntl", _FLAGS, 0, mask=fcntl.FASYNC),
    ),
    *(
        (seccomp.Rule("ioctl", _IOCTL, command),)
        for command in (termios.FIONBIO, termios.FIOCLEX, termios.FIONCLEX)
    ),
)


def limit(memory_bytes: int) -> None:
    """Bound this process from its start."""
    sandbox.limit(address_space=memory_bytes, descriptors=_MAX_FILES, core=0)


def confine(mel: MelSpectrogram) -> sandbox.Restrictions:
    """Use everything once, so that it is loaded, then lock this process; what holds it now.

    No thread may run yet.
    """
    _rehearse(mel)
    # A file that can't grow is also memory that can't be taken beside the address space.
    sandbox.limit(file_size=0, processes=0)
    return sandbox.enter(seccomp.Filter.allowing(_CALLS, _RULES))


def _rehearse(mel: MelSpectrogram) -> None:
    front_end = mel.front_end
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(2 * front_end.sample_rate)
        out.writeframes(bytes(4 * front_end.clip_samples))
    features = np.empty((2, *front_end.clip_shape), np.float32)
    stream = FeatureStream(mel, features, 2 * front_end.clip_s)
    for part in attempts(Complete(file.getvalue()), front_end.sample_rate):
        for samples in part:
            stream.push(samples)
    stream.end()
