"""What is applied to a Kubernetes cluster: valid, strict, and right for the server."""

from __future__ import annotations

import copy
import ipaddress
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from serve.http.page import DOCS_ROUTES, PAGE_ROUTES
from serve.http.routes import ROUTES
from serve.settings import PREFIX, Settings
from tests.process import server_process
from tests.redis import redis_server

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
BASE = yaml.safe_load((FOLDER / "base" / "kustomization.yaml").read_text())
VERSION = "1.37.0"


def objects(folder):
    """The objects of a kustomization's own files, and of the bases below it."""
    kustomization = yaml.safe_load((FOLDER / folder / "kustomization.yaml").read_text())
    found = []
    for name in kustomization["resources"]:
        path = (FOLDER / folder / name).resolve()
        if path.is_dir():
            found += objects(path.relative_to(FOLDER))
        else:
            found += yaml.safe_load_all(path.read_text())
    return [copy.deepcopy(one) for one in found]


def merged(one, patch):
    """As a strategic merge patch changes an object: lists of named things by their names."""
    for key, value in patch.items():
        if isinstance(value, dict) and isinstance(one.get(key), dict):
            merged(one[key], value)
        elif isinstance(value, list) and all(isinstance(of, dict) and "name" in of for of in value):
            there = {of["name"]: of for of in one.setdefault(key, [])}
            for of in value:
                if of["name"] in there:
                    merged(there[of["name"]], of)
                else:
                    one[key].append(of)
        else:
            one[key] = value
    return one


def on_gpu():
    patch = yaml.safe_load((FOLDER / "gpu" / "server.yaml").read_text())
    return merged(one_of("Deployment", "topgenre"), patch)


def one_of(kind, name="topgenre"):
    (found,) = (o for o in objects("base") if (o["kind"], o["metadata"]["name"]) == (kind, name))
    return found


def server(deployment=None):
    deployment = deployment or one_of("Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return container


def environment():
    literals = BASE["configMapGenerator"][0]["literals"]
    return dict(literal.split("=", 1) for literal in literals)


@pytest.fixture
def settings(monkeypatch):
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    return Settings.from_environment()


@pytest.mark.parametrize(
    "one", [*objects("base"), on_gpu()], ids=lambda o: f"{o['kind']} {o['metadata']['name']}"
)
def test_every_object_is_valid(one):
    kubernetes_validate.validate(one, VERSION, strict=True)


def test_what_is_named_is_there():
    named = {(o["kind"], o["metadata"]["name"]) for o in objects("base")}
    assert len(named) == len(objects("base"))
    reference = one_of("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    scaled = yaml.safe_load((FOLDER / "keda" / "scaledobject.yaml").read_text())["spec"]
    for target in (reference["name"], scaled["scaleTargetRef"]["name"]):
        assert ("Deployment", target) in named
    for kind in ("Service", "PodDisruptionBudget", "NetworkPolicy"):
        spec = one_of(kind)["spec"]
        selector = spec.get("podSelector") or spec["selector"]
        labels = selector.get("matchLabels", selector)
        assert labels == one_of("Deployment")["spec"]["template"]["metadata"]["labels"]


@pytest.mark.parametrize("name", ["topgenre", "topgenre-redis"])
def test_pods_may_do_little(name):
    pod = one_of("Deployment", name)["spec"]["template"]["spec"]
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        may = container["securityContext"]
        assert may["allowPrivilegeEscalation"] is False
        assert may["readOnlyRootFilesystem"] is True
        assert may["capabilities"] == {"drop": ["ALL"]}
        assert container["resources"]["limits"].keys() >= {"cpu", "memory"}
    if name == "topgenre":
        assert (
            f"USER {pod['securityContext']['runAsUser']}:"
            in (FOLDER.parent / "Containerfile").read_text()
        )


def test_the_network_leads_nowhere_within():
    (_, _, web) = one_of("NetworkPolicy")["spec"]["egress"]
    for address in ("10.1.2.3", "169.254.169.254", "192.168.0.1", "fd00::1"):
        for block in (rule["ipBlock"] for rule in web["to"]):
            if ipaddress.ip_network(block["cidr"]).version == ipaddress.ip_address(address).version:
                excepted = map(ipaddress.ip_network, block["except"])
                assert any(ipaddress.ip_address(address) in network for network in excepted)
    assert web["ports"] == [{"protocol": "TCP", "port": 443}]


def test_it_is_set_and_stopped_as_the_server_needs_it(settings):
    pod = one_of("Deployment")["spec"]["template"]["spec"]
    stopping_s = settings.stop_grace_s + settings.stop_deadline_s
    assert stopping_s < pod["terminationGracePeriodSeconds"]
    # Until the last that is sent here notices: a check fails, and the news of it spreads.
    assert server()["readinessProbe"]["periodSeconds"] + 2 < settings.stop_grace_s
    assert settings.deadline_s <= settings.stop_deadline_s
    ingress = one_of("Ingress")["metadata"]["annotations"]
    prefix = "nginx.ingress.kubernetes.io/"
    assert ingress[f"{prefix}proxy-body-size"] == f"{settings.max_body_bytes >> 20}m"
    assert float(ingress[f"{prefix}proxy-read-timeout"]) > settings.deadline_s
    assert ingress[f"{prefix}proxy-buffering"] == "off"
    batch = one_of("Ingress", "topgenre-batch")["metadata"]["annotations"]
    assert batch[f"{prefix}proxy-body-size"] == f"{settings.batch_bytes >> 20}m"
    assert float(batch[f"{prefix}proxy-read-timeout"]) > settings.batch_deadline_s
    redis = one_of("Service", "topgenre-redis")
    (port,) = redis["spec"]["ports"]
    assert settings.cache == f"redis://{redis['metadata']['name']}:{port['port']}/0"


def test_everything_is_reached_but_what_is_the_clusters():
    paths = {
        path["path"]
        for name in ("topgenre", "topgenre-batch")
        for path in one_of("Ingress", name)["spec"]["rules"][0]["http"]["paths"]
    }
    routes = {route.path for route in (*ROUTES, *DOCS_ROUTES, *PAGE_ROUTES)}
    public = {route for route in routes if not route.startswith(("/health/", "/metrics"))}
    assert {route if "{" not in route else "/web" for route in public} == paths


def test_it_scales_by_what_the_server_tells():
    (metric,) = one_of("HorizontalPodAutoscaler")["spec"]["metrics"]
    name = metric["pods"]["metric"]["name"]
    scaled = yaml.safe_load((FOLDER / "keda" / "scaledobject.yaml").read_text())["spec"]
    assert name in scaled["triggers"][0]["metadata"]["query"]


def test_a_server_with_these_settings_answers_its_probes(tiny_model, tmp_path):
    given = {name.removeprefix(PREFIX).lower(): value for name, value in environment().items()}
    given["stop_grace_s"] = 0
    probes = [server()[f"{kind}Probe"]["httpGet"] for kind in ("startup", "readiness", "liveness")]
    (port,) = server()["ports"]
    assert {probe["port"] for probe in probes} == {port["name"]}
    with redis_server(tmp_path) as redis:
        given["cache"] = redis.url
        with server_process(model=tiny_model, **given) as running, running.client() as client:
            for probe in probes:
                # As the kubelet asks: by the pod's address.
                answer = client.get(probe["path"], headers={"Host": "10.1.2.3:5000"})
                assert answer.status_code == 200
            annotations = one_of("Deployment")["spec"]["template"]["metadata"]["annotations"]
            told = client.get(annotations["prometheus.io/path"]).text
            metric = one_of("HorizontalPodAutoscaler")["spec"]["metrics"][0]["pods"]["metric"]
            assert f"\n{metric['name']} 0.0\n" in told
        assert running.process.wait(60) == 0
