"""The same clip is the same numbers, bit for bit, whichever kernel BLAS takes, and its threads."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from serve.paths import ROOT

NEEDS_AVX512 = {"SkylakeX"}


def run(kernel, threads):
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": str(threads)}
    environment.pop("OPENBLAS_CORETYPE", None)
    if kernel:
        environment["OPENBLAS_CORETYPE"] = kernel
    command = [sys.executable, "-m", "tests.audio.kernels"]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("kernel", ["", "Haswell", "Zen", "SkylakeX", "Prescott"])
def test_numbers_do_not_hang_on_company_address_or_threads(kernel):
    one, two = run(kernel, 1), run(kernel, 2)
    if kernel in NEEDS_AVX512 and one.returncode == -signal.SIGILL:
        assert "avx512f" not in Path("/proc/cpuinfo").read_text()
        pytest.skip(f"this processor can't run {kernel}'s instructions")
    assert one.returncode == 0, one.stderr
    assert two.returncode == 0, two.stderr
    took, digest = one.stdout.split()
    # NumPy and SciPy bring a BLAS each. An unknown name, or one that the processor can't run, is
    # passed over by some releases; what holds must hold for what is taken instead.
    assert took
    assert two.stdout.split() == [took, digest]
