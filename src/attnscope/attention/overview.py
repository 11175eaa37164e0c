"""A coarse picture of one head from its queries and keys, in memory that grows with the text's length."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
from array_api_compat import array_namespace, device

from attnscope.attention import compute
from attnscope.attention.arrays import Array, is_torch, to_float32

if TYPE_CHECKING:
    from collections.abc import Iterator

    from attnscope.attention.layers import Layer, QueriesKeys

CACHED_CELLS = 1 << 20
"""Most weights held at once: 4 MiB, which stay in a processor's cache while they are pooled."""


def pooled_weights(layer: QueriesKeys, head: int, size: int) -> np.ndarray:
    """Largest weight in each cell of a coarse grid, never holding queries × keys.

    Everything is computed where the queries and keys are; keys that none of a block's queries sees are left out.

    Returns
    -------
    numpy.ndarray
        float32 [≤ size, ≤ size]; every cell spans ``ceil(n / size)`` tokens, the last may span fewer.
    """
    tall, wide = compute.cell_span(layer.n_queries, size), compute.cell_span(layer.n_keys, size)
    keys, sink = compute.key_vectors(layer, head), compute.sink_of(layer, head)
    xp, shape = array_namespace(keys), (-(-layer.n_queries // tall), -(-layer.n_keys // wide))
    pooled = xp.zeros(shape, dtype=keys.dtype, device=device(keys))
    most = layer.n_queries if layer.mask.is_full else compute.SKIPPING_ROWS
    for rows in _blocks(layer, tall, most):
        seen = layer.mask.span(rows)
        first, last = seen.start // wide, -(-seen.stop // wide)
        if first == last:
            continue
        span = slice(first * wide, min(last * wide, layer.n_keys))
        cells = _pooled(compute.softmax(compute.span_scores(layer, head, rows, span, keys), sink), wide)
        cells = xp.matrix_transpose(_pooled(xp.matrix_transpose(cells), tall))
        place = slice(rows.start // tall, -(-rows.stop // tall)), slice(first, last)
        pooled[place] = xp.maximum(pooled[place], cells)
    return to_float32(pooled)


def pooled_rows(layer: Layer, head: int, size: int) -> np.ndarray:
    """Largest weight in each cell of a coarse grid, from a layer's rows of weights; see :func:`pooled_weights`."""
    tall, wide = compute.cell_span(layer.n_queries, size), compute.cell_span(layer.n_keys, size)
    pooled = np.zeros((-(-layer.n_queries // tall), -(-layer.n_keys // wide)), np.float32)
    for rows in _blocks(layer, tall, layer.n_queries):
        cells = _pooled(layer.weight_rows(head, rows), wide)
        place = slice(rows.start // tall, -(-rows.stop // tall))
        pooled[place] = np.maximum(pooled[place], _pooled(cells.T, tall).T)
    return pooled


def _blocks(layer: Layer, tall: int, most: int) -> Iterator[slice]:
    """Split the rows into blocks of whole cells, or into parts of one cell."""
    rows = min(max(1, min(CACHED_CELLS, compute.BLOCK_CELLS) // max(layer.n_keys, 1)), most)
    whole = max(rows // tall, 1) * tall
    step = whole if tall <= rows else rows
    for top in range(0, layer.n_queries, whole):
        bottom = min(top + whole, layer.n_queries)
        for first in range(top, bottom, step):
            yield slice(first, min(first + step, bottom))


def _pooled(cells: Array, span: int) -> Array:
    """Take the maximum of every so many columns; the last may be of fewer."""
    span = min(span, cells.shape[1])
    if span == 1:
        return cells
    if is_torch(cells):
        return sys.modules["torch"].nn.functional.max_pool1d(cells, span, ceil_mode=True)
    return np.maximum.reduceat(cells, np.arange(0, cells.shape[1], span), axis=1)
