"""Which files of a folder are taken for audio, by `classify` and by training."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePath

_SUFFIXES = """
.3g2 .3gp .aac .ac3 .adx .aif .aifc .aiff .alac .amr .ape .asf .au .avi .avr .caf .dsf .dts .dtshd
.eac3 .fap .flac .flv .ircam .latm .loas .m4a .m4b .m4v .mka .mkv .mlp .mov .mp1 .mp2 .mp3 .mp4 .mpc
.mpeg .mpga .mpg .nist .nut .oga .ogg .ogv .opus .paf .pvf .ra .rf64 .rm .sf .snd .sox .sph .spx
.tak .thd .ts .tta .voc .w64 .wav .wave .weba .webm .wma .wmv .wv
"""
#: In lower case, with the dot; a file's own may be in any case.
SUFFIXES = frozenset(_SUFFIXES.split())
# What archivers and disk stations put beside music; `._song.mp3` in there is not one.
_NOT_THE_USERS = frozenset({"__MACOSX", "@eaDir", "$RECYCLE.BIN"})


def has_audio_suffix(path: str | os.PathLike[str]) -> bool:
    """Whether a file's name ends as one of audio does."""
    return PurePath(path).suffix.lower() in SUFFIXES


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is none of a user's music, as `.ipynb_checkpoints`."""
    return name.startswith(".") or name in _NOT_THE_USERS


def below(folder: Path) -> Iterator[Path]:
    """All files at any depth, in order, but hidden ones and those in hidden folders.

    Links to folders are followed, each folder once, unless they lead around in a circle or to what
    is found in `folder` itself.
    """
    top, followed = folder.resolve(), set[Path]()

    def wanted(path: Path) -> bool:
        if is_hidden(path.name):
            return False
        if not path.is_symlink():
            return True
        target = path.resolve()
        known = target in followed or target.is_relative_to(top) or top.is_relative_to(target)
        followed.add(target)
        return not known

    for root, folders, files in os.walk(folder, followlinks=True):
        folders[:] = [name for name in sorted(folders) if wanted(Path(root, name))]
        yield from (Path(root, name) for name in sorted(files) if not is_hidden(name))
