"""What is copied here from npm, and how it gets here."""

import hashlib
import io
import json
import sys
import tarfile
from dataclasses import replace

import pytest

from deploy.vendor import PACKAGES, RECORD, fetch

#: What lies beside it and is ours.
OURS = {RECORD, "page.html", "start.js"}
#: The file that each one's licence is in, and words of it.
LICENCES = {"swagger-ui-dist": ("LICENSE", "Apache License"), "uplot": ("uplot.LICENSE", "MIT")}
# Packs a package as npm does, without a network.
NPM = """#!{python}
import json, shutil, sys
shutil.copy({archive!r}, "made.tgz")
name, _, version = sys.argv[-1].rpartition("@")
told = {{"version": version, "integrity": "sha512-of-" + name, "filename": "made.tgz"}}
print(json.dumps([told]))
"""


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_what_lies_here_is_what_was_fetched(package):
    record = json.loads((package.folder / RECORD).read_text())
    (told,) = record.values()
    assert list(record) == [package.name]
    assert told["version"] == package.version
    assert told["integrity"].startswith("sha512-")
    assert set(told["files"]) == set(package.files)
    assert set(package.files) == {path.name for path in package.folder.iterdir()} - OURS
    for name, digest in told["files"].items():
        content = (package.folder / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() == digest
        assert b"sourceMappingURL" not in content
        assert content.endswith(package.more.get(name, b""))
    licence, words = LICENCES[package.name]
    assert words in (package.folder / licence).read_text()


@pytest.mark.parametrize("package", PACKAGES, ids=lambda package: package.name)
def test_it_is_fetched_with_what_it_is_noted_by(package, tmp_path, monkeypatch):
    archive, bin_ = tmp_path / "package.tgz", tmp_path / "bin"
    with tarfile.open(archive, "w:gz") as packed:
        for path in package.files.values():
            content = f"{path}\n//# sourceMappingURL=x.map\n".encode()
            entry = tarfile.TarInfo(f"package/{path}")
            entry.size = len(content)
            packed.addfile(entry, io.BytesIO(content))
    bin_.mkdir()
    (bin_ / "npm").write_text(NPM.format(python=sys.executable, archive=str(archive)))
    (bin_ / "npm").chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_}:/usr/bin:/bin")
    elsewhere = replace(package, version="9.9.9", folder=tmp_path / "a" / "b")
    fetch(elsewhere)
    contents = {
        name: f"{path}\n".encode() + package.more.get(name, b"")
        for name, path in package.files.items()
    }
    assert json.loads((elsewhere.folder / RECORD).read_text()) == {
        package.name: {
            "version": "9.9.9",
            "integrity": f"sha512-of-{package.name}",
            "files": {n: hashlib.sha256(content).hexdigest() for n, content in contents.items()},
        }
    }
    for name, content in contents.items():
        assert (elsewhere.folder / name).read_bytes() == content
