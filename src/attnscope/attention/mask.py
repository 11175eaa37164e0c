"""Which keys each query may see."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attnscope.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

BLOCK_CELLS = 1 << 22
"""Most cells written out at once, a byte each."""


@dataclass(frozen=True, eq=False)
class Mask:
    """The keys each query may see, as one interval per query or as bits.

    Parameters
    ----------
    start, stop
        int32 [queries]: query ``i`` sees the keys ``start[i] <= key < stop[i]``. With ``bits``, the smallest
        interval that holds them.
    n_keys
        Number of keys.
    bits
        uint8 [queries, ceil(keys / 8)], most significant bit first, where the visible keys are not one interval;
        else None.
    """

    start: np.ndarray
    stop: np.ndarray
    n_keys: int
    bits: np.ndarray | None = None

    def __post_init__(self) -> None:
        if self.start.shape != self.stop.shape or self.start.ndim != 1:
            raise InputError(
                f"A mask needs one start and one stop per query, got shapes {self.start.shape} and {self.stop.shape}."
            )
        if self.start.dtype.kind != "i" or self.stop.dtype.kind != "i":
            raise InputError(
                f"A mask's rows start and stop at whole numbers, got {self.start.dtype}, {self.stop.dtype}."
            )
        if self.start.size and (self.start.min() < 0 or self.stop.max() > self.n_keys):
            raise InputError(f"A mask points outside its {self.n_keys} keys.")
        if bool((self.stop < self.start).any()):
            raise InputError("A mask has a row that starts after it stops; a row without keys starts where it stops.")
        shape = (self.n_queries, -(-self.n_keys // 8))
        if self.bits is not None and (self.bits.shape != shape or self.bits.dtype != np.uint8):
            raise InputError(
                f"A mask of {self.n_queries} queries and {self.n_keys} keys needs uint8 bits of shape {shape}, "
                f"got {self.bits.dtype} {self.bits.shape}."
            )

    @classmethod
    def full(cls, n_queries: int, n_keys: int) -> Mask:
        """Every query sees every key."""
        return cls(np.zeros(n_queries, np.int32), np.full(n_queries, n_keys, np.int32), n_keys)

    @classmethod
    def causal(cls, n_queries: int, n_keys: int) -> Mask:
        """Query ``i`` sees the keys up to and including ``i``."""
        stop = np.minimum(np.arange(1, n_queries + 1, dtype=np.int32), n_keys).astype(np.int32)
        return cls(np.zeros(n_queries, np.int32), stop, n_keys)

    @classmethod
    def of(cls, allowed: np.ndarray) -> Mask:
        """Store a boolean [queries, keys] array, as intervals where the rows allow it."""
        allowed = np.asarray(allowed, dtype=bool)
        if allowed.ndim != 2:
            raise InputError(f"A mask is a boolean array [queries, keys], got shape {allowed.shape}.")
        return cls.of_blocks([allowed], allowed.shape[1])

    @classmethod
    def of_blocks(cls, blocks: Iterable[np.ndarray], n_keys: int) -> Mask:
        """Store boolean [some queries, keys] arrays that follow each other, one of them in memory at a time."""
        parts = [cls._part(allowed, n_keys) for allowed in blocks]
        if not parts:
            return cls.full(0, n_keys)
        start, stop = (np.concatenate([part[side] for part in parts]) for side in (0, 1))
        if all(part[2] is None for part in parts):
            return cls(start, stop, n_keys)
        rows = [np.packbits(_interval(*part[:2], n_keys), axis=1) if part[2] is None else part[2] for part in parts]
        return cls(start, stop, n_keys, np.concatenate(rows))

    @staticmethod
    def _part(allowed: np.ndarray, n_keys: int) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """First and last visible key of each query, and bits where they are not all between."""
        count = allowed.sum(axis=1)
        start = np.where(count > 0, allowed.argmax(axis=1) if n_keys else 0, 0).astype(np.int32)
        last = n_keys - allowed[:, ::-1].argmax(axis=1) if n_keys else np.zeros_like(start)
        stop = np.where(count > 0, last, 0).astype(np.int32)
        return start, stop, None if np.array_equal(count, stop - start) else np.packbits(allowed, axis=1)

    @property
    def n_queries(self) -> int:
        """Number of queries."""
        return len(self.start)

    @property
    def nbytes(self) -> int:
        """Bytes the mask takes."""
        return self.start.nbytes + self.stop.nbytes + (0 if self.bits is None else self.bits.nbytes)

    @property
    def is_full(self) -> bool:
        """Whether every query sees every key."""
        return self.bits is None and bool(np.all(self.start == 0) and np.all(self.stop == self.n_keys))

    @property
    def is_causal(self) -> bool:
        """Whether no query sees a later key, and at least one is held back by that."""
        later = self.stop > np.arange(1, self.n_queries + 1)
        return not self.is_full and not bool(later.any())

    def span(self, queries: slice | np.ndarray) -> slice:
        """Give the smallest range that holds every key some of the queries see; an empty one where they see none."""
        start, stop = self.start[queries], self.stop[queries]
        seeing = start < stop
        if not seeing.any():
            return slice(0, 0)
        return slice(int(start.min(where=seeing, initial=self.n_keys)), int(stop.max(where=seeing, initial=0)))

    def edges(self, queries: slice | np.ndarray, span: slice) -> list[tuple[slice, np.ndarray]]:
        """Say what is hidden in a range of keys, without looking at the part that every query sees.

        Returns
        -------
        list of (slice, numpy.ndarray)
            Columns, counted from the range's start, and which of them each query sees, bool [queries, columns].
            What is in none of them is seen by all.
        """
        first, last, _ = span.indices(self.n_keys)
        if self.bits is not None:
            return [(slice(0, last - first), self.allowed(queries)[:, first:last])]
        start, stop = self.start[queries, None], self.stop[queries, None]
        if not start.size or last <= first:
            return []
        keys = np.arange(first, last, dtype=np.int32)
        inner, outer = max(int(start.max()), first) - first, min(int(stop.min()), last) - first
        if inner >= outer:
            return [(slice(0, last - first), (keys >= start) & (keys < stop))]
        edges = [(slice(0, inner), keys[:inner] >= start), (slice(outer, last - first), keys[outer:] < stop)]
        return [(columns, seen) for columns, seen in edges if columns.start < columns.stop]

    def allowed(self, queries: slice | np.ndarray) -> np.ndarray:
        """Give the mask of some queries as bool [queries, keys]."""
        if self.bits is not None:
            return np.unpackbits(self.bits[queries], axis=1, count=self.n_keys).astype(bool)
        return _interval(self.start[queries], self.stop[queries], self.n_keys)

    def counts(self) -> np.ndarray:
        """Count the keys each query sees, int64 [queries]."""
        if self.bits is None:
            return (self.stop - self.start).astype(np.int64)
        return np.concatenate([self.allowed(rows).sum(axis=1, dtype=np.int64) for rows in self._blocks(1)])

    def pooled(self, tall: int, wide: int) -> np.ndarray:
        """Say which cells of a grid hold a visible key: bool [ceil(queries / tall), ceil(keys / wide)]."""
        first = np.arange(0, self.n_keys, wide, dtype=np.int32)
        pooled = []
        for rows in self._blocks(tall):
            if self.bits is None:
                start, stop = self.start[rows, None], self.stop[rows, None]
                seen = np.maximum(start, first) < np.minimum(stop, first + wide)
            else:
                seen = np.logical_or.reduceat(self.allowed(rows), first, axis=1)
            pooled.append(np.logical_or.reduceat(seen, np.arange(0, len(seen), tall), axis=0))
        return np.concatenate(pooled)

    def take(self, queries: np.ndarray, keys: np.ndarray) -> Mask:
        """Keep some queries and some keys, both as increasing positions."""
        if self.bits is not None:
            some = (self.allowed(queries[rows])[:, keys] for rows in _row_blocks(len(queries), self.n_keys, 1))
            return Mask.of_blocks(some, len(keys))
        start = np.searchsorted(keys, self.start[queries]).astype(np.int32)
        stop = np.searchsorted(keys, self.stop[queries]).astype(np.int32)
        return Mask(start, np.maximum(start, stop), len(keys))

    def _blocks(self, tall: int) -> Iterator[slice]:
        return _row_blocks(self.n_queries, self.n_keys, tall)


def _row_blocks(n_queries: int, n_keys: int, tall: int) -> Iterator[slice]:
    """Split the rows by multiples of ``tall`` into blocks of few cells, at least one."""
    rows = max(1, BLOCK_CELLS // max(n_keys * tall, 1)) * tall
    for first in range(0, max(n_queries, 1), rows):
        yield slice(first, min(first + rows, n_queries))


def _interval(start: np.ndarray, stop: np.ndarray, n_keys: int) -> np.ndarray:
    """Write intervals out: bool [queries, keys]."""
    keys = np.arange(n_keys, dtype=np.int32)
    return (keys >= start[:, None]) & (keys < stop[:, None])
