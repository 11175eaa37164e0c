"""Does a head go by what the text says, or by where its tokens stand?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attnscope.analysis.rows import attention_of
from attnscope.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attnscope.attention.capture import Capture


def variability(captures: Sequence[Capture], first: int = 10, *, kind: str | None = None) -> np.ndarray:
    """How much each head's weights differ from text to text: 0 goes by position alone (Vig & Belinkov 2019).

    ``Σ_x Σ_ij |A_ij(x) - mean_x A_ij| / (2 · Σ_x Σ_ij A_ij(x))`` over the first tokens of several texts ``x``.

    Parameters
    ----------
    captures
        Two or more of the same model.
    first
        Tokens of each text that count; every text has at least as many.

    Returns
    -------
    numpy.ndarray
        float32 [layers, heads], 0 to 1; with few texts lower than it would be with many.

    Examples
    --------
    >>> texts = ["the cat saw a small red bird .", "a dog ran in the old house ."]
    >>> analysis.variability([capture(model, tokenizer, each) for each in texts], first=5).round(2)
    array([[0.05, 0.01, 0.02, 0.03],
           [0.18, 0.18, 0.07, 0.24]], dtype=float32)
    """
    kinds = [attention_of(c, kind) for c in captures]
    if len(kinds) < 2 or len({attention.head_counts for attention in kinds}) > 1:
        raise InputError("Variability compares texts: give two captures or more, all of the same model.")
    shortest = min(min(len(attention.queries), len(attention.keys)) for attention in kinds)
    if not 0 < first <= shortest:
        raise InputError(f"The shortest text has {shortest} tokens, so first is 1 to {shortest}; got {first!r}.")
    result = np.full((kinds[0].n_layers, kinds[0].n_heads), np.nan, np.float32)
    rows = np.arange(first)
    for row, layers in enumerate(zip(*(attention.stored.values() for attention in kinds), strict=True)):
        for head in range(layers[0].n_heads):
            weights = np.stack([layer.weight_rows(head, rows)[:, :first] for layer in layers])
            spread = np.abs(weights - weights.mean(axis=0)).sum(dtype=np.float64)
            result[row, head] = spread / (2 * weights.sum(dtype=np.float64))
    return result
