"""How much each head looks near the query."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from attnscope.analysis.rows import Rows, head_means, require_one_sequence
from attnscope.errors import InputError

if TYPE_CHECKING:
    from attnscope.attention.capture import Capture


def local_share(c: Capture, window: int = 3, *, kind: str | None = None) -> np.ndarray:
    """Share of weight within a window round the query: ``Σ A_ij`` over ``|i - j| ≤ window``, mean over queries.

    Parameters
    ----------
    window
        Tokens to either side; the query itself is inside.

    Returns
    -------
    numpy.ndarray
        float32 [layers, heads]. In short texts chance alone is high: see the chance column of :func:`head_table`.
    """
    if isinstance(window, bool) or not isinstance(window, int) or window < 0:
        raise InputError(f"A window is a number of tokens to either side, 0 or more; got {window!r}.")
    require_one_sequence(c, kind, "The local share")
    return head_means(c, {"local": partial(local_share_of_rows, window=window)}, kind)["local"]


def local_share_of_rows(rows: Rows, window: int = 3) -> np.ndarray:
    """Share of each row's weight within the window."""
    distance = np.abs(np.arange(len(rows.keys)) - rows.positions[:, None])
    return rows.share(distance <= window)
