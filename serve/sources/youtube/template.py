"""A process with yt-dlp loaded: `python -m serve.sources.youtube.template FD`.

It forks a downloader (`child`) whenever the server asks for one; each does one job, as one that
was started for it would, only without its slow start. It never sees a job, or any option.

`FD` is a Unix socket (SOCK_SEQPACKET) to the server. Each message is one number:

    to the server    0, once: loaded
    from the server  0, with three descriptors (the child's standard input, output, error): fork
    to the server    the child's number, which is its group's too; 0 where it could not be forked
    from the server  a child's number: kill its group and reap it; nothing else ever reaps it
    to the server    0: done

It ends with the socket, which the kernel closes however the server dies.

The standard library's forkserver is not enough: its children lead no group of their own, are
reaped by itself whenever they end, so that their number may be another's when it is killed, and it
loads before it takes any request, at the server's own priority.
"""

from __future__ import annotations

import gc
import os
import select
import socket
import sys
import threading
import traceback
from contextlib import suppress

from serve.sources.youtube import child
from serve.sources.youtube.preloaded import NUMBER
from serve.workers import parent_watch
from serve.workers.process import kill_group

_LOWEST_PRIORITY = 19
# Standard input, output and error.
_STANDARD = 3


def main(fd: int) -> int:
    """Load everything, then do what the server asks until it closes the socket."""
    gc.disable()
    with socket.socket(fileno=fd) as channel, suppress(ConnectionError):
        _load_while(channel)
        gc.freeze()  # what nobody looks at stays shared between the processes
        channel.sendall(NUMBER.pack(0))
        while True:
            request, fds, _, _ = socket.recv_fds(channel, NUMBER.size, _STANDARD)
            if not request:
                return 0
            (pid,) = NUMBER.unpack(request)
            channel.sendall(NUMBER.pack(_end(pid) if pid else _fork(channel, *fds)))
    return 0


def _load_while(channel: socket.socket) -> None:
    """Load everything; end at once if the server goes meanwhile."""
    loaded, loading = socket.socketpair()
    # On Linux priority is a thread's own, and only a privileged one could get it back.
    thread = threading.Thread(target=_load, args=(loading,), daemon=True)
    thread.start()
    with loaded:
        readable, _, _ = select.select((channel, loaded), (), ())
    if channel in readable:  # nothing is said to us yet, so this is the end
        parent_watch.kill_own_group()
    thread.join()


def _load(done: socket.socket) -> None:
    """Load yt-dlp and use it once, at the lowest priority: nobody waits for this."""
    with done:
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOWEST_PRIORITY)
        child.load()
        from serve.sources.youtube import rehearsal

        if rehearsal.rehearse() != 0:
            print("downloader: the rehearsal failed; jobs will start more slowly", file=sys.stderr)


def _fork(channel: socket.socket, *standard: int) -> int:
    try:
        if len(standard) < _STANDARD:  # for the rest there were no descriptors here
            return 0
        pid = os.fork()
        if not pid:
            _become_child(channel, standard)
        # The child does it, too: whoever comes second finds it done.
        with suppress(OSError):
            os.setpgid(pid, pid)
    except OSError:
        return 0
    finally:
        for descriptor in standard:
            os.close(descriptor)
    return pid


def _become_child(channel: socket.socket, standard: tuple[int, ...]) -> None:
    """Go on as a downloader that has nothing of ours but what is loaded; does not return."""
    code = 1
    try:
        os.setpgid(0, 0)
        channel.close()
        for number, descriptor in enumerate(standard):
            os.dup2(descriptor, number)
            os.close(descriptor)
        from serve.sources.youtube import runner

        code = child.serve(lambda: runner.run)
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _end(pid: int) -> int:
    kill_group(pid)
    with suppress(ChildProcessError):
        os.waitpid(pid, 0)
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
