"""Answers that no model has given."""

from __future__ import annotations

from serve.answer import Answer, Clip, MelPicture, Model, Shares, Tag


def answer(title: str = "A song", clips: int = 3) -> Answer:
    pair = (Clip(0.0, "jazz", 0.1 + 0.2, 0.95), Clip(1.4, "blues", 1 / 3, 0.85))
    return Answer(
        video_title=title,
        top_prediction="jazz",
        results={"jazz": 66.67, "blues": 33.33},
        music=0.9,
        tags=(Tag("Swing music", 0.25),),
        duration_s=1.4 * clips,
        clip_s=1.4,
        timeline=pair * clips,
        warnings=(),
        model=Model("tiny", "1", "0" * 64),
        provider="cpu",
        timings_ms={"total": 12.5},
        clips=Shares(("jazz", "blues"), ((66.7, 33.3),) * 2 * clips),
        mel=MelPicture(columns=2, bands=1, low_db=-80.0, high_db=0.0, pixels="AAE="),
    )
