"""Titles and names are shown as they were meant, wherever they come in."""

from collections.abc import Callable

import pytest

from serve.errors import from_child
from serve.http.predict.forms import clean_title
from serve.sources.youtube.download import _info
from serve.sources.youtube.extract import _title
from serve.sources.youtube.failures import clean
from serve.text import decoded, safe

WHOLE = [
    "👨‍👩‍👧 Family",
    "می‌خواهم",
    "क्‍ष",
    "🏴󠁧󠁢󠁳󠁣󠁴󠁿 🇩🇪 1️⃣ ❤️",
    "שלום\u200f!",
    "soft\u00adhyphen",
]
PLACES: list[Callable[[str], str]] = [
    safe,
    clean_title,
    clean,
    lambda text: _title({"title": text}),
    lambda text: from_child("unavailable", text, {"unavailable"}).message,
    lambda text: (
        _info(b'{"title": "%s", "duration_s": null, "size_bytes": null}' % text.encode()).title
    ),
]


@pytest.mark.parametrize("text", WHOLE)
def test_what_belongs_to_a_text_stays(text):
    assert [place(text) for place in PLACES] == [text] * len(PLACES)


def test_what_could_do_harm_goes():
    harmful = [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, *range(0x202A, 0x202F)]
    harmful += [*range(0x2066, 0x206A), 0xD800, 0xDFFF]
    assert safe("a" + "".join(map(chr, harmful)) + "b") == "ab"
    for place in (clean, lambda text: _title({"title": text})):
        assert place("a\u2028\u202eb\x1b\ud800c") == "a b c"


@pytest.mark.parametrize(
    ("name", "meant"), [("é".encode(), "é"), (b"\xe9t\xe9", "été"), (b"", ""), (b"a", "a")]
)
def test_a_name_in_bytes(name, meant):
    assert decoded(name) == meant
