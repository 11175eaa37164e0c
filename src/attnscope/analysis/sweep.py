"""One pass over blocks of a layer's weights, and what is summed up of each; see fused.py for what it is good for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.analysis.blocks import Block
from attnscope.analysis.targets import Class, Offset, Window
from attnscope.attention import compute
from attnscope.attention.arrays import is_torch, to_float32

if TYPE_CHECKING:
    from collections.abc import Iterator

    from attnscope.analysis.blocks import Target
    from attnscope.attention.capture import Attention
    from attnscope.attention.layers import QueriesKeys
    from attnscope.attention.mask import Mask

CELLS = 1 << 19
"""Weights in a block: 2 MiB."""
_LOWEST = -1e30
"""Stands for the score of a hidden key where it is multiplied by its weight, which is 0."""


@dataclass(frozen=True)
class Wanted:
    """What to sum up of every row, beside its entropy and its largest weight.

    Parameters
    ----------
    targets
        Patterns whose keys' weights are summed.
    distances, squares, gini, received
        Mean distances; sums of squared weights; Gini coefficients; what each key receives.
    """

    targets: tuple[Target, ...] = ()
    distances: bool = False
    squares: bool = False
    gini: bool = False
    received: bool = False


class Sweep:
    """One pass over a layer, and what was found of each head's rows."""

    def __init__(self, layer: QueriesKeys, attention: Attention, wanted: Wanted, *, content: bool) -> None:
        import torch

        self.wanted, self.content, self.whole = wanted, content, layer.mask
        self.queries, self.keys = attention.queries, attention.keys
        self.layer, self.positions, self.key_positions = _kept(layer, attention, content)
        self.seen = self.layer.mask.counts()
        self.sinks = None if self.layer.sinks is None else to_float32(self.layer.sinks).astype(np.float64)
        self.number = {target: at for at, target in enumerate(wanted.targets)}
        self.sees = {target: np.zeros(len(self.positions), bool) for target in wanted.targets}
        self._ahead = not self.layer.mask.is_causal or not np.array_equal(self.positions, self.key_positions)
        classes = [target for target in wanted.targets if isinstance(target, Class)]
        self._marks = {target: target.keys(self.keys)[self.key_positions] for target in classes}
        self._found: dict[str, Any] = {}
        # half precision is widened once
        self._vectors = [self.layer.keys[number].float() for number in range(self.layer.n_key_heads)]
        with torch.no_grad():
            for rows in self._blocks():
                self._block(rows)
        self._numbers = {name: values.double().cpu().numpy() for name, values in self._found.items()}

    def of(self, name: str, head: int) -> np.ndarray:
        """Give what was found of one head, float64 [rows], or [keys] of what they receive."""
        if name not in self._numbers:  # no query sees any key
            return np.zeros(len(self.key_positions if name == "received" else self.positions))
        return self._numbers[name][head]

    def seen_by(self, but: np.ndarray) -> np.ndarray:
        """Count the queries that see each key, but for some: int [keys]."""
        seen = _seen_by(self.layer.mask)
        return seen - self.layer.mask.allowed(but).sum(axis=0) if but.size else seen

    def _blocks(self) -> Iterator[slice]:
        n_rows, n_keys = len(self.positions), len(self.key_positions)
        most = max(1, CELLS // max(n_keys, 1))
        return compute.row_blocks(n_rows, n_keys, most if self.layer.mask.is_full else min(most, 128))

    def _keep(self, name: str, head: int, rows: slice, values: Any) -> None:
        if name not in self._found:
            self._found[name] = values.new_zeros(self.layer.n_heads, len(self.positions))
        self._found[name][head, rows] = values

    def _block(self, rows: slice) -> None:
        """Sum up some rows of every head."""
        span = self.layer.mask.span(rows)
        near = self._near(rows, span)
        for head in range(self.layer.n_heads):
            vectors = self._vectors[head // self.layer.group_size]
            scores = compute.span_scores(self.layer, head, rows, span, vectors)
            peaks = scores.amax(-1)
            weights = scores.softmax(-1)
            blind = peaks == -np.inf
            if blind.any():
                weights[blind] = 0
                peaks[blind] = 0
            largest = weights.amax(-1)
            logs = largest.log()
            scores.sub_(peaks[:, None]).clamp_(min=_LOWEST)
            self._keep("largest", head, rows, largest)
            self._keep("log sum", head, rows, peaks - logs)
            self._keep("entropy", head, rows, (-logs).masked_fill(blind, 0) - _dot(weights, scores))
            self._sum(head, rows, span, weights, near)

    def _sum(self, head: int, rows: slice, span: slice, weights: Any, near: Near) -> None:
        """Sum up what is wanted of a block of weights, which are used up."""
        wanted, width = self.wanted, weights.shape[1]
        if near.columns is not None:
            sums = weights @ near.columns
            for at, name in enumerate(near.names):
                self._keep(name, head, rows, sums[:, at])
        for target, marked in near.marked.items():
            self._keep(f"share {self.number[target]}", head, rows, _dot(weights, marked))
        for target, places in near.places.items():
            found = sum(weights[at, columns] * there for at, columns, there in places)
            self._keep(f"share {self.number[target]}", head, rows, found)
        if wanted.distances:
            offset = self._found["from start"][head, rows] - near.own * weights.sum(-1)
            self._keep("offset", head, rows, offset)
            self._keep("distance", head, rows, -offset if near.far is None else _dot(weights, near.far))
        if wanted.squares:
            self._keep("squares", head, rows, _dot(weights, weights))
        if wanted.received:
            if "received" not in self._found:
                self._found["received"] = weights.new_zeros(self.layer.n_heads, len(self.key_positions)).double()
            taken = weights.new_ones(len(weights))
            if self.layer.sinks is not None:
                taken = (self._found["log sum"][head, rows] - self.layer.sinks[head].float()).sigmoid()
            self._found["received"][head, span] += taken @ weights
        if wanted.gini:
            ranks = np.arange(1, width + 1, dtype=np.float32)
            if weights.device.type == "cpu":
                weights.numpy().sort(axis=-1)
            else:
                weights = weights.sort(-1).values
            seen = near.seen.to(weights)
            spread = 2 * (weights @ _like(ranks, weights)) - (2 * width - seen + 1)
            self._keep("gini", head, rows, spread.clamp_(min=0) / (seen - 1).clamp_(min=1))

    def _near(self, rows: slice, span: slice) -> Near:
        """Find what all heads share of a block."""
        like = self._vectors[0]
        positions, keys = self.positions[rows], self.key_positions[span]
        names: list[str] = []
        columns: list[np.ndarray] = []
        places: dict[Target, list[tuple[Any, Any, Any]]] = {}
        marked: dict[Target, Any] = {}
        block = None
        if self.wanted.distances:
            names.append("from start")
            columns.append(keys - positions[0])
        for target in self.wanted.targets:
            if isinstance(target, Class):
                marks = self._marks[target]
                names.append(f"share {self.number[target]}")
                columns.append(marks[span])
                self.sees[target][rows] = self._sees_class(marks, rows)
            elif isinstance(target, Offset | Window):
                places[target] = self._places(target, rows, span, like)
            else:
                block = self._as_block(rows) if block is None else block
                cells, sees = block.marked(target)
                self.sees[target][rows] = sees
                marked[target] = _like(cells[:, self.key_positions[span]].astype(np.float32), like)
        return Near(
            tuple(names),
            _like(np.stack(columns, axis=1).astype(np.float32), like) if columns else None,
            places,
            marked,
            _like((positions - positions[0]).astype(np.float32), like),
            _like(np.abs(keys - positions[:, None]).astype(np.float32), like)
            if self.wanted.distances and self._ahead
            else None,
            _like(self.seen[rows], like),
        )

    def _sees_class(self, marks: np.ndarray, rows: slice) -> np.ndarray:
        mask = self.layer.mask
        if mask.bits is not None:
            return (mask.allowed(rows) & marks).any(axis=1)
        counted = np.concatenate([[0], np.cumsum(marks)])
        return counted[mask.stop[rows]] > counted[mask.start[rows]]

    def _places(self, target: Offset | Window, rows: slice, span: slice, like: Any) -> list[tuple[Any, Any, Any]]:
        """Where in a block the keys at some offsets are: rows, columns, and 1 where there is a key that is seen."""
        offsets = [target.offset] if isinstance(target, Offset) else range(-target.width, target.width + 1)
        mask, found = self.layer.mask, []
        for offset in offsets:
            wanted = self.positions[rows] + offset
            columns = np.minimum(np.searchsorted(self.key_positions, wanted), len(self.key_positions) - 1)
            there = self.key_positions[columns] == wanted
            there &= (mask.start[rows] <= columns) & (columns < mask.stop[rows])
            if mask.bits is not None:
                there &= mask.allowed(rows)[np.arange(len(columns)), columns]
            self.sees[target][rows] |= there
            columns = np.where(there, columns - span.start, 0)
            found.append((_like(np.arange(len(columns)), like), _like(columns, like), _like(there, like)))
        return found

    def _as_block(self, rows: slice) -> Block:
        positions = self.positions[rows]
        allowed = self.whole.allowed(positions)
        if self.content:
            allowed &= ~self.keys.special
        return Block(positions, allowed, self.queries, self.keys, self.content)


@dataclass(frozen=True, eq=False)
class Near:
    """What all heads share of a block.

    Parameters
    ----------
    names, columns
        Columns to multiply weights by, [span, columns], and what the products are called; None for none.
    places
        Per pattern of offsets: rows, columns, and whether there is a key that is seen.
    marked
        Per other pattern 1 for its keys, [rows, span].
    own
        The queries' positions, counted from the first.
    far
        Distances, [rows, span]; None where no key ahead is seen.
    seen
        Number of keys each query sees.
    """

    names: tuple[str, ...]
    columns: Any
    places: dict[Target, list[tuple[Any, Any, Any]]]
    marked: dict[Target, Any]
    own: Any
    far: Any
    seen: Any


def _kept(layer: QueriesKeys, attention: Attention, content: bool) -> tuple[QueriesKeys, np.ndarray, np.ndarray]:
    """Take what counts of a layer, as tensors, and the positions of its queries and keys."""
    rows, keys = np.arange(layer.n_queries), np.arange(layer.n_keys)
    some = replace(layer, values=None, sinks=None if content else layer.sinks)
    if content:
        keys = np.flatnonzero(~attention.keys.special)
        rows = np.flatnonzero(~attention.queries.special)
        some = some.take(rows, keys)
    seeing = some.mask.counts() > 0
    if not seeing.all():
        some, rows = some.take(np.flatnonzero(seeing), np.arange(len(keys))), rows[seeing]
    arrays = {name: getattr(some, name) for name in ("queries", "keys", "bias", "sinks")}
    return replace(some, **{name: _tensor(array) for name, array in arrays.items()}), rows, keys


def _tensor(array: Any) -> Any:
    import torch

    if array is None or is_torch(array):
        return None if array is None else array.detach()
    return torch.from_numpy(array) if array.flags.writeable else torch.tensor(array)


def _like(array: np.ndarray, like: Any) -> Any:
    import torch

    return torch.from_numpy(array).to(like.device)


def _seen_by(mask: Mask) -> np.ndarray:
    """Count the queries that see each key: int [keys]."""
    if mask.bits is not None:
        blocks = compute.row_blocks(mask.n_queries, mask.n_keys)
        return np.sum([mask.allowed(rows).sum(axis=0) for rows in blocks], axis=0)
    begun = np.bincount(mask.start, minlength=mask.n_keys + 1) - np.bincount(mask.stop, minlength=mask.n_keys + 1)
    return np.cumsum(begun)[: mask.n_keys]


def _dot(a: Any, b: Any) -> Any:
    """Sum of products of each row."""
    return (a * b).sum(-1)
