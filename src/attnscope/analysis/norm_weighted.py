"""How much does each key hand on, once what a head does with it is counted?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attnscope.analysis.contributions import Parts, parts_of, write_of
from attnscope.analysis.rows import attention_of
from attnscope.analysis.value_weighted import by_norms, shares, with_values
from attnscope.attention.arrays import to_float32
from attnscope.attention.memory import require_memory
from attnscope.errors import InputError

if TYPE_CHECKING:
    from attnscope.attention.capture import Attention, Capture

EVERY = slice(None)
GRAM_CELLS = 1 << 22
"""Most products of heads held at once."""


def norm_weighted(
    c: Capture,
    layer: int,
    head: int | None = None,
    *,
    queries: slice = EVERY,
    share: bool = False,
    joint: bool = False,
    residual: bool = False,
    kind: str | None = None,
) -> np.ndarray:
    """Measure how long a vector each key adds to a head's output (Kobayashi et al. 2020, "Attention is not only a
    weight"): ``‖weight_ij · v_j · output_h‖``, the value's bias included.

    Parameters
    ----------
    layer, head
        Layer and head; None for all heads of the layer.
    queries
        Which rows.
    share
        Scale each row to sum 1.
    joint
        Add the heads' vectors before measuring, as the layer does: ``‖Σ_h weight_ij^h · v_j^h · output_h‖``. Heads
        that pull apart then cancel.
    residual
        With ``joint``: add the token's own vector to what it gets from itself, and go through the norm over the sum
        where the model has one there (Kobayashi et al. 2021, "Incorporating residual and normalization layers").

    Returns
    -------
    numpy.ndarray
        float32 [heads, queries, keys]; [queries, keys] with a head or ``joint``.

    Raises
    ------
    InputError
        When the capture holds no values or no output projection, with the remedy.

    Examples
    --------
    >>> analysis.norm_weighted(c, 1, 0).shape
    (17, 17)
    >>> analysis.norm_weighted(c, 1, 0, share=True)[7, :8].round(2)
    array([0.01, 0.01, 0.  , 0.13, 0.  , 0.  , 0.  , 0.86], dtype=float32)
    """  # noqa: D205
    attention = attention_of(c, kind)
    if joint and head is not None:
        raise InputError("joint adds all heads of a layer together; leave the head out.")
    if residual and not joint:
        raise InputError("The residual belongs to all heads together: ask with joint=True, residual=True.")
    if joint:
        found = _joint(attention, layer, queries, residual=residual)
        return shares(found) if share else found
    return by_norms(attention, layer, head, queries, head_norms(attention, layer), share=share)


def head_norms(attention: Attention, layer: int) -> np.ndarray:
    """Length of what each head would hand on of each key alone: float32 [heads, keys].

    ``‖v W‖² = v (W Wᵀ) vᵀ``, so only the small matrix ``W Wᵀ`` of a head's width is multiplied with every key.
    """
    source, values = with_values(attention, layer)
    write = write_of(attention, layer)
    output = to_float32(write.output)
    norms = np.empty((source.n_heads, source.n_keys), np.float32)
    for head in range(source.n_heads):
        v = values[head // source.group_size]
        norms[head] = np.sqrt(np.maximum(((v @ (output[head] @ output[head].T)) * v).sum(axis=1), 0))
    return norms * write.factor


def _joint(attention: Attention, layer: int, queries: slice, *, residual: bool) -> np.ndarray:
    """``‖T_i(x_j)‖`` through the products of heads, ``√(Σ_hg a_h (f_h · f_g) a_g)``, never queries × keys × width."""
    parts = parts_of(attention, layer, residual=residual)
    source, rows = parts.source, np.arange(parts.source.n_queries)[queries]
    require_memory(4 * len(rows) * source.n_keys, "These rows", "Ask for some queries")
    by_key = parts.handed.transpose(1, 0, 2)
    gram = by_key @ by_key.transpose(0, 2, 1)
    found = np.empty((len(rows), source.n_keys), np.float32)
    step = max(1, GRAM_CELLS // (source.n_keys * source.n_heads))
    for first in range(0, len(rows), step):
        some = rows[first : first + step]
        weights = np.stack([source.weight_rows(head, some) for head in range(source.n_heads)], axis=-1).swapaxes(0, 1)
        squares = ((weights @ gram) * weights).sum(axis=-1)
        found[first : first + step] = np.sqrt(np.maximum(squares, 0)).T / parts.scale[some, None]
    if parts.own is not None:
        _with_own(parts, rows, found)
    return found


def _with_own(parts: Parts, rows: np.ndarray, found: np.ndarray) -> None:
    """Measure again what each token gets of itself, with its own vector added."""
    assert parts.own is not None
    weights = np.stack([_diagonal(parts, head, rows) for head in range(parts.source.n_heads)])
    itself = np.einsum("hi,hid->id", weights, parts.handed[:, rows]) + parts.own[rows]
    found[np.arange(len(rows)), rows] = np.linalg.norm(itself, axis=1) / parts.scale[rows]


def _diagonal(parts: Parts, head: int, rows: np.ndarray) -> np.ndarray:
    """Each token's weight on itself."""
    step = max(1, GRAM_CELLS // parts.source.n_keys)
    some = [rows[first : first + step] for first in range(0, len(rows), step)]
    return np.concatenate([parts.source.weight_rows(head, block)[np.arange(len(block)), block] for block in some])
