"""Queries and keys to scores to weights, by rows and blocks, in the arrays' own library.

The formula is that of scaled dot-product attention (Vaswani et al. 2017, "Attention Is All You Need", eq. 1) with what
later models add to it::

    scores  = queries · keysᵀ · scale
    scores  = softcap · tanh(scores / softcap)          where the model caps its scores
    scores  = scores + bias, and -inf where masked
    weights = exp(scores) / (Σ_keys exp(scores) + exp(sink))    the sink only where the model has learned one
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from array_api_compat import array_namespace

from attnscope.attention.arrays import Array, float32_like, moved_like, to_float32
from attnscope.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from attnscope.attention.layers import QueriesKeys

BLOCK_CELLS = 1 << 22
"""Most score cells held at once while going through a head's rows: 16 MiB of float32."""


def row_blocks(n_queries: int, n_keys: int) -> Iterator[slice]:
    """Split the rows so that each block has at most ``BLOCK_CELLS`` cells."""
    rows = max(1, BLOCK_CELLS // max(n_keys, 1))
    for first in range(0, n_queries, rows):
        yield slice(first, min(first + rows, n_queries))


def score_rows(layer: QueriesKeys, head: int | None, queries: slice | np.ndarray) -> Array:
    """Scores of some queries against every key: float32 [queries, keys], masked cells ``-inf``.

    Without a head those of all, [heads, queries, keys], whose last digits may be other ones.
    """
    keys = float32_like(layer.keys if head is None else layer.keys[head // layer.group_size])
    rows = float32_like(layer.queries[:, queries] if head is None else layer.queries[head][queries])
    xp = array_namespace(rows)
    if head is None and layer.group_size > 1:
        keys = xp.repeat(keys, layer.group_size, axis=0)
    scores = (rows * layer.scale) @ xp.matrix_transpose(keys)
    if layer.softcap is not None:
        scores = layer.softcap * xp.tanh(scores / layer.softcap)
    if layer.bias is not None:
        shared = layer.bias.shape[0] == 1
        bias = layer.bias[:, queries] if head is None else layer.bias[0 if shared else head][queries]
        scores = scores + float32_like(bias)
    return masked(layer, scores, queries)


def masked(layer: QueriesKeys, scores: Array, queries: slice | np.ndarray) -> Array:
    """Set the scores of keys that the queries do not see to ``-inf``."""
    if layer.mask.is_full:
        return scores
    xp = array_namespace(scores)
    allowed = moved_like(layer.mask.allowed(queries), scores)
    return xp.where(allowed, scores, xp.asarray(-np.inf, dtype=scores.dtype, device=scores.device))


def normalizer(scores: Array, sink: Array | None = None) -> Array:
    """Logarithm of each row's softmax denominator: float32 [..., queries], ``+inf`` where a row sees no key.

    ``sink`` is the score of a learned sink, one for all rows or one for each.
    """
    xp = array_namespace(scores)
    peak = xp.max(scores, axis=-1)
    if sink is not None:
        peak = xp.maximum(peak, sink)
    blind = peak == -np.inf
    peak = xp.where(blind, xp.zeros_like(peak), peak)
    total = xp.sum(xp.exp(scores - peak[..., None]), axis=-1)
    if sink is not None:
        total = total + xp.exp(sink - peak)
    return xp.where(blind, xp.full_like(peak, np.inf), peak + xp.log(xp.where(blind, xp.ones_like(total), total)))


def sink_of(layer: QueriesKeys, head: int | None) -> Array | None:
    """Score of a head's learned sink, float32, or of all, [heads, 1]; None where there is none."""
    if layer.sinks is None:
        return None
    return float32_like(layer.sinks[:, None] if head is None else layer.sinks[head])


def weight_rows(layer: QueriesKeys, head: int | None, queries: slice | np.ndarray) -> Array:
    """Weights of some queries over every key: float32 [queries, keys]; a row that sees no key is zero.

    Without a head those of all, [heads, queries, keys], in a fraction of the time where texts are short.
    """
    scores = score_rows(layer, head, queries)
    xp = array_namespace(scores)
    return xp.exp(scores - normalizer(scores, sink_of(layer, head))[..., None])


def rounded_rows(layer: QueriesKeys, head: int, queries: slice | np.ndarray) -> Array:
    """Weights as code gives them that rounds every step to the model's dtype: float32 [queries, keys].

    Eager attention functions compute each step in float32 and round what it gives: products, scaling, the soft cap's
    division, tanh and multiplication, the sum with the bias (not where the bias is the wider one), with sinks the
    distance to the row's largest score, and last the weights.
    """
    keys = float32_like(layer.keys[head // layer.group_size])
    rows = layer.queries[head][queries]
    xp = array_namespace(rows)
    dtype = rows.dtype if layer.computed_in is None else getattr(xp, layer.computed_in, None)
    if dtype is None:
        raise InputError(f"numpy has no {layer.computed_in} to round to. Install torch and load the capture again.")

    def rounded(array: Array) -> Array:
        return float32_like(xp.astype(array, dtype))

    scores = rounded(rounded(float32_like(rows) @ keys.T) * layer.scale)
    if layer.softcap is not None:
        scores = rounded(rounded(xp.tanh(rounded(scores / layer.softcap))) * layer.softcap)
    if layer.bias is not None:
        scores = scores + float32_like(layer.bias[head if layer.bias.shape[0] > 1 else 0][queries])
        scores = rounded(scores) if layer.bias.dtype == dtype else scores
    scores = masked(layer, scores, queries)
    sink = sink_of(layer, head)
    if sink is not None:
        peak = xp.maximum(xp.max(scores, axis=1), sink)
        scores, sink = rounded(scores - peak[:, None]), rounded(sink - peak)
    return rounded(xp.exp(scores - normalizer(scores, sink)[:, None]))


def pooled_weights(layer: QueriesKeys, head: int, size: int) -> np.ndarray:
    """Largest weight in each cell of a coarse grid, never holding queries × keys.

    Softmax keeps the order inside a row, so the scores are pooled over keys first and only their maxima go through
    the exponential.

    Returns
    -------
    numpy.ndarray
        float32 [≤ size, ≤ size]; every cell spans ``ceil(n / size)`` tokens, the last may span fewer.
    """
    tall, wide = cell_span(layer.n_queries, size), cell_span(layer.n_keys, size)
    pooled = np.zeros((-(-layer.n_queries // tall), -(-layer.n_keys // wide)), np.float32)
    for rows in row_blocks(layer.n_queries, layer.n_keys):
        scores = score_rows(layer, head, rows)
        xp = array_namespace(scores)
        peaks = xp.exp(_pool_keys(scores, wide) - normalizer(scores, sink_of(layer, head))[:, None])
        np.maximum.at(pooled, np.arange(rows.start, rows.stop) // tall, to_float32(peaks))
    return pooled


def _pool_keys(scores: Array, wide: int) -> Array:
    xp = array_namespace(scores)
    n_rows, n_keys = scores.shape
    whole = n_keys // wide * wide
    parts = [xp.max(xp.reshape(scores[:, :whole], (n_rows, whole // wide, wide)), axis=2)]
    if whole < n_keys:
        parts.append(xp.max(scores[:, whole:], axis=1)[:, None])
    return xp.concat(parts, axis=1)


def cell_span(n_tokens: int, size: int) -> int:
    """Tokens per cell of an overview at most ``size`` cells long."""
    return max(1, -(-n_tokens // size))
