"""What the dashboard and the alerts ask for is what the server tells, and the other way round."""

import json
import re
from collections import defaultdict
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from serve.errors import ERRORS
from tests.http.posts import multipart
from tests.server import running_server

DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARD = json.loads((DEPLOY / "grafana" / "topgenre.json").read_text())
ALERTS = (DEPLOY / "prometheus" / "alerts.yml").read_text()
# Prometheus itself adds the label instance.
QUERIES = {
    "dashboard": [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]],
    "alerts": re.findall(r"^ +expr: (.+)$", ALERTS, re.MULTILINE),
}
SELECTOR = re.compile(r"\b((?:topgenre|process)_\w+)(?:\{([^}]*)\})?")
MATCHER = re.compile(r'(\w+)(=~|!=|=)"([^"]*)"')
GROUPING = re.compile(r"by \(([^)]*)\)")


@pytest.fixture(scope="module")
def told(tiny_model, tmp_path_factory):
    """The values of every label of every sample that a server tells, once it was used."""
    folder = tmp_path_factory.mktemp("cache")
    with (
        running_server(model=tiny_model, decoders=1, cache=str(folder)) as server,
        server.client() as client,
    ):
        for _ in range(2):
            client.post("/predict", **multipart())
        client.post("/predict", content=b"?")
        text = client.get("/metrics").text
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found[sample.name]["instance"].add("")
            for label, value in sample.labels.items():
                found[sample.name][label].add(value)
    return found


@pytest.mark.parametrize("query", [query for queries in QUERIES.values() for query in queries])
def test_every_query_is_about_something(told, query):
    selectors = SELECTOR.findall(query)
    assert selectors
    for name, inside in selectors:
        assert name in told, name
        for label, how, value in MATCHER.findall(inside):
            assert label in told[name], (name, label)
            if label == "code":
                assert value in ERRORS
            elif label == "origin":
                assert value in {error.origin for error in ERRORS.values()}
            elif how != "=~":
                assert value in told[name][label], (name, label, value)
        for group in GROUPING.findall(query):
            assert set(group.replace(" ", "").split(",")) <= set(told[name]), (name, group)


def test_everything_that_is_told_is_on_the_dashboard(told):
    shown = {name for query in QUERIES["dashboard"] for name, _ in SELECTOR.findall(query)}
    whole = {re.sub(r"_(bucket|count|sum|total|created)$", "", name) for name in shown}
    for name in told:
        if name.startswith("topgenre_"):
            assert re.sub(r"_(bucket|count|sum|total|created)$", "", name) in whole, name


def test_panels_do_not_lie_on_each_other():
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    taken = [
        (x, y)
        for place in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(taken) == len(set(taken))
    assert max(x for x, _ in taken) < 24
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(places)


def test_processes_are_counted(server):
    assert server.metric("topgenre_children") >= server.metric("topgenre_decoders_alive") > 0
    assert server.metric("topgenre_children_resident_memory_bytes") > 1 << 20
    assert server.metric("process_resident_memory_bytes") > 1 << 20
    assert server.metric("process_open_fds") > 0


def test_strangers_can_not_make_new_series(server):
    with server.client() as client:
        for n in range(20):
            client.get(f"/nowhere-{n}")
        text = client.get("/metrics").text
    assert "nowhere" not in text
    assert server.metric("topgenre_http_request_seconds_count", route="other", status="4xx") >= 20
