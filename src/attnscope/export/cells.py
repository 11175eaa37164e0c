"""Cells as vectors: a grid of numbers with labels, masked cells hatched."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from attnscope.export.labels import fitted, shown, text_width
from attnscope.export.measures import form_of
from attnscope.export.palette import hexadecimal, ink_on, ramp_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attnscope.export.axis import Axis
    from attnscope.export.figure import Figure
    from attnscope.export.palette import Color, Palette
    from attnscope.export.series import Series

SHADES = 64
VALUES = 30
"""Pixels a cell needs for its number to be written in it."""
_TURN = 0.866
"""Height of a label turned by 60°, as a part of its length."""
Box = tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class Grid:
    """Numbers of some queries and keys, or the largest of several where tokens are more than cells.

    Parameters
    ----------
    values
        float32 [cells down, cells across], NaN where there is no number.
    rows, columns
        The places shown.
    spans
        Places per cell, down and across.
    axes
        What stands at the places.
    """

    values: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    spans: tuple[int, int]
    axes: tuple[Axis, Axis]

    @property
    def is_exact(self) -> bool:
        """Whether every cell is one number."""
        return self.spans == (1, 1)


def pooled(series: Series, most: int, rows: np.ndarray, columns: np.ndarray) -> Grid:
    """Read a part of a head's numbers, the largest of each cell where tokens are more than ``most``."""
    tall, wide = (max(1, -(-len(places) // most)) for places in (rows, columns))
    signed = form_of(series.measure) == "signed"
    starts = np.arange(0, len(columns), wide)
    values = np.full((-(-len(rows) // tall), len(starts)), np.nan, np.float32)
    step = tall * max(1, 256 // tall)
    for start in range(0, len(rows), step):
        block = series.rows(rows[start : start + step])[:, columns]
        for at in range(0, len(block), tall):
            values[(start + at) // tall] = _largest(block[at : at + tall], starts, signed=signed)
    return Grid(values, rows, columns, (tall, wide), (series.queries, series.keys))


def _largest(block: np.ndarray, starts: np.ndarray, *, signed: bool) -> np.ndarray:
    most = np.fmax.reduceat(np.fmax.reduce(block, axis=0), starts)
    if not signed:
        return most
    least = np.fmin.reduceat(np.fmin.reduce(block, axis=0), starts)
    return np.where(np.abs(least) > np.abs(most), least, most)


def paint_grid(
    figure: Figure,
    corner: tuple[float, float],
    room: float,
    grid: Grid,
    shades: np.ndarray,
    ramp: Sequence[Color],
    pinned: tuple[Sequence[int], Sequence[int]],
    palette: Palette,
    *,
    names: bool = True,
    tallest: float = 620,
    blank: np.ndarray | None = None,
    left: float | None = None,
) -> Box:
    """Draw a grid with its labels, pinned rows and columns framed; give where its cells are.

    Parameters
    ----------
    corner, room
        Where its labels begin, and how wide all may be.
    shades
        From 0 to 1 per cell.
    pinned
        Places pinned on both sides.
    names
        Whether rows are named.
    tallest
        How tall its cells may be.
    blank
        bool per cell: where there is no such query or key.
    left
        Room for the names of rows; None for as much as they need.
    """
    labels = _Labels(grid, pinned, 130.0 if room > 400 else 80.0 if left is None else 64.0)
    height, width = grid.values.shape
    if left is None:
        left = labels.wide(0) + 8 if names else 0
    top = labels.wide(1) * _TURN + 10
    largest = 44 if max(height, width) <= 16 else 34 if max(height, width) <= 20 else 26
    wide, tall = min((room - left) / width, largest), min(tallest / height, largest)
    if height == width:
        wide = tall = min(wide, tall)
    wide, tall = sharp(wide), sharp(tall)
    x, y = corner[0] + left, corner[1] + top
    paint_cells(figure, (x, y), (wide, tall), shades, ramp, palette, blank=blank)
    labels.paint(figure, (x, y), (wide, tall), palette, names=names)
    gap = 1.0 if min(wide, tall) >= 9 else 0.0
    if min(wide, tall) >= VALUES:
        _paint_values(figure, (x, y), (wide, tall), grid.values, shades, ramp)
    figure.rect(x - 0.5, y - 0.5, width * wide + 1 - gap, height * tall + 1 - gap, stroke=palette.line, thick=1)
    _paint_pinned(figure, (x, y, width * wide, height * tall), (wide, tall), grid, pinned, palette)
    return x, y, width * wide, height * tall


def paint_cells(
    figure: Figure,
    corner: tuple[float, float],
    size: tuple[float, float],
    shades: np.ndarray,
    ramp: Sequence[Color],
    palette: Palette,
    *,
    blank: np.ndarray | None = None,
) -> None:
    """Draw cells by their shades, hatched where there is none; ``size`` is a cell's, across and down."""
    height, width = shades.shape
    whole = width * size[0], height * size[1]
    if np.isnan(shades).any():
        figure.lines(hatch(*corner, *whole), color=palette.hatch)
    gap = 1.0 if min(size) >= 9 else 0.0
    by_color = runs_by_color(shades, ramp)
    if blank is not None:
        for _, runs in runs_by_color(np.where(blank, 0.0, np.nan), ramp):
            figure.cells(corner, size, runs, fill=palette.placeholder)
    if np.isnan(shades).any():
        figure.cells(corner, size, (run for _, runs in by_color for run in runs), fill=palette.ground)
    for color, runs in by_color:
        figure.cells(corner, size, runs, fill=color, gap=gap)


def runs_by_color(
    shades: np.ndarray, ramp: Sequence[Color], levels: int = SHADES
) -> list[tuple[str, list[tuple[int, int, int]]]]:
    """Group cells by colour, neighbours in a row as one run of row, column, length."""
    steps = np.where(np.isnan(shades), -1, np.round(np.nan_to_num(shades) * (levels - 1))).astype(int)
    runs: dict[int, list[tuple[int, int, int]]] = {}
    for row, line in enumerate(steps):
        edges = np.concatenate(([0], np.flatnonzero(np.diff(line)) + 1, [len(line)]))
        for start, stop in pairwise(edges):
            if line[start] >= 0:
                runs.setdefault(int(line[start]), []).append((row, int(start), int(stop - start)))
    return [(hexadecimal(ramp_at(tuple(ramp), level / (levels - 1))), runs[level]) for level in sorted(runs)]


class _Labels:
    """The names of rows and columns: tokens, or positions where a cell holds several or is too small."""

    def __init__(self, grid: Grid, pinned: tuple[Sequence[int], Sequence[int]], most: float) -> None:
        self.grid, self.pinned = grid, pinned
        self.size = 11.0 if max(grid.values.shape) <= 40 else 9.0
        self.labels = [self._of(side, most) for side in (0, 1)]

    def _of(self, side: int, most: float) -> list[tuple[int, str]]:
        axis, span = self.grid.axes[side], self.grid.spans[side]
        places = (self.grid.rows, self.grid.columns)[side]
        if span > 1:
            count = self.grid.values.shape[side]
            pins = {
                place: int(np.searchsorted(places, place)) // span for place in self.pinned[side] if place in places
            }
            ticks = [
                (cell, f"{places[cell * span]:,}")
                for cell in range(0, count, max(1, count // 8))
                if all(abs(cell - pin) > count // 24 for pin in pins.values())
            ]
            return ticks + [(cell, fitted(shown(axis.text[place]), self.size, most)) for place, cell in pins.items()]
        return [(cell, fitted(shown(axis.text[place]), self.size, most)) for cell, place in enumerate(places)]

    def wide(self, side: int) -> float:
        return max((text_width(text, self.size) for _, text in self.labels[side]), default=0.0)

    def paint(
        self, figure: Figure, corner: tuple[float, float], size: tuple[float, float], palette: Palette, *, names: bool
    ) -> None:
        for side, labels in enumerate(self.labels):
            if side == 0 and not names:
                continue
            axis, span, cell_size = self.grid.axes[side], self.grid.spans[side], size[1 - side]
            places = (self.grid.rows, self.grid.columns)[side]
            skip = max(1, int(np.ceil((self.size + 1) / cell_size))) if span == 1 else 1
            for cell, text in labels:
                held = {int(np.searchsorted(places, place)) // span for place in self.pinned[side] if place in places}
                bold = cell in held
                if cell % skip and not bold:
                    continue
                faint = not bold and (span > 1 or bool(axis.special[places[cell]]))
                fill = palette.faint if faint else palette.ink
                middle = corner[1 - side] + (cell + 0.5) * cell_size
                if side == 0:
                    y = middle + self.size * 0.36
                    figure.text(corner[0] - 6, y, text, size=self.size, fill=fill, anchor="end", bold=bold)
                else:
                    x = middle + self.size * 0.2
                    figure.text(x, corner[1] - 6, text, size=self.size, fill=fill, bold=bold, turned=-60)


def _paint_values(
    figure: Figure,
    corner: tuple[float, float],
    size: tuple[float, float],
    values: np.ndarray,
    shades: np.ndarray,
    ramp: Sequence[Color],
) -> None:
    for row, column in zip(*np.nonzero(~np.isnan(values)), strict=True):
        fill = ink_on(ramp_at(tuple(ramp), float(shades[row, column])))
        x, y = corner[0] + (column + 0.5) * size[0] - 0.5, corner[1] + (row + 0.5) * size[1] + 3
        figure.text(x, y, f"{values[row, column]:.2f}", size=10, fill=fill, anchor="middle")


def _paint_pinned(
    figure: Figure,
    box: Box,
    size: tuple[float, float],
    grid: Grid,
    pinned: tuple[Sequence[int], Sequence[int]],
    palette: Palette,
) -> None:
    """Frame the pinned rows and columns."""
    left, top, width, height = box
    for side, places in enumerate((grid.rows, grid.columns)):
        for unit in pinned[side]:
            found = np.flatnonzero(places == unit)
            if not found.size:
                continue
            at, thick = int(found[0]) // grid.spans[side] * size[1 - side], max(size[1 - side], 3)
            frame = (left - 2, top + at, width + 4, thick) if side == 0 else (left + at, top - 2, thick, height + 4)
            figure.rect(*frame, stroke=palette.accent)


def hatch(x: float, y: float, width: float, height: float, step: float = 6) -> list[Box]:
    """Give slanted lines that fill a rectangle and stay inside it."""
    segments = []
    for shift in np.arange(step, width + height, step):
        start, stop = max(0.0, shift - height), min(width, shift)
        segments.append((x + start, y + shift - start, x + stop, y + shift - stop))
    return segments


def hatch_sign(figure: Figure, x: float, y: float, palette: Palette, *, hidden: bool = False) -> None:
    """Say what hatched cells are."""
    figure.rect(x, y, 16, 10, stroke=palette.line, thick=1)
    figure.lines(hatch(x, y, 16, 10, 4), color=palette.hatch)
    text = "masked or hidden: no number" if hidden else "masked: the key is hidden from the query"
    figure.text(x + 22, y + 9, text, size=11, fill=palette.faint)


def sharp(size: float) -> float:
    """Round a cell's size down, so that cells stand on pixels."""
    return float(int(size)) if size >= 4 else max(0.5, int(size * 2) / 2)
