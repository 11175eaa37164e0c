"""How much attention each token gets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attnscope.analysis.fused import FusedRows
from attnscope.analysis.rows import attention_of, look

if TYPE_CHECKING:
    from attnscope.attention.capture import Capture


def attention_received(c: Capture, *, content: bool = False, kind: str | None = None) -> np.ndarray:
    """Weight each key gets, mean over the queries that see it: ``Σ_i A_ij / |{i that see j}|``.

    Under a causal mask the last tokens are seen by few queries; dividing by those that see a key makes keys comparable.

    Parameters
    ----------
    content
        Leave special tokens out on both sides, and scale what is left of each row to sum 1.

    Returns
    -------
    numpy.ndarray
        float32 [layers, heads, keys]; NaN for keys that no query sees.

    Examples
    --------
    >>> analysis.attention_received(c).shape
    (2, 4, 17)
    >>> analysis.attention_received(c)[0, 0, :5].round(2)
    array([0.22, 0.14, 0.1 , 0.08, 0.07], dtype=float32)
    """
    attention = attention_of(c, kind)
    total = np.zeros((attention.n_layers, attention.n_heads, len(attention.keys)))
    count = np.zeros_like(total, dtype=np.int64)
    for row, head, rows in look(attention, [], received=True, content=content):
        if isinstance(rows, FusedRows):
            total[row, head, rows.key_positions] += rows.received()
            count[row, head, rows.key_positions] += rows.seen_by
            continue
        counts = ~np.isnan(rows.weights).any(axis=1)
        total[row, head] += np.where(counts[:, None], rows.weights, 0).sum(axis=0, dtype=np.float64)
        count[row, head] += rows.block.allowed[counts].sum(axis=0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)
