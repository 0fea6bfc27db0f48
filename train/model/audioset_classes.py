"""The AudioSet classes that a network on a base reports or uses, by display name.

The ontology is AudioSet's (Gemmeke et al. 2017, CC BY 4.0).
"""

from __future__ import annotations

import csv
from pathlib import Path

from train.errors import DataError

#: Kinds of music other than GTZAN's genres.
TAGS = (
    *("Punk rock", "Grunge", "Progressive rock", "Rock and roll", "Psychedelic rock"),
    *("Rhythm and blues", "Soul music", "Swing music", "Bluegrass", "Funk", "Folk music", "Ska"),
    *("Middle Eastern music", "Music of Latin America", "Salsa music", "Flamenco"),
    *("Music of Africa", "Afrobeat", "Music of Asia", "Carnatic music", "Music of Bollywood"),
    *("Electronic music", "House music", "Techno", "Dubstep", "Drum and bass", "Electronica"),
    *("Electronic dance music", "Trance music", "Ambient music", "New-age music"),
    *("Opera", "Choir", "A capella", "Vocal music", "Gospel music", "Christian music"),
    *("Chant", "Mantra", "Yodeling", "Rapping", "Beatboxing", "Lullaby", "Music for children"),
    *("Traditional music", "Christmas music", "Video game music"),
)
#: Non-music.
SOUNDS = (
    *("Speech", "Laughter", "Baby cry, infant cry", "Crowd", "Cheering", "Applause"),
    *("Animal", "Dog", "Cat", "Bird", "Insect", "Wind", "Rain", "Thunder", "Water", "Fire"),
    *("Vehicle", "Engine", "Train", "Aircraft", "Siren", "Alarm", "Bell", "Clock", "Tools"),
    *("Typing", "Explosion", "Silence", "Sine wave", "Noise", "White noise", "Static", "Hum"),
)
#: Other classes that help to tell genres apart, and music from non-music.
CLUES = (
    *("Pop music", "Rock music", "Heavy metal", "Reggae", "Country", "Jazz", "Disco", "Blues"),
    *("Classical music", "Hip hop music", "Dance music", "Independent music", "Soundtrack music"),
    *("Music", "Musical instrument", "Song", "Singing", "Percussion", "Drum", "Guitar", "Piano"),
    *("Synthesizer", "Orchestra", "Conversation", "Narration, monologue"),
    *("Male speech, man speaking", "Female speech, woman speaking", "Speech synthesizer"),
    *("Chirp tone", "Pulse", "Environmental noise", "Pink noise", "Mains hum", "Television"),
)


def columns(labels: Path) -> list[int]:
    """The columns of tags, sounds and clues in a teacher's logits, from its table of classes.

    The table has the columns `index` and `display_name`. Raises DataError if it can't be read
    or lacks a class.
    """
    try:
        with labels.open(newline="", encoding="utf-8") as file:
            found = {row["display_name"]: int(row["index"]) for row in csv.DictReader(file)}
    except (OSError, KeyError, ValueError, TypeError) as error:
        raise DataError(f"{labels} is not a table of classes: {error}") from error
    if missing := [name for name in (*TAGS, *SOUNDS, *CLUES) if name not in found]:
        raise DataError(f"{labels} has no class {missing[0]!r}")
    return [found[name] for name in (*TAGS, *SOUNDS, *CLUES)]
