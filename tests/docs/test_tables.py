"""What the pages say of the code is what the code says: errors, settings, commands, addresses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from starlette.routing import Route

from serve.__main__ import _parser
from serve.errors import ERRORS
from serve.http.page import DOCS_ROUTES, PAGE_ROUTES
from serve.http.routes import ROUTES
from serve.library.catalogue.rows import schema
from serve.settings import PREFIX, Settings
from tests.docs.pages import PAGES, ROOT, text_of

ALL = "\n".join(map(text_of, PAGES))


def errors_table():
    rows = [
        f"| {error.status} | `{code}` | {error.text} | {'yes' if error.retryable else 'no'} "
        f"| {error.exit_code} |"
        for code, error in sorted(ERRORS.items(), key=lambda item: item[1].status)
    ]
    return "\n".join(
        ["| status | code | meaning | retryable | exit code |", "|---|---|---|---|---|", *rows]
    )


def test_the_limit_of_length_is_the_default():
    limits = [
        limit for page in PAGES for limit in re.findall(r"up to (\d+) minutes", text_of(page))
    ]
    assert limits
    assert {60 * int(limit) for limit in limits} == {
        Settings.model_fields["max_duration_s"].default
    }


def test_the_columns_of_catalogues():
    (told,) = re.findall(r"\*\*What comes out\*\* (.*)", ALL)
    assert re.findall(r"`(\w+)`", told) == schema(["jazz"]).names


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


@pytest.mark.parametrize(
    ("page", "table"), [("docs/errors.md", errors_table()), ("docs/settings.md", settings_table())]
)
def test_tables_are_the_codes(page, table):
    assert table in text_of(Path(page)), f"{page} should hold:\n\n{table}\n"


def test_every_failure_of_youtube_is_explained():
    explained = set(re.findall(r"^(?:\*\*`\w+`\*\*(?:, | and |: ))+", _youtube(), re.MULTILINE))
    codes = {code for line in explained for code in re.findall(r"`(\w+)`", line)}
    of_youtube = {code for code, error in ERRORS.items() if error.origin == "youtube"}
    # What is said of a link before YouTube is asked, of a video, and of what arrives.
    links = {"bad_url", "not_youtube", "playlist", "too_long", "live", "upcoming", "timeout"}
    media = {"too_big", "undecodable", "too_short", "silent"}
    assert codes == of_youtube | links | media


def test_every_explanation_says_what_to_do():
    for paragraph in re.findall(r"^\*\*`.*", _youtube(), re.MULTILINE):
        assert re.search(r"\*[^*]+\*$", paragraph), paragraph


def _youtube():
    return text_of(Path("docs/youtube.md"))


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_what_is_named_exists(page):
    text = text_of(page)
    names = {name.removeprefix(PREFIX).lower() for name in re.findall(PREFIX + r"[A-Z_]+", text)}
    assert names <= set(Settings.model_fields)
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    assert set(re.findall(r"(?:`|^|\$ )make ([a-z][a-z-]*)", text, re.MULTILINE)) <= targets
    (commands,) = (a.choices for a in _parser()._actions if a.choices)
    assert set(re.findall(r"python -m serve ([a-z]+)", text)) <= set(commands)
    for path in re.findall(r"`((?:\w+/)+[\w.-]+\.\w+)`", text):
        assert (ROOT / path).exists() or path.startswith(("runs/", "data/", "build/")), path


def test_every_address_is_told():
    routes = (*ROUTES, *DOCS_ROUTES, *PAGE_ROUTES)
    for path in (route.path for route in routes if isinstance(route, Route)):
        if not path.startswith("/web/"):
            assert re.search(rf"[`\s]{re.escape(path)}[`?\s]", ALL), path


def test_every_target_is_told():
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^([a-z-]+):.*##", makefile, re.MULTILINE):
        assert f"make {target}" in ALL, target


def test_the_apt_lines_are_the_scripts():
    script = (ROOT / "deploy" / "system-packages").read_text()
    for packages in re.findall(r"^(?:test_)?packages='(.*)'", script, re.MULTILINE):
        assert f"apt-get install {packages}\n" in ALL
