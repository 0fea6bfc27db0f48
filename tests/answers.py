"""Answers that no model has given."""

from __future__ import annotations

from serve.answer import Answer
from serve.audio.picture import MelPicture
from serve.inference.aggregate import ClipVerdict, Verdict


def answer(title: str = "A song", clips: int = 3) -> Answer:
    verdict = Verdict(
        top="jazz",
        results={"jazz": 66.67, "blues": 33.33},
        music=0.9,
        tags={"Swing music": 0.25},
        clips=(ClipVerdict("jazz", 0.1 + 0.2, 0.95), ClipVerdict("blues", 1 / 3, 0.85)) * clips,
        shares=((66.7, 33.3),) * 2 * clips,
    )
    picture = MelPicture(columns=2, bands=1, low_db=-80.0, high_db=0.0, pixels="AAE=")
    return Answer(title, verdict, picture, 1.4 * clips, 1.4, {"total": 12.5})
