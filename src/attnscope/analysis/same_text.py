"""Which tokens of two captures stand for the same text?

A token of one side may stand for what several tokens of another tokenizer spell. Where both sides spell the same text,
they are joined to the finest groups on whose ends both tokenizers agree, so no group can be split further.
"""

from __future__ import annotations

import re
import unicodedata
from difflib import SequenceMatcher
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attnscope.attention.tokens import Tokens

Group = tuple[int, int, int, int]
"""First token and the one past the last on one side, then on the other; an empty side is an insertion or deletion."""

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")


def align(a: Tokens, b: Tokens) -> np.ndarray:
    """Find runs of equal tokens.

    Tokens are equal if their texts are, without regard to case, white space at the ends and the ``##`` of word pieces,
    so that tokens of different tokenizers can be.

    Returns
    -------
    numpy.ndarray
        int32 [runs, 3]: first position in each, and the length.
    """
    one, two = ([_plain(text) for text in side] for side in (a, b))
    head = 0
    while head < min(len(one), len(two)) and one[head] == two[head]:
        head += 1
    matcher = SequenceMatcher(None, one[head:], two[head:], autojunk=False)
    runs = [[head + i, head + j, size] for i, j, size in matcher.get_matching_blocks() if size]
    if head and runs[:1] and runs[0][:2] == [head, head]:
        runs[0] = [0, 0, head + runs[0][2]]
    elif head:
        runs.insert(0, [0, 0, head])
    return np.array(runs, np.int32).reshape(-1, 3)


def groups(a: Tokens, b: Tokens) -> list[Group]:
    """Lay the tokens of two texts beside each other, in order, each in one group.

    Where both texts are the same apart from special tokens, groups are cut where both tokenizers cut, exactly. Else
    equal tokens are matched, the longest runs first, as text tools compare lines; what lies between two matches is
    joined if it spells the same, and an insertion or deletion otherwise, never stretched over other tokens.
    """
    whole = _same_content(a, b)
    if whole is not None:
        return whole
    found: list[Group] = []
    i = j = 0
    for start, other, size in [*align(a, b).tolist(), [len(a), len(b), 0]]:
        found += _spelled_alike(a, b, (i, start, j, other)) or _unmatched(i, start, j, other)
        found += [(start + step, start + step + 1, other + step, other + step + 1) for step in range(size)]
        i, j = start + size, other + size
    return found


def matched(found: Sequence[Group]) -> np.ndarray:
    """Keep the groups that both sides have: int32 [groups, 4]."""
    return np.array([group for group in found if group[0] < group[1] and group[2] < group[3]], np.int32).reshape(-1, 4)


def _unmatched(i: int, stop: int, j: int, other: int) -> list[Group]:
    return [(at, at + 1, j, j) for at in range(i, stop)] + [(stop, stop, at, at + 1) for at in range(j, other)]


def _same_content(a: Tokens, b: Tokens) -> list[Group] | None:
    """Group two texts that are the same apart from special tokens; None where they are not."""
    inner_a, inner_b = np.flatnonzero(~a.special), np.flatnonzero(~b.special)
    joined = _joined([a.text[i] for i in inner_a], [b.text[j] for j in inner_b])
    found: list[Group] = []
    i = j = 0
    for first, last, other, end in joined:
        here = int(inner_a[first]), int(inner_a[last - 1]) + 1, int(inner_b[other]), int(inner_b[end - 1]) + 1
        if (here[1] - here[0], here[3] - here[2]) != (last - first, end - other):
            return None  # a special token stands inside what would be joined
        found += [*_equal(a, b, (i, here[0], j, here[2])), *_split(a, b, here)]
        i, j = here[1], here[3]
    return [*found, *_equal(a, b, (i, len(a), j, len(b)))] if joined else None


def _equal(a: Tokens, b: Tokens, between: Group) -> list[Group]:
    """Match a few tokens, special ones, by their texts."""
    i, stop, j, other = between
    found: list[Group] = []
    for start, start_b, size in SequenceMatcher(None, a.text[i:stop], b.text[j:other], False).get_matching_blocks():
        at = between[0] + start, between[2] + start_b
        found += _unmatched(i, at[0], j, at[1])
        found += [(at[0] + n, at[0] + n + 1, at[1] + n, at[1] + n + 1) for n in range(size)]
        i, j = at[0] + size, at[1] + size
    return found


def _spelled_alike(a: Tokens, b: Tokens, between: Group) -> list[Group]:
    """Join tokens between two matches where both sides spell the same; empty where they do not."""
    i, stop, j, other = between
    if a.special[i:stop].any() or b.special[j:other].any():
        return []
    joined = _joined(a.text[i:stop], b.text[j:other])
    return [(i + first, i + last, j + start, j + end) for first, last, start, end in joined]


def _split(a: Tokens, b: Tokens, group: Group) -> list[Group]:
    """Take tokens apart again that are the same one by one: line breaks, which spell nothing, stick to others."""
    i, stop, j, other = group
    if [_plain(text) for text in a.text[i:stop]] != [_plain(text) for text in b.text[j:other]]:
        return [group]
    return [(i + step, i + step + 1, j + step, j + step + 1) for step in range(stop - i)]


def _joined(one: Sequence[str], two: Sequence[str]) -> list[Group]:
    """Cut two spellings of one text where both end a token; empty where the texts differ."""
    spelled = [[_spelling(text) for text in side] for side in (one, two)]
    whole = [b"".join(side) for side in spelled]
    if whole[0] != whole[1] or not whole[0]:
        return []
    ends = [np.cumsum([len(piece) for piece in side]) for side in spelled]
    inside = {at for at, byte in enumerate(whole[0]) if byte & 0xC0 == 0x80}
    cuts = sorted((set(ends[0].tolist()) & set(ends[1].tolist())) - inside - {0})
    sides = [[0, *np.searchsorted(end, cuts, side="right").tolist()] for end in ends]
    return [(*first, *second) for first, second in zip(pairwise(sides[0]), pairwise(sides[1]), strict=True)]


def _plain(text: str) -> str:
    return text.strip().removeprefix("##").casefold()


def _spelling(text: str) -> bytes:
    """The bytes a token spells, without the white space, case and accents that some tokenizers drop."""
    parts = _BYTE.split(text.strip().removeprefix("##"))
    return b"".join(
        bytes([int(part, 16)]) if at % 2 else _bare(part).encode("utf-8", "surrogatepass")
        for at, part in enumerate(parts)
    )


def _bare(text: str) -> str:
    """Leave white space, case and accents out."""
    letters = []
    for letter in text.casefold():
        apart = unicodedata.normalize("NFD", letter)
        accented = any(map(unicodedata.combining, apart))
        letters.append("".join(part for part in apart if not unicodedata.combining(part)) if accented else letter)
    return "".join(letter for letter in letters if not letter.isspace())
