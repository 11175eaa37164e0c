"""A layer whose queries see a band of keys around them, and a few keys and queries that see everything."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from attnscope.attention import compute
from attnscope.attention.layers import StoredWeights
from attnscope.attention.mask import Mask
from attnscope.attention.overview import pooled_rows

_NOBODY = np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False)
class Bands:
    """Weights in a band along the diagonal, with global tokens (Longformer; Beltagy et al. 2020).

    Parameters
    ----------
    band
        float32 [heads, tokens, 2 · reach + 1]: column ``c`` of query ``i`` is the key ``i - reach + c``.
    global_keys
        Positions every query sees.
    to_global
        float32 [heads, tokens, global keys], the weights on them.
    from_global
        float32 [heads, global keys, tokens], the rows of those tokens, which see every key.
    """

    band: np.ndarray
    global_keys: np.ndarray = field(default_factory=lambda: _NOBODY)
    to_global: np.ndarray | None = None
    from_global: np.ndarray | None = None
    mask: Mask = field(init=False)

    def __post_init__(self) -> None:
        blocks = compute.row_blocks(self.n_queries, self.n_keys * self.n_heads)
        seen = (
            np.logical_or.reduce([self.weight_rows(head, rows) != 0 for head in range(self.n_heads)]) for rows in blocks
        )
        object.__setattr__(self, "mask", Mask.of_blocks(seen, self.n_keys))

    @property
    def n_heads(self) -> int:
        """Number of heads."""
        return int(self.band.shape[0])

    @property
    def n_queries(self) -> int:
        """Number of queries."""
        return int(self.band.shape[1])

    @property
    def n_keys(self) -> int:
        """Number of keys."""
        return int(self.band.shape[1])

    @property
    def dtype(self) -> str:
        """Name of the dtype the numbers are kept in."""
        return str(self.band.dtype)

    @property
    def nbytes(self) -> int:
        """Bytes of the band and the global tokens' weights, without the mask."""
        kept = (self.band, self.to_global, self.from_global)
        return sum(array.nbytes for array in kept if array is not None)

    def stored(self) -> StoredWeights:
        """All weights at once, as they are written to a file."""
        rows = [self.weight_rows(head, slice(None)) for head in range(self.n_heads)]
        return StoredWeights(np.stack(rows), self.mask)

    def take(self, queries: np.ndarray, keys: np.ndarray, masks: dict[Mask, Mask] | None = None) -> StoredWeights:
        """Keep some queries and some keys, both as increasing positions."""
        return self.stored().take(queries, keys, masks)

    def weight_rows(self, head: int, queries: slice | np.ndarray) -> np.ndarray:
        """Weights of some queries over every key: float32 [queries, keys]."""
        wanted = np.arange(self.n_queries)[queries]
        reach = self.band.shape[2] // 2
        rows = np.zeros((len(wanted), self.n_keys + 2 * reach), np.float32)
        columns = wanted[:, None] + np.arange(2 * reach + 1)
        np.put_along_axis(rows, columns, self.band[head, wanted], axis=1)
        rows = rows[:, reach : reach + self.n_keys]
        if self.to_global is not None:
            rows[:, self.global_keys] += self.to_global[head, wanted]
        if self.from_global is not None:
            for number, position in enumerate(self.global_keys):
                rows[wanted == position] = self.from_global[head, number]
        return rows

    def score_rows(self, head: int, queries: slice | np.ndarray) -> np.ndarray:
        """Refuse: weights alone do not give scores back."""
        return self.stored().score_rows(head, queries)

    def overview(self, head: int, size: int) -> np.ndarray:
        """Largest weight of each cell of a coarse grid: float32 [≤ size, ≤ size]."""
        return pooled_rows(self, head, size)
