"""The project's pages, and the commands in them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: All that is written for people, from the project's root.
PAGES = [
    Path("README.md"),
    Path("CONTRIBUTING.md"),
    *(path.relative_to(ROOT) for path in sorted((ROOT / "docs").glob("*.md"))),
]
#: Beside a block that tests leave alone stands why, for readers too.
NOT_RUN = re.compile(r"^\*Not run by our tests: (.+)\.\*$", re.MULTILINE)

_BLOCK = re.compile(r"^```(\S*).*?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
# A command goes on in the next line where its line ends with a backslash.
_COMMAND = re.compile(r"^\$ ((?:.*\\\n)*.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
#: Blocks of these languages are commands or code that runs.
RUNS = ("console", "pycon")
#: Blocks of these show something.
SHOWN = ("text", "toml", "javascript", "{toctree}", "{include}")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language and text, and why it is not run, if it is not."""

    language: str
    text: str
    not_run: str | None

    @property
    def commands(self) -> list[tuple[str, str]]:
        """Each command of a console, and what it is said to print."""
        return _COMMAND.findall(self.text)


def text_of(page: Path) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def blocks(page: Path) -> Iterator[Block]:
    text, end = text_of(page), 0
    for found in _BLOCK.finditer(text):
        # It says so right above the block.
        reason = NOT_RUN.search(text[end : found.start()].rstrip().rpartition("\n")[2])
        yield Block(found[1], found[2], reason[1] if reason else None)
        end = found.end()
