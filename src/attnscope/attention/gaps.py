"""The white space between tokens that no token carries, so that a text can be laid out as it was written."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attnscope.attention.tokens import Tokens

_NO_SPACE_BEFORE = frozenset(".,;:!?%)]}’”»…'")
_NO_SPACE_AFTER = frozenset("([{‘“«¿¡")


def gaps_in(sources: Sequence[str], tokens: Tokens) -> np.ndarray | None:
    """Read the gaps off the texts the tokens came from.

    Parameters
    ----------
    sources
        The texts, one per segment.
    tokens
        Their tokens, with offsets.

    Returns
    -------
    int32 [tokens] or None
        See :class:`Tokens`; None without offsets, and where tokens carry all white space.
    """
    if tokens.offsets is None:
        return None
    gaps = np.zeros(len(tokens), np.int32)
    ends = [0] * len(sources)
    before = ""
    for i, (text, (start, end)) in enumerate(zip(tokens.text, tokens.offsets.tolist(), strict=True)):
        if start == end and not text[:1].isspace():
            before = ""
            continue
        segment = 0 if tokens.segments is None else int(tokens.segments[i])
        source = sources[segment]
        while start < end and source[start].isspace():
            start += 1
        gap = source[ends[segment] : start]
        lines = 0 if "\n" in before + text else len(gap.splitlines()) - (gap[-1:] not in ("\n", "\r", ""))
        if gap.isspace():
            carried = text[:1].isspace() or before[-1:].isspace()
            gaps[i] = 1 + lines if lines > 0 else 0 if carried else 1
        ends[segment] = max(ends[segment], end)
        before = text
    return gaps if gaps.any() else None


def gaps_of(tokens: Tokens) -> np.ndarray:
    """Give the gaps of tokens, guessed where they are not known: int32 [tokens].

    Where no token carries a space, words stand apart, but for punctuation and between characters of scripts that
    write without spaces. Tokens that were added to the text stand apart always.
    """
    if tokens.gaps is not None:
        gaps = tokens.gaps.copy()
    elif any(text[:1].isspace() for text, special in zip(tokens.text, tokens.special, strict=True) if not special):
        gaps = np.zeros(len(tokens), np.int32)
    else:
        gaps = np.array([_guess(tokens, i) for i in range(len(tokens))], np.int32)
    added = tokens.special if tokens.offsets is None else tokens.special & (np.ptp(tokens.offsets, axis=1) == 0)
    for i in range(1, len(tokens)):
        if (added[i] or added[i - 1]) and not tokens.text[i][:1].isspace():
            gaps[i] = max(gaps[i], 1)
    return gaps


def _guess(tokens: Tokens, i: int) -> int:
    if i == 0 or (tokens.words[i] >= 0 and tokens.words[i] == tokens.words[i - 1]):
        return 0
    before, text = tokens.text[i - 1], tokens.text[i]
    if text[:1] in _NO_SPACE_BEFORE or before[-1:] in _NO_SPACE_AFTER:
        return 0
    return 0 if _is_solid(before[-1:]) and _is_solid(text[:1]) else 1


def _is_solid(character: str) -> bool:
    """Whether a character is of a script, or is punctuation of it, that writes without spaces."""
    return unicodedata.east_asian_width(character or " ") in "WF" or "\u0e00" <= character <= "\u0eff"
