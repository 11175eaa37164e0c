"""How much each head looks near the query."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnscope.analysis.measures import Share
from attnscope.analysis.rows import head_mean, require_one_sequence
from attnscope.analysis.targets import Window
from attnscope.errors import InputError

if TYPE_CHECKING:
    import numpy as np

    from attnscope.attention.capture import Capture


def local_share(c: Capture, window: int = 3, *, content: bool = False, kind: str | None = None) -> np.ndarray:
    """Share of weight within a window round the query: ``Σ A_ij`` over ``|i - j| ≤ window``, mean over queries.

    Parameters
    ----------
    window
        Tokens to either side; the query itself is inside.
    content
        Leave special tokens out on both sides, and scale what is left of each row to sum 1.

    Returns
    -------
    numpy.ndarray
        float32 [layers, heads]. In short texts chance alone is high: see the chance column of :func:`head_table`.

    Examples
    --------
    >>> analysis.local_share(c, window=1).round(2)
    array([[0.46, 0.2 , 0.96, 0.73],
           [0.37, 0.34, 0.4 , 0.39]], dtype=float32)
    """
    if isinstance(window, bool) or not isinstance(window, int) or window < 0:
        raise InputError(f"A window is a number of tokens to either side, 0 or more; got {window!r}.")
    require_one_sequence(c, kind, "The local share")
    return head_mean(c, Share(Window(window)), kind, content=content)
