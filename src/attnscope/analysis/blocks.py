"""Going through every head's rows of weights, block by block."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from attnscope.attention.compute import row_blocks
from attnscope.attention.layers import LazyWeights

if TYPE_CHECKING:
    from attnscope.attention.capture import Attention
    from attnscope.attention.layers import Layer
    from attnscope.attention.mask import Mask
    from attnscope.attention.tokens import Tokens

ARRAYS = 4
"""Arrays as large as its weights that measuring a block takes beside them; its rows are fewer by as much."""


@dataclass(frozen=True, eq=False)
class Block:
    """Some queries and every key, whichever head looks.

    Parameters
    ----------
    positions
        int [rows]: positions of the queries; those that see no key are left out.
    allowed
        bool [rows, keys]: the keys that count and that the mask lets each query see.
    queries, keys
        Tokens of both sides.
    content
        Whether special tokens are left out on both sides.
    """

    positions: np.ndarray
    allowed: np.ndarray
    queries: Tokens
    keys: Tokens
    content: bool = False
    _marked: dict[Hashable, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)

    @cached_property
    def seen(self) -> np.ndarray:
        """Number of keys each query sees: int [rows]."""
        return self.allowed.sum(axis=1)

    @cached_property
    def offsets(self) -> np.ndarray:
        """How much further on each key is than the query: int32 [rows, keys]."""
        return np.arange(len(self.keys), dtype=np.int32) - self.positions[:, None].astype(np.int32)

    @cached_property
    def distances(self) -> np.ndarray:
        """How far each key is from the query: int32 [rows, keys]."""
        return np.abs(self.offsets)

    def marked(self, target: Target) -> tuple[np.ndarray, np.ndarray]:
        """Keys of a pattern among those a query sees, found once for all heads.

        Returns
        -------
        numpy.ndarray, numpy.ndarray
            bool [rows, keys], and bool [rows] for the rows that see any.
        """
        if target not in self._marked:
            marked = target(self) & self.allowed
            self._marked[target] = marked, marked.any(axis=1)
        return self._marked[target]

    def of(self, layer: Layer, head: int) -> Rows:
        """One head's rows. Without special tokens they are scaled to sum 1; NaN where nothing is left of them."""
        return self.rows(layer.weight_rows(head, self.positions))

    def rows(self, weights: np.ndarray) -> Rows:
        """Rows of these weights, [..., rows, keys]; see :meth:`of`."""
        if self.content:
            weights = np.where(self.allowed, weights, 0)
            total = weights.sum(axis=-1, keepdims=True)
            weights /= np.where(total > 0, total, np.nan)
        return Rows(self, weights)

    def uniform(self) -> Rows:
        """Rows that spread their weight evenly over the keys they see: the chance level."""
        return Rows(self, (self.allowed / np.maximum(self.seen, 1)[:, None]).astype(np.float32))


@dataclass(frozen=True, eq=False)
class Rows:
    """Some rows of one head, or of several heads at once.

    Parameters
    ----------
    block
        The queries, and the keys they see.
    weights
        float32 [rows, keys], or [heads, rows, keys]; what is measured on it has the axes but the last.
    """

    block: Block
    weights: np.ndarray

    @property
    def positions(self) -> np.ndarray:
        """Positions of the queries: int [rows]."""
        return self.block.positions

    @property
    def seen(self) -> np.ndarray:
        """Number of keys each query sees: int [rows]."""
        return self.block.seen

    @cached_property
    def strongest(self) -> np.ndarray:
        """Position of each row's strongest key, the first of several: int [rows]."""
        found: np.ndarray = np.where(self.block.allowed, self.weights, -1).argmax(axis=-1)
        return found

    @cached_property
    def largest(self) -> np.ndarray:
        """Largest weight of each row: [rows]."""
        found: np.ndarray = self.weights.max(axis=-1)
        return found

    @cached_property
    def ascending(self) -> np.ndarray:
        """Each row's weights in ascending order; keys it does not see come first, as 0: float32 [rows, keys]."""
        return np.sort(self.weights, axis=-1)

    def share(self, target: Target) -> np.ndarray:
        """Weight on the keys of a pattern: [rows]; NaN for rows that see none of them."""
        marked, sees = self.block.marked(target)
        return np.where(sees, _dot(self.weights, marked), np.nan)

    @cached_property
    def total(self) -> np.ndarray:
        """Sum of each row: 1, or less where a sink takes part of it: [rows]."""
        return self.weights.sum(axis=-1)

    @cached_property
    def entropy(self) -> np.ndarray:
        """Entropy in nats, of the row scaled to sum 1 where a sink takes part of it: [rows]."""
        shares = self.weights / np.where(self.total > 0, self.total, 1)[..., None]
        logs = np.log(shares, out=np.zeros_like(shares), where=shares > 0)
        return np.maximum(-_dot(shares, logs), 0)

    @property
    def gini(self) -> np.ndarray:
        """Gini coefficient over the keys seen: [rows]; NaN where that is a single key."""
        n_keys = self.weights.shape[-1]
        # Keys not seen come first and weigh nothing.
        # No matrix product: its last digits depend on the number of threads.
        ranked = np.einsum("...ij,j->...i", self.ascending, np.arange(1, n_keys + 1, dtype=np.float32))
        spread = 2 * ranked - (2 * n_keys - self.seen + 1) * self.total
        most = self.total * (self.seen - 1)
        return np.divide(np.maximum(spread, 0), most, out=np.full(most.shape, np.nan), where=most > 0)

    @cached_property
    def squares(self) -> np.ndarray:
        """Sum of squared weights, of the row scaled to sum 1: [rows]."""
        return _dot(self.weights, self.weights) / np.where(self.total > 0, self.total, np.nan) ** 2

    def distance(self, *, signed: bool = False) -> np.ndarray:
        """Mean distance to the keys in tokens, or mean offset with its sign: [rows]."""
        return _dot(self.weights, self.block.offsets if signed else self.block.distances)


Target = Callable[[Block], np.ndarray]
"""A pattern: which keys each query of a block would look at, bool [rows, keys] or [keys]. Equal patterns are hashable
and compare equal, so that a block marks them once."""


def blocks(
    attention: Attention, *, content: bool = False, but: Collection[int] = ()
) -> Iterator[tuple[list[tuple[int, Layer]], Block]]:
    """Go through the queries block by block, with the layers (by row of the result) that share what they see.

    Parameters
    ----------
    content
        Leave special tokens out on both sides.
    but
        Rows of layers to leave out.
    """
    for members in sharing_masks(attention, but):
        first = members[0][1]
        for rows in row_blocks(first.n_queries, ARRAYS * first.n_keys):
            yield members, block_of(attention, first.mask, rows, content)


def sharing_masks(attention: Attention, but: Collection[int] = ()) -> Iterator[list[tuple[int, Layer]]]:
    """Group the layers (by row of the result) that share what their queries see."""
    groups: dict[object, list[tuple[int, Layer]]] = {}
    for row, layer in enumerate(attention.stored.values()):
        if row in but:
            continue
        alone = isinstance(layer, LazyWeights)  # computed anew at every look, so looked at once
        groups.setdefault((row,) if alone else id(layer.mask), []).append((row, layer))
    for members in groups.values():
        if isinstance(members[0][1], LazyWeights):
            members = [(members[0][0], members[0][1].stored())]
        yield members


def block_of(attention: Attention, mask: Mask, rows: slice, content: bool) -> Block:
    """Make the block of some rows, without those that see no key."""
    positions, allowed = np.arange(rows.start, rows.stop), mask.allowed(rows)
    if content:
        allowed &= ~attention.keys.special
    counts = allowed.any(axis=1)
    if content:
        counts &= ~attention.queries.special[positions]
    if not counts.all():
        positions, allowed = positions[counts], allowed[counts]
    return Block(positions, allowed, attention.queries, attention.keys, content)


def walk(attention: Attention, *, content: bool = False, but: Collection[int] = ()) -> Iterator[tuple[int, int, Rows]]:
    """Go through every head's rows: the row of the layer in results, the head, and some of its rows."""
    for members, block in blocks(attention, content=content, but=but):
        for row, layer in members:
            for head in range(layer.n_heads):
                yield row, head, block.of(layer, head)


def _dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Sum of products of each row."""
    found: np.ndarray = np.einsum("...ij,...ij->...i", a, b)
    return found
