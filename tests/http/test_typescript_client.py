"""A TypeScript client whose types are generated from the description, used as its users would."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import deno
import pytest

from serve.http.api.description import describe
from tests.http.posts import SONG

CLIENTS = Path(__file__).parents[1] / "clients"
GENERATOR = json.loads((CLIENTS / "deno.json").read_text())["imports"]["openapi-typescript"]
# Where `make` puts the packages: nothing is fetched here.
PACKAGES = os.environ.get("DENO_DIR") or str(Path(sys.prefix, "deno"))


def run(folder, command, *arguments):
    """What Deno prints."""
    done = subprocess.run(
        [deno.find_deno_bin(), command, "--cached-only", "--frozen", *arguments],
        cwd=folder,
        env=os.environ | {"DENO_DIR": PACKAGES, "DENO_NO_UPDATE_CHECK": "1", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """A folder with the generated types beside the client, which fits them."""
    if not Path(PACKAGES, "npm").is_dir():
        pytest.skip("npm's registry was out of reach when the environment was made")
    folder = tmp_path_factory.mktemp("client")
    for name in ("deno.json", "deno.lock", "client.ts"):
        shutil.copy(CLIENTS / name, folder)
    (folder / "openapi.json").write_text(json.dumps(describe()))
    run(folder, "run", "-A", GENERATOR, "openapi.json", "-o", "topgenre.ts")
    run(folder, "check", "client.ts")
    return folder


def test_a_client_that_is_generated_fits_and_works(client, server):
    (client / "song.mp3").write_bytes(SONG)
    rights = ("--allow-net=127.0.0.1", "--allow-read=.", "client.ts")
    said = json.loads(run(client, "run", *rights, server.url, "song.mp3"))
    assert said["genres"] == list(server.pipeline.model.card.genres)
    assert said["id"] == "dQw4w9WgXcQ"
    assert (said["none"], said["code"]) == (None, "not_youtube")
    assert said["title"] == "песня.mp3"
    assert 0 < said["best"] <= 100
    assert said["starts"][0] == 0
    assert len(said["starts"]) == said["percent"]
    assert (said["warnings"], said["columns"] > 0) == ([], True)
