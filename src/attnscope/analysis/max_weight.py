"""How strongly each head settles on one key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnscope.analysis.rows import Rows, head_means

if TYPE_CHECKING:
    import numpy as np

    from attnscope.attention.capture import Capture


def max_weight(c: Capture, *, kind: str | None = None) -> np.ndarray:
    """Largest weight of each query, mean over queries.

    Returns
    -------
    numpy.ndarray
        float32 [layers, heads].
    """
    return head_means(c, {"max": max_of_rows}, kind)["max"]


def max_of_rows(rows: Rows) -> np.ndarray:
    """Largest weight of each row."""
    largest: np.ndarray = rows.weights.max(axis=1)
    return largest
