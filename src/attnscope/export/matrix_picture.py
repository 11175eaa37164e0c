"""Matrices as a picture: one heat map per head, masked cells hatched, with a legend."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from attnscope.export.figure import Figure
from attnscope.export.frame import MARGIN, WIDTH, add_note, add_title, title_height
from attnscope.export.labels import fitted, shown, text_width
from attnscope.export.palette import Palette, hexadecimal, ink_on, ramp_at, series_color
from attnscope.export.series import Series, between, strengths

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attnscope.attention.tokens import Tokens

MOST_CELLS = 128
MOST_CELLS_EACH = 64
"""Most cells along a side, of one matrix alone and of each of several."""
MOST_PANELS = 4
SHADES = 64
_LEGEND = 44


def matrix_figure(
    name: str,
    series: Sequence[Series],
    pinned: tuple[int | None, int | None],
    color_scale: str,
    palette: Palette,
    title: str,
) -> Figure:
    """Draw the matrix of each selected head, the last ``MOST_PANELS`` of them.

    Parameters
    ----------
    name
        Name of the model.
    series
        The heads.
    pinned
        Pinned query and key, or None.
    color_scale
        How numbers become shades.
    palette
        The colours.
    title
        What a screen reader says.
    """
    first = max(0, len(series) - MOST_PANELS)
    most = MOST_CELLS if len(series) == 1 else MOST_CELLS_EACH
    grids = [pooled(one, most) for one in series[first:]]
    domain = _domain(grids, series[0].measure)
    across = 1 if len(grids) == 1 else 2
    panel = _Panel(series[0], grids[0], (WIDTH - 2 * MARGIN - (across - 1) * 20) / across, pinned, palette)
    titled = series if len(grids) == 1 else []
    top = title_height(name, titled, palette) + 8
    named = 22 if len(grids) > 1 else 0
    down = -(-len(grids) // across)
    figure = Figure(WIDTH, top + down * (panel.height + named + 16) + _LEGEND + 24, palette.ground, title)
    add_title(figure, name, titled, palette)
    for i, grid in enumerate(grids):
        x = MARGIN + (i % across) * (panel.room + 20)
        y = top + (i // across) * (panel.height + named + 16)
        if named:
            color = series_color(palette, first + i, len(series))
            figure.rect(x + panel.left, y + 3, 10, 10, fill=color, radius=2)
            figure.text(x + panel.left + 15, y + 12, series[first + i].name, size=12, fill=palette.ink)
        panel.paint(figure, x, y + named, grid, shade_of(grid, domain, series[0].measure, color_scale))
    hidden = any(np.isnan(grid).any() for grid in grids)
    _paint_legend(figure, figure.height - _LEGEND - 20, domain, series[0].measure, color_scale, palette, hidden)
    add_note(figure, _note(series, grids, panel), palette)
    return figure


def pooled(series: Series, most: int) -> np.ndarray:
    """Give the numbers of one head, the largest of each cell where tokens are more than cells; NaN where masked.

    Parameters
    ----------
    series
        The head.
    most
        Most cells along a side.
    """
    n_queries, n_keys = len(series.attention.queries), len(series.attention.keys)
    tall, wide = _span(n_queries, most), _span(n_keys, most)
    starts = np.arange(0, n_keys, wide)
    grid = np.empty((-(-n_queries // tall), len(starts)), np.float32)
    for row in range(len(grid)):
        values = series.rows(np.arange(row * tall, min(n_queries, (row + 1) * tall)))
        grid[row] = np.fmax.reduceat(np.fmax.reduce(values, axis=0), starts)
    return grid


def shade_of(grid: np.ndarray, domain: tuple[float, float], measure: str, color_scale: str) -> np.ndarray:
    """Give a shade from 0 to 1 per cell; NaN stays."""
    if color_scale == "rank":
        return strengths(grid, measure, "rank")
    return between(grid, *domain, color_scale)


class _Panel:
    """One heat map with its labels; every panel of a picture has the same shape."""

    def __init__(
        self,
        series: Series,
        grid: np.ndarray,
        room: float,
        pinned: tuple[int | None, int | None],
        palette: Palette,
    ) -> None:
        self.room, self.palette, self.pinned = room, palette, pinned
        self.rows, self.columns = grid.shape
        self.sides: tuple[Tokens, Tokens] = (series.attention.queries, series.attention.keys)
        self.spans = tuple(-(-len(tokens) // count) for tokens, count in zip(self.sides, grid.shape, strict=True))
        self.size = 11.0 if max(grid.shape) <= 40 else 9.0
        most = 130.0 if room > 400 else 80.0
        self.labels = [self._labels(side, most) for side in (0, 1)]
        self.left, self.top = (
            max((text_width(text, self.size) for _, text in labels), default=0) + 8 for labels in self.labels
        )
        largest = 44 if max(grid.shape) <= 16 else 34 if max(grid.shape) <= 20 else 26
        fits = min((room - self.left) / self.columns, largest), min(620 / self.rows, largest)
        if self.rows == self.columns:
            fits = (min(fits), min(fits))
        self.cell = (_whole(fits[0]), _whole(fits[1]))
        """Size of a cell, across and down."""
        self.height = self.top + self.rows * self.cell[1]

    def _labels(self, side: int, most: float) -> list[tuple[int, str]]:
        """Give the cells that are named, and their names: tokens, or positions where a cell holds several."""
        tokens, span = self.sides[side], self.spans[side]
        count = (self.rows, self.columns)[side]
        if span > 1:
            return [(cell, f"{cell * span:,}") for cell in range(0, count, 16)]
        return [(cell, fitted(shown(tokens[cell]), self.size, most)) for cell in range(count)]

    def paint(self, figure: Figure, x: float, y: float, grid: np.ndarray, shades: np.ndarray) -> None:
        left, top = x + self.left, y + self.top
        width, height = self.columns * self.cell[0], self.rows * self.cell[1]
        figure.rect(left, top, width, height, fill=self.palette.ground)
        figure.lines(hatch(left, top, width, height), color=self.palette.hatch)
        gap = 1.0 if min(self.cell) >= 9 else 0.0
        by_color = _runs_by_color(shades, self.palette)
        seen = (run for _, runs in by_color for run in runs)
        figure.cells((left, top), self.cell, seen, fill=self.palette.ground)
        for color, runs in by_color:
            figure.cells((left, top), self.cell, runs, fill=color, gap=gap)
        self._paint_labels(figure, left, top)
        if min(self.cell) >= 30:
            self._paint_values(figure, left, top, grid, shades)
        figure.rect(left - 0.5, top - 0.5, width + 1 - gap, height + 1 - gap, stroke=self.palette.line)
        self._paint_pinned(figure, left, top, width - gap, height - gap)

    def _paint_labels(self, figure: Figure, left: float, top: float) -> None:
        for side, labels in enumerate(self.labels):
            tokens, span, size = self.sides[side], self.spans[side], self.cell[1 - side]
            skip = max(1, int(np.ceil((self.size + 1) / size))) if span == 1 else 1
            for cell, text in labels:
                pinned = self.pinned[side] is not None and self.pinned[side] == cell * span
                if cell % skip and not pinned:
                    continue
                faint = span > 1 or (bool(tokens.special[cell]) and not pinned)
                fill = self.palette.faint if faint else self.palette.ink
                middle = (cell + 0.5) * size + self.size * 0.36
                if side == 0:
                    figure.text(left - 6, top + middle, text, size=self.size, fill=fill, anchor="end", bold=pinned)
                else:
                    figure.text(left + middle, top - 6, text, size=self.size, fill=fill, bold=pinned, turned=-90)

    def _paint_values(self, figure: Figure, left: float, top: float, grid: np.ndarray, shades: np.ndarray) -> None:
        wide, tall = self.cell
        for row, column in zip(*np.nonzero(~np.isnan(grid)), strict=True):
            text = _short(float(grid[row, column]), wide >= 40)
            fill = ink_on(ramp_at(self.palette, float(shades[row, column])))
            x, y = left + (column + 0.5) * wide - 0.5, top + (row + 0.5) * tall + 3
            figure.text(x, y, text, size=9, fill=fill, anchor="middle")

    def _paint_pinned(self, figure: Figure, left: float, top: float, width: float, height: float) -> None:
        """Frame the pinned row and column."""
        for side, position in enumerate(self.pinned):
            if position is None:
                continue
            size = self.cell[1 - side]
            at = position // self.spans[side] * size
            box = (left, top + at, width, max(size, 3)) if side == 0 else (left + at, top, max(size, 3), height)
            figure.rect(*box, stroke=self.palette.accent)


def hatch(x: float, y: float, width: float, height: float, step: float = 6) -> list[tuple[float, float, float, float]]:
    """Give slanted lines that fill a rectangle and stay inside it."""
    segments = []
    for shift in np.arange(step, width + height, step):
        start, stop = max(0.0, shift - height), min(width, shift)
        segments.append((x + start, y + shift - start, x + stop, y + shift - stop))
    return segments


def _runs_by_color(shades: np.ndarray, palette: Palette) -> list[tuple[str, list[tuple[int, int, int]]]]:
    """Group cells by colour, neighbours in a row as one run of row, column, length."""
    levels = np.where(np.isnan(shades), -1, np.round(np.nan_to_num(shades) * (SHADES - 1))).astype(int)
    runs: dict[int, list[tuple[int, int, int]]] = {}
    for row, line in enumerate(levels):
        edges = np.concatenate(([0], np.flatnonzero(np.diff(line)) + 1, [len(line)]))
        for start, stop in pairwise(edges):
            if line[start] >= 0:
                runs.setdefault(int(line[start]), []).append((row, int(start), int(stop - start)))
    return [(hexadecimal(ramp_at(palette, level / (SHADES - 1))), runs[level]) for level in sorted(runs)]


def _paint_legend(
    figure: Figure,
    y: float,
    domain: tuple[float, float],
    measure: str,
    color_scale: str,
    palette: Palette,
    masked: bool,
) -> None:
    x, wide, shades = MARGIN, 180, 60
    scale = {"linear": "", "log": ", logarithmic", "rank": ", by rank in the row"}[color_scale]
    what = {"weights": "weight", "scores": "score"}[measure] + scale
    for shade in range(shades):
        color = hexadecimal(ramp_at(palette, shade / (shades - 1)))
        figure.rect(x + shade * wide / shades, y, wide / shades, 10, fill=color, sharp=True)
    figure.rect(x - 0.5, y - 0.5, wide + 1, 11, stroke=palette.line)
    ends = ("least", "most") if color_scale == "rank" else tuple(f"{value:.3g}" for value in domain)
    figure.text(x, y + 24, ends[0], size=11, fill=palette.faint)
    figure.text(x + wide, y + 24, ends[1], size=11, fill=palette.faint, anchor="end")
    figure.text(x + wide / 2, y + 24, what, size=11, fill=palette.faint, anchor="middle")
    if masked:
        at = x + wide + 28
        figure.rect(at, y, 16, 10, fill=palette.ground, stroke=palette.line)
        figure.lines(hatch(at, y, 16, 10, 4), color=palette.hatch)
        figure.text(at + 22, y + 9, "no number: the key is hidden from the query", size=11, fill=palette.faint)


def _note(series: Sequence[Series], grids: Sequence[np.ndarray], panel: _Panel) -> str:
    parts = ["rows: queries (from), columns: keys (to)"]
    if max(panel.spans) > 1:
        tall, wide = panel.spans
        parts.append(f"cells: largest of {tall} × {wide} tokens · labels: positions")
    if len(series) > len(grids):
        parts.append(f"last {len(grids)} of {len(series)} heads")
    if not series[0].special_tokens:
        parts.append("special keys hidden, the rest rescaled")
    return " · ".join(parts)


def _domain(grids: Sequence[np.ndarray], measure: str) -> tuple[float, float]:
    """Give the numbers at the ends of the ramp: weights start at 0."""
    seen = np.concatenate([grid[np.isfinite(grid)] for grid in grids])
    if not seen.size:
        return 0.0, 1.0
    least, most = (0.0 if measure == "weights" else float(seen.min())), float(seen.max())
    return (least, most) if most > least else (least, least + 1)


def _span(n: int, most: int) -> int:
    return max(1, -(-n // most))


def _whole(size: float) -> float:
    """Round a cell's size down, so that cells stand on pixels."""
    return float(int(size)) if size >= 4 else max(0.5, int(size * 2) / 2)


def _short(value: float, roomy: bool) -> str:
    """Write a number into a cell, without a zero before the point; a bare zero where it rounds to that."""
    digits = 3 if roomy else 2
    if abs(value) < 0.5 * 10**-digits:
        return "0"
    return f"{value:.{digits}f}".replace("0.", ".", 1) if abs(value) < 1 else f"{value:.{digits - 1}f}"
