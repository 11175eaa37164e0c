"""What one row of weights is made of: dot products, bias, weights, and the vectors behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.analysis.steps import WEIGHTS_ONLY, Steps
from attnscope.analysis.steps import steps as walk
from attnscope.attention.layers import QueriesKeys
from attnscope.errors import InputError
from attnscope.wire.question import Numbers

if TYPE_CHECKING:
    from attnscope.wire.question import Question

MOST_VECTORS = 1 << 20
"""Most numbers in one answer of vectors: 4 MiB of float32."""


def steps(question: Question) -> Numbers:
    """Answer with one query's row in its parts: [3, keys].

    The rows are q·k before scaling, what is added to the scores (zero where nothing is), and the weights, NaN where a
    key is masked. ``info`` holds what the page needs to go from one to the next.
    """
    found = _walk(question)
    parts = np.full((3, len(found.weights)), np.nan, np.float32)
    weights = question.attention.weights(found.layer, found.head, queries=found.query)
    parts[2, found.visible] = weights[found.visible]
    if found.dots is None or found.q is None:
        return Numbers(parts, {"missing": found.missing})
    parts[0] = found.dots
    parts[1] = 0 if found.bias is None else found.bias
    info: dict[str, Any] = {
        "scale": found.scale,
        "softcap": found.softcap,
        "sink": found.sink,
        "biased": found.bias is not None,
        "width": len(found.q),
    }
    layer = question.attention.layer(found.layer)
    if isinstance(layer, QueriesKeys):
        info |= {"key_head": found.head // layer.group_size, "key_heads": layer.n_key_heads}
    if found.output is not None:
        info["output"] = [float(number) for number in found.output]
    return Numbers(parts, info)


def vectors(question: Question) -> Numbers:
    """Answer with the query's vector, then some keys' vectors and behind each its value: [1 + keys, widths]."""
    columns, found = question.span("keys"), _walk(question)
    if found.q is None or found.k is None:
        raise InputError(WEIGHTS_ONLY)
    width, value_width = len(found.q), 0 if found.v is None else found.v.shape[1]
    count = (1 + columns.stop - columns.start) * (width + value_width)
    if count > MOST_VECTORS:
        raise InputError(
            f"One answer holds at most {MOST_VECTORS} numbers, {count} were asked for. Ask for fewer keys."
        )
    rows = np.zeros((1 + columns.stop - columns.start, width + value_width), np.float32)
    rows[0, :width] = found.q
    rows[1:, :width] = found.k[columns]
    if found.v is not None:
        rows[1:, width:] = found.v[columns]
    return Numbers(rows, {"width": width, "value_width": value_width})


def _walk(question: Question) -> Steps:
    layer, head = question.ints("layer", "head")
    return walk(question.capture, layer, head, question.position("query"), kind=question.attention.kind)
