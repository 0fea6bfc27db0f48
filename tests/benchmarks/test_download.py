from benchmarks.download import measure
from benchmarks.media import track


def test_links_are_timed_both_ways():
    tracks = {"5 s m4a": (track(5.0, "m4a"), 5.0), "5 s webm": (track(5.0, "webm"), 5.0)}
    timings = {(t.track, t.stage): t.median_ms for t in measure(tracks, runs=1)}
    stages = ("request to first event", "request to first media byte", "last media byte to answer")
    for name in tracks:
        for way in ("preloaded", "started anew"):
            first, asked, tail = (timings[name, f"{stage}, {way}"] for stage in stages)
            assert 0 < first < asked
            assert tail > 0
            assert timings[name, f"CPU of a link, {way}"] > 0
