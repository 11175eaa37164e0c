"""How much each head parks on the first token."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attnscope.analysis.measures import Share
from attnscope.analysis.rows import attention_of, head_mean
from attnscope.analysis.targets import Class, Sink, is_first
from attnscope.errors import InputError

if TYPE_CHECKING:
    from attnscope.attention.capture import Capture


def sink_share(c: Capture, *, kind: str | None = None) -> np.ndarray:
    """Weight on the first key, mean over the queries after the first (Xiao et al. 2023, attention sinks).

    Returns
    -------
    numpy.ndarray
        float32 [layers, heads].

    Examples
    --------
    >>> analysis.sink_share(c).round(2)
    array([[0.17, 0.11, 0.06, 0.07],
           [0.06, 0.03, 0.02, 0.05]], dtype=float32)
    """
    return head_mean(c, Share(Sink()), kind)


def sink_rate(c: Capture, threshold: float = 0.3, *, kind: str | None = None) -> float:
    """Share of heads whose first key is a sink (Gu et al. 2024): mean weight on it above a threshold.

    The mean is over all queries, the first among them, as they define it. It depends on the length of the text; they
    use 64 tokens. Add the numbers of several texts by :func:`sink_share` or average this one.

    Parameters
    ----------
    threshold
        Weight from which on a head counts.

    Returns
    -------
    float
        0 to 1.

    Raises
    ------
    InputError
        For attention that is not causal, where the first token is not the only one everybody sees.

    Examples
    --------
    >>> round(analysis.sink_rate(c), 2)
    0.0
    """
    if not attention_of(c, kind).is_causal:
        raise InputError("The sink rate is defined for causal attention. Use sink_share() or special_share() here.")
    shares = head_mean(c, Share(Class(is_first)), kind)
    return float(np.mean(shares[~np.isnan(shares)] > threshold))
