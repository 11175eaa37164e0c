"""One text's attention in, its sums out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.profiling.measures import applying, chance_of
from attnscope.profiling.stacked import stacks
from attnscope.profiling.tally import Tally

if TYPE_CHECKING:
    from attnscope.analysis.blocks import Block
    from attnscope.analysis.measures import Measure
    from attnscope.attention.capture import Attention


class _Sums:
    """Float64 sums over rows, and their number."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.rows = np.zeros(shape, np.int64)
        self.total, self.squares = np.zeros(shape), np.zeros(shape)

    def put(self, place: Any, values: list[np.ndarray]) -> None:
        """Add rows, the last axis of each statistic's values; NaN does not count."""
        numbers = np.stack(values, dtype=np.float64, casting="same_kind")
        missing = np.isnan(numbers)
        np.copyto(numbers, 0, where=missing)
        self.rows[place] += numbers.shape[-1] - np.count_nonzero(missing, axis=-1)
        self.total[place] += numbers.sum(axis=-1)
        self.squares[place] += np.einsum("...i,...i->...", numbers, numbers)

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
    block, of_chance = None, []
    for stack in stacks(attention, content=content):
        heads.put((numbers[:, None], stack.layers, stack.heads), [measure(stack.rows) for measure in measures.values()])
        if stack.rows.block is not block:
            block = stack.rows.block
            of_chance = _of_uniform(block, [chance_of(measure) for measure in measures.values()])
        chance.put((numbers[:, None], np.unique(stack.layers)), of_chance)
    return heads.tally, chance.tally


def _of_uniform(block: Block, measures: list[Measure]) -> list[np.ndarray]:
    """Measure rows that spread their weight evenly, once what is asked for twice: each [1, rows]."""
    uniform = block.uniform()
    found = {measure: measure(uniform)[None] for measure in dict.fromkeys(measures)}
    return [found[measure] for measure in measures]
