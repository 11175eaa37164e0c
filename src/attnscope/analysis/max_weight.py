"""How strongly each head settles on one key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnscope.analysis.measures import Confidence, max_of_rows
from attnscope.analysis.rows import head_mean
from attnscope.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from attnscope.attention.capture import Capture

_SIDES = {"both": (True, True), "query": (True, False), "key": (False, True), "none": (False, False)}


def max_weight(c: Capture, *, content: bool = False, kind: str | None = None) -> np.ndarray:
    """Largest weight of each query, mean over queries.

    Parameters
    ----------
    content
        Leave special tokens out on both sides, and scale what is left of each row to sum 1.

    Returns
    -------
    numpy.ndarray
        float32 [layers, heads].

    Examples
    --------
    >>> analysis.max_weight(c).round(2)
    array([[0.32, 0.79, 0.95, 0.64],
           [0.82, 0.83, 0.92, 0.91]], dtype=float32)
    """
    return head_mean(c, max_of_rows, kind, content=content)


def confidence(c: Capture, *, leave_out: str = "both", kind: str | None = None) -> np.ndarray:
    """Mean of the largest weights with the end-of-sentence token left out (Voita et al. 2019).

    Their text does not say on which side the token is left out. It is the last one, where that is special.

    Parameters
    ----------
    leave_out
        The end-of-sentence token as ``"query"``, as ``"key"``, as ``"both"``, or ``"none"`` to keep it. Weights stay
        as they are.

    Returns
    -------
    numpy.ndarray
        float32 [layers, heads].

    Examples
    --------
    >>> analysis.confidence(c).round(2)
    array([[0.32, 0.79, 0.95, 0.64],
           [0.82, 0.83, 0.92, 0.91]], dtype=float32)
    """
    if leave_out not in _SIDES:
        raise InputError(f"leave_out is 'both', 'query', 'key' or 'none', got {leave_out!r}.")
    return head_mean(c, Confidence(*_SIDES[leave_out]), kind)
