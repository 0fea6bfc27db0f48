"""`python -m deploy.vendor` puts the pages' libraries into serve/http, as npm has them.

Their licences come with them. The versions are those of `package.json`, which a bot keeps up to
date: run this when it has changed one; needs npm. Beside the files, `versions.json` keeps the
version, npm's own digest of the package, and the digest of each file as it lies here.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

_HTTP = Path(__file__).parents[1] / "serve" / "http"
RECORD = "versions.json"
_VERSIONS = json.loads(Path(__file__).with_name("package.json").read_text())["dependencies"]
_PACK = ("npm", "pack", "--json", "--ignore-scripts")
# A map would only be asked for in vain.
_MAP = re.compile(rb"^/[/*]# sourceMappingURL=.*\n?", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Package:
    """What is taken of a package, and where it goes."""

    name: str
    version: str
    folder: Path
    #: its path in the package, by its name in the folder
    files: dict[str, str]
    #: what a file has more than in the package
    more: dict[str, bytes] = field(default_factory=dict)


PACKAGES = (
    Package(
        "swagger-ui-dist",
        _VERSIONS["swagger-ui-dist"],
        _HTTP / "swagger",
        {
            **{name: name for name in ("swagger-ui-bundle.js", "swagger-ui.css")},
            **{name: name for name in ("favicon-32x32.png", "LICENSE", "NOTICE")},
            # What is bundled into it, with the licences of that.
            "LICENSES-bundled.txt": "swagger-ui-bundle.js.LICENSE.txt",
        },
    ),
    Package(
        "uplot",
        _VERSIONS["uplot"],
        _HTTP / "web" / "vendor",
        {
            "uplot.js": "dist/uPlot.iife.min.js",
            "uplot.css": "dist/uPlot.min.css",
            "uplot.LICENSE": "LICENSE",
        },
        # Of a script that sets a variable it makes a module that exports it.
        {"uplot.js": b"\nexport default uPlot;\n"},
    ),
)


def fetch(package: Package) -> None:
    """Put a package's files into its folder, and note what they are."""
    with tempfile.TemporaryDirectory() as folder:
        packed = subprocess.run(
            (*_PACK, f"{package.name}@{package.version}"),
            cwd=folder,
            check=True,
            stdout=subprocess.PIPE,
        )
        (told,) = json.loads(packed.stdout)
        with tarfile.open(Path(folder, told["filename"])) as archive:
            contents = {name: _content(archive, package, name) for name in package.files}
    package.folder.mkdir(parents=True, exist_ok=True)
    for name, content in contents.items():
        (package.folder / name).write_bytes(content)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    told = {"version": told["version"], "integrity": told["integrity"], "files": digests}
    (package.folder / RECORD).write_text(json.dumps({package.name: told}, indent=2) + "\n")


def _content(archive: tarfile.TarFile, package: Package, name: str) -> bytes:
    file = archive.extractfile(f"package/{package.files[name]}")
    if file is None:
        raise RuntimeError(f"{package.name} has no file {package.files[name]}")
    return _MAP.sub(b"", file.read()) + package.more.get(name, b"")


def main() -> int:
    """Fetch all of them."""
    for package in PACKAGES:
        fetch(package)
    return 0


if __name__ == "__main__":
    sys.exit(main())
