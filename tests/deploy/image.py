"""What the Containerfile says."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).parents[2] / "deploy" / "Containerfile"


@dataclass(frozen=True)
class Instruction:
    """One of its lines, continuations joined; `stage` counts the FROMs before it."""

    name: str
    text: str
    stage: int

    def words(self) -> list[str]:
        """Its arguments: of the exec form, or divided by spaces."""
        return json.loads(self.text) if self.text.startswith("[") else shlex.split(self.text)


def instructions() -> list[Instruction]:
    """All of them, in order."""
    lines = [line for line in FILE.read_text().splitlines() if not line.startswith("#")]
    found, stage = [], 0
    for line in re.sub(r"\\\n\s*", "", "\n".join(lines)).splitlines():
        name, _, text = line.partition(" ")
        if not name:
            continue
        stage += name == "FROM"
        found.append(Instruction(name, text.strip(), stage))
    return found


def of_the_image(name: str) -> list[Instruction]:
    """Those with this name in the last stage, which is the image."""
    every = instructions()
    return [one for one in every if one.name == name and one.stage == every[-1].stage]
