"""Does any head look ahead?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attnscope.analysis.rows import attention_of, require_one_sequence
from attnscope.attention.blocks import Blocks
from attnscope.attention.compute import row_blocks
from attnscope.attention.layers import LazyWeights

if TYPE_CHECKING:
    from attnscope.attention.capture import Capture


def future_weight(c: Capture, *, kind: str | None = None) -> np.ndarray:
    """Give the most weight that any query puts on later tokens.

    A causal model has 0 everywhere: no weight above the diagonal.

    Returns
    -------
    numpy.ndarray
        float32 [layers, heads], 0 to 1; NaN for heads a layer does not have.

    Raises
    ------
    InputError
        Where queries and keys are different tokens.

    Examples
    --------
    >>> analysis.future_weight(c)
    array([[0., 0., 0., 0.],
           [0., 0., 0., 0.]], dtype=float32)
    """
    require_one_sequence(c, kind, "What comes later")
    attention = attention_of(c, kind)
    result = np.full((attention.n_layers, attention.n_heads), np.nan, np.float32)
    for row, layer in enumerate(attention.stored.values()):
        held = layer.stored() if isinstance(layer, LazyWeights | Blocks) else layer
        for head in range(layer.n_heads):
            most = 0.0
            for block in row_blocks(layer.n_queries, layer.n_keys):
                later = np.triu(held.weight_rows(head, block), block.start + 1)
                most = max(most, float(later.sum(axis=1).max(initial=0)))
            result[row, head] = most
    return result
