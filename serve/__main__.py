"""The command line: `python -m serve [run]`, `python -m serve classify TRACK…` and others."""

from __future__ import annotations

import argparse
import logging
import sys
from pathlib import Path
from typing import Any

from serve.errors import BadRequest, Internal
from serve.keys import key_name, new_key
from serve.settings import Settings, SettingsError


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code."""
    asked = _parser().parse_args(arguments)
    if asked.command == "key":
        print("key: {}\nentry for TOPGENRE_API_KEYS: {}".format(*new_key(asked.name)))
        return 0
    try:
        settings = Settings.from_environment()
    except SettingsError as error:
        print(f"topgenre: {error}", file=sys.stderr)
        return BadRequest.exit_code
    logging.basicConfig(
        level=settings.log_level.upper() if asked.command in (None, "run") else logging.ERROR,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    # Imported only now: a wrong setting or --help should not wait for numpy and ONNX Runtime.
    from serve.inference.card import ModelFileError
    from serve.inference.providers.base import DeviceError

    try:
        if asked.command == "classify":
            from serve.cli import Asked, classify

            tracks = Asked(asked.tracks, asked.list, asked.format, asked.out)
            return classify(settings, tracks)
        if asked.command == "catalogue":
            return _catalogue(settings, asked)
        if asked.command == "tune":
            from serve.tune import tune

            return tune(settings)
        from serve.server import run

        return run(settings)
    except (ModelFileError, DeviceError) as error:
        print(f"topgenre: {error}", file=sys.stderr)
        return Internal.exit_code


def _catalogue(settings: Settings, asked: argparse.Namespace) -> int:
    try:
        from serve.library.catalogue.command import Asked, catalogue
    except ModuleNotFoundError as error:
        if error.name != "pyarrow":
            raise
        print("topgenre: This needs pyarrow: pip install 'topgenre[catalogue]'", file=sys.stderr)
        return BadRequest.exit_code
    part, parts = asked.of
    tracks = Asked(
        asked.manifest,
        asked.out,
        asked.shard_tracks,
        part,
        parts,
        again=asked.again,
        on=asked.on,
        address=asked.address,
    )
    return catalogue(settings, tracks)


def _part(text: str) -> tuple[int, int]:
    part, _, parts = text.partition("/")
    if not (part.isdecimal() and parts.isdecimal() and int(part) < int(parts)):
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form 0/4, 1/4, 2/4 or 3/4")
    return int(part), int(parts)


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 1")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="topgenre", description="Which genre is this music?")
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("run", help="start the server (the default)")
    classify = commands.add_parser("classify", help="tell the genre of files and YouTube links")
    classify.add_argument(
        "tracks", nargs="*", metavar="TRACK", help="a file, a folder, a pattern or a link"
    )
    classify.add_argument(
        "--list",
        action="append",
        default=[],
        metavar="FILE",
        help="a list of more tracks, # begins a comment; - is standard input",
    )
    kind: dict[str, Any] = {"dest": "format", "action": "store_const", "default": "text"}
    classify.add_argument("--json", const="json", help="one JSON object a line", **kind)
    classify.add_argument("--csv", const="csv", help="a table with a row for each track", **kind)
    classify.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="keep results there; what it has is not done again",
    )
    catalogue = commands.add_parser(
        "catalogue", help="classify a library of any size to Parquet, a file a shard"
    )
    catalogue.add_argument(
        "manifest",
        metavar="MANIFEST",
        help="a folder, a list, or a .csv or .parquet table with a column called path, uri or url; "
        "a path, or a URI as s3://bucket/folder",
    )
    catalogue.add_argument("out", metavar="OUT", help="the folder or URI that shards are kept in")
    catalogue.add_argument(
        "--shard-tracks",
        type=_at_least_one,
        default=256,
        metavar="N",
        help="tracks in a shard, where OUT is new (default: 256)",
    )
    catalogue.add_argument(
        "--of",
        type=_part,
        default=(0, 1),
        metavar="I/N",
        help="do the I-th, from 0, of N parts of the shards",
    )
    catalogue.add_argument(
        "--again",
        action="store_true",
        help="also do shards again where tracks failed for no fault of their own",
    )
    catalogue.add_argument(
        "--on", choices=["ray"], help="have a cluster do the shards; the default is this machine"
    )
    catalogue.add_argument(
        "--address",
        metavar="HOST:PORT",
        help="the cluster that is there (default: RAY_ADDRESS, or a new one on this machine)",
    )
    key = commands.add_parser("key", help="make an API key; nothing keeps it but you")
    key.add_argument("name", type=key_name, metavar="NAME", help="whose it is: the log says so")
    commands.add_parser("tune", help="measure how the model runs best here, for later starts")
    return parser


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:  # while it starts; later each command sees to that itself
        sys.exit(130)
