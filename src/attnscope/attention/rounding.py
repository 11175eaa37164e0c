"""Half precision: the weights as a model's eager code rounds them, and how far that may be from the exact ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attnscope.attention import compute
from attnscope.attention.arrays import to_float32
from attnscope.attention.blocks import Blocks
from attnscope.attention.layers import QueriesKeys

if TYPE_CHECKING:
    from attnscope.attention.layers import Layer

UNIT = {"float16": 2.0**-11, "bfloat16": 2.0**-8}
"""Largest relative error of rounding one number to the nearest: half the distance from 1 to the next larger."""


def rounded_rows(layer: Layer, head: int, queries: slice | np.ndarray) -> np.ndarray:
    """Weights as eager code in the model's dtype gives them: float32 [queries, keys].

    See :func:`.compute.rounded_rows`. For float32 and wider, and where the model's own weights are kept, these are the
    weights themselves.
    """
    if isinstance(layer, Blocks):
        return layer.rows_by(lambda part, rows: rounded_rows(part, head, rows), queries, 0.0)
    if not isinstance(layer, QueriesKeys) or precision(layer) not in UNIT:
        return layer.weight_rows(head, queries)
    return to_float32(compute.rounded_rows(layer, head, queries))


def precision(layer: Layer) -> str:
    """Name the dtype the model computes a layer's attention in, whatever dtype that is kept in."""
    if isinstance(layer, Blocks):
        return precision(layer.parts[0])
    return getattr(layer, "computed_in", None) or layer.dtype


def rounding(layer: Layer) -> float:
    """Bound the difference between a layer's weights and those of code that rounds every step to the model's dtype.

    Weights are computed in float32 from queries and keys, so they are the softmax of the numbers the model attends
    with, as fused attention functions compute it. Eager code rounds its scores on the way: once each for product,
    scale, cap, bias and distance to a sink. With errors ``δ`` of a row's scores, the weights ``w`` move, to first
    order, by ``w_i (δ_i − Σ_j w_j δ_j)``; and they are rounded themselves.

    Returns
    -------
    float
        Largest absolute difference over heads, queries and keys; 0 for float32 and wider, whose rounding does not show,
        and for layers that keep the model's own weights.
    """
    if isinstance(layer, Blocks):
        return max(rounding(part) for part in layer.parts)
    if not isinstance(layer, QueriesKeys) or precision(layer) not in UNIT:
        return 0.0
    unit, worst = UNIT[precision(layer)], 0.0
    for head in range(layer.n_heads):
        for rows in compute.row_blocks(layer.n_queries, layer.n_keys):
            moved = unit * _rounded(layer, head, rows)
            weights = layer.weight_rows(head, rows)
            share = (weights * moved).sum(axis=1, keepdims=True)
            shifted = (1 - weights) * moved + share - weights * moved
            worst = max(worst, float((weights * (shifted + unit)).max(initial=0)))
    return worst


def _rounded(layer: QueriesKeys, head: int, rows: slice) -> np.ndarray:
    """Sum of the sizes of a score at each step that rounds it: float32 [queries, keys], 0 where masked."""
    scores = layer.score_rows(head, rows)
    seen = np.isfinite(scores)
    scores = np.where(seen, scores, 0)
    bias = 0.0 if layer.bias is None else to_float32(layer.bias[head if layer.bias.shape[0] > 1 else 0])[rows]
    bias = np.where(np.isfinite(bias), bias, 0)
    size = (4 if layer.softcap else 2) * abs(scores - bias)
    if layer.bias is not None:
        size = size + abs(scores)
    if layer.sinks is not None:
        sink = float(to_float32(layer.sinks[head : head + 1])[0])
        size = size + abs(scores - np.maximum(scores.max(axis=1, keepdims=True), sink))
    return np.where(seen, size, 0)
