"""How far each head looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attnscope.analysis.rows import Rows, head_means, require_one_sequence

if TYPE_CHECKING:
    from attnscope.attention.capture import Capture


def mean_distance(c: Capture, *, kind: str | None = None) -> np.ndarray:
    """Mean distance between query and key in tokens: ``Σ A_ij · |i - j|``, mean over queries (Vig & Belinkov 2019).

    Returns
    -------
    numpy.ndarray
        float32 [layers, heads], in tokens.
    """
    require_one_sequence(c, kind, "The mean distance")
    return head_means(c, {"distance": distance_of_rows}, kind)["distance"]


def distance_of_rows(rows: Rows) -> np.ndarray:
    """Mean distance of each row, in tokens."""
    distance = np.abs(np.arange(len(rows.keys)) - rows.positions[:, None])
    return (rows.weights * distance).sum(axis=1)
