import subprocess
import sys

import psutil
import pytest

from benchmarks.memory import held_bytes
from serve.audio.shared import SharedFeatures

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells it")

_SIZE = 16 << 20
_CHILD = f"""
import mmap, sys
print("there", flush=True)
sys.stdin.readline()
shared = mmap.mmap({{}}, {_SIZE})
assert all(shared[at] for at in range(3, {_SIZE}, 4096))
print("mapped", flush=True)
sys.stdin.readline()
"""


def test_memory_that_is_shared_counts_once_and_when_it_is_used():
    with SharedFeatures((_SIZE // 4,)) as shared:
        command = (sys.executable, "-c", _CHILD.format(shared.fileno()))
        pipe = subprocess.PIPE
        with subprocess.Popen(
            command, stdin=pipe, stdout=pipe, text=True, bufsize=1, pass_fds=[shared.fileno()]
        ) as child:
            processes = [psutil.Process(), psutil.Process(child.pid)]
            assert child.stdout.readline() == "there\n"
            rest = held_bytes(processes)
            shared.array[:] = 1.0
            assert held_bytes(processes) - rest == pytest.approx(_SIZE, rel=0.25)
            child.stdin.write("\n")
            assert child.stdout.readline() == "mapped\n"
            assert held_bytes(processes) - rest == pytest.approx(_SIZE, rel=0.25)
            child.communicate("\n")
