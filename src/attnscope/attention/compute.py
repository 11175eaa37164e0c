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
from array_api_compat import array_namespace, device

from attnscope.attention.arrays import Array, float32_like, is_torch, moved_like
from attnscope.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from attnscope.attention.layers import QueriesKeys

BLOCK_CELLS = 1 << 22
"""Most score cells held at once while going through a head's rows: 16 MiB of float32."""
SKIPPING_ROWS = 256
"""Most rows of a block where a mask hides keys: what is hidden from all rows of a block is not computed."""


def row_blocks(n_queries: int, n_keys: int, most: int | None = None) -> Iterator[slice]:
    """Split the rows so that each block has at most ``BLOCK_CELLS`` cells, and at most so many rows."""
    rows = max(1, BLOCK_CELLS // max(n_keys, 1))
    rows = rows if most is None else min(rows, most)
    for first in range(0, n_queries, rows):
        yield slice(first, min(first + rows, n_queries))


def key_vectors(layer: QueriesKeys, head: int | None) -> Array:
    """Keys that a head reads, float32 [keys, width], or those of all heads, [key heads, keys, width]."""
    return float32_like(layer.keys if head is None else layer.keys[head // layer.group_size])


def span_scores(
    layer: QueriesKeys, head: int | None, queries: slice | np.ndarray, span: slice, keys: Array | None = None
) -> Array:
    """Scores of some queries against a range of keys: float32 [queries, span], masked cells ``-inf``.

    Parameters
    ----------
    head
        The head; without one those of all, [heads, queries, span], whose last digits may be other ones.
    queries
        Which rows.
    span
        Which keys, from start to stop.
    keys
        What :func:`key_vectors` gives, where many blocks are read: half precision is then converted once.
    """
    keys = key_vectors(layer, head) if keys is None else keys
    keys = keys[..., span, :]
    rows = float32_like(layer.queries[:, queries] if head is None else layer.queries[head][queries]) * layer.scale
    xp = array_namespace(rows)
    shape = rows.shape[:-1]
    if head is None and layer.group_size > 1:  # heads of a group stand below each other, so that keys need no copies
        rows = xp.reshape(rows, (layer.n_key_heads, layer.group_size * shape[1], layer.width))
    scores = rows @ xp.matrix_transpose(keys)
    scores = xp.reshape(scores, (*shape, keys.shape[-2]))
    if layer.softcap is not None:
        scores = layer.softcap * xp.tanh(scores / layer.softcap)
    if layer.bias is not None:
        shared = layer.bias.shape[0] == 1
        bias = layer.bias[:, queries] if head is None else layer.bias[0 if shared else head][queries]
        scores = scores + float32_like(bias[..., span])
    return masked(layer, scores, queries, span)


def score_rows(layer: QueriesKeys, head: int | None, queries: slice | np.ndarray) -> Array:
    """Scores of some queries against every key: float32 [queries, keys], masked cells ``-inf``.

    Without a head those of all, [heads, queries, keys], whose last digits may be other ones.
    """
    span = layer.mask.span(queries)
    return _widened(span_scores(layer, head, queries, span), span, layer.n_keys, -np.inf)


def masked(layer: QueriesKeys, scores: Array, queries: slice | np.ndarray, span: slice = slice(None)) -> Array:
    """Set the scores of keys that the queries do not see to ``-inf``, in place."""
    for columns, allowed in layer.mask.edges(queries, span):
        hidden = np.logical_not(allowed, out=allowed)
        if is_torch(scores):
            scores[..., columns].masked_fill_(moved_like(hidden, scores), -np.inf)
        else:
            np.copyto(scores[..., columns], -np.inf, where=hidden)
    return scores


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


def softmax(scores: Array, sink: Array | None = None) -> Array:
    """Weights of rows of scores, [..., queries, keys], which are used up; a row that sees no key is zero.

    ``sink`` is the score of a learned sink, one for all rows or one for each.
    """
    if 0 in scores.shape:
        return scores
    if is_torch(scores):
        weights, peak = scores.softmax(-1), scores.amax(-1)
        if sink is not None:  # the largest weight is exp(peak) over the sum of the others'
            weights *= (peak - weights.amax(-1).log() - sink).sigmoid()[..., None]
        blind = peak == -np.inf
        if blind.any():
            weights[blind] = 0
        return weights
    peak = scores.max(axis=-1, keepdims=True)
    if sink is not None:
        peak = np.maximum(peak, sink[..., None])
    np.copyto(peak, 0, where=peak == -np.inf)
    scores -= peak
    np.exp(scores, out=scores)
    total = scores.sum(axis=-1, keepdims=True)
    if sink is not None:
        total += np.exp(sink[..., None] - peak)
    np.copyto(total, 1, where=total == 0)
    scores /= total
    return scores


def sink_of(layer: QueriesKeys, head: int | None) -> Array | None:
    """Score of a head's learned sink, float32, or of all, [heads, 1]; None where there is none."""
    if layer.sinks is None:
        return None
    return float32_like(layer.sinks[:, None] if head is None else layer.sinks[head])


def weight_rows(layer: QueriesKeys, head: int | None, queries: slice | np.ndarray) -> Array:
    """Weights of some queries over every key: float32 [queries, keys]; a row that sees no key is zero.

    Without a head those of all, [heads, queries, keys], in a fraction of the time where texts are short. Keys that none
    of the queries sees are not computed.
    """
    span = layer.mask.span(queries)
    weights = softmax(span_scores(layer, head, queries, span), sink_of(layer, head))
    return _widened(weights, span, layer.n_keys, 0.0)


def _widened(cells: Array, span: slice, n_keys: int, outside: float) -> Array:
    """Place the columns of a range of keys among all keys."""
    if span.stop - span.start == n_keys:
        return cells
    xp = array_namespace(cells)
    rows = xp.full((*cells.shape[:-1], n_keys), outside, dtype=cells.dtype, device=device(cells))
    rows[..., span] = cells
    return rows


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


def cell_span(n_tokens: int, size: int) -> int:
    """Tokens per cell of an overview at most ``size`` cells long."""
    return max(1, -(-n_tokens // size))
