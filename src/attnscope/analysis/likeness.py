"""Which heads look alike."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attnscope.analysis.divergence import bits, jensen_shannon, scaled
from attnscope.analysis.rows import attention_of
from attnscope.analysis.sums import Sums
from attnscope.attention.layers import LazyWeights
from attnscope.errors import InputError, InputTypeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from attnscope.attention.capture import Attention, Capture
    from attnscope.attention.tokens import Tokens

CELLS = 1 << 20
"""Most weights of all heads together held at once."""
FEWEST = 8
"""Queries that are compared before keys are taken together."""
MOST_WORK = 1 << 35
"""Most pairs of weights compared; beyond that, evenly spaced queries. These take about a minute on one core."""


@dataclass(frozen=True)
class LikeHead:
    """A head and how different it is from what was asked for.

    Parameters
    ----------
    layer, head
        The head.
    divergence
        Mean Jensen–Shannon divergence over queries, 0 (the same) to 1 (never the same key).

    Examples
    --------
    >>> nearest = analysis.similar_heads(c, 1, 0, k=1)[0]
    >>> nearest.layer, nearest.head, round(nearest.divergence, 2)
    (1, 2, 0.11)
    """

    layer: int
    head: int
    divergence: float


def heads_of(c: Capture, *, kind: str | None = None) -> list[tuple[int, int]]:
    """Layer and head of every head, in the order of :func:`head_distance`.

    Examples
    --------
    >>> analysis.heads_of(c)[:5]
    [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0)]
    """
    attention = attention_of(c, kind)
    return [(number, head) for number, layer in attention.stored.items() for head in range(layer.n_heads)]


def head_distance(c: Capture, *, root: bool = False, content: bool = False, kind: str | None = None) -> np.ndarray:
    """Jensen–Shannon divergence between every two heads, as a share of ln 2 (Clark et al. 2019).

    Mean over the queries, of rows scaled to sum 1; they add rows up, so that long texts weigh more, and smooth by 1e-3.
    Where there are so many heads and tokens that this would take minutes, evenly spaced queries are compared.

    Parameters
    ----------
    root
        Give the mean's root, which satisfies the triangle inequality row by row: use it to cluster and to draw maps.
    content
        Leave special tokens out on both sides; where they are sinks, all heads look alike with them.

    Returns
    -------
    numpy.ndarray
        float32 [heads, heads], 0 to 1; rows and columns in the order of :func:`heads_of`. NaN for heads that share no
        query with weight.

    Examples
    --------
    >>> analysis.head_distance(c).shape
    (8, 8)
    >>> analysis.head_distance(c)[0, :4].round(2)
    array([0.  , 0.31, 0.51, 0.24], dtype=float32)
    """
    mean = divergence_sums(c, content=content, kind=kind).mean
    return np.sqrt(mean) if root else mean


def divergence_sums(
    c: Capture, *, content: bool = False, sample: Sample | None = None, kind: str | None = None
) -> Sums:
    """Sum the divergences of :func:`head_distance` over queries, so that texts can be added up: [heads, heads]."""
    attention = attention_of(c, kind)
    n = sum(attention.head_counts)
    sums = Sums.none(n, n)
    for rows in _all_heads(attention, content=content, positions=None if sample is None else sample.queries):
        if sample is not None:
            rows = np.add.reduceat(rows, sample.keys, axis=-1)
        own = bits(rows)
        for a in range(n):
            found = bits((rows[a] + rows[a:]) / 2) - (own[a] + own[a:]) / 2
            found = np.clip(found, 0, 1).astype(np.float64)
            sums.total[a, a:] += np.nansum(found, axis=1)
            sums.squares[a, a:] += np.nansum(found**2, axis=1)
            sums.count[a, a:] += (~np.isnan(found)).sum(axis=1)
    return Sums(*(np.triu(part) + np.triu(part, 1).T for part in (sums.total, sums.squares, sums.count)))


@dataclass(frozen=True, eq=False)
class Sample:
    """Some queries, and groups of keys: what is compared where there is no time for all.

    Parameters
    ----------
    queries
        int [queries]: positions, evenly spaced.
    keys
        int [groups]: where each group of neighbouring keys begins. Their weights are added up, so that divergences
        between groups are at most those between keys.
    """

    queries: np.ndarray
    keys: np.ndarray


def sampled(attention: Attention, work: int) -> Sample:
    """Choose what to compare between every two heads within so many pairs of weights.

    Keys stay apart as long as 8 queries can be compared.
    """
    pairs = max(1, sum(attention.head_counts) ** 2 // 2)
    n_queries, n_keys = len(attention.queries), max(1, len(attention.keys))
    groups = int(np.clip(work // (pairs * min(FEWEST, n_queries)), min(2, n_keys), n_keys))
    count = int(np.clip(work // (pairs * groups), 1, n_queries))
    return Sample(
        np.unique(np.linspace(0, n_queries - 1, count).round().astype(int)),
        np.linspace(0, n_keys, groups, endpoint=False).round().astype(int),
    )


def similar_heads(
    c: Capture, layer: int, head: int, k: int = 5, *, content: bool = False, kind: str | None = None
) -> list[LikeHead]:
    """Find the heads most like one head.

    Parameters
    ----------
    layer, head
        The head to look for.
    k
        Heads to give, itself not among them.
    content
        Leave special tokens out on both sides.

    Returns
    -------
    list of LikeHead
        The most alike first.

    Examples
    --------
    >>> [(head.layer, head.head) for head in analysis.similar_heads(c, 1, 0, k=2)]
    [(1, 2), (1, 3)]
    """
    attention = attention_of(c, kind)
    attention.head(layer, head)
    _require_count(k)
    place = heads_of(c, kind=kind).index((layer, head))
    return _nearest(c, lambda rows, _: rows[place], k, content=content, kind=kind, leave_out=place)


def heads_like(
    c: Capture,
    pattern: np.ndarray | Callable[[np.ndarray, Tokens], np.ndarray],
    k: int = 5,
    *,
    content: bool = False,
    kind: str | None = None,
) -> list[LikeHead]:
    """Find the heads most like a pattern of attention.

    Parameters
    ----------
    pattern
        What a head would look at: [queries, keys], none below 0, or a function of some query positions and the key
        tokens that gives those rows. Rows are scaled to sum 1 over the keys a query sees; empty ones do not count.
    k
        Heads to give.
    content
        Leave special tokens out on both sides.

    Returns
    -------
    list of LikeHead
        The most alike first.

    Examples
    --------
    >>> before = np.eye(len(c.tokens), k=-1)
    >>> [(head.layer, head.head) for head in analysis.heads_like(c, before, k=1)]
    [(0, 2)]
    """
    _require_count(k)
    attention = attention_of(c, kind)
    shape = (len(attention.queries), len(attention.keys))
    given = pattern
    if not callable(given):
        try:
            array = np.asarray(given, np.float32)
        except (TypeError, ValueError):
            array = np.zeros(0, np.float32)
        if array.shape != shape:
            raise InputTypeError(
                f"A pattern is an array [queries, keys] = {shape}, or a function of query positions and key tokens "
                f"that gives such rows; got {type(pattern).__name__}{f' {array.shape}' if array.size else ''}."
            )

        def given(positions: np.ndarray, keys: Tokens) -> np.ndarray:  # noqa: ARG001 - as users write them
            rows: np.ndarray = array[positions]
            return rows

    mask = next(iter(attention.stored.values())).mask

    def wanted(rows: np.ndarray, positions: np.ndarray) -> np.ndarray:
        asked = np.broadcast_to(np.asarray(given(positions, attention.keys), np.float32), rows.shape[1:])
        if not (asked >= 0).all():
            raise InputError("A pattern holds weights, none of them below 0 or NaN.")
        seen = mask.allowed(positions)
        if content:
            seen = seen & ~attention.keys.special
        return scaled(np.where(seen, asked, 0))

    return _nearest(c, wanted, k, content=content, kind=kind)


def _nearest(
    c: Capture,
    wanted: Callable[[np.ndarray, np.ndarray], np.ndarray],
    k: int,
    *,
    content: bool,
    kind: str | None,
    leave_out: int | None = None,
) -> list[LikeHead]:
    """Rank heads by their divergence from the rows that ``wanted`` makes of all heads' rows and their positions."""
    attention, names = attention_of(c, kind), heads_of(c, kind=kind)
    sums = Sums.none(1, len(names))
    positions = _compared(attention, 1)
    for rows in _all_heads(attention, content=content, positions=positions):
        here, positions = positions[: rows.shape[1]], positions[rows.shape[1] :]
        for place, values in enumerate(jensen_shannon(rows, wanted(rows, here))):
            sums.put(0, place, values)
    ranked = sorted(
        (float(value), place) for place, value in enumerate(sums.mean[0]) if place != leave_out and not np.isnan(value)
    )
    return [LikeHead(*names[place], value) for value, place in ranked[:k]]


def _compared(attention: Attention, n_others: int) -> np.ndarray:
    """Positions of the queries to compare: all, or as many evenly spaced ones as the work allows."""
    n_queries, n_keys = len(attention.queries), len(attention.keys)
    pairs = max(1, n_others * sum(attention.head_counts) // 2)
    most = max(1, MOST_WORK // (pairs * max(n_keys, 1)))
    if n_queries <= most:
        return np.arange(n_queries)
    return np.linspace(0, n_queries - 1, most).round().astype(int)


def _all_heads(
    attention: Attention, *, content: bool = False, positions: np.ndarray | None = None
) -> Iterator[np.ndarray]:
    """Rows of all heads, some queries at a time, scaled to sum 1: float32 [heads, rows, keys]; NaN without weight."""
    n_heads, n_keys = sum(attention.head_counts), len(attention.keys)
    if positions is None:
        positions = _compared(attention, n_heads)
    layers = [layer.stored() if isinstance(layer, LazyWeights) else layer for layer in attention.stored.values()]
    step = max(1, CELLS // max(1, n_heads * n_keys))
    for first in range(0, len(positions), step):
        some = positions[first : first + step]
        rows = np.stack([layer.weight_rows(head, some) for layer in layers for head in range(layer.n_heads)])
        if content:
            rows[..., attention.keys.special] = 0
            rows[:, attention.queries.special[some]] = 0
        yield scaled(rows)


def _require_count(k: int) -> None:
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise InputError(f"k is the number of heads to give, 1 or more; got {k!r}.")
