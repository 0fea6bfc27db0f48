import errno

import pytest

from serve import errors
from serve.errors import (
    ERRORS,
    Internal,
    Overloaded,
    TooBig,
    TopgenreError,
    from_child,
    from_code,
)
from serve.http.record import logged

# The contract: code, HTTP status, whether trying again may help.
CONTRACT = {
    "bad_request": (400, False),
    "bad_url": (400, False),
    "not_youtube": (400, False),
    "playlist": (400, False),
    "too_long": (400, False),
    "live": (400, False),
    "upcoming": (400, True),
    "unauthorized": (401, False),
    "private": (403, False),
    "age_restricted": (403, False),
    "members_only": (403, False),
    "paid": (403, False),
    "geo_blocked": (403, False),
    "drm": (403, False),
    "not_found": (404, False),
    "method_not_allowed": (405, False),
    "unavailable": (404, False),
    "slow_client": (408, True),
    "too_big": (413, False),
    "unsupported_media": (415, False),
    "undecodable": (422, False),
    "too_short": (422, False),
    "silent": (422, False),
    "overloaded": (429, True),
    "rate_limited": (429, True),
    "too_many_requests": (429, True),
    "internal": (500, False),
    "youtube_error": (502, True),
    "extractor": (502, False),
    "not_ready": (503, True),
    "shutting_down": (503, True),
    "bot_check": (503, True),
    "timeout": (504, True),
}


def test_the_list_is_the_contract():
    assert {code: (e.status, e.retryable) for code, e in ERRORS.items()} == CONTRACT


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
def test_every_error_can_be_made_from_its_code(error):
    made = from_code(error.code)
    assert type(made) is error
    assert made.message == error.text
    assert made.message.endswith(".")
    assert from_code(error.code, "Other words.").message == "Other words."
    assert 0 < error.exit_code < 100


def test_an_unknown_code_is_internal():
    assert type(from_code("no_such_thing", "x")) is Internal


def test_every_code_is_in_the_picture_of_the_tree():
    for code in ERRORS:
        assert code in errors.__doc__


def test_errors_are_errors():
    error = from_code("overloaded")
    assert isinstance(error, TopgenreError)
    assert str(error) == error.message
    assert error.retry_after_s is None


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), Overloaded),
        (OSError(errno.EMFILE, "Too many open files"), Overloaded),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), Overloaded),
        (MemoryError(), Overloaded),
        (RuntimeError("can't start new thread"), Overloaded),
        (FileNotFoundError(errno.ENOENT, "No such file"), Internal),
        (ValueError(), Internal),
        (TooBig(), TooBig),
    ],
)
def test_what_has_run_out_may_be_there_again_later(error, kind, caplog):
    said = logged(error, "a")
    assert type(said) is kind
    assert (said.retry_after_s is not None) == (kind is Overloaded)
    (record,) = caplog.records
    assert bool(record.exc_info) == (kind is Internal), "our own faults have a traceback"


def test_what_a_child_has_run_out_of_may_be_there_again_later():
    assert from_child("overloaded", "", {"overloaded"}).retry_after_s
    assert from_child("too_long", "", {"too_long"}).retry_after_s is None


@pytest.mark.parametrize(
    ("code", "words", "kind", "said"),
    [
        ("too_big", "Too big.", TooBig, "Too big."),
        ("too_big", "", TooBig, TooBig.text),
        ("too_big", "\x1b[2J\nforged\u202e", TooBig, "[2Jforged"),
        ("too_big", "x" * 10_000, TooBig, "x" * 200),
        ("unauthorized", "Not yours to say.", Internal, Internal.text),
        (["too_big"], None, Internal, Internal.text),
    ],
)
def test_a_child_is_believed_within_its_role(code, words, kind, said):
    error = from_child(code, words, ("too_big", "silent"))
    assert (type(error), error.message) == (kind, said)
