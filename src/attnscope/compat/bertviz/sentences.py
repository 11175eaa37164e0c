"""Attention within and between the two sentences of a pair."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from attnscope.attention.capture import Attention
from attnscope.errors import InputError

if TYPE_CHECKING:
    from attnscope.attention.tokens import Tokens


def with_sentences(whole: Attention, start: int) -> dict[str, Attention]:
    """Add the four blocks of a sentence pair as kinds of attention of their own.

    Parameters
    ----------
    whole
        Self-attention.
    start
        Position of the second sentence's first token.

    Returns
    -------
    dict of Attention
        ``"self"``, with a segment for each sentence, then ``"A → A"``, ``"B → B"``, ``"A → B"`` and ``"B → A"``: the
        same weights, cut out and not rescaled. Blocks whose queries see none of their keys are left out.
    """
    n = len(whole.queries)
    if not 0 < start < n:
        raise InputError(
            f"sentence_b_start is {start}; the second sentence starts behind the first token and before the end of the "
            f"{n} tokens."
        )
    tokens = replace(whole.queries, segments=(np.arange(n) >= start).astype(np.int32))
    sentences = {"A": np.arange(start), "B": np.arange(start, n)}
    texts = {name: tokens.take(positions) for name, positions in sentences.items()}
    found = {"self": replace(whole, queries=tokens, keys=tokens)}
    for query, key in ("AA", "BB", "AB", "BA"):
        block = _block(f"{query} → {key}", whole, texts[query], texts[key], sentences[query], sentences[key])
        if any(layer.mask.counts().any() for layer in block.stored.values()):
            found[block.kind] = block
    return found


def _block(
    kind: str, whole: Attention, queries: Tokens, keys: Tokens, rows: np.ndarray, columns: np.ndarray
) -> Attention:
    stored = {number: layer.take(rows, columns) for number, layer in whole.stored.items()}
    return Attention(kind, stored, queries, keys, how=whole.how)
