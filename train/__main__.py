"""`python -m train [fit] DATA`; also `adapt`, `data`, `evaluate`, `folds`, `report`, `search`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from serve.text import one_line
from train import commands
from train.errors import DataError
from train.options import parser

# TensorFlow prints a page of device notes at start; its errors still arrive as exceptions.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

_COMMANDS = {
    "fit": commands.fit,
    "folds": commands.folds,
    "search": commands.search,
    "data": commands.data,
    "adapt": commands.adapt,
    "evaluate": commands.evaluate,
    "report": commands.report,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given and given[0] not in (*_COMMANDS, "-h", "--help"):
        given.insert(0, "fit")  # a folder named like a command is given as ./data
    options = parser().parse_args(given)
    console = Console(stderr=True)
    try:
        _COMMANDS[options.command](options, console)
    except DataError as error:
        text = Text.assemble(("error:", "red"), f" {one_line(str(error))}")
        console.print(text, highlight=False, soft_wrap=True)
        return 2
    except KeyboardInterrupt:
        console.print("stopped", highlight=False)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
