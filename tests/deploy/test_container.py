"""The image: what its build file says, and what comes of its build steps without an engine."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import distributions, version
from pathlib import Path

import httpx
import pytest
import yaml

from benchmarks.servers import free_port
from deploy.needs import EXTRAS, needed
from serve.settings import PREFIX, Settings
from tests.deploy import containers
from tests.deploy.image import FILE, instructions, of_the_image
from tests.deploy.wheels import wheel
from tests.eventually import until
from tests.media import by_name, encode, music
from tests.standin import Video

ROOT = Path(__file__).parents[2]
SCRIPTS = [ROOT / "deploy" / name for name in ("install", "lock", "system-packages")]
COMPOSE = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text())
RELEASE = ROOT / ".github" / "workflows" / "release.yml"
OURS = ("topgenre", version("topgenre"))
SONG = (ROOT / "tests" / "data" / "song.mp3").read_bytes()
# Where the image has what the test has in folders of its own.
PREFIX_IN_IMAGE, CACHE_IN_IMAGE = "/opt/topgenre", "/var/cache/topgenre"
TOOLS = Path(sys.executable).parent


# What the files say.


def test_the_build_file_is_clean():
    subprocess.run((TOOLS / "hadolint", FILE), check=True)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_the_scripts_are_clean(script):
    assert os.access(script, os.X_OK)
    subprocess.run((TOOLS / "shellcheck", script), check=True)


def test_the_image_runs_as_nobody_of_note_and_is_signalled():
    (user,), (entry,), (signal,) = map(of_the_image, ("USER", "ENTRYPOINT", "STOPSIGNAL"))
    assert user.text == f"{containers.USER}:{containers.USER}"
    # Exec form: a shell would keep the signal to itself.
    assert entry.words()[:2] == ["/usr/bin/tini", "--"]
    assert entry.words()[3:] == ["-m", "serve"]
    assert signal.text == "SIGTERM"


def test_no_compiler_comes_into_the_image():
    stages = [one for one in instructions() if one.name == "FROM"]
    assert len(stages) == 2
    installed = [one.text for one in of_the_image("RUN") if "apt-get install" in one.text]
    assert [text.split("install ")[1].split("&&")[0].split()[-1] for text in installed] == ["tini"]
    (copied,) = [one for one in of_the_image("COPY") if one.text.startswith("--from=build")]
    assert copied.words()[1:] == [PREFIX_IN_IMAGE, PREFIX_IN_IMAGE]


def test_what_is_copied_is_there_and_not_ignored():
    allowed = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copied = {
        source
        for one in instructions()
        if one.name == "COPY" and not one.text.startswith("--from")
        for source in one.words()[:-1]
    }
    assert copied == allowed
    assert all((ROOT / source).exists() for source in copied)


def test_its_environment_is_made_of_settings():
    (environment,) = of_the_image("ENV")
    given = dict(word.split("=", 1) for word in environment.words())
    settings = {name: value for name, value in given.items() if name.startswith(PREFIX)}
    names = {name.removeprefix(PREFIX).lower() for name in settings}
    assert names <= Settings.model_fields.keys()
    assert given["TOPGENRE_CACHE"] == CACHE_IN_IMAGE == of_the_image("VOLUME")[0].text


@pytest.mark.parametrize("name", COMPOSE["services"])
def test_a_composed_server_may_do_little(name):
    service = COMPOSE["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["pids_limit"]
    assert service["mem_limit"]
    assert [mount.partition(":")[0] for mount in service["tmpfs"]] == ["/tmp"]
    assert service["volumes"] == [f"cache:{CACHE_IN_IMAGE}"]
    assert all(port.startswith("127.0.0.1:") for port in service["ports"])
    assert (ROOT / "deploy" / service["build"]["context"]).resolve() == ROOT
    assert ROOT / service["build"]["dockerfile"] == FILE
    settings = Settings()
    grace_s = float(service["stop_grace_period"].removesuffix("s"))
    assert grace_s > settings.stop_grace_s + settings.stop_deadline_s


# What comes of the build steps.


@dataclass(frozen=True)
class Installed:
    """The image's folder, as the build steps make it."""

    folder: Path

    def command(self, instruction: str) -> list[str]:
        """The command of an instruction, for this folder and without tini."""
        (one,) = of_the_image(instruction)
        words = one.words()
        if instruction == "HEALTHCHECK":
            words = yaml.safe_load(one.text[one.text.index("[") :])
        words = [word.replace(PREFIX_IN_IMAGE, str(self.folder)) for word in words]
        return words[2:] if words[0].endswith("tini") else words


def _checkout() -> set[Path]:
    """What lies in it, but for what measures the tests' coverage."""
    return {path for path in ROOT.iterdir() if not path.name.startswith(".coverage")}


def install(folder, names):
    """Prepare `deploy/install` to take these from wheels of what is installed here, not an index.

    The environment that it needs for that, with a lock of their digests.
    """
    wheels, locked = folder / "wheels", folder / "locked.txt"
    wheels.mkdir()
    for name in names:
        digest = hashlib.sha256(wheel(name, wheels).read_bytes()).hexdigest()
        with locked.open("a") as lines:
            print(f"{name}=={version(name)} --hash=sha256:{digest}", file=lines)
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("PIP_")},
        **{"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(wheels), "PIP_CONFIG_FILE": os.devnull},
        **{"PYTHON": sys.executable, "LOCKED": str(locked)},
    }


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """What `deploy/install` makes."""
    folder = tmp_path_factory.mktemp("image")
    names = {"setuptools", *needed("topgenre", EXTRAS)} - {"topgenre"}
    environment = install(folder, sorted(names))
    before = _checkout()
    target = folder / "topgenre"
    subprocess.run((SCRIPTS[0], target, "cpu"), env=environment, check=True, cwd=folder)
    assert _checkout() == before
    (target / "healthcheck.py").write_bytes((ROOT / "deploy" / "healthcheck.py").read_bytes())
    yield Installed(target)
    shutil.rmtree(folder)  # more than a gigabyte


def test_a_file_of_another_digest_is_not_installed(tmp_path):
    environment = install(tmp_path, ["h11"])
    locked = Path(environment["LOCKED"])
    locked.write_text(re.sub("sha256:.*", f"sha256:{64 * '0'}", locked.read_text()))
    command = (SCRIPTS[0], tmp_path / "x", "cpu")
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert not list((tmp_path / "x").glob("lib/python*/site-packages/h11*"))


def test_nothing_is_there_that_only_the_making_needs(installed):
    (packages,) = installed.folder.glob("lib/python*/site-packages")
    names = {path.name for path in packages.iterdir()}
    assert not names & {"pip", "setuptools", "tensorflow", "pytest", "librosa"}
    assert {"serve", "numpy", "yt_dlp", "redis"} <= names
    assert not list(packages.glob("onnxruntime/capi/*providers_cuda*"))


def test_its_bill_of_materials_is_of_what_is_there(installed, tmp_path):
    steps = yaml.safe_load(RELEASE.read_text())["jobs"]["image"]["steps"]
    (run,) = (step["run"] for step in steps if step.get("name") == "Bill of materials")
    command = run.splitlines()[-1]
    for place, here in (
        ("build/tools/bin/python", sys.executable),
        ("build/image", installed.folder),
        ("build/sbom.json", tmp_path / "sbom.json"),
    ):
        command = command.replace(place, str(here))
    subprocess.run(shlex.split(command), check=True, cwd=ROOT)
    bill = json.loads((tmp_path / "sbom.json").read_text())
    named = {(part["name"].lower(), part["version"]) for part in bill["components"]}
    (packages,) = installed.folder.glob("lib/python*/site-packages")
    there = distributions(path=[str(packages)])
    assert named == {(part.name.lower(), part.version) for part in there} - {OURS}


def test_another_variant_is_refused(tmp_path):
    command = (SCRIPTS[0], tmp_path / "x", "amd")
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, "amd" in done.stderr) == (2, True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not containers.available(), reason="no namespaces for users here")
def test_it_answers_from_a_read_only_file_system_as_nobody_of_note(installed, youtube, tmp_path):
    youtube.add(
        Video(
            "AAAAAAAAAAA",
            {140: encode(music(20.0), by_name("m4a-index-first"))},
            length=20,
            challenges=True,
        )
    )
    cache, temporary = tmp_path / "cache", tmp_path / "tmp"
    cache.mkdir()
    temporary.mkdir()
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    environment = youtube.env() | {
        "TOPGENRE_PORT": str(port),
        "TOPGENRE_CACHE": str(cache),
        "TMPDIR": str(temporary),
    }
    writable = [cache, temporary]

    def inside(*command):
        done = subprocess.run(
            containers.contained(command, writable),
            env=os.environ | environment,
            text=True,
            capture_output=True,
            cwd=installed.folder,
        )
        return done.returncode, done.stdout.strip()

    assert inside("id", "-u") == (0, str(containers.USER))
    assert inside("touch", str(installed.folder / "x"))[0] != 0
    health = installed.command("HEALTHCHECK")
    assert inside(*health)[0] != 0
    entry = installed.command("ENTRYPOINT")
    with containers.running(entry, writable, environment, installed.folder) as server:
        until(lambda: server.poll() is not None or inside(*health)[0] == 0, within_s=60)
        with httpx.Client(base_url=url, trust_env=False, follow_redirects=True) as client:
            client.timeout = 60
            song = client.post("/predict", files={"file": ("song.mp3", SONG)}).json()
            assert song["top_prediction"] == max(song["results"], key=song["results"].get)
            assert len(song["results"]) == 10
            link = client.get("/predict", params={"url": "https://youtu.be/AAAAAAAAAAA"})
            assert link.status_code == 200, link.text
            # Files of the package that are no Python come along, too.
            files = re.findall(r'(?:src|href)="([^":]+)"', client.get("/").text)
            assert files
            for path in ("/", "/docs", "/openapi.json", "/info", *files):
                assert client.get(path).status_code == 200, path
        server.terminate()
        assert server.wait(60) == 0
    assert list(temporary.iterdir()) == []
    assert list(cache.iterdir())
