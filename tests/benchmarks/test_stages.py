import numpy as np
import pytest

from benchmarks.media import CONTAINERS, track
from benchmarks.stages import decoded
from serve.audio.decode import Complete, decode


@pytest.mark.parametrize("container", CONTAINERS)
def test_decoding_and_resampling_are_the_servers(container):
    content = track(5.0, container)
    blocks, taken_ms = decoded(content, 22_050)
    servers = np.concatenate(list(decode(Complete(content), 22_050)))
    np.testing.assert_array_equal(np.concatenate(blocks), servers)
    assert taken_ms.keys() == {"decode", "resample"}
    assert min(taken_ms.values()) > 0
