"""How does attention change from layer to layer, and from checkpoint to checkpoint?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.analysis.compare import compare
from attnscope.analysis.divergence import jensen_shannon, scaled
from attnscope.analysis.rows import attention_of, head_means
from attnscope.analysis.statistics import measures_of
from attnscope.analysis.tables import table
from attnscope.analysis.top_keys import top_keys
from attnscope.attention.capture import Capture
from attnscope.errors import InputError, InputTypeError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attnscope.analysis.top_keys import KeyHit
    from attnscope.attention.capture import Attention
    from attnscope.attention.layers import Layer

MOST_QUERIES = 512
"""Queries whose rows are compared from layer to layer; of longer texts this many, evenly spaced."""
ROWS = 64


@dataclass(frozen=True, eq=False)
class LayerEvolution:
    """What happens to attention over the layers.

    A head's number has no meaning across layers: head 3 of one layer and head 3 of the next were trained apart and
    share nothing but the number. :func:`similar_heads` finds the head that is most alike; the mean over heads, which
    has a meaning in every layer, hides what single heads do.

    Parameters
    ----------
    capture, kind
        What was looked at.
    layers
        True numbers of the layers.
    head
        The head looked at in every layer; None for all heads averaged.
    query
        Position of the query looked at; None for all queries.
    weights
        float32 [layers, keys]: the query's weights in every layer; None without a query. NaN where a layer has no
        such head.
    change
        float32 [layers]: Jensen–Shannon divergence from the layer before, as a share of ln 2, of the query's row or the
        mean over queries; NaN for the first.
    statistics
        Per statistic of :func:`head_table`, float32 [layers]: of the head, or the mean over heads. These are over all
        queries.

    Examples
    --------
    >>> found = analysis.layer_evolution(c)
    >>> found.layers, found.change.round(2)
    ((0, 1), array([nan, 0.6], dtype=float32))
    """

    capture: Capture
    kind: str
    layers: tuple[int, ...]
    head: int | None
    query: int | None
    weights: np.ndarray | None
    change: np.ndarray
    statistics: Mapping[str, np.ndarray]

    def top_keys(self, k: int = 3, *, content: bool = True) -> list[KeyHit]:
        """Rank the keys of the query layer by layer; see :func:`attnscope.analysis.top_keys`."""
        if self.query is None:
            raise InputError("Keys are ranked for one query: ask for layer_evolution(c, head, query).")
        hits: list[KeyHit] = []
        for layer in self.layers:
            if self.head is None or self.head < self.capture[self.kind].layer(layer).n_heads:
                hits += top_keys(
                    self.capture, self.query, k, layer=layer, head=self.head, content=content, kind=self.kind
                )
        return hits

    def table(self) -> Any:
        """List the layers.

        Returns
        -------
        pandas.DataFrame or list of dict
            Per layer ``layer``, ``change`` and each statistic.
        """
        return table(
            [
                {"layer": number, "change": float(self.change[row])}
                | {name: float(values[row]) for name, values in self.statistics.items()}
                for row, number in enumerate(self.layers)
            ]
        )


def layer_evolution(
    c: Capture, head: int | None = None, query: int | str | None = None, *, kind: str | None = None
) -> LayerEvolution:
    """Follow one head's number, or the mean of all heads, through the layers.

    Parameters
    ----------
    head
        A head's number, which has no meaning across layers (see :class:`LayerEvolution`); None averages the heads.
    query
        A position, a token or a word whose row is followed; None for all queries.

    Raises
    ------
    NotFoundError
        Where no layer has such a head, or there is no such token.

    Examples
    --------
    >>> found = analysis.layer_evolution(c, query="bird")
    >>> [(hit.layer, hit.token) for hit in found.top_keys(1)]
    [(0, 'red'), (1, 'bird')]
    """
    attention = attention_of(c, kind)
    if head is not None:
        widest = max(attention.stored, key=lambda number: attention.layer(number).n_heads)
        head = attention.head(widest, head)
    row = None if query is None else attention.queries.position(query)
    means = head_means(c, measures_of(c, kind), kind)
    statistics = {
        name: _mean_of_heads(values) if head is None else values[:, head].copy() for name, values in means.items()
    }
    weights = None
    if row is not None:
        weights = np.stack([_rows(layer, head, np.array([row]))[0] for layer in attention.stored.values()])
    change = _changes(attention, head, row)
    return LayerEvolution(c, attention.kind, attention.layers, head, row, weights, change, statistics)


def checkpoint_evolution(
    captures: Sequence[Capture], names: Sequence[Any] | None = None, *, kind: str | None = None
) -> Any:
    """Put captures of one text in a row, one per checkpoint of a training run, and follow every head.

    Parameters
    ----------
    captures
        The captures, in order.
    names
        What to call them, such as training steps; None counts from 0.

    Returns
    -------
    pandas.DataFrame or list of dict
        Per checkpoint and head: ``checkpoint``, ``layer``, ``head``, ``change`` since the checkpoint before (mean
        Jensen–Shannon divergence, as a share of ln 2; NaN for the first) and each statistic of :func:`head_table`.

    Examples
    --------
    >>> later = capture(model, tokenizer, text)
    >>> table = analysis.checkpoint_evolution([c, later], names=["step 0", "step 100"])
    >>> table[["checkpoint", "layer", "head", "change"]].tail(2)
       checkpoint  layer  head  change
    14   step 100      1     2     0.0
    15   step 100      1     3     0.0
    """
    if isinstance(captures, Capture) or not isinstance(captures, Sequence):
        raise InputTypeError(f"Give a list of captures, one per checkpoint; got {type(captures).__name__}.")
    names = range(len(captures)) if names is None else names
    if len(names) != len(captures) or not captures:
        raise InputError(f"Give one name per capture, and at least one: got {len(captures)} and {len(names)} names.")
    rows: list[dict[str, Any]] = []
    for at, (name, c) in enumerate(zip(names, captures, strict=True)):
        attention = attention_of(c, kind)
        means = head_means(c, measures_of(c, kind), kind)
        changed = None if at == 0 else compare(c, captures[at - 1], kind=kind).change
        for row, (number, layer) in enumerate(attention.stored.items()):
            for head in range(layer.n_heads):
                change = np.nan if changed is None else float(changed[row, head])
                entry = {"checkpoint": name, "layer": number, "head": head, "change": change}
                rows.append(entry | {key: float(values[row, head]) for key, values in means.items()})
    return table(rows)


def _mean_of_heads(values: np.ndarray) -> np.ndarray:
    count = (~np.isnan(values)).sum(axis=1)
    total = np.nansum(values, axis=1, dtype=np.float64)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)


def _rows(layer: Layer, head: int | None, queries: np.ndarray) -> np.ndarray:
    """Rows of a head or of the mean of all: float32 [queries, keys]; NaN where there is no such head."""
    if head is not None and head >= layer.n_heads:
        return np.full((len(queries), layer.n_keys), np.nan, np.float32)
    heads = range(layer.n_heads) if head is None else [head]
    total = sum(layer.weight_rows(number, queries).astype(np.float64) for number in heads)
    return np.asarray(total / len(heads), np.float32)


def _changes(attention: Attention, head: int | None, query: int | None) -> np.ndarray:
    """Mean divergence of each layer's rows from those of the layer before."""
    queries = np.array([query]) if query is not None else _spaced(len(attention.queries))
    total, count = np.zeros(attention.n_layers), np.zeros(attention.n_layers)
    for start in range(0, len(queries), ROWS):
        before = None
        for row, layer in enumerate(attention.stored.values()):
            rows = scaled(_rows(layer, head, queries[start : start + ROWS]).astype(np.float64))
            if before is not None:
                found = jensen_shannon(before, rows)
                total[row] += np.nansum(found)
                count[row] += (~np.isnan(found)).sum()
            before = rows
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)


def _spaced(n: int) -> np.ndarray:
    return np.arange(n) if n <= MOST_QUERIES else np.linspace(0, n - 1, MOST_QUERIES).round().astype(int)
