"""The files of both pages, as they are served."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

import serve.http

HTTP = Path(serve.http.__file__).parent


@dataclass(frozen=True)
class Pages:
    """A page: its address, its files' folder and address, its file, and one of the others."""

    path: str
    folder: Path
    under: str
    page: str
    script: str
    #: what no file may cost on the way to an answer, packed
    most_bytes: int

    @property
    def files(self):
        paths = (path for path in self.folder.rglob("*") if path.is_file())
        return sorted(path.relative_to(self.folder).as_posix() for path in paths)

    def version(self, client):
        text = client.get(self.path).text
        return re.search(rf"{self.under}([0-9a-f]{{16}})/{self.script}", text)[1]


WEB = Pages("/", HTTP / "web", "web/", "index.html", "app.js", 60_000)
DOCS = Pages("/docs", HTTP / "swagger", "web/docs/", "page.html", "start.js", 500_000)
FILES = [(pages, name) for pages in (WEB, DOCS) for name in pages.files]
BOTH = pytest.mark.parametrize("pages", [WEB, DOCS], ids=["web", "docs"])


@BOTH
def test_the_page(client, pages):
    response = client.get(pages.path)
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert response.headers["cache-control"] == "no-cache"
    assert "{version}" not in response.text


@pytest.mark.parametrize(("pages", "name"), FILES, ids=[name for _, name in FILES])
def test_files_come_packed_typed_and_for_good(client, pages, name):
    response = client.get(f"/{pages.under}{pages.version(client)}/{name}")
    assert response.status_code == 200
    assert response.headers["content-encoding"] == "gzip"
    assert "immutable" in response.headers["cache-control"]
    assert int(response.headers["content-length"]) < pages.most_bytes
    kinds = {
        **{".js": "text/javascript", ".css": "text/css"},
        **{".svg": "image/svg+xml", ".png": "image/png"},
    }
    assert response.headers["content-type"].startswith(kinds.get(Path(name).suffix, ""))
    if name != pages.page:
        assert response.content == (pages.folder / name).read_bytes()


@BOTH
def test_who_can_not_unpack_gets_it_plain(client, pages):
    address = f"/{pages.under}{pages.version(client)}/{pages.script}"
    packed = client.get(address)
    plain = client.get(address, headers={"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == packed.content
    assert "accept-encoding" in plain.headers["vary"].lower()


@BOTH
def test_what_has_not_changed_is_not_sent_again(client, pages):
    for address in (pages.path, f"/{pages.under}{pages.version(client)}/{pages.script}"):
        first = client.get(address)
        again = client.get(address, headers={"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        other = client.get(address, headers={"If-None-Match": 'W/"other"'})
        assert other.status_code == 200


@BOTH
def test_an_old_version_is_not_kept(client, pages):
    assert pages.version(client) != "0" * 16
    response = client.get(f"/{pages.under}{'0' * 16}/{pages.script}")
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-cache"


@BOTH
@pytest.mark.parametrize("name", ["nothing.js", "..%2fpage.py", "..%2f..%2fapp.py", "vendor", ""])
def test_nothing_else_is_served(client, pages, name):
    response = client.get(f"/{pages.under}{pages.version(client)}/{name}")
    assert response.status_code == 404
    assert response.json()["code"] == "not_found"
