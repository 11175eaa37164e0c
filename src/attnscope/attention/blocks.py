"""A layer that attends within groups of tokens: each group's attention at its tokens' true positions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from attnscope.attention import compute
from attnscope.attention.layers import StoredWeights
from attnscope.attention.mask import Mask
from attnscope.attention.overview import pooled_rows
from attnscope.attention.storing import error_of
from attnscope.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from attnscope.attention.layers import Layer


@dataclass(frozen=True, eq=False)
class Blocks:
    """Attention within windows or chunks, placed among all tokens.

    Parameters
    ----------
    parts
        One layer per group; all have the same heads.
    places
        For each group, the true position of each of its tokens.
    n_tokens
        Number of tokens; each is in exactly one group.
    """

    parts: Sequence[Layer]
    places: Sequence[np.ndarray]
    n_tokens: int

    def __post_init__(self) -> None:
        sizes = [(part.n_queries, part.n_keys) for part in self.parts]
        wrong = [size for size, place in zip(sizes, self.places, strict=True) if size != (len(place), len(place))]
        if wrong:
            raise InputError(f"A group's layer is [tokens, tokens] of that group, got {wrong[0]}.")
        if not np.array_equal(np.sort(np.concatenate(list(self.places))), np.arange(self.n_tokens)):
            raise InputError(f"Each of the {self.n_tokens} positions is in exactly one group; got others.")

    @property
    def n_heads(self) -> int:
        """Number of heads."""
        return self.parts[0].n_heads

    @property
    def n_queries(self) -> int:
        """Number of queries."""
        return self.n_tokens

    @property
    def n_keys(self) -> int:
        """Number of keys."""
        return self.n_tokens

    @property
    def dtype(self) -> str:
        """Name of the dtype the numbers are kept in."""
        return self.parts[0].dtype

    @property
    def nbytes(self) -> int:
        """Bytes of every group, without the mask."""
        return sum(part.nbytes for part in self.parts)

    @cached_property
    def mask(self) -> Mask:
        """Which keys each query sees: those of its own group that the group's mask shows."""
        blocks = compute.row_blocks(self.n_tokens, self.n_tokens)
        return Mask.of_blocks(map(self._allowed, blocks), self.n_tokens)

    def _allowed(self, queries: slice) -> np.ndarray:
        """Which keys some queries see: bool [queries, keys]."""
        group, slot = (home[queries] for home in self._homes)
        seen = np.zeros((len(group), self.n_tokens), bool)
        for number in np.unique(group):
            mine = np.flatnonzero(group == number)
            seen[np.ix_(mine, self.places[number])] = self.parts[number].mask.allowed(slot[mine])
        return seen

    def stored(self) -> StoredWeights:
        """All weights at once, as they are written to a file."""
        rows = [self.weight_rows(head, slice(None)) for head in range(self.n_heads)]
        return StoredWeights(np.stack(rows), self.mask, error_of(self))

    def part_of(self, query: int) -> tuple[Layer, int, np.ndarray]:
        """Give the layer of a query's group, the query's place in it, and the true positions of its keys."""
        group, slot = self._homes
        return self.parts[group[query]], int(slot[query]), self.places[group[query]]

    def take(self, queries: np.ndarray, keys: np.ndarray, masks: dict[Mask, Mask] | None = None) -> StoredWeights:
        """Keep some queries and some keys, both as increasing positions."""
        return self.stored().take(queries, keys, masks)

    def weight_rows(self, head: int, queries: slice | np.ndarray) -> np.ndarray:
        """Weights of some queries over every key: float32 [queries, keys]; 0 outside their group."""
        return self.rows_by(lambda part, rows: part.weight_rows(head, rows), queries, 0.0)

    def score_rows(self, head: int, queries: slice | np.ndarray) -> np.ndarray:
        """Scores of some queries against every key: float32 [queries, keys]; ``-inf`` outside their group."""
        return self.rows_by(lambda part, rows: part.score_rows(head, rows), queries, -np.inf)

    def overview(self, head: int, size: int) -> np.ndarray:
        """Largest weight of each cell of a coarse grid: float32 [≤ size, ≤ size]."""
        return pooled_rows(self, head, size)

    def rows_by(
        self, read: Callable[[Layer, np.ndarray], np.ndarray], queries: slice | np.ndarray, outside: float
    ) -> np.ndarray:
        """Read some queries' rows from their groups' layers: float32 [queries, keys], ``outside`` beyond the group."""
        wanted = np.arange(self.n_tokens)[queries]
        rows = np.full((len(wanted), self.n_tokens), outside, np.float32)
        group, slot = self._homes
        for number in np.unique(group[wanted]):
            mine = np.flatnonzero(group[wanted] == number)
            rows[np.ix_(mine, self.places[number])] = read(self.parts[number], slot[wanted[mine]])
        return rows

    @cached_property
    def _homes(self) -> tuple[np.ndarray, np.ndarray]:
        """For each position, its group and its place in that group."""
        group, slot = np.zeros(self.n_tokens, np.int64), np.zeros(self.n_tokens, np.int64)
        for number, place in enumerate(self.places):
            group[place], slot[place] = number, np.arange(len(place))
        return group, slot
