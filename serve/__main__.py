"""The command line: `python -m serve [run]`, `python -m serve classify TRACK…` and `… tune`."""

from __future__ import annotations

import argparse
import logging
import sys

from serve.errors import BadRequest, Internal
from serve.settings import Settings, SettingsError


def main(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit code."""
    asked = _parser().parse_args(arguments)
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
    from serve.inference.providers import DeviceError

    try:
        if asked.command == "classify":
            from serve.cli import classify

            return classify(settings, asked.tracks, as_json=asked.json)
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
    classify.add_argument("tracks", nargs="+", metavar="TRACK", help="an audio file or a link")
    classify.add_argument("--json", action="store_true", help="one JSON object a line, no progress")
    commands.add_parser("tune", help="measure how the model runs best here, for later starts")
    return parser


if __name__ == "__main__":
    sys.exit(main())
