"""All heads beside each other."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np

from attnscope.analysis.rows import attention_of
from attnscope.analysis.statistics import STATISTICS
from attnscope.analysis.statistics import statistic as statistic_of
from attnscope.plot import style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from attnscope.attention.capture import Capture

THUMBNAIL = 32
"""Most cells along a head's side."""
MOST_PIXELS = 1 << 22
"""Cells drawn in all; with more heads, each is drawn coarser."""


@style.on_paper
def head_grid(
    c: Capture,
    *,
    statistic: str | None = None,
    layers: Sequence[int] | None = None,
    heads: Sequence[int] | None = None,
    vmax: float = 1.0,
    ax: Axes | None = None,
    kind: str | None = None,
) -> Figure:
    """Draw every head at its place: layers from top to bottom, heads from left to right, one colour scale.

    Saved as SVG or PDF, up to 128 × 128 cells in all are vectors; more are an image, which keeps the file small.

    Parameters
    ----------
    statistic
        Colour each head by a statistic of ``analysis.STATISTICS``; None draws its weights as a small heat map.
    layers, heads
        True layer numbers and heads to show; None for all.
    vmax
        The number of the darkest colour; statistics that count tokens go to the largest there is.
    ax
        Where to draw; None makes a figure.

    Examples
    --------
    >>> plot.head_grid(c, layers=[1], statistic="induction").savefig("heads.svg")
    """
    attention = attention_of(c, kind)
    numbers = list(attention.layers if layers is None else layers)
    columns = list(range(attention.n_heads) if heads is None else heads)
    for number in numbers:
        attention.layer(number)
    for head in columns:
        attention.head(max(numbers, key=lambda each: attention.layer(each).n_heads), head)
    if statistic is not None:
        return _by_statistic(c, statistic, numbers, columns, vmax, ax, kind)
    size = int(np.clip(np.sqrt(MOST_PIXELS / (len(numbers) * len(columns))), 4, THUMBNAIL))
    sides = [-(-n // -(-n // size)) for n in (len(attention.queries), len(attention.keys))]
    gap = max(1, max(sides) // 12)
    tall, wide = sides[0] + gap, sides[1] + gap
    sheet = np.full((len(numbers) * tall - gap, len(columns) * wide - gap), np.nan, np.float32)
    for row, number in enumerate(numbers):
        layer = attention.layer(number)
        spans = [-(-n // size) for n in (layer.n_queries, layer.n_keys)]
        visible = layer.mask.pooled(*spans)
        for column, head in enumerate(columns):
            if head < layer.n_heads:
                cell = np.where(visible, layer.overview(head, size), 0)
                sheet[row * tall : row * tall + sides[0], column * wide : column * wide + sides[1]] = cell
    each = max(0.5, min(1.1, 6 / max(len(columns), len(numbers))))
    figure, ax = style.axes_for(ax, min(10, 1.6 + each * len(columns)), min(12, 1.0 + each * len(numbers)))
    colors = style.ramp().with_extremes(bad="white")
    image = style.cells(ax, sheet, colors, (0, vmax), aspect=sides[1] / sides[0])
    _number(ax, "x", columns, wide, sides[1])
    _number(ax, "y", numbers, tall, sides[0])
    ax.spines[:].set_visible(False)
    ax.set(xlabel="head", ylabel="layer")
    cell_of = max(-(-n // size) for n in (len(attention.queries), len(attention.keys)))
    style.name(ax, c.model_name or f"{attention.kind} attention")
    style.scale_beside(ax, image, "weight" if cell_of == 1 else f"largest weight of {cell_of} tokens")
    return figure


def _by_statistic(
    c: Capture,
    statistic: str,
    numbers: list[int],
    columns: list[int],
    vmax: float,
    ax: Axes | None,
    kind: str | None,
) -> Figure:
    values = statistic_of(c, statistic, kind=kind)
    values = values[np.ix_([attention_of(c, kind).layers.index(number) for number in numbers], columns)]
    low, high = 0.0, float(vmax)
    if STATISTICS[statistic].in_tokens:
        there = values[~np.isnan(values)]
        low, high = float(there.min(initial=0)), float(there.max(initial=0)) or 1.0
    signed = low < 0
    if signed:
        low, high = -max(-low, high), max(-low, high)
    figure, ax = style.axes_for(ax, min(10, max(4.2, 2.0 + 0.3 * len(columns))), min(12, 1.4 + 0.3 * len(numbers)))
    image = style.cells(ax, values, (style.diverging if signed else style.ramp)(), (low, high))
    _number(ax, "x", columns, 1, 1)
    _number(ax, "y", numbers, 1, 1)
    ax.spines[:].set_visible(False)
    ax.set(xlabel="head", ylabel="layer")
    style.name(ax, fill(STATISTICS[statistic].says, 44))
    style.scale_beside(ax, image, statistic)
    return figure


def _number(ax: Axes, side: str, names: Sequence[int], step: int, inner: int) -> None:
    every = max(1, -(-len(names) // 24))
    ticks = [at * step + (inner - 1) / 2 for at in range(0, len(names), every)]
    (ax.set_xticks if side == "x" else ax.set_yticks)(ticks, [str(each) for each in names[::every]])
    ax.tick_params(axis="x" if side == "x" else "y", length=0, labelsize="small")
