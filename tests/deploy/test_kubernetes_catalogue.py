"""The catalogue as a Job of Kubernetes: valid, strict, and all of it done once."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import kubernetes_validate
import pyarrow.parquet as pq
import pytest
import soundfile
import yaml

from serve.settings import PREFIX, Settings
from tests.deploy.image import FILE, of_the_image
from tests.deploy.test_kubernetes import FOLDER, VERSION, objects
from tests.media import music

OBJECTS = {one["kind"]: one for one in objects("catalogue")}
JOB = OBJECTS["Job"]["spec"]
POD = JOB["template"]["spec"]
(CONTAINER,) = POD["containers"]
KUSTOMIZATION = yaml.safe_load((FOLDER / "catalogue" / "kustomization.yaml").read_text())
(CONFIG,) = KUSTOMIZATION["configMapGenerator"]


def environment():
    """What the container is given, but for its index."""
    literals = dict(literal.split("=", 1) for literal in CONFIG["literals"])
    return literals | {one["name"]: one["value"] for one in CONTAINER["env"]}


def expanded(argument, named):
    """As the kubelet does it."""
    return re.sub(r"\$\((\w+)\)", lambda of: named[of[1]], argument)


@pytest.mark.parametrize("kind", OBJECTS)
def test_every_object_is_valid(kind):
    kubernetes_validate.validate(OBJECTS[kind], VERSION, strict=True)


def test_it_may_do_as_little_as_the_server():
    (deployment,) = (
        one
        for one in objects("base")
        if one["metadata"]["name"] == "topgenre" and "spec" in one and one["kind"] == "Deployment"
    )
    server = deployment["spec"]["template"]["spec"]
    assert POD["securityContext"] == server["securityContext"]
    assert CONTAINER["securityContext"] == server["containers"][0]["securityContext"]
    assert CONTAINER["resources"]["limits"].keys() >= {"cpu", "memory"}
    assert POD["automountServiceAccountToken"] is False
    labels = JOB["template"]["metadata"]["labels"]
    policy = OBJECTS["NetworkPolicy"]["spec"]
    assert policy["podSelector"]["matchLabels"] == labels
    assert policy["ingress"] == []


def test_what_is_named_is_there():
    assert POD["serviceAccountName"] == OBJECTS["ServiceAccount"]["metadata"]["name"]
    assert CONTAINER["envFrom"][0] == {"configMapRef": {"name": CONFIG["name"]}}
    names = {n.removeprefix(PREFIX).lower() for n in environment() if n.startswith(PREFIX)}
    assert names <= Settings.model_fields.keys()
    (image,) = KUSTOMIZATION["images"]
    assert image["name"] == CONTAINER["image"]
    variant = image["newTag"].rpartition("-")[2]
    assert (FILE.parent / f"locked-{variant}.txt").exists()


def test_each_index_does_its_part(tiny_model, tmp_path):
    for n in range(6):
        soundfile.write(tmp_path / f"{n}.wav", music(3.0, 8000, 1, seed=n).T, 8000)
    assert JOB["completionMode"] == "Indexed"
    assert JOB["completions"] == int(environment()["PARTS"])
    (entry,) = of_the_image("ENTRYPOINT")
    assert entry.words()[-2:] == ["-m", "serve"]
    given = environment() | {"MANIFEST": str(tmp_path), "OUT": str(tmp_path / "out"), "PARTS": "2"}
    for index in range(2):
        named = given | {"JOB_COMPLETION_INDEX": str(index)}
        arguments = [expanded(argument, named) for argument in CONTAINER["args"]]
        done = subprocess.run(
            [sys.executable, "-m", "serve", *arguments, "--shard-tracks", "2"],
            env=os.environ | named | {"TOPGENRE_MODEL": str(tiny_model)},
            cwd=FOLDER.parents[1],
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        assert f"{4 - 2 * index} tracks in" in done.stderr
    assert len({row["id"] for row in pq.read_table(tmp_path / "out").to_pylist()}) == 6


def test_what_no_other_try_can_mend_ends_the_job(tmp_path):
    (rule,) = (rule for rule in JOB["podFailurePolicy"]["rules"] if rule["action"] == "FailJob")
    done = subprocess.run(
        [sys.executable, "-m", "serve", "catalogue", tmp_path / "missing", tmp_path / "out"],
        cwd=FOLDER.parents[1],
        stderr=subprocess.DEVNULL,
    )
    assert rule["onExitCodes"]["values"] == [done.returncode]
