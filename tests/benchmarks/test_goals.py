import io
import json

import pytest
from rich.console import Console

from benchmarks.goals import Result, noise, table, times_ms


@pytest.mark.parametrize(
    ("measured", "goal", "at_least", "met"),
    [
        (0.9, 1.0, False, True),
        (1.0, 1.0, False, True),
        (1.1, 1.0, False, False),
        (0.9, 1.0, True, False),
        (1.0, 1.0, True, True),
        (1.1, 1.0, True, True),
        (None, 1.0, True, None),
        (None, None, False, None),
    ],
)
def test_a_goal_is_a_limit_in_one_direction(measured, goal, at_least, met):
    assert Result("it", measured, goal, at_least).met is met


def test_a_ratio_is_the_first_median_over_the_second():
    taken = {"theirs ms": [300.00049, 300.00049, 900.0], "ours ms": [40.0]}
    result = Result.ratio("it", taken, 7.0, at_least=True)
    assert result.measured == 7.5
    assert result.of == {"theirs ms": 300.0, "ours ms": 40.0}
    assert result.met
    assert result.noise == noise(taken["theirs ms"])
    result = Result.ratio("it", {"theirs ms": [300.0], "ours ms": [40.0]}, 7.0, at_least=True)
    assert json.loads(json.dumps(result.to_dict())) == {
        "name": "it",
        "measured": 7.5,
        "goal": 7.0,
        "at_least": True,
        "unit": "×",
        "of": {"theirs ms": 300.0, "ours ms": 40.0},
        "noise": 0.0,
        "note": "",
        "failed": False,
        "met": True,
    }


def test_every_call_is_made_in_every_run_and_once_to_warm_up():
    made = []
    taken = times_ms({"a": lambda: made.append("a"), "b": lambda: made.append("b")}, 3)
    assert sorted(made) == ["a"] * 4 + ["b"] * 4
    assert taken.keys() == {"a", "b"}
    assert all(len(times) == 3 and min(times) > 0 for times in taken.values())


def test_noise_is_half_a_notch_of_the_median():
    # Quartiles 9.25 and 10.75, median 10, four of them.
    assert noise([8.5, 9.5, 10.5, 11.5]) == pytest.approx(1.57 * 1.5 / 2 / 10, abs=1e-4)
    assert noise([5.0]) == 0.0


def test_a_loop_is_told_by_its_percentiles():
    result = Result.latency("loop", [n / 1000 for n in range(101)])
    assert result.of == {"p50 ms": 50.0, "p95 ms": 95.0, "p99 ms": 99.0}
    assert (result.measured, result.unit, result.met) == (95.0, "ms", None)


def test_a_median_stands_beside_its_goal():
    result = Result.median("it", [1.0, 3.0, 90.0], 3.0)
    assert (result.measured, result.unit, result.met) == (3.0, "ms", True)


def test_the_table_tells_goal_measure_and_what_is_missing():
    results = [
        Result.ratio("good", {"x": [3.0], "y": [2.0]}, 1.7),
        Result.latency("loop", [0.25]),
        Result("bad", 12.5, 3.0, unit="ms"),
        Result("grown", 6.0, 5.0, unit="%"),
        Result("left out", None, note="no peer"),
    ]
    console = Console(width=120, file=io.StringIO(), record=True)
    console.print(table(results))
    lines = console.export_text().splitlines()
    shown = {line.split("│")[1].strip(): line for line in lines if line.startswith("│")}
    assert all(text in shown["good"] for text in ("≤ 1.70 ×", " 1.50 ×", " yes ", "x 3, y 2"))
    assert all(text in shown["bad"] for text in ("≤ 3.00 ms", " 12.50 ms", " no "))
    assert all(text in shown["grown"] for text in ("≤ 5.0 %", " 6.0 %", " no "))
    assert "250.00 ms" in shown["loop"]
    assert "≤" not in shown["loop"]
    assert "no peer" in shown["left out"]
    assert "yes" not in shown["left out"]
