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
        if asked.command == "tune":
            from serve.tune import tune

            return tune(settings)
        from serve.server import run

        return run(settings)
    except (ModelFileError, DeviceError) as error:
        print(f"topgenre: {error}", file=sys.stderr)
        return Internal.exit_code


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
    key = commands.add_parser("key", help="make an API key; nothing keeps it but you")
    key.add_argument("name", type=key_name, metavar="NAME", help="whose it is: the log says so")
    commands.add_parser("tune", help="measure how the model runs best here, for later starts")
    return parser


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:  # while it starts; later each command sees to that itself
        sys.exit(130)
