"""An answer as an object, and as a picture for notebooks."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from html import escape
from typing import Any, Self

from serve.answer import Answer, Clip, Tag
from serve.genre_parts import not_music

# The page's (style.css), for light notebooks and dark ones. Which one it is says JupyterLab by an
# attribute, VS Code by a class and Colab by another attribute; the browser does not know.
_LIGHT = (
    *("#4362bc", "#b3aa96", "#733210", "#794c70", "#3dd4e3"),
    *("#eeb23d", "#443557", "#ad6689", "#58a147", "#ae4329"),
)
_DARK = (
    *("#698deb", "#eee9c8", "#e89536", "#b180a6", "#46dbea"),
    *("#f3ca4f", "#59658a", "#a53748", "#83ba93", "#d16348"),
)
_IN_THE_DARK = ":is([data-jp-theme-light=false],.vscode-dark,html[theme=dark])"
# Notebooks stripe and rule their tables by rules that weigh more than one class.
_STYLE = """
.topgenre{font:14px/1.5 system-ui,sans-serif;max-width:42em;color:inherit}
.topgenre table{color:inherit;border:0!important;border-collapse:collapse;width:100%;margin:.5em 0;\
font-size:inherit}
.topgenre tr,.topgenre td{background:none!important;border:0!important;padding:1px 8px 1px 0;\
text-align:left}
.topgenre td:nth-child(2){width:100%}
.topgenre td:nth-child(3){text-align:right;font-variant-numeric:tabular-nums}
.topgenre svg{display:block;width:100%}
.topgenre small{opacity:.75}
""" + "".join(f"{_IN_THE_DARK} .topgenre .g{n}{{fill:{of}}}\n" for n, of in enumerate(_DARK))


@dataclass(frozen=True, slots=True, repr=False)
class Classification:
    """The genres of a track.

    `top` is the most likely one; `results` holds every genre in percent, highest first, together
    100; `music` tells how sure it is that this is music, 0 to 1; `tags` what else it sounds like,
    most likely first: kinds of music, or other sounds where `music` is below 0.5. `timeline` holds
    the genre of each clip of `clip_s` seconds; `duration_s` the seconds heard; `warnings` in words
    what could not be read or was assumed; `model` its name, version and sha256. A notebook shows
    it as bars and a timeline.
    """

    title: str
    top: str
    results: dict[str, float]
    music: float
    tags: tuple[Tag, ...]
    timeline: tuple[Clip, ...]
    duration_s: float
    clip_s: float
    warnings: tuple[str, ...]
    model: dict[str, str]
    _body: dict[str, Any] = field(compare=False)

    @classmethod
    def of(cls, answer: Answer) -> Self:
        """From an answer."""
        return cls(
            title=answer.video_title,
            top=answer.top_prediction,
            results=answer.results,
            music=answer.music,
            tags=answer.tags,
            timeline=answer.timeline,
            duration_s=answer.duration_s,
            clip_s=answer.clip_s,
            warnings=answer.warnings,
            model=asdict(answer.model),
            _body=answer.body(),
        )

    @property
    def confidence(self) -> float:
        """The share of `top`, 0 to 1."""
        return self.results[self.top] / 100

    def to_dict(self) -> dict[str, Any]:
        """All of it, as in the JSON of `POST /predict`; a copy."""
        copy: dict[str, Any] = json.loads(json.dumps(self._body))
        return copy

    def __repr__(self) -> str:
        # One line, so that a notebook shows a list of answers line by line.
        about = f"title={self.title!r}, top={self.top!r}, confidence={self.confidence:.4g}"
        return f"Classification({about})"

    def __str__(self) -> str:
        text = f"{self.top} ({self.results[self.top]:g} %): {self.title}"
        notes = " ".join(filter(None, (not_music(self._body), *self.warnings)))
        return f"{text}. {notes}" if notes else text

    def _repr_html_(self) -> str:
        """Bars and a timeline, as a notebook shows them: self-contained, without scripts."""
        colours = {genre: _colour(n) for n, genre in enumerate(sorted(self.results))}
        rows = "".join(
            f"<tr><td>{escape(genre)}</td><td>{_bar(percent, colours[genre])}</td>"
            f"<td>{percent:.2f}&nbsp;%</td></tr>"
            for genre, percent in self.results.items()
        )
        clips = "".join(
            f'<rect x="{n}" width="1" y="{1 - clip.confidence:.3f}" '
            f'height="{clip.confidence:.3f}" {colours[clip.genre]}>'
            f"<title>{_clock(clip.start)} {escape(clip.genre)} {clip.confidence:.0%}</title></rect>"
            for n, clip in enumerate(self.timeline)
        )
        label = f"The genre of each of {len(self.timeline)} clips of {self.clip_s:g} s"
        return (
            f'<div class="topgenre"><style>{_STYLE}</style>'
            f"<strong>{escape(self.top)}</strong> {escape(self.title)} "
            f"<small>{_clock(self.duration_s)}</small>{self._sounds_like()}<table>{rows}</table>"
            f'<svg role="img" aria-label="{label}" height="48" preserveAspectRatio="none" '
            f'shape-rendering="crispEdges" viewBox="0 0 {max(1, len(self.timeline))} 1">'
            f"{clips}</svg></div>"
        )

    def _sounds_like(self) -> str:
        words = not_music(self._body)
        if not words and self.tags:
            words = f"Sounds like {', '.join(tag.tag for tag in self.tags)}."
        return "".join(f"<div>{escape(of)}</div>" for of in (words, *self.warnings) if of)


def _colour(number: int) -> str:
    """The attributes of a shape in the colour of a genre, by its place among all."""
    return f'class="g{number % len(_LIGHT)}" fill="{_LIGHT[number % len(_LIGHT)]}"'


def _bar(percent: float, colour: str) -> str:
    return (
        '<svg height="12" viewBox="0 0 100 1" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect width="{percent:.2f}" height="1" {colour}/></svg>'
    )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}:{rest:02}"
