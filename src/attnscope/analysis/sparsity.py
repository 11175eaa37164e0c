"""How few keys each head's weight comes down to."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from attnscope.analysis.measures import gini_of_rows, needed_of_rows, negligible_of_rows
from attnscope.analysis.rows import head_mean
from attnscope.errors import InputError

if TYPE_CHECKING:
    import numpy as np

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

    Examples
    --------
    >>> analysis.gini(c).round(2)
    array([[0.33, 0.81, 0.97, 0.76],
           [0.9 , 0.9 , 0.94, 0.94]], dtype=float32)
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

    Examples
    --------
    >>> analysis.keys_needed(c, 0.9).round(1)
    array([[6.9, 2.8, 1.2, 3.6],
           [1.7, 1.7, 1.3, 1.4]], dtype=float32)
    """
    if not 0 < share <= 1:
        raise InputError(f"A share of weight is above 0 and at most 1, got {share!r}.")
    return head_mean(c, partial(needed_of_rows, share=share), kind, content=content)


def negligible_share(c: Capture, *, content: bool = False, kind: str | None = None) -> np.ndarray:
    """Share of weights below a hundredth of what uniform attention would give, mean over queries.

    Takes and gives the same as :func:`gini`.

    Examples
    --------
    >>> analysis.negligible_share(c).round(2)
    array([[0.  , 0.09, 0.32, 0.03],
           [0.41, 0.45, 0.55, 0.56]], dtype=float32)
    """
    return head_mean(c, negligible_of_rows, kind, content=content)
