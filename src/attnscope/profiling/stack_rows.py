"""Rows of several heads, measured in few passes over their weights."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from threading import local
from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.analysis.blocks import Rows
from attnscope.analysis.targets import Class, Offset, Sink, Window

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attnscope.analysis.blocks import Block, Target

_FEW = 8
"""Columns are added up one by one if they are at most this part of all."""
_rooms = local()


def room(name: str, shape: Sequence[int]) -> np.ndarray:
    """Give this thread's memory for the numbers of a block: new memory costs more than filling it."""
    size = int(np.prod(shape))
    held: np.ndarray | None = getattr(_rooms, name, None)
    if held is None or held.size < size:
        held = np.empty(size, np.float32)
        setattr(_rooms, name, held)
    return held[:size].reshape(shape)


class Marks:
    """What a block's patterns look like, found once for all heads."""

    def __init__(self, block: Block) -> None:
        self.block = block
        self._columns: dict[Target, np.ndarray] = {}
        self._floats: dict[Target, np.ndarray] = {}
        self._places: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    @cached_property
    def offsets(self) -> np.ndarray:
        """How much further on each key is than the query: float32 [rows, keys]."""
        return self.block.offsets.astype(np.float32)

    @cached_property
    def distances(self) -> np.ndarray:
        """How far each key is from the query: float32 [rows, keys]."""
        return np.abs(self.offsets)

    @cached_property
    def sees_all(self) -> bool:
        """Whether every query sees every key."""
        return bool(self.block.allowed.all())

    @cached_property
    def looks_back(self) -> bool:
        """Whether no query sees a later key."""
        positions = self.block.positions
        return not self.block.allowed[self.block.offsets > 0].any() if positions.size else True

    def columns(self, target: Target) -> np.ndarray:
        """Keys that a pattern marks for some query: int [marked]."""
        if target not in self._columns:
            self._columns[target] = np.flatnonzero(self.block.marked(target)[0].any(axis=0))
        return self._columns[target]

    def floats(self, target: Target) -> np.ndarray:
        """A pattern as numbers: float32 [rows, keys]."""
        if target not in self._floats:
            self._floats[target] = self.block.marked(target)[0].astype(np.float32)
        return self._floats[target]

    def at(self, offset: int) -> tuple[np.ndarray, np.ndarray]:
        """Where in the block, its rows laid end to end, the key at an offset stands: int, and bool if there is one."""
        if offset not in self._places:
            n_keys = len(self.block.keys)
            wanted = self.block.positions + offset
            there = (wanted >= 0) & (wanted < n_keys)
            self._places[offset] = np.arange(len(wanted)) * n_keys + np.where(there, wanted, 0), there
        return self._places[offset]


@dataclass(frozen=True, eq=False)
class StackRows(Rows):
    """Rows of several heads: what :class:`~attnscope.analysis.blocks.Rows` gives, in fewer passes over the weights.

    Parameters
    ----------
    weights
        float32 [heads, rows, keys].
    marks
        What the block's patterns look like.
    """

    marks: Marks

    @cached_property
    def entropy(self) -> np.ndarray:
        """Entropy in nats, of the row scaled to sum 1 where a sink takes part of it: [heads, rows]."""
        logs = np.log(np.maximum(self.weights, np.finfo(np.float32).tiny))
        total = np.where(self.total > 0, self.total, 1)
        return np.maximum(np.log(total) - dot(self.weights, logs) / total, 0)

    @cached_property
    def largest(self) -> np.ndarray:
        """Largest weight of each row: [heads, rows]."""
        found: np.ndarray = np.take_along_axis(self.weights, self.strongest[..., None], axis=-1)[..., 0]
        return found

    @cached_property
    def ascending(self) -> np.ndarray:
        """Each row's weights in ascending order; keys it does not see come first, as 0: float32 [heads, rows, keys]."""
        found = room("ascending", self.weights.shape)
        np.copyto(found, self.weights)
        found.view(np.int32).sort(axis=-1)  # weights are not negative, and whole numbers are sorted more quickly
        return found

    def share(self, target: Target) -> np.ndarray:
        """Weight on the keys of a pattern: [heads, rows]; NaN for rows that see none of them."""
        _, sees = self.block.marked(target)
        return np.where(sees, self._on(target), np.float32(np.nan))

    def distance(self, *, signed: bool = False) -> np.ndarray:
        """Mean distance to the keys in tokens, or mean offset with its sign: [heads, rows]."""
        return self._offset if signed else self._distance

    def hit(self, target: Target) -> np.ndarray:
        """Whether each row's strongest key is one of a pattern's, 1 or 0: float32 [heads, rows]."""
        marked, _ = self.block.marked(target)
        return np.take(marked, self._strongest_places).astype(np.float32)

    def _on(self, target: Target) -> Any:
        if isinstance(target, Offset):
            return self._at(target.offset)
        if isinstance(target, Window):
            return sum(self._at(offset) for offset in range(-target.width, target.width + 1))
        if isinstance(target, Class | Sink):
            columns = self.marks.columns(target)
            if columns.size * _FEW <= self.weights.shape[-1]:
                return self.weights[..., columns].sum(axis=-1)
        return _under(self.weights, self.marks.floats(target))

    def _at(self, offset: int) -> np.ndarray:
        """Weight of each row at an offset; 0 where no key is there."""
        if offset not in self._at_offsets:
            places, there = self.marks.at(offset)
            self._at_offsets[offset] = np.take(self.weights.reshape(len(self.weights), -1), places, axis=1) * there
        return self._at_offsets[offset]

    @cached_property
    def _at_offsets(self) -> dict[int, np.ndarray]:
        return {}

    @cached_property
    def _strongest_places(self) -> np.ndarray:
        """Where each row's strongest key stands in the block, its rows laid end to end."""
        n_rows, n_keys = self.weights.shape[1:]
        return self.strongest + np.arange(n_rows) * n_keys

    @cached_property
    def _offset(self) -> np.ndarray:
        return _under(self.weights, self.marks.offsets)

    @cached_property
    def _distance(self) -> np.ndarray:
        return -self._offset if self.marks.looks_back else _under(self.weights, self.marks.distances)


def dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Sum of products of each row."""
    found: np.ndarray = np.einsum("hij,hij->hi", a, b)
    return found


def _under(weights: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Sum of each row's weights times what the block says of each key: [heads, rows]."""
    found: np.ndarray = np.einsum("hij,ij->hi", weights, numbers)
    return found
