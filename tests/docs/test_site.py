"""The pages become a site without a warning, and without anybody else's hosts."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

# What a browser fetches by itself.
_FETCHED = {"src", "srcset", "poster", "data"}
_FETCHED_LINKS = {"stylesheet", "icon", "preload", "modulepreload", "manifest", "dns-prefetch"}


def build(source: Path, out: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet"),
            *(source, out),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    out = tmp_path_factory.mktemp("site")
    done = build(ROOT / "docs", out)
    assert done.returncode == 0, done.stderr
    return out


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"])
def test_links_of_what_lies_outside_the_site(page):
    links = re.findall(r"\]\(([^)#]+)\)|src=\"([^\"]+)\"", (ROOT / page).read_text())
    for link in map("".join, links):
        assert link.startswith("https://") or (ROOT / link).exists(), link


class Fetches(HTMLParser):
    """The addresses that a page has its browser fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.found += [value for name, value in given.items() if name in _FETCHED]
        if tag == "link" and set(given.get("rel", "").split()) & _FETCHED_LINKS:
            self.found.append(given["href"])


def test_every_page_is_in_the_site(site):
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert pages <= {path.stem for path in site.glob("*.html")}
    assert len(pages) > 10


def test_nothing_comes_from_elsewhere(site):
    fetched = {
        address
        for path in site.glob("*.html")
        for address in Fetches(path.read_text(encoding="utf-8")).found
    }
    assert len(fetched) > 5
    assert not [address for address in fetched if "//" in address]
    for style in site.rglob("*.css"):
        assert "url(http" not in style.read_text(encoding="utf-8"), style
        assert "@import" not in style.read_text(encoding="utf-8"), style


@pytest.mark.parametrize(
    "wrong", ["[gone](gone.md)", "[no heading](errors.md#gone)", "[no file](../serve/gone.py)"]
)
def test_a_link_that_leads_nowhere_fails_the_build(wrong, tmp_path):
    docs = tmp_path / "docs"
    docs.mkdir()
    shutil.copy(ROOT / "docs" / "conf.py", docs)
    (docs / "errors.md").write_text("---\norphan: true\n---\n# Errors\n")
    (docs / "index.md").write_text("# Index\n\n[fine](errors.md#errors)\n")
    assert build(docs, tmp_path / "site").returncode == 0
    (docs / "index.md").write_text(f"# Index\n\n{wrong}\n")
    assert build(docs, tmp_path / "site").returncode == 1
