"""The licences of what the server needs: which of them it may have, and the notices for them.

`python -m deploy.licences` writes THIRD_PARTY.md anew.
"""

from __future__ import annotations

import sys
from importlib.metadata import Distribution
from pathlib import Path

from license_expression import (  # type: ignore[import-untyped]
    ExpressionError,
    Licensing,
    get_spdx_licensing,
)

from deploy.needs import EXTRAS, needed

ROOT = Path(__file__).parents[1]
NOTICES = ROOT / "THIRD_PARTY.md"
#: Licences (SPDX) that ask for no more than a notice, or for their own files to stay free.
ALLOWED = frozenset(
    {
        *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "ISC", "MIT"),
        *("MIT-0", "MPL-2.0", "PSF-2.0", "Unlicense", "Zlib", "LicenseRef-Public-Domain"),
    }
)
#: Others, each looked at: what it may be, and why.
LOOKED_AT = {
    "mutagen": (
        "GPL-2.0-or-later",
        "yt-dlp loads it, in a process of its own; our code is only run beside it. Whoever hands "
        "on an image hands on its source, too, or the offer of it",
    ),
}
#: Where a distribution says it in free words only: what they mean.
_WORDS = {
    "MIT": "MIT",
    "MIT License": "MIT",
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "3-Clause BSD License": "BSD-3-Clause",
    "BSD 3-Clause License": "BSD-3-Clause",
    "Public Domain": "LicenseRef-Public-Domain",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
#: What wheels carry besides their own code, as far as it asks for more than a notice.
_INSIDE = {
    "av": "FFmpeg (LGPL-3.0-or-later), x264 and x265 (GPL-2.0-or-later)",
    "deno": "V8 and its libraries (BSD-3-Clause and others)",
    "numpy": "OpenBLAS (BSD-3-Clause), libgfortran (GPL-3.0 with the GCC runtime exception)",
    "onnxruntime-gpu": "see its ThirdPartyNotices.txt",
    "scipy": "OpenBLAS (BSD-3-Clause), libgfortran (GPL-3.0 with the GCC runtime exception)",
    "soundfile": "libsndfile and its codecs (LGPL-2.1-or-later)",
}
_HEAD = """# Third-party notices

topgenre itself is under the MIT licence (LICENSE). It is installed with what this list names, and
runs with it; nothing of it is copied into our source but what is under "In this repository".
`python -m deploy.licences` wrote the list; a test holds it to what is installed.

## Installed with the server

| distribution | licence | carries |
|---|---|---|
"""
_TAIL = """
The extra `cuda` adds NVIDIA's CUDA and cuDNN libraries from the package index, under NVIDIA's own
licences; they are no free software. An image made with `VARIANT=cuda` holds them.

{looked_at}

## In this repository

| what | licence | text |
|---|---|---|
{here}
"""
#: What is copied here: its licence, and where the text is.
_HERE = (
    (
        "weights of EfficientAT's mn04 in `serve/models/topgenre.onnx` and "
        "`train/pretrained/base.keras`",
        "MIT",
        ("serve/models/NOTICE", "train/pretrained/NOTICE"),
    ),
    (
        "Swagger UI in `serve/http/swagger/`",
        "Apache-2.0",
        (
            "serve/http/swagger/LICENSE",
            "serve/http/swagger/NOTICE",
            "serve/http/swagger/LICENSES-bundled.txt",
        ),
    ),
    ("uPlot in `serve/http/web/vendor/`", "MIT", ("serve/http/web/vendor/uplot.LICENSE",)),
)
_SPDX: Licensing = get_spdx_licensing()


def licence_of(part: Distribution) -> str | None:
    """The SPDX expression of a distribution's licence; None where it can't be told."""
    metadata = part.metadata
    if "License-Expression" in metadata:
        return metadata["License-Expression"]
    words = metadata["License"].strip() if "License" in metadata else ""
    if words in ALLOWED | _WORDS.keys():
        return _WORDS.get(words, words)
    classified = [
        _WORDS.get(line.rpartition(" :: ")[2])
        for line in metadata.get_all("Classifier") or ()
        if line.startswith("License ::")
    ]
    return " AND ".join(map(str, classified)) if classified and all(classified) else None


def forbidden(part: Distribution) -> str | None:
    """Why the server may not have this distribution; None where it may."""
    licence = licence_of(part)
    if licence is None:
        return "its licence can't be told"
    if LOOKED_AT.get(part.name, ("",))[0] == licence:
        return None
    try:
        parsed = _SPDX.parse(licence)
    except ExpressionError:
        return "that is no licence of SPDX"
    return None if _fine(parsed) else "that licence was not looked at yet"


def _fine(parsed: object) -> bool:
    """Whether every licence is allowed, or of alternatives one."""
    if isinstance(parsed, _SPDX.OR):
        return any(map(_fine, parsed.args))
    if isinstance(parsed, _SPDX.AND):
        return all(map(_fine, parsed.args))
    return str(parsed) in ALLOWED


def notices(parts: dict[str, Distribution]) -> str:
    """THIRD_PARTY.md for these distributions, by name; without versions, which come and go."""
    rows = [
        f"| {part.name} | {licence_of(part)} | {_INSIDE.get(name, '')} |"
        for name, part in parts.items()
        if name != "topgenre"
    ]
    looked_at = "\n".join(f"{name} ({what}): {why}." for name, (what, why) in LOOKED_AT.items())
    here = "\n".join(
        f"| {what} | {licence} | {', '.join(f'[{Path(t).name}]({t})' for t in texts)} |"
        for what, licence, texts in _HERE
    )
    return _HEAD + "\n".join(rows) + "\n" + _TAIL.format(looked_at=looked_at, here=here)


def main() -> int:
    """Write the notices."""
    NOTICES.write_text(notices(needed("topgenre", EXTRAS)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
