"""What the image is made of is known by its digests, and a release is signed for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deploy.needs import EXTRAS, needed

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
VARIANTS = {
    "cpu": EXTRAS,
    "cuda": (*EXTRAS, "cuda"),
    "catalogue": (*EXTRAS, "catalogue"),
}
RELEASE = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())
STEPS = [step for job in RELEASE["jobs"].values() for step in job["steps"]]


def locked(variant):
    """The versions that are locked, by canonical name."""
    text = (ROOT / "deploy" / f"locked-{variant}.txt").read_text()
    found = {}
    for line in text.replace("\\\n", "").splitlines():
        requirement, *digests = re.split(r"\s+--hash=", line)
        assert digests, line
        assert all(re.fullmatch("sha256:[0-9a-f]{64}", digest) for digest in digests), line
        name, version = re.fullmatch(r"([\w.-]+)==([\w.]+)(?: ;.*)?", requirement).groups()
        found[canonicalize_name(name)] = version
    assert "://" not in text  # wherever they come from, it is they
    return found


def pinned():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = (line.split("==") for line in lines if not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pins}


@pytest.mark.parametrize("variant", VARIANTS)
def test_all_that_is_needed_is_locked_as_it_was_tested(variant):
    """Where this fails, `deploy/lock` was not run since."""
    versions = locked(variant)
    assert {"setuptools", *needed("topgenre", EXTRAS)} - versions.keys() == {"topgenre"}
    pins = pinned()
    assert {
        name: (at, pins[name]) for name, at in versions.items() if at != pins.get(name, at)
    } == {}
    # yt-dlp floats: what is locked is the newest of its day.
    assert {"yt-dlp", "yt-dlp-ejs"} <= versions.keys() - pins.keys()
    extras = (
        line for extra in VARIANTS[variant] for line in PROJECT["optional-dependencies"][extra]
    )
    for requirement in map(Requirement, (*PROJECT["dependencies"], *extras)):
        assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)])


def test_a_gpu_adds_to_what_all_need():
    cpu, cuda = map(locked, ("cpu", "cuda"))
    assert cpu.items() < cuda.items()
    assert {name.partition("-")[0] for name in cuda.keys() - cpu.keys()} == {"nvidia"}


def test_a_catalogue_adds_parquet_to_what_all_need():
    cpu, catalogue = map(locked, ("cpu", "catalogue"))
    assert cpu.items() < catalogue.items()
    assert catalogue.keys() - cpu.keys() == {"pyarrow"}


def test_forms_have_limited_headers_whatever_is_installed():
    (requirement,) = (r for r in PROJECT["dependencies"] if r.startswith("python-multipart"))
    assert not Requirement(requirement).specifier.contains("0.0.26")


# The base image.

ENGINE = """#!/bin/sh
case $* in
"pull --quiet python:3.11-slim-bookworm") ;;
"image inspect --format {{index .RepoDigests 0}} python:3.11-slim-bookworm")
    echo "registry.test/library/python@sha256:$DIGEST" ;;
*) exit 3 ;;
esac
"""


def test_the_base_image_is_noted_by_its_digest(tmp_path):
    deploy, engine = tmp_path / "deploy", tmp_path / "engine"
    deploy.mkdir()
    for name in ("lock", "Containerfile"):
        shutil.copy(ROOT / "deploy" / name, deploy)
    engine.write_text(ENGINE)
    engine.chmod(0o755)
    before = (deploy / "Containerfile").read_text()
    for digest in (64 * "a", 64 * "b"):  # a newer one takes its place
        environment = os.environ | {"ENGINE": str(engine), "DIGEST": digest}
        subprocess.run((deploy / "lock", "base"), env=environment, check=True, cwd=tmp_path)
        after = (deploy / "Containerfile").read_text()
        assert f"\nARG BASE=python:3.11-slim-bookworm@sha256:{digest}\n" in after
        assert re.sub("ARG BASE=.*", "", after) == re.sub("ARG BASE=.*", "", before)


# The release.


def test_a_release_runs_nothing_that_can_change():
    used = [step["uses"] for step in STEPS if "uses" in step]
    assert used
    assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action) for action in used)


def test_a_release_may_do_no_more_than_it_has_to():
    assert RELEASE["permissions"] == {}
    image, release = RELEASE["jobs"]["image"], RELEASE["jobs"]["release"]
    writes = {name for name, right in image["permissions"].items() if right == "write"}
    assert writes == {"packages", "id-token", "attestations"}
    assert release["permissions"] == {"contents": "write"}
    assert image["strategy"]["matrix"]["variant"] == [*VARIANTS]


def test_a_release_is_refused_while_the_base_image_may_change(tmp_path):
    (step,) = (step for step in STEPS if "base image" in step.get("name", ""))
    (tmp_path / "deploy").mkdir()
    for base, code in (("python:3.11", 1), (f"python:3.11@sha256:{64 * 'a'}", 0)):
        (tmp_path / "deploy" / "Containerfile").write_text(f"ARG BASE={base}\n")
        done = subprocess.run(("bash", "-ec", step["run"]), cwd=tmp_path, capture_output=True)
        assert done.returncode == code


def test_nothing_is_built_of_another_base_image():
    lines = (ROOT / "deploy" / "Containerfile").read_text().splitlines()
    assert sum(line.startswith("ARG BASE") for line in lines) == 1
    begun = [line.split()[1] for line in lines if line.startswith("FROM ")]
    assert set(begun) == {"${BASE}"}
    names = [step.get("name") for step in STEPS]
    assert names.index("Refuse a base image without its digest") < names.index("Build")
    assert "BASE=" not in "".join(
        step.get("run", "") for step in STEPS if step.get("name") == "Build"
    )
    assert RELEASE["jobs"]["release"]["needs"] == "image"


def test_the_bill_is_signed_for_the_image_that_was_pushed():
    names = [step.get("name") for step in STEPS]
    assert names.index("Push") < names.index("Sign the bill of materials for the image")
    (sign,) = (step for step in STEPS if step.get("uses", "").startswith("actions/attest@"))
    assert sign["with"]["subject-digest"] == "${{ steps.push.outputs.digest }}"
    (bill,) = (step for step in STEPS if step.get("name") == "Bill of materials")
    assert f"--output-file {sign['with']['sbom-path']}" in bill["run"]
