import sys

import pytest

from benchmarks.clients import Request, post
from benchmarks.media import track
from benchmarks.servers import free_port, running


def test_it_answers_what_our_server_does(server, tiny_model):
    request = Request.form(track(5.0, "m4a"))
    port = free_port()
    command = (sys.executable, "-m", "benchmarks.lit_server", str(port))
    with running(command, port, "/health", {"TOPGENRE_MODEL": str(tiny_model)}) as lit:
        theirs = post(lit.port, request)
    ours = post(int(server.url.rpartition(":")[2]), request)
    assert theirs["results"] == pytest.approx(ours["results"], abs=0.02)
    assert len(theirs["timeline"]) == len(ours["timeline"])
