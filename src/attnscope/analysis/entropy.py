"""How widely each head spreads its weights."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from attnscope.analysis.measures import effective_of_rows, entropy_of_rows, normalized_entropy
from attnscope.analysis.rows import every_row, head_mean
from attnscope.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from attnscope.attention.capture import Capture


def entropy(
    c: Capture, *, normalize: bool = True, per_query: bool = False, content: bool = False, kind: str | None = None
) -> np.ndarray:
    """Entropy of the weights, in nats: ``H = -Σ_keys A · ln A`` (Clark et al. 2019, without their smoothing).

    Parameters
    ----------
    normalize
        Divide by the logarithm of the number of keys the query sees, so that 0 is all weight on one key and 1 is
        uniform; queries that see a single key do not count.
    per_query
        Give every query's entropy instead of the mean over queries.
    content
        Leave special tokens out on both sides, and scale what is left of each row to sum 1.

    Returns
    -------
    numpy.ndarray
        float32 [layers, heads], or [layers, heads, queries].

    Examples
    --------
    >>> analysis.entropy(c).round(2)
    array([[0.92, 0.43, 0.13, 0.56],
           [0.24, 0.26, 0.15, 0.15]], dtype=float32)
    >>> analysis.entropy(c, per_query=True).shape
    (2, 4, 17)
    """
    measure = normalized_entropy if normalize else entropy_of_rows
    return (every_row if per_query else head_mean)(c, measure, kind, content=content)


def effective_keys(c: Capture, *, order: int = 1, content: bool = False, kind: str | None = None) -> np.ndarray:
    """Number of keys a head spreads over, as if it spread evenly: 1 is one key, the number of keys seen is uniform.

    Parameters
    ----------
    order
        1 for ``exp(H)`` with the entropy ``H``; 2 for the inverse participation ratio ``1 / Σ_keys A²``, which large
        weights dominate (Hill's numbers of these orders).
    content
        Leave special tokens out on both sides, and scale what is left of each row to sum 1.

    Returns
    -------
    numpy.ndarray
        float32 [layers, heads], mean over queries.

    Examples
    --------
    >>> analysis.effective_keys(c).round(1)
    array([[7.1, 2.3, 1.3, 3.4],
           [1.8, 1.7, 1.3, 1.5]], dtype=float32)
    """
    if order not in (1, 2):
        raise InputError(f"order is 1 (of the entropy) or 2 (of the squared weights), got {order!r}.")
    return head_mean(c, partial(effective_of_rows, order=order), kind, content=content)
