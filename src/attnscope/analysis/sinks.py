"""How much each head parks on the first token and on special tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attnscope.analysis.rows import Rows, head_means

if TYPE_CHECKING:
    from attnscope.attention.capture import Capture


def sink_share(c: Capture, *, kind: str | None = None) -> np.ndarray:
    """Weight on the first key, mean over the queries after the first (Xiao et al. 2023, attention sinks).

    Returns
    -------
    numpy.ndarray
        float32 [layers, heads].
    """
    return head_means(c, {"sink": first_of_rows}, kind)["sink"]


def special_share(c: Capture, *, kind: str | None = None) -> np.ndarray:
    """Weight on special tokens (``[CLS]``, ``</s>`` …), mean over all queries that see one.

    Returns
    -------
    numpy.ndarray
        float32 [layers, heads]; NaN throughout where there are no special tokens.
    """
    return head_means(c, {"special": special_of_rows}, kind)["special"]


def first_of_rows(rows: Rows) -> np.ndarray:
    """Weight of each row on the first key; the first query does not count, since causal models leave it no choice."""
    share = rows.share(np.arange(len(rows.keys)) == 0)
    return np.where(rows.positions > 0, share, np.nan)


def special_of_rows(rows: Rows) -> np.ndarray:
    """Weight of each row on special tokens."""
    return rows.share(rows.keys.special)
