"""`python -m benchmarks gpu`: what each way to call a GPU brings, host copies included."""

from __future__ import annotations

import json
import math
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

import numpy as np
import onnx
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from export.variants import half
from serve.devices import Calls, Device
from serve.inference.measure import seconds
from serve.inference.outputs import Float32
from serve.inference.providers.base import DeviceError
from serve.inference.providers.cuda import has_gpu
from serve.inference.runner import Runner, runner_for
from serve.inference.session import load_model
from serve.tune import choose

#: One, a clip of 30 seconds, 3 and 10 minutes, and ten tracks together.
SIZES = (1, 22, 128, 428, 1000, 4280)
_VARIANTS: tuple[tuple[Device, Calls], ...] = (
    *(("cuda", calls) for calls in get_args(Calls)),
    ("tensorrt", "pinned"),
)


@dataclass(frozen=True, slots=True)
class Timing:
    """Milliseconds of a call with so many clips, from the host's array to its probabilities.

    `difference` is the largest one of a probability from the first variant's.
    """

    variant: str
    clips: int
    p50_ms: float
    p99_ms: float
    difference: float


def main(model: Path, rounds: int, out: Path) -> int:
    """Measure every variant that can be had here; 1 where there is no GPU."""
    console = Console()
    if not has_gpu():
        console.print("There is no NVIDIA GPU here: nothing was measured.")
        return 1
    with _runners(model, console) as runners:
        timings = measure(runners, SIZES, rounds, console)
    table = Table("variant", *(f"{n} clips" for n in SIZES), title="ms: p50 / p99")
    for variant in runners:
        mine = [timing for timing in timings if timing.variant == variant]
        table.add_row(variant, *(f"{t.p50_ms:.2f} / {t.p99_ms:.2f}" for t in mine))
    console.print(table)
    console.print(f"pays best: {best(timings)}")
    out.mkdir(parents=True, exist_ok=True)
    path = out / time.strftime("gpu-%Y%m%d-%H%M%S.json")
    path.write_text(json.dumps([asdict(timing) for timing in timings], indent=1))
    console.print(f"written to {path}")
    return 0


def measure(
    runners: Mapping[str, Runner], sizes: Sequence[int], rounds: int, console: Console
) -> list[Timing]:
    """Time all runners side by side with random clips."""
    mel = np.random.default_rng(0).random(
        (max(sizes), *next(iter(runners.values())).clip_shape), np.float32
    )

    def call(runner: Runner, clips: int) -> Float32:
        return runner.run(runner.batch([(mel[:clips], clips)])).probabilities[:clips]

    with Progress(console=console, transient=True) as bars:
        bar = bars.add_task("measuring", total=rounds + 1)
        taken = seconds(
            {
                (variant, n): lambda runner=runner, n=n: call(runner, n)  # type: ignore[misc]
                for variant, runner in runners.items()
                for n in sizes
            },
            rounds,
            lambda: bars.advance(bar),
        )
    reference = call(next(iter(runners.values())), max(sizes))
    return [
        Timing(
            variant,
            n,
            round(1000 * statistics.median(times), 4),
            round(1000 * float(np.quantile(times, 0.99)), 4),
            float(np.abs(call(runners[variant], n) - reference[:n]).max()),
        )
        for (variant, n), times in taken.items()
    ]


def best(timings: Sequence[Timing]) -> str:
    """The first variant that is hardly slower than the fastest, all sizes alike."""
    logarithms: dict[str, list[float]] = {}
    for timing in timings:
        logarithms.setdefault(timing.variant, []).append(math.log(timing.p50_ms))
    return choose({name: math.exp(statistics.fmean(logs)) for name, logs in logarithms.items()})


@contextmanager
def _runners(model: Path, console: Console) -> Iterator[dict[str, Runner]]:
    """A runner for each variant, the simplest first; those that can't be had are named."""
    with ExitStack() as stack:
        small = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "fp16.onnx"
        onnx.save(half(onnx.load(model)), small)
        runners: dict[str, Runner] = {}
        for precision, path in (("fp32", model), ("fp16", small)):
            for device, calls in _VARIANTS:
                variant = f"{device} {calls} {precision}"
                try:
                    loaded = load_model(path, device, calls=calls, half=path == small)
                    runner = runner_for(loaded, max(SIZES), calls)
                except DeviceError as error:
                    console.print(f"{variant}: {error}")
                    continue
                stack.callback(runner.close)
                runners[variant] = runner
        if not runners:
            raise SystemExit("The GPU can't be used: see above.")
        yield runners
