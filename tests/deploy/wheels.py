"""Wheels made anew from what is installed: a stand-in for the package index."""

from __future__ import annotations

from importlib.metadata import Distribution, distribution
from pathlib import Path
from zipfile import ZIP_STORED, ZipFile

from packaging.utils import canonicalize_name


def wheel(name: str, folder: Path) -> Path:
    """Pack an installed distribution into a wheel in this folder, as it was installed from one."""
    found = distribution(name)
    stem = f"{canonicalize_name(name).replace('-', '_')}-{found.version}"
    generated = {point.name for point in found.entry_points if "script" in point.group}
    tags = [
        line.removeprefix("Tag: ")
        for line in (found.read_text("WHEEL") or "").splitlines()
        if line.startswith("Tag: ")
    ]
    path = folder / f"{stem}-{_joined(tags)}.whl"
    record = []
    with ZipFile(path, "w", ZIP_STORED) as packed:
        for file, source in _files(found):
            parts = file.parts
            if parts[-1] == "RECORD" or "__pycache__" in parts:
                continue
            inside = file.as_posix()
            if parts[0] == "..":  # beside the packages: programs, and manuals that nobody needs
                if parts[-2] != "bin" or parts[-1] in generated:  # which pip makes
                    continue
                inside = f"{_info(found)[:-10]}.data/scripts/{parts[-1]}"
            packed.write(source, inside)
            record.append(f"{inside},,")
        packed.writestr(f"{_info(found)}/RECORD", "\n".join([*record, f"{_info(found)}/RECORD,,"]))
    return path


def _files(found: Distribution) -> list[tuple[Path, Path]]:
    return [(Path(file), Path(str(file.locate()))) for file in found.files or ()]


def _info(found: Distribution) -> str:
    """The name of the folder with its metadata."""
    return next(str(file.parent) for file in found.files or () if file.name == "METADATA")


def _joined(tags: list[str]) -> str:
    """Several tags in the one of a file name."""
    python, abi, platform = (
        ".".join(dict.fromkeys(part))
        for part in zip(*(tag.split("-") for tag in tags), strict=True)
    )
    return f"{python}-{abi}-{platform}"
