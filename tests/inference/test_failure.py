"""A server whose device is lost: typed errors, then its end. Never one that is green and dead."""

from __future__ import annotations

import subprocess
import sys

import httpx

from serve.paths import ROOT
from serve.workers.process import child_environment
from tests.eventually import until
from tests.media import by_name, encode, music

#: The real server, but for a device that is lost as soon as a file is there.
SERVER = """
import sys
from pathlib import Path
from serve.inference.runner import Runner

run, lost = Runner.run, Path(sys.argv.pop(1))

def failing(self, mel):
    if lost.exists():
        raise RuntimeError("CUDA failure 719: unspecified launch failure")
    return run(self, mel)

Runner.run = failing
from serve.__main__ import main
sys.exit(main())
"""


def ready(url):
    try:
        return httpx.get(f"{url}/health/ready", trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def test_a_lost_device_ends_the_server_with_a_clear_word(tiny_model, tmp_path, unused_tcp_port):
    lost, log = tmp_path / "lost", tmp_path / "log"
    url = f"http://127.0.0.1:{unused_tcp_port}"
    environment = child_environment(
        TOPGENRE_PORT=str(unused_tcp_port),
        TOPGENRE_MODEL=str(tiny_model),
        TOPGENRE_CACHE="off",
        TOPGENRE_YOUTUBE_PRELOAD="false",
        TOPGENRE_DECODERS="1",
        TOPGENRE_STOP_GRACE_S="0",
    )
    song = encode(music(5.0), by_name("mp3"))
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [sys.executable, "-c", SERVER, str(lost)], cwd=ROOT, env=environment, stderr=output
        ) as server,
    ):
        try:
            until(lambda: ready(url), 60)

            def post():
                headers = {"Content-Type": "audio/mpeg"}
                return httpx.post(
                    f"{url}/predict", content=song, headers=headers, timeout=30, trust_env=False
                )

            assert post().status_code == 200
            lost.touch()
            reply = post()
            assert (reply.status_code, reply.json()["code"]) == (500, "internal")
            assert not ready(url)
            assert server.wait(30) == 1
        finally:
            server.kill()
    said = log.read_text()
    assert "CUDA failure 719" in said
    assert "the model can't run any more" in said
