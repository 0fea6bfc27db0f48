"""What a downloader may do: reach YouTube, read the system, start deno, and answer."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies

from serve.paths import ROOT
from serve.sources.youtube.messages import YouTubeOptions
from serve.workers import sandbox, seccomp

# For yt-dlp and for deno each. V8 reserves address space by the terabyte, but fills little of it.
_MAX_DATA = 2 << 30
_MAX_CPU_S = 120
_MAX_FILES = 256
_HTTPS, _DNS = 443, 53
_PROXY_PORTS = {"http": 80, "https": 443}
_SOCKS_PORT = 1080

# What the interpreter, the C library and deno may look at. Homes, and what servers keep, are not
# among it, nor the environment of other processes.
_SYSTEM = (
    *("/usr", "/lib", "/lib32", "/lib64", "/etc", "/sys", "/dev/urandom", "/proc/self"),
    *("/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/sys", "/proc/filesystems"),
)
_LINKERS = ("/lib/ld-*.so*", "/lib64/ld-*.so*", "/usr/lib/ld-*.so*")
# Nothing that runs here has a use for these, and kernels have had their faults in them.
_CALLS = (
    *("ptrace", "process_vm_readv", "process_vm_writev", "kcmp", "pidfd_getfd"),
    *("mount", "umount2", "pivot_root", "chroot", "unshare", "setns", "open_tree", "move_mount"),
    *("fsopen", "fsconfig", "fsmount", "fspick", "swapon", "swapoff", "quotactl", "acct"),
    *("init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot"),
    *("bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "add_key", "request_key"),
    *("keyctl", "settimeofday", "clock_settime", "adjtimex", "clock_adjtime", "sethostname"),
    *("setdomainname", "syslog", "iopl", "ioperm", "personality", "open_by_handle_at"),
    *("name_to_handle_at", "lookup_dcookie", "nfsservctl", "vm86", "bind", "listen", "accept"),
    "accept4",
)


def confine(options: YouTubeOptions) -> sandbox.Restrictions:
    """Lock this process for a job with these options; what holds it now.

    No thread may run yet.
    """
    sandbox.limit(data=_MAX_DATA, cpu_s=_MAX_CPU_S, descriptors=_MAX_FILES, file_size=0, core=0)
    return sandbox.enter(
        seccomp.Filter.refusing(_CALLS),
        ("connect", "read", "write", "signal"),
        readable=_readable(options),
        executable=_executable(),
        writable=[Path(os.devnull)],
        ports=[_HTTPS, _DNS, *(port for _, port in proxies(options.proxy))],
    )


def proxies(proxy: str) -> set[tuple[str, int]]:
    """Hosts (in lower case) and ports of the proxy that is set, or of those of the environment."""
    urls = [proxy] if proxy else [url for name, url in getproxies().items() if name != "no"]
    found = set()
    for url in urls:
        try:
            parts = urlsplit(url if "://" in url else f"http://{url}")
            port = parts.port or _PROXY_PORTS.get(parts.scheme, _SOCKS_PORT)
        except ValueError:
            continue  # yt-dlp will say what it thinks of it
        if parts.hostname:
            found.add((parts.hostname, port))
    return found


def _readable(options: YouTubeOptions) -> Iterable[Path]:
    yield from map(Path, _SYSTEM)
    # Not the folder that we run in, which may hold anything beside the package.
    yield ROOT / "serve"
    yield from (Path(entry) for entry in sys.path if entry and Path(entry) != ROOT)
    yield from map(Path, (sys.prefix, sys.base_prefix))
    # It is often a link into a folder of those that run the network.
    yield Path("/etc/resolv.conf").resolve()
    given = (os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"), options.cookies)
    yield from (Path(path) for path in given if path)


def _executable() -> Iterable[Path]:
    scripts = sysconfig.get_path("scripts")
    deno = shutil.which("deno", path=os.pathsep.join((scripts, os.environ.get("PATH", ""))))
    if deno:
        yield Path(deno)
    for pattern in _LINKERS:
        yield from Path("/").glob(pattern.removeprefix("/"))
