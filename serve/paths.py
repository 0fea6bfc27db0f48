"""Where we are."""

from pathlib import Path

#: The folder that holds the package `serve`; `python -m` finds it there, wherever we were started.
ROOT = Path(__file__).parents[1]
