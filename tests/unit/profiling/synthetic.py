"""Profiles of any size, with numbers made up but whole."""

from __future__ import annotations

import numpy as np

from attnscope.profiling.exact import Exact
from attnscope.profiling.head_profile import HeadProfile
from attnscope.profiling.settings import Settings
from attnscope.profiling.strongest import Strongest
from attnscope.profiling.tally import Tally

TEXTS, ROWS = 50, 1000


def synthetic(layers: int, heads: int, *, model: str = "made up", n_texts: int = 300) -> HeadProfile:
    """A profile in which heads have all kinds of roles, and layers differ."""
    random, settings = np.random.default_rng(0), Settings()
    shape = (len(settings.statistics), layers, heads)
    means = random.beta(0.4, 1.2, shape)
    values = np.sort(random.beta(2, 2, (*shape, 5)), axis=-1)[..., ::-1]
    return HeadProfile(
        model, "none", "self", tuple(range(layers)), (heads,) * layers, settings,
        _tally(means), _tally(np.full(shape[:2], 0.1)),
        Strongest((values * 2.0**32).astype(np.int64), random.integers(0, n_texts, (*shape, 5))),
        TEXTS, TEXTS * 20, TEXTS, 0, (), ((0, n_texts),),
    )  # fmt: skip


def _tally(means: np.ndarray) -> Tally:
    rows, texts = np.full(means.shape, ROWS), np.full(means.shape, TEXTS)
    return Tally(
        rows,
        Exact.of(means * ROWS),
        Exact.of((means**2 + 0.01) * ROWS),
        texts,
        Exact.of(means * TEXTS),
        Exact.of((means**2 + 0.002) * TEXTS),
    )
