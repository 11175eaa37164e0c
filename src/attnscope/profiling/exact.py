"""Sums that come out the same in whatever order they are added up: numbers in fixed point."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from attnscope.errors import InputError

BITS = 32
"""Binary places kept: a number is off by at most 2⁻³³ once, and adding up loses nothing more."""
_ONE = 1 << BITS


@dataclass(frozen=True, eq=False)
class Exact:
    """Numbers as ``whole + part / 2³²``, of any shape.

    Parameters
    ----------
    whole
        int64: the next whole number below.
    part
        int64, 0 to 2³² - 1.
    """

    whole: np.ndarray
    part: np.ndarray

    @classmethod
    def none(cls, shape: tuple[int, ...]) -> Exact:
        """Zeros."""
        return cls(np.zeros(shape, np.int64), np.zeros(shape, np.int64))

    @classmethod
    def of(cls, values: np.ndarray) -> Exact:
        """Round finite float64 numbers to the nearest.

        Raises
        ------
        InputError
            For a number that is not finite, or beyond 2⁶².
        """
        values = np.asarray(values, np.float64)
        if not bool((np.abs(values) < 2.0**62).all()):
            raise InputError("A statistic is not finite, or too large to be summed; the model's weights may hold NaN.")
        below = np.floor(values)
        part = np.rint((values - below) * _ONE).astype(np.int64)
        return cls(below.astype(np.int64) + (part >> BITS), part & (_ONE - 1))

    def __add__(self, other: Exact) -> Exact:
        part = self.part + other.part
        whole = self.whole + other.whole + (part >> BITS)
        if bool((((self.whole ^ whole) & (other.whole ^ whole)) < 0).any()):
            raise InputError("The sums no longer fit in 64 bits. Profile the texts in several parts.")
        return Exact(whole, part & (_ONE - 1))

    @property
    def value(self) -> np.ndarray:
        """The nearest float64 numbers."""
        return self.whole + self.part / _ONE

    @property
    def order(self) -> np.ndarray:
        """The numbers times 2³², as int64 that compare as they do; for numbers below 2³¹."""
        return self.whole * _ONE + self.part

    def same(self, other: Exact) -> bool:
        """Whether every bit is the same."""
        return np.array_equal(self.whole, other.whole) and np.array_equal(self.part, other.part)
