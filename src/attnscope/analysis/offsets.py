"""How much each head looks at a fixed distance: the token itself, the one before, the one after."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from attnscope.analysis.rows import Rows, head_means, require_one_sequence

if TYPE_CHECKING:
    from attnscope.attention.capture import Capture


def previous_token(c: Capture, *, kind: str | None = None) -> np.ndarray:
    """Weight on the token before the query, mean over the queries that see it (Clark et al. 2019; Olsson et al. 2022).

    Clark et al. divide by all queries, so that a perfect head scores (n - 1) / n there and 1 here.

    Returns
    -------
    numpy.ndarray
        float32 [layers, heads].
    """
    return _offset_share(c, -1, kind)


def next_token(c: Capture, *, kind: str | None = None) -> np.ndarray:
    """Weight on the token after the query, mean over the queries that see it; NaN throughout for causal models.

    Returns
    -------
    numpy.ndarray
        float32 [layers, heads].
    """
    return _offset_share(c, 1, kind)


def self_share(c: Capture, *, kind: str | None = None) -> np.ndarray:
    """Weight of the query on itself, mean over queries.

    Returns
    -------
    numpy.ndarray
        float32 [layers, heads].
    """
    return _offset_share(c, 0, kind)


def offset_of_rows(rows: Rows, offset: int) -> np.ndarray:
    """Weight of each row on the key ``offset`` tokens further on; NaN where it does not see that key."""
    return rows.share(np.arange(len(rows.keys)) == rows.positions[:, None] + offset)


def _offset_share(c: Capture, offset: int, kind: str | None) -> np.ndarray:
    require_one_sequence(c, kind, "A share at an offset")
    return head_means(c, {"share": partial(offset_of_rows, offset=offset)}, kind)["share"]
