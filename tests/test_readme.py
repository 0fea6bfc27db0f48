"""README.md is true: its commands work and answer as shown, its tables are the code's."""

import os
import re
import shlex
import socket
import subprocess
import time
from pathlib import Path

import httpx
import pytest

from serve.errors import ERRORS
from serve.settings import PREFIX, Settings
from tests.media import by_name, encode, music
from tests.standin import Video

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
COMMANDS = [
    (command, expected)
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    for command, expected in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
]
# Percentages hang a little on the processor's rounding.
NUMBER = re.compile(r"\d+(?:\.\d+)?")
TOLERANCE = 0.6


def matches(shown, real):
    """Whether text is as shown: … is anything, numbers may differ a little, space is no matter."""
    shown, real = (re.sub(r"\s+", "", text) for text in (shown, real))
    numbers = [float(n) for n in NUMBER.findall(shown)]
    pattern = NUMBER.sub("\0", shown)
    pattern = re.escape(pattern).replace("…", ".*?").replace(re.escape("\0"), f"({NUMBER.pattern})")
    found = re.fullmatch(pattern, real, re.DOTALL)
    return bool(found) and [float(n) for n in found.groups()] == pytest.approx(
        numbers, abs=TOLERANCE
    )


@pytest.mark.parametrize(
    ("shown", "real", "same"),
    [
        ('{"a": 81.2, …}', '{"a":81.5,"b":2}', True),
        ('{"a": 81.2, …}', '{"a":83.5,"b":2}', False),
        ('{"a": "…"}', '{"a":"xyz"}', True),
        ('{"a": "…"}', '{"b":"xyz"}', False),
        ("rock", "jazz", False),
    ],
)
def test_the_comparison_can_fail(shown, real, same):
    assert matches(shown, real) == same


@pytest.fixture(scope="module")
def port(standin):
    """The server as `make serve` starts it, with the shipped model."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        number = free.getsockname()[1]
    video = re.search(r"watch\?v=([\w-]{11})", README)[1]
    standin.reset()
    standin.add(Video(video, {140: encode(music(20.0), by_name("m4a-index-first"))}, length=20))
    environment = os.environ | standin.env() | {f"{PREFIX}PORT": str(number)}
    server = subprocess.Popen(
        shlex.split(COMMANDS[0][0]), cwd=ROOT, env=environment, start_new_session=True
    )
    try:
        with httpx.Client(trust_env=False) as client:
            for _ in range(600):
                try:
                    client.get(f"http://127.0.0.1:{number}/health/ready").raise_for_status()
                    break
                except httpx.HTTPError:
                    assert server.poll() is None
                    time.sleep(0.1)
        yield number
    finally:
        server.terminate()
        server.wait(30)


def test_the_first_command_starts_the_server():
    assert COMMANDS[0] == ("make serve", "")


@pytest.mark.parametrize(("command", "expected"), COMMANDS[1:], ids=[c for c, _ in COMMANDS[1:]])
def test_commands_answer_as_shown(port, command, expected):
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command.replace("localhost:5000", f"127.0.0.1:{port}")],
        cwd=ROOT,
        # Without MAKELEVEL, which has make say where it is.
        env={k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
        | {"NO_PROXY": "*", "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert matches(expected, done.stdout), f"{expected}\n---\n{done.stdout}\n{done.stderr}"


def errors_table():
    rows = [
        f"| {error.status} | `{code}` | {error.text} | {'yes' if error.retryable else 'no'} "
        f"| {error.exit_code} |"
        for code, error in sorted(ERRORS.items(), key=lambda item: item[1].status)
    ]
    return "\n".join(
        ["| status | code | meaning | retryable | exit code |", "|---|---|---|---|---|", *rows]
    )


def settings_table():
    rows = []
    for name, field in Settings.model_fields.items():
        default = field.default
        if isinstance(default, Path):
            default = default.relative_to(ROOT)
        elif isinstance(default, tuple):
            default = ",".join(default)
        shown = f"`{default}`" if default not in (None, "") else ""
        rows.append(f"| `{PREFIX}{name.upper()}` | {shown} | {field.description} |")
    return "\n".join(["| variable | default | |", "|---|---|---|", *rows])


@pytest.mark.parametrize("table", [errors_table, settings_table])
def test_tables_are_the_codes(table):
    assert table() in README


def test_every_target_is_there():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"(?:`|^|\$ )make ([a-z]+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_apt_line_is_the_scripts():
    script = (ROOT / "deploy" / "system-packages").read_text()
    packages = re.search(r"packages='(.*)'", script)[1]
    assert f"apt-get install {packages}" in README
