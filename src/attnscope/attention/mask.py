"""Which keys each query may see."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attnscope.errors import InputError


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
        n_keys = allowed.shape[1]
        count = allowed.sum(axis=1)
        start = np.where(count > 0, allowed.argmax(axis=1) if n_keys else 0, 0).astype(np.int32)
        last = n_keys - allowed[:, ::-1].argmax(axis=1) if n_keys else np.zeros_like(start)
        stop = np.where(count > 0, last, 0).astype(np.int32)
        if np.array_equal(count, stop - start):
            return cls(start, stop, n_keys)
        return cls(start, stop, n_keys, np.packbits(allowed, axis=1))

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

    def allowed(self, queries: slice | np.ndarray) -> np.ndarray:
        """Give the mask of some queries as bool [queries, keys]."""
        if self.bits is not None:
            return np.unpackbits(self.bits[queries], axis=1, count=self.n_keys).astype(bool)
        keys = np.arange(self.n_keys, dtype=np.int32)
        return (keys >= self.start[queries, None]) & (keys < self.stop[queries, None])

    def counts(self) -> np.ndarray:
        """Count the keys each query sees, int64 [queries]."""
        if self.bits is None:
            return (self.stop - self.start).astype(np.int64)
        return np.unpackbits(self.bits, axis=1, count=self.n_keys).sum(axis=1, dtype=np.int64)

    def pooled(self, tall: int, wide: int) -> np.ndarray:
        """Say which cells of a grid hold a visible key: bool [ceil(queries / tall), ceil(keys / wide)]."""
        first = np.arange(0, self.n_keys, wide, dtype=np.int32)
        rows = np.arange(0, self.n_queries, tall)
        if self.bits is None:
            start, stop = self.start[:, None], self.stop[:, None]
            seen = np.maximum(start, first) < np.minimum(stop, first + wide)
        else:
            seen = np.logical_or.reduceat(self.allowed(slice(None)), first, axis=1)
        return np.logical_or.reduceat(seen, rows, axis=0)

    def take(self, queries: np.ndarray, keys: np.ndarray) -> Mask:
        """Keep some queries and some keys, both as increasing positions."""
        if self.bits is not None:
            return Mask.of(self.allowed(queries)[:, keys])
        start = np.searchsorted(keys, self.start[queries]).astype(np.int32)
        stop = np.searchsorted(keys, self.stop[queries]).astype(np.int32)
        return Mask(start, np.maximum(start, stop), len(keys))
