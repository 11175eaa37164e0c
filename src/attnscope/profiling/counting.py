"""One text's attention in, its sums out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.analysis.stacks import stacks
from attnscope.profiling.measures import applying, chance_of
from attnscope.profiling.tally import Tally

if TYPE_CHECKING:
    from attnscope.attention.capture import Attention


class _Sums:
    """Float64 sums over rows, and their number."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.rows = np.zeros(shape, np.int64)
        self.total, self.squares = np.zeros(shape), np.zeros(shape)

    def put(self, place: Any, values: list[np.ndarray]) -> None:
        """Add rows, the last axis of each statistic's values; NaN does not count."""
        numbers = np.stack(values, dtype=np.float64, casting="same_kind")
        counts = ~np.isnan(numbers)
        numbers[~counts] = 0
        self.rows[place] += counts.sum(axis=-1)
        self.total[place] += numbers.sum(axis=-1)
        self.squares[place] += (numbers**2).sum(axis=-1)

    @property
    def tally(self) -> Tally:
        """The sums as exact numbers."""
        return Tally.of_rows(self.rows, self.total, self.squares)


def count(attention: Attention, names: tuple[str, ...], *, content: bool) -> tuple[Tally, Tally]:
    """Sum statistics over the rows of every head of one text.

    Parameters
    ----------
    names
        The statistics; those that no row can show count no row.
    content
        Leave special tokens out on both sides, and scale what is left of each row to sum 1.

    Returns
    -------
    Tally, Tally
        Of the heads, [statistics, layers, heads], and of uniform attention under the same masks, [statistics, layers].
    """
    shape = (len(names), attention.n_layers, attention.n_heads)
    heads, chance = _Sums(shape), _Sums(shape[:2])
    measures = applying(attention, names)
    if not measures:
        return heads.tally, chance.tally
    numbers = np.array(list(measures))
    for stack in stacks(attention, content=content):
        of_heads = [measure(stack.rows) for measure in measures.values()]
        heads.put((numbers[:, None], stack.layers, stack.heads), of_heads)
        uniform, layers = stack.rows.block.uniform(), np.unique(stack.layers)
        of_chance = [chance_of(measure)(uniform) for measure in measures.values()]
        chance.put((numbers[:, None], layers), [values[None] for values in of_chance])
    return heads.tally, chance.tally
