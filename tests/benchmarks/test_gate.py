from benchmarks import gate


def test_ratios_are_of_the_fastest_runs(tiny_model, monkeypatch):
    monkeypatch.setenv("TOPGENRE_MODEL", str(tiny_model))
    called = []

    def times_ms(calls, runs):
        for call in calls.values():
            call()
        called.append((*calls, runs))
        over, under = calls
        return {over: [90.0, 30.0, 60.0], under: [20.0, 10.0, 70.0]}

    monkeypatch.setattr(gate, "times_ms", times_ms)
    results = [*gate.measure(7, clips=3)]
    assert called == [("other ms", "ours ms", 7)] * 3 + [("loop ms", "one ms", 7)]
    assert [result.measured for result in results] == [3.0] * 4
    assert all(result.at_least and result.goal for result in results)
