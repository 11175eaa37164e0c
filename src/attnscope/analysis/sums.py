"""Means that can be put together again: what is summed, and over how many rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attnscope.errors import InputError


@dataclass(frozen=True, eq=False)
class Sums:
    """A number per row, summed per head.

    Sums of several texts add up: ``sums(a) + sums(b)`` are the sums of both texts' rows, so that long texts count for
    more; average the means instead where every text should count the same.

    Parameters
    ----------
    total, squares
        float64 [layers, heads]: sum of the rows' numbers, and of their squares.
    count
        int64 [layers, heads]: rows that count.

    Examples
    --------
    >>> sums = analysis.pattern_score(c, "self").of_mass
    >>> sums.mean.round(2)
    array([[0.28, 0.14, 0.07, 0.14],
           [0.29, 0.23, 0.29, 0.24]], dtype=float32)
    >>> (sums + sums).count
    array([[34, 34, 34, 34],
           [34, 34, 34, 34]])
    """

    total: np.ndarray
    squares: np.ndarray
    count: np.ndarray

    @classmethod
    def none(cls, n_layers: int, n_heads: int) -> Sums:
        """Sums of no row."""
        shape = (n_layers, n_heads)
        return cls(np.zeros(shape), np.zeros(shape), np.zeros(shape, np.int64))

    def put(self, layer: int | slice, head: int | slice, values: np.ndarray) -> None:
        """Take in rows of one head, or the same rows for several; NaN does not count."""
        counted = values[~np.isnan(values)].astype(np.float64)
        self.total[layer, head] += counted.sum()
        self.squares[layer, head] += (counted**2).sum()
        self.count[layer, head] += counted.size

    def __add__(self, other: Sums) -> Sums:
        if self.total.shape != other.total.shape:
            raise InputError(
                f"Sums add up head by head, but one is of {self.total.shape} and one of {other.total.shape} layers and "
                "heads. Add sums of the same model and kind of attention."
            )
        return Sums(self.total + other.total, self.squares + other.squares, self.count + other.count)

    @property
    def mean(self) -> np.ndarray:
        """Mean over rows: float32 [layers, heads]; NaN where no row counts."""
        return np.where(self.count > 0, self.total / np.maximum(self.count, 1), np.nan).astype(np.float32)

    @property
    def spread(self) -> np.ndarray:
        """Standard deviation over rows: float32 [layers, heads]; NaN where no row counts."""
        many = np.maximum(self.count, 1)
        variance = np.maximum(self.squares / many - (self.total / many) ** 2, 0)
        return np.where(self.count > 0, np.sqrt(variance), np.nan).astype(np.float32)
