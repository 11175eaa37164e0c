"""Maps over the image: layers of different grids on one, averaged or side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.errors import InputError, InputTypeError, NotFoundError

if TYPE_CHECKING:
    from attnscope.recording.diffusion.prompt_calls import PromptCall

Chosen = int | Sequence[int] | str | None
"""Steps, layers or heads: None averages over all, ``"all"`` or several keep an axis, one number picks that one."""


class Average:
    """Running sums of weights per grid, in float64."""

    def __init__(self) -> None:
        self.calls = 0
        self._sums: dict[tuple[int, int, int], np.ndarray] = {}

    def add(self, call: PromptCall) -> None:
        """Add one call, its heads averaged."""
        weights = call.mean()
        if call.grid in self._sums:
            self._sums[call.grid] += weights
        else:
            self._sums[call.grid] = weights
        self.calls += 1

    def over(self, rows: int, columns: int, step: int) -> np.ndarray:
        """The mean over all calls on one grid: float64 [rows, columns, prompt tokens]."""
        return sum(
            (on_grid(weights, grid, (rows, columns, step)) for grid, weights in self._sums.items()), np.zeros(())
        ) / max(self.calls, 1)

    @property
    def finest(self) -> tuple[int, int, int]:
        """The finest grid of any call."""
        return min(self._sums, key=lambda grid: grid[2])


def on_grid(weights: np.ndarray, grid: tuple[int, int, int], finer: tuple[int, int, int]) -> np.ndarray:
    """Spread weights [places, tokens] of a grid over a finer one: each fine place has the value of the coarse one.

    Returns
    -------
    numpy.ndarray
        [rows, columns, tokens] of the finer grid.
    """
    rows, columns, step = grid
    ratio = step // finer[2]
    image = weights.reshape(rows, columns, -1)
    down, across = (np.minimum(np.arange(n) // ratio, most - 1) for n, most in ((finer[0], rows), (finer[1], columns)))
    return image[down][:, across]


def resized(maps: np.ndarray, size: tuple[int, int] | None) -> np.ndarray:
    """Give maps [..., rows, columns] another size, each pixel with the value of the place it lies in."""
    if size is None:
        return maps
    height, width = size
    if height < 1 or width < 1:
        raise InputError(f"size is (height, width) in pixels, at least 1; got {size!r}.")
    down = np.arange(height) * maps.shape[-2] // height
    across = np.arange(width) * maps.shape[-1] // width
    return maps[..., down[:, None], across]


def chosen(given: Chosen, n: int, name: str) -> tuple[list[int], bool]:
    """Read a choice of steps, layers or heads.

    Returns
    -------
    list of int, bool
        The numbers, and whether they are kept as an axis.

    Raises
    ------
    NotFoundError
        With how many there are.
    """
    if given is None:
        return list(range(n)), False
    if isinstance(given, str):
        if given != "all":
            raise InputTypeError(f'{name} is a number, several, "all", or None to average; got {given!r}.')
        return list(range(n)), True
    one = isinstance(given, int | np.integer) and not isinstance(given, bool)
    numbers: list[Any] = [given] if one else list(given) if isinstance(given, Sequence | np.ndarray) else [None]
    if not numbers or any(isinstance(i, bool) or not isinstance(i, int | np.integer) for i in numbers):
        raise InputTypeError(f'{name} is a number, several, "all", or None to average; got {given!r}.')
    wrong = [i for i in numbers if not -n <= i < n]
    if wrong:
        raise NotFoundError(f"There is no {name[:-1]} {wrong[0]}: there are {n}, counted from 0.")
    return [int(i) % n for i in numbers], not one
