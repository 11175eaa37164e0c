"""Two texts as one: equal tokens in one place, insertions and deletions in places of their own.

js/src/views/compare-align.ts has the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attnscope.export.axis import Axis

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, eq=False)
class Aligned:
    """The places of both texts.

    Parameters
    ----------
    first, second
        int [places]: the place in each text; -1 where it has none.
    axis
        What stands there.
    """

    first: np.ndarray
    second: np.ndarray
    axis: Axis

    def place_of(self, unit: int) -> int:
        """Give where a place of the first text is."""
        return int(np.flatnonzero(self.first == unit)[0])

    def beside(self, units: Sequence[int]) -> list[int]:
        """Give the places of the second text beside some of the first."""
        found = self.second[np.isin(self.first, units)]
        return [int(unit) for unit in found if unit >= 0]

    def spread(self, rows: np.ndarray, side: str) -> np.ndarray:
        """Bring numbers of one text to the places of both: NaN where it has none; along the last axis."""
        units = self.first if side == "first" else self.second
        return np.where(units >= 0, rows[..., np.maximum(units, 0)], np.nan)


def align(first: Axis, second: Axis, runs: np.ndarray) -> Aligned:
    """Lay two texts beside each other, given runs of equal tokens as first positions and length."""
    slots: list[tuple[int, int]] = []
    next_first = next_second = 0

    def up_to(end_first: int, end_second: int) -> None:
        nonlocal next_first, next_second
        slots.extend((unit, -1) for unit in range(next_first, end_first))
        slots.extend((-1, unit) for unit in range(next_second, end_second))
        next_first, next_second = max(next_first, end_first), max(next_second, end_second)

    for from_first, from_second, length in runs.tolist():
        for at in range(length):
            one, two = int(first.unit_of[from_first + at]), int(second.unit_of[from_second + at])
            # Words of several pieces are one place, aligned by the first piece that is.
            if one < next_first or two < next_second:
                continue
            up_to(one, two)
            slots.append((one, two))
            next_first, next_second = one + 1, two + 1
    up_to(len(first), len(second))
    pairs = np.array(slots, int).reshape(-1, 2)
    text = tuple(first.text[a] if a >= 0 else second.text[b] for a, b in slots)
    special = np.array([first.special[a] if a >= 0 else second.special[b] for a, b in slots], bool)
    places = np.arange(len(slots) + 1)
    return Aligned(pairs[:, 0], pairs[:, 1], Axis(first.tokens, text, places, special, places[:-1]))
