"""What one row of weights is made of: dot products, bias, weights, and the vectors behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.attention.arrays import to_float32
from attnscope.attention.layers import QueriesKeys
from attnscope.errors import InputError
from attnscope.wire.question import Numbers

if TYPE_CHECKING:
    from attnscope.wire.question import Question

MOST_VECTORS = 1 << 20
"""Most numbers in one answer of vectors: 4 MiB of float32."""
WEIGHTS_ONLY = "This capture holds weights only: the scores before softmax, and what they came from, were not kept."


def steps(question: Question) -> Numbers:
    """Answer with one query's row in its parts: [3, keys].

    The rows are q·k before scaling, what is added to the scores (zero where nothing is), and the weights, NaN where a
    key is masked. ``info`` holds what the page needs to go from one to the next.
    """
    number, head = question.ints("layer", "head")
    row = question.position("query")
    attention = question.attention
    layer, head = attention.layer(number), attention.head(number, head)
    n_keys = layer.n_keys
    parts = np.full((3, n_keys), np.nan, np.float32)
    parts[2] = layer.weight_rows(head, slice(row, row + 1))[0]
    parts[2][~layer.mask.allowed(slice(row, row + 1))[0]] = np.nan
    if not isinstance(layer, QueriesKeys):
        return Numbers(parts, {"missing": WEIGHTS_ONLY})
    query, keys = to_float32(layer.queries[head][row]), to_float32(layer.keys[head // layer.group_size])
    parts[0] = keys.astype(np.float64) @ query.astype(np.float64)
    parts[1] = 0 if layer.bias is None else to_float32(layer.bias[head if layer.bias.shape[0] > 1 else 0][row])
    info: dict[str, Any] = {
        "scale": layer.scale,
        "softcap": layer.softcap,
        "sink": None if layer.sinks is None else float(to_float32(layer.sinks)[head]),
        "biased": layer.bias is not None,
        "width": layer.width,
        "key_head": head // layer.group_size,
        "key_heads": layer.n_key_heads,
    }
    if layer.values is not None:
        values = to_float32(layer.values[head // layer.group_size])
        output = np.nan_to_num(parts[2]).astype(np.float64) @ values.astype(np.float64)
        info["output"] = [float(number) for number in output]
    return Numbers(parts, info)


def vectors(question: Question) -> Numbers:
    """Answer with the query's vector, then some keys' vectors and behind each its value: [1 + keys, widths]."""
    number, head = question.ints("layer", "head")
    row, columns = question.position("query"), question.span("keys")
    attention = question.attention
    layer, head = attention.layer(number), attention.head(number, head)
    if not isinstance(layer, QueriesKeys):
        raise InputError(WEIGHTS_ONLY)
    value_width = 0 if layer.values is None else int(layer.values.shape[2])
    count = (1 + columns.stop - columns.start) * (layer.width + value_width)
    if count > MOST_VECTORS:
        raise InputError(
            f"One answer holds at most {MOST_VECTORS} numbers, {count} were asked for. Ask for fewer keys."
        )
    found = np.zeros((1 + columns.stop - columns.start, layer.width + value_width), np.float32)
    shared = head // layer.group_size
    found[0, : layer.width] = to_float32(layer.queries[head][row])
    found[1:, : layer.width] = to_float32(layer.keys[shared][columns])
    if layer.values is not None:
        found[1:, layer.width :] = to_float32(layer.values[shared][columns])
    return Numbers(found, {"width": layer.width, "value_width": value_width})
