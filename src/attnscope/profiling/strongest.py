"""The few texts in which a statistic of a head is strongest, kept while others go by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

NONE = np.iinfo(np.int64).min
"""Stands where fewer texts have been seen than are kept."""


@dataclass(frozen=True, eq=False)
class Strongest:
    """Texts by the mean of a statistic over their rows, the largest first, the earlier text before its equals.

    Parameters
    ----------
    order
        int64 [..., kept]: the means in fixed point, times 2³².
    texts
        int64 [..., kept]: numbers of the texts; -1 where there is none.
    """

    order: np.ndarray
    texts: np.ndarray

    @classmethod
    def of(cls, order: np.ndarray, texts: np.ndarray, counts: np.ndarray, keep: int) -> Strongest:
        """Keep the strongest of some texts.

        Parameters
        ----------
        order
            int64 [texts, ...]: each text's mean.
        texts
            int64 [texts]: their numbers.
        counts
            bool [texts, ...]: whether any row of the text counts.
        keep
            How many.
        """
        numbers = np.broadcast_to(texts.reshape(-1, *[1] * (order.ndim - 1)), order.shape)
        values = np.moveaxis(np.where(counts, order, NONE), 0, -1)
        return _first(values, np.moveaxis(np.where(counts, numbers, -1), 0, -1), keep)

    def merge(self, other: Strongest) -> Strongest:
        """Keep the strongest of both."""
        keep = self.texts.shape[-1]
        return _first(
            np.concatenate([self.order, other.order], -1), np.concatenate([self.texts, other.texts], -1), keep
        )

    def same(self, other: Strongest) -> bool:
        """Whether every bit is the same."""
        return np.array_equal(self.order, other.order) and np.array_equal(self.texts, other.texts)


def _first(order: np.ndarray, texts: np.ndarray, keep: int) -> Strongest:
    missing = keep - order.shape[-1]
    if missing > 0:
        edge = [(0, 0)] * (order.ndim - 1) + [(0, missing)]
        order, texts = np.pad(order, edge, constant_values=NONE), np.pad(texts, edge, constant_values=-1)
    best = np.lexsort((texts, ~order), axis=-1)[..., :keep]
    return Strongest(np.take_along_axis(order, best, -1), np.take_along_axis(texts, best, -1))
