from serve.inference import measure


def test_rounds_make_every_call_once_and_the_first_does_not_count():
    ticks = iter(range(1000))
    made: list[str] = []
    rounds: list[list[str]] = []

    def end_of_round():
        rounds.append(sorted(made[-3:]))

    calls = {name: lambda name=name: made.append(name) for name in "abc"}
    taken = measure.seconds(calls, 4, end_of_round, lambda: float(next(ticks)))
    assert rounds == [["a", "b", "c"]] * 5
    assert taken == {name: [1.0] * 4 for name in "abc"}


def test_orders_change(monkeypatch):
    made: list[str] = []
    calls = {name: lambda name=name: made.append(name) for name in "abcdef"}
    measure.seconds(calls, 9, lambda: None)
    assert len({"".join(made[at : at + 6]) for at in range(0, 60, 6)}) > 3


def test_the_median_is_in_milliseconds():
    assert measure.median_ms([0.001, 0.002, 9.0]) == 2.0
