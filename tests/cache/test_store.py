"""What was stored is not believed: it is inflated within a bound, or not at all."""

import os
import tracemalloc
import zlib

import pytest

from serve.cache.store import MAX_VALUE_BYTES, packed, unpacked


@pytest.mark.parametrize("value", [b"", b"one", bytes(MAX_VALUE_BYTES)], ids=len)
def test_what_is_packed_is_unpacked(value):
    assert unpacked(packed(value)) == value


@pytest.mark.parametrize("value", [bytes(MAX_VALUE_BYTES + 1), os.urandom(MAX_VALUE_BYTES)])
def test_what_could_not_be_unpacked_is_not_packed(value):
    assert packed(value) is None


@pytest.mark.parametrize(
    "stored",
    [
        zlib.compress(bytes(MAX_VALUE_BYTES + 1)),
        zlib.compress(bytes(64 << 20)),
        zlib.compress(b"one")[:-1],
        os.urandom(MAX_VALUE_BYTES + 1),
        b"nothing",
        b"",
        "text",
        7,
        None,
    ],
    ids=["a byte more", "64 MiB", "cut", "long", "nothing", "empty", "text", "number", "none"],
)
def test_anything_else_is_none_and_takes_no_memory(stored):
    tracemalloc.start()
    try:
        assert unpacked(stored) is None
        assert tracemalloc.get_traced_memory()[1] < 3 * MAX_VALUE_BYTES
    finally:
        tracemalloc.stop()
