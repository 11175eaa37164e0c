"""How far each head looks."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from attnscope.analysis.measures import distance_of_rows
from attnscope.analysis.rows import head_mean, require_one_sequence

if TYPE_CHECKING:
    import numpy as np

    from attnscope.attention.capture import Capture


def mean_distance(c: Capture, *, signed: bool = False, content: bool = False, kind: str | None = None) -> np.ndarray:
    """Mean distance between query and key in tokens: ``Σ A_ij · |i - j|``, mean over queries (Vig & Belinkov 2019).

    Parameters
    ----------
    signed
        Give ``Σ A_ij · (j - i)`` instead: below 0 looks back, above 0 ahead.
    content
        Leave special tokens out on both sides, and scale what is left of each row to sum 1.

    Returns
    -------
    numpy.ndarray
        float32 [layers, heads], in tokens.

    Examples
    --------
    >>> analysis.mean_distance(c).round(1)
    array([[3.1, 1.9, 1. , 1.5],
           [3.9, 4.1, 3.9, 4. ]], dtype=float32)
    """
    require_one_sequence(c, kind, "The mean distance")
    return head_mean(c, partial(distance_of_rows, signed=signed), kind, content=content)
