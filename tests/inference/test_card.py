from dataclasses import replace

import pytest

from serve.inference.card import FORMAT, ModelCard, ModelFileError
from tests.models import CARD

GOOD = CARD.to_metadata()


def test_a_card_survives_the_way_through_metadata():
    card = replace(CARD, scores={"valid": {"track": 0.7}}, training={"split": "a"}, sharpness=2.5)
    assert ModelCard.from_metadata(card.to_metadata()) == card


def test_metadata_is_text():
    assert GOOD["format"] == FORMAT
    assert all(isinstance(value, str) for value in GOOD.values())


@pytest.mark.parametrize("name", [name for name in GOOD if name != "format"])
def test_a_missing_property_is_named(name):
    with pytest.raises(ModelFileError, match=f"lacks {name}"):
        ModelCard.from_metadata({k: v for k, v in GOOD.items() if k != name})


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"format": "other-9"}, "format is 'other-9'"),
        ({"front_end": "{"}, "front_end is not JSON"),
        ({"front_end": "[]"}, "front_end is not a dictionary"),
        ({"training": "1"}, "training is not a dictionary"),
        ({"scores": '"x"'}, "scores is not a dictionary"),
        ({"sharpness": "high"}, "sharpness"),
        ({"sharpness": "0"}, "sharpness"),
        ({"sharpness": "nan"}, "sharpness"),
        ({"genres": "[]"}, "genres"),
        ({"genres": '["a", "a"]'}, "genres"),
        ({"genres": '["a", 1]'}, "genres"),
        ({"genres": '["a", ""]'}, "genres"),
        ({"genres": '{"a": 1}'}, "genres"),
        ({"tags": '["a", "a"]'}, "tags"),
        ({"tags": "3"}, "tags"),
        ({"sounds": '[""]'}, "sounds"),
        ({"tags": '["a", "b"]', "sounds": '["b"]'}, "'b' as a tag and as a sound"),
    ],
)
def test_a_wrong_property_is_named(change, text):
    with pytest.raises(ModelFileError, match=text):
        ModelCard.from_metadata(GOOD | change)


def test_a_file_of_another_kind_is_refused():
    with pytest.raises(ModelFileError, match="format is None"):
        ModelCard.from_metadata({})
