"""How attention differs between two captures: two prompts, two models, two checkpoints."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING

import numpy as np

from attnscope.analysis.divergence import jensen_shannon
from attnscope.analysis.rows import attention_of
from attnscope.errors import InputError

if TYPE_CHECKING:
    from attnscope.attention.capture import Attention, Capture
    from attnscope.attention.layers import Layer
    from attnscope.attention.tokens import Tokens

MOST_CELLS = 1 << 27
"""Most weights compared, all heads together; beyond that, evenly spaced queries are."""
ROWS = 256


@dataclass(frozen=True, eq=False)
class Comparison:
    """What two captures have in common, and how much each head changed.

    Parameters
    ----------
    kind
        Kind of attention compared.
    layers
        True numbers of the layers both have.
    numbers
        True number of the layer in each row of ``change``: the layers of the first.
    queries, keys
        int32 [runs, 3]: runs of equal tokens, as the first position in each capture and the length. Tokens in no run
        were inserted or deleted.
    change
        float32 [layers of the first, most heads]: mean Jensen–Shannon divergence between the rows of a head in both
        captures, as a share of ln 2: 0 for the same, 1 for never the same key. NaN for heads only one of them has.
    rows
        How many pairs of rows each mean is over.
    """

    kind: str
    layers: tuple[int, ...]
    numbers: tuple[int, ...]
    queries: np.ndarray
    keys: np.ndarray
    change: np.ndarray
    rows: int

    def ranked(self) -> list[tuple[int, int, float]]:
        """Give layer, head and change of every head in both, the most changed first."""
        there = np.argwhere(~np.isnan(self.change)).tolist()
        found = [(self.numbers[row], head, float(self.change[row, head])) for row, head in there]
        return sorted(found, key=lambda entry: -entry[2])


def compare(a: Capture, b: Capture, *, kind: str | None = None) -> Comparison:
    """Compare two captures head by head.

    Equal tokens are aligned, the longest runs first, as text tools compare lines; the rest is an insertion or a
    deletion and never stretched over other tokens. The two rows of an aligned query are compared over the keys of both
    texts together: attention to a token the other text lacks counts as changed.

    Parameters
    ----------
    a, b
        The captures: of two texts, two models or two checkpoints.

    Raises
    ------
    InputError
        Where they have no kind of attention, no layer or no token in common.
    """
    found = common(a, b, kind=kind)
    first, second = a[found.kind], b[found.kind]
    change, rows = _changes(first, second, found)
    return Comparison(found.kind, found.layers, tuple(first.layers), found.queries, found.keys, change, rows)


@dataclass(frozen=True, eq=False)
class Common:
    """What two captures have in common; see :class:`Comparison`."""

    kind: str
    layers: tuple[int, ...]
    queries: np.ndarray
    keys: np.ndarray


def common(a: Capture, b: Capture, *, kind: str | None = None) -> Common:
    """Find what two captures have in common, or refuse as :func:`compare` does."""
    first = attention_of(a, kind)
    if first.kind not in b.kinds:
        raise InputError(
            f"The second capture has no {first.kind!r} attention to compare, only {', '.join(map(repr, b.kinds))}."
        )
    second = b[first.kind]
    layers = tuple(number for number in first.layers if number in second.stored)
    if not layers:
        raise InputError(
            f"The captures have no layer in common: {list(first.layers)} and {list(second.layers)}. "
            "Layers are compared by their numbers."
        )
    queries = align(first.queries, second.queries)
    one_text = first.keys is first.queries and second.keys is second.queries
    keys = queries if one_text else align(first.keys, second.keys)
    if not len(queries):
        raise InputError("The captures have no token in common, so no row of one has a row of the other beside it.")
    return Common(first.kind, layers, queries, keys)


def align(a: Tokens, b: Tokens) -> np.ndarray:
    """Find runs of equal tokens: int32 [runs, 3], see :class:`Comparison`.

    Tokens are equal if their texts are, without regard to case, white space at the ends and the ``##`` of word pieces,
    so that tokens of different tokenizers can be.
    """
    one, two = ([text.strip().removeprefix("##").casefold() for text in side] for side in (a, b))
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


def positions(runs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Write runs out: the aligned positions in each capture, int64 each."""
    steps = [np.arange(size) for _, _, size in runs]
    sides = [
        np.concatenate([[], *(run[side] + step for run, step in zip(runs, steps, strict=True))]) for side in (0, 1)
    ]
    return sides[0].astype(np.int64), sides[1].astype(np.int64)


def _changes(a: Attention, b: Attention, found: Common) -> tuple[np.ndarray, int]:
    change = np.full((a.n_layers, a.n_heads), np.nan, np.float32)
    rows_a, rows_b = positions(found.queries)
    heads = sum(min(a.layer(number).n_heads, b.layer(number).n_heads) for number in found.layers)
    wide = len(a.keys) + len(b.keys)
    most = max(16, MOST_CELLS // max(1, heads * wide))
    if rows_a.size > most:
        chosen = np.unique(np.linspace(0, rows_a.size - 1, most).round().astype(int))
        rows_a, rows_b = rows_a[chosen], rows_b[chosen]
    shared_a, shared_b = positions(found.keys)
    for row, number in enumerate(a.layers):
        if number not in found.layers:
            continue
        one, two = a.layer(number), b.layer(number)
        for head in range(min(one.n_heads, two.n_heads)):
            change[row, head] = _change(one, two, head, (rows_a, rows_b), (shared_a, shared_b))
    return change, int(rows_a.size)


def _change(
    one: Layer,
    two: Layer,
    head: int,
    rows: tuple[np.ndarray, np.ndarray],
    shared: tuple[np.ndarray, np.ndarray],
) -> float:
    """Mean divergence of a head's rows over the keys of both; rows that attend to nothing are left out."""
    total, count = 0.0, 0
    for start in range(0, rows[0].size, ROWS):
        p = one.weight_rows(head, rows[0][start : start + ROWS]).astype(np.float64)
        q = two.weight_rows(head, rows[1][start : start + ROWS]).astype(np.float64)
        sums = p.sum(-1), q.sum(-1)
        full = (sums[0] > 0) & (sums[1] > 0)
        p, q = p[full] / sums[0][full, None], q[full] / sums[1][full, None]
        found = jensen_shannon(*_side_by_side(p, q, shared))
        total += float(found.sum())
        count += int(full.sum())
    return total / count if count else float("nan")


def _side_by_side(p: np.ndarray, q: np.ndarray, shared: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Lay rows over the keys of both texts, those they share in one place."""
    wide = p.shape[1] + q.shape[1] - shared[0].size
    if wide == p.shape[1] == q.shape[1]:
        return p, q
    place = np.full(q.shape[1], -1)
    place[shared[1]] = shared[0]
    place[place < 0] = np.arange(p.shape[1], wide)
    laid = np.zeros((2, len(p), wide))
    laid[0, :, : p.shape[1]] = p
    laid[1][:, place] = q
    return laid[0], laid[1]
