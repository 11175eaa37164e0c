"""Which head of one model does what a head of another does?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linear_sum_assignment

from attnscope.analysis.compare import require_some_tokens, sampled
from attnscope.analysis.divergence import jensen_shannon, scaled
from attnscope.analysis.joined_rows import JoinedRows
from attnscope.analysis.likeness import heads_of
from attnscope.analysis.rows import attention_of
from attnscope.analysis.same_text import groups, matched

if TYPE_CHECKING:
    from collections.abc import Iterator

    from attnscope.attention.capture import Attention, Capture

CELLS = 1 << 20
"""Most weights of all heads together held at once."""


@dataclass(frozen=True)
class HeadMatch:
    """Two heads matched with each other.

    Parameters
    ----------
    layer, head
        The head of the first capture.
    other_layer, other_head
        The head of the second.
    divergence
        Mean Jensen–Shannon divergence of their rows, 0 (the same) to 1 (never the same key).
    best
        The smallest divergence the first head has from any head of the second; less than ``divergence`` where that
        head was needed for another.

    Examples
    --------
    >>> matches = analysis.match_heads(c, capture(model, tokenizer, text))
    >>> max(round(match.divergence, 3) for match in matches)
    0.0
    """

    layer: int
    head: int
    other_layer: int
    other_head: int
    divergence: float
    best: float


def match_heads(a: Capture, b: Capture, *, kind: str | None = None) -> list[HeadMatch]:
    """Match the heads of two captures one to one, so that the divergences add up to as little as can be.

    A head's number has no meaning across models that were trained apart. Tokens are aligned as by :func:`compare`; of
    long texts evenly spaced queries are compared. A matching always exists: what the two heads have in common is said
    by ``divergence`` alone.

    Parameters
    ----------
    a, b
        Captures of the same text by two models. Layers and heads may
        differ in number; then some heads of the larger model stay without a match.

    Returns
    -------
    list of HeadMatch
        By layer and head of the first.

    Raises
    ------
    InputError
        Where they have no token in common.

    Examples
    --------
    >>> other = capture(model, tokenizer, text)
    >>> match = analysis.match_heads(c, other)[0]
    >>> (match.layer, match.head), (match.other_layer, match.other_head)
    ((0, 0), (0, 0))
    """
    first = attention_of(a, kind)
    second = b[first.kind]
    queries = matched(groups(first.queries, second.queries))
    keys = matched(groups(first.keys, second.keys))
    require_some_tokens(queries)
    names = heads_of(a, kind=first.kind), heads_of(b, kind=first.kind)
    pairs = len(names[0]) * len(names[1])
    chosen = sampled(queries, pairs * (len(first.keys) + len(second.keys)) // 2)
    total, count = np.zeros((len(names[0]), len(names[1]))), np.zeros((len(names[0]), len(names[1])))
    for one, two in _blocks(first, second, chosen, keys):
        for place, rows in enumerate(one):
            here = jensen_shannon(rows, two)
            total[place] += np.nansum(here, axis=1)
            count[place] += (~np.isnan(here)).sum(axis=1)
    cost = np.where(count > 0, total / np.maximum(count, 1), 1.0)
    rows, columns = linear_sum_assignment(cost)
    found = []
    for i, j in zip(rows, columns, strict=True):
        (layer, head), (other_layer, other_head) = names[0][i], names[1][j]
        found.append(HeadMatch(layer, head, other_layer, other_head, float(cost[i, j]), float(cost[i].min())))
    return found


def _blocks(
    first: Attention, second: Attention, queries: np.ndarray, keys: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows of all heads of both, some queries at a time: [heads, groups of queries, columns of both], scaled to 1."""
    layout = JoinedRows.of(queries, keys, len(first.keys), len(second.keys))
    step = max(1, CELLS // (layout[0].n_columns * sum((*first.head_counts, *second.head_counts))))
    for start in range(0, len(queries), step):
        block = slice(start, start + step)
        one, two = (
            scaled(
                np.stack(
                    [lay.rows(layer, head, block) for layer in side.stored.values() for head in range(layer.n_heads)]
                )
            )
            for lay, side in zip(layout, (first, second), strict=True)
        )
        yield one, two
