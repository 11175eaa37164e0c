"""Which tokens make up what a token holds, counting vectors instead of weights?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attnscope.analysis.contributions import parts_of
from attnscope.analysis.rollout import every_layer, require_one_text
from attnscope.analysis.rows import attention_of
from attnscope.analysis.value_weighted import shares
from attnscope.attention.memory import require_memory

if TYPE_CHECKING:
    from attnscope.attention.capture import Attention, Capture


def alti(c: Capture, query: int | str | None = None, *, kind: str | None = None) -> np.ndarray:
    """Aggregate layer-wise contributions of tokens (Ferrando et al. 2022, "Measuring the mixing of contextual
    information in the transformer").

    A layer's attention block gives ``y_i = Σ_j T_i(x_j) + biases``, residual and the norm over it included. Token ``j``
    contributes as much as it brings ``y_i`` nearer: ``max(0, ‖y_i‖₁ - ‖y_i - T_i(x_j)‖₁)``, rows scaled to sum 1.
    Layers are multiplied as in :func:`rollout`, with no residual added, which is in the contributions already. What
    feed-forward parts do is left out, as in the paper.

    Parameters
    ----------
    query
        One token: a position, a token or a word. None for all, which costs little more: below the last layer, every
        row that reaches the token is needed.

    Returns
    -------
    numpy.ndarray
        float32 [layers, keys] for a query, else [layers, queries, keys]: up to and including each layer. Rows sum to
        1.

    Raises
    ------
    InputError
        When values, output projections or residuals were not recorded, with the remedy.

    Examples
    --------
    >>> analysis.alti(c).shape
    (2, 17, 17)
    >>> analysis.alti(c, "bird")[-1, :8].round(2)
    array([0.07, 0.16, 0.06, 0.  , 0.  , 0.29, 0.22, 0.2 ], dtype=float32)
    """  # noqa: D205
    attention = attention_of(c, kind)
    require_one_text(attention)
    n, count = len(attention.queries), attention.n_layers
    require_memory(
        4 * n * n * (count if query is None else 1), "The contributions", "Ask for one row: alti(c, query=…)"
    )
    if query is None:
        found = np.stack([contributions(attention, layer) for layer in attention.layers])
        for row in range(1, count):
            found[row] = found[row] @ found[row - 1]
        return found

    def down(held: np.ndarray, row: int) -> np.ndarray:
        needed = np.flatnonzero(held.any(axis=0))
        each = contributions(attention, attention.layers[row], needed)
        return np.asarray(held[:, needed] @ each, np.float32)

    return every_layer(attention.queries.position(query), n, count, down)


def contributions(attention: Attention, layer: int, rows: np.ndarray | None = None) -> np.ndarray:
    """How much each key contributes to some rows of one layer's attention block, None for all: float32 [rows, keys]."""
    parts = parts_of(attention, layer, residual=True)
    wanted = np.arange(parts.source.n_queries) if rows is None else rows
    found, done = np.zeros((len(wanted), parts.source.n_keys), np.float32), 0
    for some, keys, each in parts.blocks(wanted):
        whole = each.sum(axis=0) + parts.constant[some]
        np.subtract(whole, each, out=each)
        np.abs(each, out=each)
        found[done : done + len(some), keys] = (np.abs(whole).sum(axis=-1) - each.sum(axis=-1)).T
        done += len(some)
    return shares(np.maximum(found, 0))
