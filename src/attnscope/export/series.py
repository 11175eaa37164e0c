"""What has one colour: the selected heads, joined or one by one, and their numbers row by row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attnscope.export.headname import head_name, short_head_name
from attnscope.export.measures import form_of
from attnscope.wire.answers.cells import rows_shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from attnscope.attention.capture import Attention, Capture
    from attnscope.export.axis import Axis

ROWS = 256
"""Rows read at once where all are needed."""


@dataclass(frozen=True)
class Series:
    """One head, or several joined into one.

    Parameters
    ----------
    capture, attention
        What is shown.
    heads
        The [layer, head] pairs behind it.
    queries, keys
        The places of both sides.
    measure
        Name of the numbers.
    aggregate
        How several heads are joined: ``"mean"`` or ``"max"``; ``"none"`` for one head.
    special_tokens
        Whether special keys take part; if not, other shares are rescaled to what the softmax would have given.
    """

    capture: Capture
    attention: Attention
    heads: tuple[tuple[int, int], ...]
    queries: Axis
    keys: Axis
    measure: str = "weights"
    aggregate: str = "none"
    special_tokens: bool = True

    @property
    def name(self) -> str:
        """What to call it in a title."""
        if self.aggregate != "none":
            return f"{self.aggregate.capitalize()} of {len(self.heads)} heads"
        return head_name(self.attention, self.heads[0])

    @property
    def short(self) -> str:
        """What to call it where there is little room."""
        return self.aggregate if self.aggregate != "none" else short_head_name(self.attention, self.heads[0])

    def rows(self, units: np.ndarray) -> np.ndarray:
        """Numbers of some queries over every key: float32 [queries, keys], NaN where masked or hidden."""
        found = [self._of_head(head, np.asarray(units)) for head in self.heads]
        return found[0] if len(found) == 1 else folded(found, np.maximum if self.aggregate == "max" else np.add)

    def blocks(self) -> list[np.ndarray]:
        """Give where each block of rows lies that is read at once."""
        return [np.arange(start, min(start + ROWS, len(self.queries))) for start in range(0, len(self.queries), ROWS)]

    def column(self, unit: int) -> np.ndarray:
        """Numbers of every query for one key: float32 [queries]."""
        return np.concatenate([self.rows(block)[:, unit] for block in self.blocks()])

    def together(self, side: str, units: Sequence[int]) -> np.ndarray:
        """Numbers of one or several tokens taken as one: queries are averaged, keys added up."""
        if side == "query":
            return folded(list(self.rows(np.asarray(units))), np.add)
        columns = [self.column(unit) for unit in units]
        adding = np.logaddexp if form_of(self.measure) == "score" else np.add
        return columns[0] if len(columns) == 1 else folded(columns, adding, mean=False)

    def removed(self, unit: int) -> float:
        """Share of a query's row that hidden special keys had; 0 where they are shown."""
        if self.special_tokens or form_of(self.measure) != "share":
            return 0.0
        tokens = self.queries.tokens_in(np.array([unit]))
        shares = [np.nansum(self._raw(head, tokens)[:, self.keys.special], axis=1).mean() for head in self.heads]
        return float(np.mean(shares))

    def _raw(self, head: tuple[int, int], tokens: np.ndarray) -> np.ndarray:
        values = rows_shown(self.capture, self.attention, self.measure, head, tokens)
        return self.keys.join(values, scores=form_of(self.measure) == "score")

    def _of_head(self, head: tuple[int, int], units: np.ndarray) -> np.ndarray:
        values = self._raw(head, self.queries.tokens_in(units))
        if not self.special_tokens:
            special = self.keys.special
            if form_of(self.measure) == "share":
                left = 1 - np.nansum(values[:, special], axis=1, keepdims=True, dtype=np.float64)
                values = np.where(left > 1e-6, values / np.maximum(left, 1e-6), values).astype(np.float32)
            values[:, special] = np.nan
        return self.queries.mean(values, units)


def folded(
    rows: Sequence[np.ndarray], join: Callable[[np.ndarray, np.ndarray], np.ndarray], *, mean: bool = True
) -> np.ndarray:
    """Join arrays number by number, over those that have one; additions are averaged, unless ``mean`` says not to."""
    total = rows[0].astype(np.float64)
    counts = (~np.isnan(total)).astype(int)
    for row in rows[1:]:
        both = np.isnan(total), np.isnan(row)
        total = np.where(both[0], row, np.where(both[1], total, join(np.nan_to_num(total), np.nan_to_num(row))))
        counts += ~both[1]
    if mean and join is np.add:
        total = total / np.maximum(counts, 1)
    return total.astype(np.float32)
