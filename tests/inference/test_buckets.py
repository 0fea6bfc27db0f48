import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve.inference.buckets import bucket_for, bucket_sizes


@given(st.integers(1, 2000))
def test_buckets_hold_everything_and_waste_little(largest):
    sizes = bucket_sizes(largest)
    assert list(sizes) == sorted(set(sizes))
    assert sizes[-1] == largest
    for clips in {1, largest, max(1, largest // 3), max(1, largest - 1)}:
        bucket = bucket_for(clips, sizes)
        assert clips <= bucket <= max(clips + 1, 1.25 * clips + 1)
    assert len(sizes) < 40


def test_no_bucket_for_too_many():
    with pytest.raises(ValueError, match="9 clips, at most 8"):
        bucket_for(9, (1, 4, 8))
