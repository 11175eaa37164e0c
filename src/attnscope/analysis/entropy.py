"""How widely each head spreads its weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attnscope.analysis.rows import Rows, every_row, head_means

if TYPE_CHECKING:
    from attnscope.attention.capture import Capture


def entropy(c: Capture, *, normalize: bool = True, per_query: bool = False, kind: str | None = None) -> np.ndarray:
    """Entropy of the weights, in nats: ``H = -Σ_keys A · ln A`` (Clark et al. 2019, without their smoothing).

    Parameters
    ----------
    normalize
        Divide by the logarithm of the number of keys the query sees, so that 0 is all weight on one key and 1 is
        uniform; queries that see a single key do not count.
    per_query
        Give every query's entropy instead of the mean over queries.

    Returns
    -------
    numpy.ndarray
        float32 [layers, heads], or [layers, heads, queries].
    """
    measure = normalized_entropy if normalize else entropy_of_rows
    if per_query:
        return every_row(c, measure, kind)
    return head_means(c, {"entropy": measure}, kind)["entropy"]


def entropy_of_rows(rows: Rows) -> np.ndarray:
    """Entropy of each row in nats, of the row scaled to sum 1 where a sink takes part of it."""
    total = rows.weights.sum(axis=1, keepdims=True)
    shares = rows.weights / np.where(total > 0, total, 1)
    logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
    return np.maximum(-(shares * logs).sum(axis=1), 0)


def normalized_entropy(rows: Rows) -> np.ndarray:
    """Entropy of each row as a share of the most it could be; NaN where a query sees a single key."""
    most = np.log(rows.allowed.sum(axis=1))
    return np.divide(entropy_of_rows(rows), most, out=np.full(len(most), np.nan), where=most > 0)
