"""How few keys each head's weight comes down to."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from attnscope.analysis.rows import head_mean
from attnscope.errors import InputError

if TYPE_CHECKING:
    from attnscope.analysis.blocks import Rows
    from attnscope.attention.capture import Capture


def gini(c: Capture, *, content: bool = False, kind: str | None = None) -> np.ndarray:
    """Gini coefficient of the weights over the keys a query sees: 0 is uniform, 1 all weight on one key.

    ``Σ_k (2k - m - 1) · p_(k) / (m - 1)`` with the ``m`` weights in ascending order, which is the usual coefficient
    divided by the most it can be. Queries that see a single key do not count.

    Parameters
    ----------
    content
        Leave special tokens out on both sides, and scale what is left of each row to sum 1.

    Returns
    -------
    numpy.ndarray
        float32 [layers, heads], mean over queries.
    """
    return head_mean(c, gini_of_rows, kind, content=content)


def keys_needed(c: Capture, share: float = 0.9, *, content: bool = False, kind: str | None = None) -> np.ndarray:
    """Number of keys, strongest first, that hold a share of each row's weight, mean over queries.

    Parameters
    ----------
    share
        Above 0, at most 1.
    content
        Leave special tokens out on both sides, and scale what is left of each row to sum 1.

    Returns
    -------
    numpy.ndarray
        float32 [layers, heads].
    """
    if not 0 < share <= 1:
        raise InputError(f"A share of weight is above 0 and at most 1, got {share!r}.")
    return head_mean(c, partial(needed_of_rows, share=share), kind, content=content)


def negligible_share(c: Capture, *, content: bool = False, kind: str | None = None) -> np.ndarray:
    """Share of weights below a hundredth of what uniform attention would give, mean over queries.

    Takes and gives the same as :func:`gini`.
    """
    return head_mean(c, negligible_of_rows, kind, content=content)


def gini_of_rows(rows: Rows) -> np.ndarray:
    """Gini coefficient of each row over the keys it sees; NaN where that is a single key."""
    n_keys = rows.weights.shape[1]
    ranked = rows.ascending @ np.arange(1, n_keys + 1, dtype=np.float32)  # keys not seen come first and weigh nothing
    spread = 2 * ranked - (2 * n_keys - rows.seen + 1) * rows.total
    most = rows.total * (rows.seen - 1)
    return np.divide(np.maximum(spread, 0), most, out=np.full(len(most), np.nan), where=most > 0)


def needed_of_rows(rows: Rows, share: float = 0.9) -> np.ndarray:
    """Number of strongest keys of each row that hold a share of its weight."""
    held = np.cumsum(rows.ascending[:, ::-1], axis=1, dtype=np.float64)
    enough = share * held[:, -1:] * (1 - 1e-6)
    return np.where(np.isnan(held[:, -1]), np.nan, 1.0 + (held < enough).sum(axis=1))


def negligible_of_rows(rows: Rows) -> np.ndarray:
    """Share of each row's weights that are below a hundredth of an even share."""
    small = rows.block.allowed & (rows.weights < 0.01 / np.maximum(rows.seen, 1)[:, None])
    return small.sum(axis=1) / np.maximum(rows.seen, 1)
