"""Which heads link two tokens?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attnscope.attention.compute import row_blocks
from attnscope.attention.layers import skipping_rows
from attnscope.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from attnscope.attention.capture import Attention, Capture

MOST_COMPARED = 2048
"""Content tokens whose pairs are compared with; longer texts are represented by this many, evenly spaced."""

_DIRECTIONS = {"either": ("forward", "backward"), "forward": ("forward",), "backward": ("backward",)}


@dataclass(frozen=True)
class HeadHit:
    """A head that links two tokens.

    Parameters
    ----------
    layer, head
        The head.
    weight
        Its weight from ``query`` to ``key``.
    direction
        ``"forward"`` from the first token asked for to the second, ``"backward"`` the other way.
    rank
        Rank of that key among all keys of the query in this head; 1 is the strongest.
    share_as_good
        Of all other pairs of content tokens in the text, the share whose best head reaches this weight too. A search
        over all heads always finds something: a share of 0.3 says that nearly a third of all pairs look as linked.
        Beyond 2,048 content tokens, of the pairs among that many evenly spaced ones.
    query, key
        Positions of the token that attends and the token attended to.

    Examples
    --------
    >>> best = analysis.find_heads(c, "cat", "the", k=1)[0]
    >>> best.direction, best.rank, round(best.share_as_good, 2)
    ('forward', 1, 0.05)
    """

    layer: int
    head: int
    weight: float
    direction: str
    rank: int
    share_as_good: float
    query: int
    key: int


def find_heads(
    c: Capture,
    query: int | str,
    key: int | str,
    *,
    direction: str = "either",
    k: int = 10,
    kind: str | None = None,
) -> list[HeadHit]:
    """Rank the heads that link two tokens.

    Parameters
    ----------
    query, key
        The two tokens: a position, a token or a word (the first occurrence).
    direction
        ``"forward"`` for query to key only, ``"backward"`` for key to query only, ``"either"`` for both.
    k
        Number of heads to give.

    Returns
    -------
    list of HeadHit
        Strongest first, each with its rank in the row and the share of other token pairs that do as well.

    Raises
    ------
    NotFoundError
        For a token that is not there, with the nearest ones.
    InputError
        For an unknown direction, or a mask under which neither token can attend to the other.

    Examples
    --------
    >>> best = analysis.find_heads(c, "cat", "the")[0]
    >>> best.layer, best.head, round(best.weight, 2)
    (1, 2, 1.0)
    """
    if direction not in _DIRECTIONS:
        raise InputError(f"direction is 'either', 'forward' or 'backward', got {direction!r}.")
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise InputError(f"k is the number of heads to give, 1 or more; got {k!r}.")
    attention = c[c.kinds[0] if kind is None else kind]
    found: list[tuple[float, int, int, int, str, int, int]] = []
    for way in _DIRECTIONS[direction]:
        pair = _ends(attention, query, key, way)
        if pair is not None:
            found += [(*hit, way, *pair) for hit in links(attention, *pair)]
    if not found:
        raise InputError(
            f"No head can link {query!r} to {key!r}: the mask hides one from the other"
            + (" in this direction. Try direction='either'." if direction != "either" else ".")
        )
    best = sorted(found, key=lambda hit: (-hit[0], hit[1], hit[2]))[:k]
    shares = _shares_as_good(attention, np.array([hit[0] for hit in best]), {hit[5:] for hit in best}, direction)
    return [
        HeadHit(layer, head, weight, way, rank, float(share), i, j)
        for (weight, layer, head, rank, way, i, j), share in zip(best, shares, strict=True)
    ]


def _ends(attention: Attention, query: int | str, key: int | str, way: str) -> tuple[int, int] | None:
    """Positions of the attending and the attended token; None where the sides are other tokens."""
    if way == "forward":
        return attention.queries.position(query), attention.keys.position(key)
    if attention.queries is not attention.keys:
        return None
    return attention.queries.position(key), attention.keys.position(query)


def links(attention: Attention, i: int, j: int) -> list[tuple[float, int, int, int]]:
    """Weight, layer, head and rank of every head whose mask lets ``i`` see ``j``."""
    links = []
    for number, layer in attention.stored.items():
        if layer.mask.allowed(slice(i, i + 1))[0, j]:
            for head in range(layer.n_heads):
                row = layer.weight_rows(head, slice(i, i + 1))[0]
                links.append((float(row[j]), number, head, 1 + int((row > row[j]).sum())))
    return links


def _shares_as_good(
    attention: Attention, weights: np.ndarray, asked: set[tuple[int, int]], direction: str
) -> np.ndarray:
    """Share of the other content pairs whose best head has at least each of the weights.

    A search in either direction is compared with pairs taken in either direction.
    """
    rows, columns = _content(attention.queries.special), _content(attention.keys.special)
    best, counted = _best_links(attention, rows, columns)
    if attention.queries is attention.keys and direction == "either":
        best, counted = np.maximum(best, best.T), np.triu(counted | counted.T)
        asked = asked | {(j, i) for i, j in asked}
    for i, j in asked:
        counted &= ~((rows == i)[:, None] & (columns == j))
    others = best[counted]
    if not others.size:
        return np.full(len(weights), np.nan)
    return np.array([np.count_nonzero(others >= weight) / others.size for weight in weights.astype(np.float32)])


def link_levels(c: Capture, *, go_on: Callable[[], object] = lambda: None, kind: str | None = None) -> np.ndarray:
    """Give, for every pair of content tokens, the largest weight any head has from one to the other.

    Parameters
    ----------
    go_on
        Called between layers; may raise to stop.

    Returns
    -------
    numpy.ndarray
        float32 [pairs], in ascending order; what ``share_as_good`` of :func:`find_heads` is read off.
    """
    attention = c[c.kinds[0] if kind is None else kind]
    rows, columns = _content(attention.queries.special), _content(attention.keys.special)
    best, counted = _best_links(attention, rows, columns, go_on)
    return np.sort(best[counted])


def _best_links(
    attention: Attention, rows: np.ndarray, columns: np.ndarray, go_on: Callable[[], object] = lambda: None
) -> tuple[np.ndarray, np.ndarray]:
    """The largest weight of any head between some queries and keys, and which of these pairs can be linked at all."""
    counted = np.ones((rows.size, columns.size), bool)
    if attention.queries is attention.keys:
        np.fill_diagonal(counted, val=False)
    seen, best = np.zeros_like(counted), np.zeros(counted.shape, np.float32)
    gapless = columns.size > 0 and columns[-1] - columns[0] == columns.size - 1
    wanted = slice(columns[0], columns[-1] + 1) if gapless else columns
    masks: set[int] = set()
    for layer in attention.stored.values():
        go_on()
        for block in row_blocks(rows.size, layer.n_keys, skipping_rows(layer)):
            if id(layer.mask) not in masks:
                seen[block] |= layer.mask.allowed(rows[block])[:, wanted]
            for head in range(layer.n_heads):
                np.maximum(best[block], layer.weight_rows(head, rows[block])[:, wanted], out=best[block])
        masks.add(id(layer.mask))
    return best, counted & seen


def _content(special: np.ndarray) -> np.ndarray:
    """Positions of content tokens, thinned out evenly to at most ``MOST_COMPARED``."""
    positions = np.flatnonzero(~special)
    if positions.size <= MOST_COMPARED:
        return positions
    return positions[np.linspace(0, positions.size - 1, MOST_COMPARED).round().astype(int)]
