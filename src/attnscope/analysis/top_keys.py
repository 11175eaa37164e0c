"""Which keys does a token attend to most?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attnscope.errors import InputError

if TYPE_CHECKING:
    from attnscope.attention.capture import Capture
    from attnscope.attention.layers import Layer


@dataclass(frozen=True)
class KeyHit:
    """A key that a query attends to.

    Parameters
    ----------
    layer
        The layer.
    head
        The head; None where heads were joined.
    key, token
        Position and text of the key.
    weight
        Its weight, or the mean or maximum over heads.
    rank
        1 for the strongest key that counts.

    Examples
    --------
    >>> hit = analysis.top_keys(c, "bird", k=1, layer=1)[0]
    >>> hit.token, hit.rank, round(hit.weight, 2)
    ('bird', 1, 0.55)
    """

    layer: int
    head: int | None
    key: int
    token: str
    weight: float
    rank: int


def top_keys(
    c: Capture,
    query: int | str,
    k: int = 3,
    *,
    layer: int | None = None,
    head: int | None = None,
    heads: str = "mean",
    content: bool = True,
    kind: str | None = None,
) -> list[KeyHit]:
    """Rank the keys a token attends to, layer by layer.

    Parameters
    ----------
    query
        The token that attends: a position, a token or a word.
    k
        Keys to give per layer (per head with ``heads="each"``).
    layer
        One layer; None for all.
    head
        One head; None joins the heads of a layer as ``heads`` says.
    heads
        ``"mean"`` or ``"max"`` over the heads of a layer, or ``"each"`` for every head by itself. A mean can hide
        what a single head does.
    content
        Leave special tokens out, which win most rows otherwise; weights stay as they are.

    Returns
    -------
    list of KeyHit
        By layer, then by head, strongest key first; keys the mask hides are never given.

    Examples
    --------
    >>> [(hit.layer, hit.token) for hit in analysis.top_keys(c, "bird", k=1)]
    [(0, 'red'), (1, 'bird')]
    """
    if heads not in ("mean", "max", "each"):
        raise InputError(f"heads is 'mean', 'max' or 'each', got {heads!r}.")
    if isinstance(k, bool) or not isinstance(k, int) or k < 1:
        raise InputError(f"k is the number of keys to give, 1 or more; got {k!r}.")
    attention = c[c.kinds[0] if kind is None else kind]
    i = attention.queries.position(query)
    hits: list[KeyHit] = []
    for number in attention.layers if layer is None else [layer]:
        source = attention.layer(number)
        chosen = range(source.n_heads) if head is None else [attention.head(number, head)]
        counted = source.mask.allowed(slice(i, i + 1))[0]
        if content:
            counted = counted & ~attention.keys.special
        for name, row in _rows(source, i, list(chosen), heads if head is None else "each"):
            order = sorted(np.flatnonzero(counted).tolist(), key=lambda j: (-row[j], j))[:k]
            hits += [
                KeyHit(number, name, j, attention.keys.text[j], float(row[j]), rank)
                for rank, j in enumerate(order, start=1)
            ]
    return hits


def _rows(source: Layer, i: int, heads: list[int], join: str) -> list[tuple[int | None, np.ndarray]]:
    """The query's row of weights: one per head, or all joined into one without a head's name."""
    rows = np.stack([source.weight_rows(head, slice(i, i + 1))[0] for head in heads])
    if join == "each":
        return list(zip(heads, rows, strict=True))
    return [(None, rows.mean(axis=0) if join == "mean" else rows.max(axis=0))]
