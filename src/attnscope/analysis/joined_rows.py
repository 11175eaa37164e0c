"""Rows of two captures over the same columns, whatever their tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from attnscope.attention.layers import Layer


@dataclass(frozen=True, eq=False)
class JoinedRows:
    """How the rows of one of two captures are laid over the columns of both.

    The first columns are the groups of keys both have; behind them stand the keys only the first has, then those only
    the second has.

    Parameters
    ----------
    queries
        int [groups, 2]: first query of each group, and the one past its last.
    starts
        int [pieces]: first key of each group or single key, in the order of the keys.
    columns
        int [pieces]: where each goes.
    n_shared, n_columns
        Columns both have, and all.
    """

    queries: np.ndarray
    starts: np.ndarray
    columns: np.ndarray
    n_shared: int
    n_columns: int

    @classmethod
    def of(cls, queries: np.ndarray, keys: np.ndarray, n_first: int, n_second: int) -> tuple[JoinedRows, JoinedRows]:
        """Lay out both captures, given groups of queries and keys, [groups, 4], and how many keys each has."""
        alone = [n - int((keys[:, at + 1] - keys[:, at]).sum()) for n, at in ((n_first, 0), (n_second, 2))]
        wide = len(keys) + sum(alone)
        sides = []
        for at, n, first in ((0, n_first, len(keys)), (2, n_second, len(keys) + alone[0])):
            group = np.full(n, -1)
            for number, (start, stop) in enumerate(keys[:, at : at + 2].tolist()):
                group[start:stop] = number
            single = group < 0
            column = np.where(single, first + np.cumsum(single) - 1, group)
            starts = np.flatnonzero(np.diff(column, prepend=-1) != 0)
            sides.append(cls(queries[:, at : at + 2], starts, column[starts], len(keys), wide))
        return sides[0], sides[1]

    def rows(self, layer: Layer, head: int, block: slice) -> np.ndarray:
        """Rows of some groups of queries: float64 [groups, columns]; pieces' rows averaged, pieces' keys added."""
        spans = self.queries[block]
        sizes = spans[:, 1] - spans[:, 0]
        firsts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        positions = np.repeat(spans[:, 0] - firsts, sizes) + np.arange(sizes.sum())
        weights = layer.weight_rows(head, positions).astype(np.float64)
        if weights.shape[0] > len(spans):
            weights = np.add.reduceat(weights, firsts, axis=0) / sizes[:, None]
        if weights.shape[1] > len(self.starts):
            weights = np.add.reduceat(weights, self.starts, axis=1)
        laid = np.zeros((len(spans), self.n_columns))
        laid[:, self.columns] = weights
        return laid

    def shared(self, layer: Layer, head: int, block: slice) -> np.ndarray:
        """The same over the columns both captures have: float64 [groups, groups of keys]."""
        return self.rows(layer, head, block)[:, : self.n_shared]
