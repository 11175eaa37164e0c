"""What the page is told about tokens: all of them, or of a long text those it shows first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.attention.gaps import gaps_of
from attnscope.attention.turns import turns_of
from attnscope.errors import InputError
from attnscope.wire.question import Numbers

if TYPE_CHECKING:
    from attnscope.attention.tokens import Tokens
    from attnscope.wire.protocol import TokensInfo
    from attnscope.wire.question import Question

MOST_AT_ONCE = 4096
"""Tokens that are sent with the first view; of a longer text, those round where it opens."""
FIRST = 512
"""So many from the start, and as many round the pinned token."""


def tokens_info(tokens: Tokens) -> TokensInfo:
    """Describe all tokens of one side."""
    return _info(tokens, np.arange(len(tokens)))


def first_tokens(tokens: Tokens, around: int | None = None) -> TokensInfo:
    """Describe the tokens a page shows first; the others it asks for once it has painted.

    Parameters
    ----------
    around
        The pinned position.
    """
    n = len(tokens)
    if n <= MOST_AT_ONCE:
        return tokens_info(tokens)
    middle = around or 0
    start = min(max(0, middle - FIRST // 2), n - FIRST)
    spans = [[0, FIRST], [start, start + FIRST]]
    if start <= FIRST:
        spans = [[0, max(FIRST, start + FIRST)]]
    info = _info(tokens, np.concatenate([np.arange(*span) for span in spans]))
    return {**info, "count": n, "spans": spans}


def tokens_of(question: Question) -> Numbers:
    """Answer with all tokens of ``"queries"`` or ``"keys"``, in ``info``."""
    sides = {"queries": question.attention.queries, "keys": question.attention.keys}
    side = question.get("side")
    if side not in sides:
        raise InputError(f"side is 'queries' or 'keys', got {side!r}.")
    info: Any = tokens_info(sides[side])
    return Numbers(info=info)


def _info(tokens: Tokens, places: np.ndarray) -> TokensInfo:
    """Describe the tokens at some places; turns are of all."""
    info: TokensInfo = {
        "text": [tokens.text[at] for at in places],
        "special": places[tokens.special[places]].tolist(),
        "words": tokens.words[places].tolist(),
        "segments": None if tokens.segments is None else tokens.segments[places].tolist(),
    }
    if tokens.patches is not None:
        info["patches"] = [None if row < 0 else [row, *rest] for row, *rest in tokens.patches[places].tolist()]
    if tokens.times is not None:
        times = tokens.times[places].round(4).tolist()
        info["times"] = [None if np.isnan(span).any() else span for span in times]
    gaps = gaps_of(tokens)[places]
    if gaps.any():
        info["gaps"] = gaps.tolist()
    turns = turns_of(tokens)
    if turns:
        info["turns"] = turns
    return info
