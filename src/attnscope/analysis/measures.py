"""What is measured on a row of weights: each takes rows and gives a number per row, NaN for rows that do not count.

Rows are those of one head, or of several at once with one more axis before them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.analysis.targets import Given

if TYPE_CHECKING:
    from attnscope.analysis.blocks import Rows, Target

Measure = Callable[[Any], np.ndarray]
"""Takes :class:`~attnscope.analysis.blocks.Rows`, or their sums alone where it needs no single weight."""


def lasting_name(measure: Measure) -> Hashable | None:
    """Name a measure so that the same one has the same name later; None where it holds what a user gave."""
    if isinstance(measure, partial):
        return measure.func, measure.args, *sorted(measure.keywords.items())
    if isinstance(measure, Share) and isinstance(measure.target, Given):
        return None
    return measure


def entropy_of_rows(rows: Rows) -> np.ndarray:
    """Entropy of each row in nats, of the row scaled to sum 1 where a sink takes part of it."""
    return rows.entropy


def normalized_entropy(rows: Rows) -> np.ndarray:
    """Entropy of each row as a share of the most it could be; NaN where a query sees a single key."""
    most = np.log(np.maximum(rows.seen, 1))
    return np.divide(rows.entropy, most, out=np.full(rows.entropy.shape, np.nan), where=most > 0)


def effective_of_rows(rows: Rows, order: int = 1) -> np.ndarray:
    """Effective number of keys of each row."""
    return np.exp(rows.entropy) if order == 1 else 1 / rows.squares


def distance_of_rows(rows: Rows, *, signed: bool = False) -> np.ndarray:
    """Mean distance of each row in tokens, or mean offset with its sign."""
    return rows.distance(signed=signed)


@dataclass(frozen=True)
class Share:
    """Each row's weight on the keys of a pattern; NaN where the row sees none of them."""

    target: Target

    def __call__(self, rows: Rows) -> np.ndarray:
        """Measure each row."""
        return rows.share(self.target)


def max_of_rows(rows: Rows) -> np.ndarray:
    """Largest weight of each row."""
    return rows.largest


@dataclass(frozen=True)
class Confidence:
    """Largest weight of each row, without the end-of-sentence token as query, as key, or both."""

    query: bool = True
    key: bool = True

    def __call__(self, rows: Rows) -> np.ndarray:
        """Measure each row."""
        queries, keys = rows.block.queries, rows.block.keys
        weights = rows.weights
        if self.key and keys.special[-1:].any():
            weights = weights[..., :-1]
        largest = weights.max(axis=-1, initial=0)
        if self.query and queries.special[-1:].any():
            largest = np.where(rows.positions == len(queries) - 1, np.nan, largest)
        return largest


def gini_of_rows(rows: Rows) -> np.ndarray:
    """Gini coefficient of each row over the keys it sees; NaN where that is a single key."""
    return rows.gini


def needed_of_rows(rows: Rows, share: float = 0.9) -> np.ndarray:
    """Number of strongest keys of each row that hold a share of its weight."""
    held = np.cumsum(rows.ascending[..., ::-1], axis=-1, dtype=np.float64)
    enough = share * held[..., -1:] * (1 - 1e-6)
    return np.where(np.isnan(held[..., -1]), np.nan, 1.0 + (held < enough).sum(axis=-1))


def negligible_of_rows(rows: Rows) -> np.ndarray:
    """Share of each row's weights that are below a hundredth of an even share."""
    small = rows.block.allowed & (rows.weights < 0.01 / np.maximum(rows.seen, 1)[:, None])
    return small.sum(axis=-1) / np.maximum(rows.seen, 1)
