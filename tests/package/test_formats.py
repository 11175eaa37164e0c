"""Files kept from each version of the formats are read by every later one.

A new version of a format adds a file, which ``python -m tests.package.test_formats`` writes; none is ever replaced.
"""

from pathlib import Path

import numpy as np
import pytest

import attnscope
from attnscope.attention import storage
from attnscope.profiling import storage as profiles
from attnscope.recording import small

FOLDER = Path(__file__).parent / "formats"
TOKENS = ["<s>", "the", "cat", "ﷺ 🐈", "."]
TEXTS = ["the cat saw a bird . the cat saw a bird .", "a dog ran ."]


def numbers():
    """Queries and keys of two layers of two heads."""
    drawn = np.random.default_rng(0).normal(size=(2, 2, 2, len(TOKENS), 4)).astype(np.float32)
    return list(drawn[0]), list(drawn[1])


def profile():
    return attnscope.profile(*small.load(), TEXTS, progress=False)


@pytest.mark.parametrize("version", range(1, storage.VERSION + 1))
def test_a_kept_capture_is_read(version):
    capture = attnscope.load(FOLDER / f"capture-{version}.safetensors")
    assert capture.tokens == TOKENS
    sees = np.tri(len(TOKENS), dtype=bool)
    for layer, (queries, keys) in enumerate(zip(*numbers(), strict=True)):
        powers = np.where(sees, np.exp((queries @ keys.transpose(0, 2, 1)).astype(np.float64) / 2), 0)
        np.testing.assert_allclose(capture.weights(layer), powers / powers.sum(-1, keepdims=True), atol=1e-6)


@pytest.mark.parametrize("version", range(1, profiles.VERSION + 1))
def test_a_kept_profile_is_read(version):
    kept = attnscope.HeadProfile.load(FOLDER / f"profile-{version}.safetensors")
    now = profile()
    assert "induction" in kept.statistics
    for statistic in kept.statistics:
        np.testing.assert_allclose(kept.mean(statistic), now.mean(statistic), atol=1e-4)


if __name__ == "__main__":
    attnscope.from_queries_keys(*numbers(), TOKENS, causal=True).save(FOLDER / f"capture-{storage.VERSION}.safetensors")
    profile().save(FOLDER / f"profile-{profiles.VERSION}.safetensors")
