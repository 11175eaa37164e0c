"""Statistics of every row of a layer in one pass over blocks of it, in memory that grows with the text.

A block of scores is made, turned into weights and summed up while it lies in the processor's cache, on the device the
queries and keys are on; keys that a mask hides from all of a block's rows are not looked at. With scores ``s``, their
largest ``m`` and weights ``w`` of a row without a sink:

* ``entropy = -log(max w) - Σ w (s - m)``, which needs no logarithm of each weight and loses nothing for large scores.
* A learned sink takes ``1 - total`` of every weight, with ``total = 1 / (1 + exp(sink - log Σ exp(s)))``.
* Offsets are read off at their places; classes of keys, positions and their squares are products with few columns.
* The Gini coefficient sorts the weights of the keys that any of the block's rows sees.

In float32 the largest errors seen are 1e-5 nats in entropies, 5e-6 in shares, and 5e-6 of the text's length in
distances. Other rooms may use :func:`sweep` as it is: it takes any :class:`.QueriesKeys` and gives one
:class:`FusedRows` per head, which answers the measures named by :func:`wanted_by`.
"""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeGuard

import numpy as np

from attnscope.analysis.measures import (
    Share,
    distance_of_rows,
    effective_of_rows,
    entropy_of_rows,
    gini_of_rows,
    max_of_rows,
    normalized_entropy,
)
from attnscope.analysis.sweep import Sweep, Wanted
from attnscope.analysis.targets import Class, Sink, is_first
from attnscope.attention.layers import Layer, QueriesKeys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from attnscope.analysis.blocks import Target
    from attnscope.attention.capture import Attention
    from attnscope.attention.mask import Mask

LONG = 2048
"""Queries from which on statistics are taken this way."""
_BY_SUMS = (entropy_of_rows, normalized_entropy, effective_of_rows, distance_of_rows, max_of_rows, gini_of_rows)


def can_fuse(layer: Layer) -> TypeGuard[QueriesKeys]:
    """Whether a layer's rows can be summed this way: it holds queries and keys, and torch is there."""
    return isinstance(layer, QueriesKeys) and min(layer.n_queries, layer.n_keys) > 0 and find_spec("torch") is not None


def needs_no_weights(measure: Callable[..., Any]) -> bool:
    """Whether a measure is among those a pass gives."""
    return isinstance(measure, Share) or _function(measure) in _BY_SUMS


def wanted_by(measures: Iterable[Callable[..., Any]]) -> Wanted:
    """Say what to sum up for measures that need no weights."""
    measures = list(measures)
    functions = [_function(measure) for measure in measures]
    targets = [measure.target for measure in measures if isinstance(measure, Share)]
    return Wanted(
        tuple(dict.fromkeys(Class(is_first) if isinstance(target, Sink) else target for target in targets)),
        distances=distance_of_rows in functions,
        squares=effective_of_rows in functions,
        gini=gini_of_rows in functions,
    )


class FusedRows:
    """All rows of one head that see a key, known by their sums.

    Answers what :class:`~attnscope.analysis.blocks.Rows` answers without its weights, as float64.
    """

    def __init__(self, swept: Sweep, head: int) -> None:
        self._swept, self._head = swept, head
        self.positions, self.key_positions, self.seen = swept.positions, swept.key_positions, swept.seen
        logs = self._of("log sum")
        sink = swept.sinks
        self.total = np.ones_like(logs) if sink is None else 1 / (1 + np.exp(sink[head] - logs))
        self.total = np.where(self._of("largest") > 0, self.total, np.nan if swept.content else 0)

    def _of(self, name: str) -> np.ndarray:
        return self._swept.of(name, self._head)

    @property
    def entropy(self) -> np.ndarray:
        """Entropy in nats, of the row scaled to sum 1: [rows]."""
        return np.where(np.isnan(self.total), np.nan, np.maximum(self._of("entropy"), 0))

    @property
    def largest(self) -> np.ndarray:
        """Largest weight: [rows]."""
        return self._of("largest") * self.total

    @property
    def squares(self) -> np.ndarray:
        """Sum of squared weights, of the row scaled to sum 1: [rows]."""
        return np.where(self.total > 0, self._of("squares"), np.nan)

    @property
    def gini(self) -> np.ndarray:
        """Gini coefficient over the keys seen: [rows]; NaN where that is a single key."""
        return np.where((self.total > 0) & (self.seen > 1), self._of("gini"), np.nan)

    def share(self, target: Target) -> np.ndarray:
        """Weight on the keys of a pattern: [rows]; NaN for rows that see none of them."""
        if isinstance(target, Sink):
            return np.where(self.positions > 0, self.share(Class(is_first)), np.nan)
        return np.where(self._swept.sees[target], self._of(f"share {self._swept.number[target]}") * self.total, np.nan)

    def distance(self, *, signed: bool = False) -> np.ndarray:
        """Mean distance to the keys in tokens, or mean offset with its sign: [rows]."""
        return self._of("offset" if signed else "distance") * self.total

    @property
    def seen_by(self) -> np.ndarray:
        """Number of queries that see each key, without those of whose weight nothing is left: int [keys]."""
        return self._swept.seen_by(np.flatnonzero(np.isnan(self.total)))

    def received(self) -> np.ndarray:
        """Sum of what each key gets: [keys]."""
        return self._of("received")


def sweep(layer: QueriesKeys, attention: Attention, wanted: Wanted, *, content: bool = False) -> Iterator[FusedRows]:
    """Sum up the rows of every head of a layer in one pass.

    Parameters
    ----------
    layer
        The layer; see :func:`can_fuse`.
    attention
        Where it comes from.
    wanted
        What will be asked of the rows.
    content
        Leave special tokens out on both sides, and scale what is left of each row to sum 1.

    Yields
    ------
    FusedRows
        One per head, in order.
    """
    swept = Sweep(layer, attention, wanted, content=content)
    for head in range(layer.n_heads):
        yield FusedRows(swept, head)


def uniform(mask: Mask) -> QueriesKeys:
    """Make the layer that spreads every row's weight evenly over the keys it sees: the chance level."""
    return QueriesKeys(np.zeros((1, mask.n_queries, 1), "f4"), np.zeros((1, mask.n_keys, 1), "f4"), 1.0, mask)


def _function(measure: Callable[..., Any]) -> Callable[..., Any]:
    return measure.func if isinstance(measure, partial) else measure
