"""What all figures share: a figure outside pyplot, colours everybody can tell apart, tokens as plain text."""

from __future__ import annotations

import io
from functools import cache, wraps
from typing import TYPE_CHECKING, Any, Literal, ParamSpec

import numpy as np
from matplotlib import rc_context, rcParams
from matplotlib.colors import Colormap, LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager

from attnscope.export.labels import shown
from attnscope.export.palette import LIGHT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.colorbar import Colorbar

P = ParamSpec("P")

LINES = tuple(tuple(part / 255 for part in color) for color in LIGHT.heads)
"""Line colours; every line also has its own dash and its own mark."""
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)), (0, (1, 1)), (0, (7, 2)), (0, (3, 1, 1, 1)))
MARKS = "osD^vPX*"
MOST_VECTORS = 128 * 128
"""Cells drawn as vectors; with more, files for papers would take tens of megabytes, and cells are smaller than a dot of
print."""
MOST_LABELS = 48
"""Token labels along a side; more tokens are labelled at even steps."""
MOST_LETTERS = 16
_MORE_FONTS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "WenQuanYi Zen Hei", "Hiragino Sans", "Microsoft YaHei", "Arial Unicode MS",
    "Noto Sans Arabic", "Noto Sans Hebrew", "Noto Sans Devanagari", "Noto Sans Symbols2", "Noto Emoji",
    "Segoe UI Emoji", "DejaVu Sans",
)  # fmt: skip


PAPER: Any = {
    "figure.facecolor": LIGHT.ground,
    "savefig.facecolor": "auto",
    "axes.facecolor": LIGHT.ground,
    "axes.edgecolor": LIGHT.faint,
    **dict.fromkeys(
        ("text.color", "axes.labelcolor", "axes.titlecolor", "xtick.labelcolor", "ytick.labelcolor"), LIGHT.ink
    ),
    "xtick.color": LIGHT.faint,
    "ytick.color": LIGHT.faint,
}
"""Dark on white, whatever style the session has."""


def on_paper(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Let a function that makes a figure of its own make it dark on white; axes that are given keep their style."""

    @wraps(draw)
    def drawn(*given: P.args, **named: P.kwargs) -> Figure:
        with rc_context(PAPER if named.get("ax") is None else {}):
            return draw(*given, **named)

    return drawn


class Picture(Figure):
    """A figure that a notebook shows as it is, with or without pyplot."""

    def _repr_png_(self) -> bytes:
        """Draw it."""
        held = io.BytesIO()
        self.savefig(held, format="png", dpi=120)
        return held.getvalue()


def axes_for(ax: Axes | None, width: float, height: float) -> tuple[Figure, Axes]:
    """Take the axes that were given, or make a figure of that size in inches."""
    if ax is not None:
        root = ax.figure
        while not isinstance(root, Figure):
            root = root.figure
        return root, ax
    figure = Picture(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


@cache
def ramp() -> Colormap:
    """From no weight to the most; what is masked is grey."""
    return _colors("attnscope", LIGHT.ramp)


@cache
def diverging() -> Colormap:
    """From below 0 to above, nothing in the middle white."""
    return _colors("attnscope signed", LIGHT.diverging)


def _colors(name: str, stops: Sequence[tuple[int, int, int]]) -> Colormap:
    found = LinearSegmentedColormap.from_list(name, [tuple(part / 255 for part in stop) for stop in stops])
    return found.with_extremes(bad=LIGHT.line)


def line(at: int) -> dict[str, Any]:
    """Colour, dash and mark of a line."""
    return {"color": LINES[at % len(LINES)], "linestyle": DASHES[at % len(DASHES)], "marker": MARKS[at % len(MARKS)]}


def plain() -> dict[str, Any]:
    """How text that holds tokens is drawn: no mathematics, no TeX, in fonts that have its characters."""
    return {"parse_math": False, "usetex": False, "family": list(_families(tuple(rcParams["font.family"])))}


@cache
def _families(first: tuple[str, ...]) -> tuple[str, ...]:
    there = {font.name for font in fontManager.ttflist}
    return (*first, *(name for name in _MORE_FONTS if name in there and name not in first))


def written(token: str, most: int = MOST_LETTERS) -> str:
    """Write a token so that all of it is seen, cut to some letters."""
    text = shown(token.removeprefix(" ") or token)
    return text if len(text) <= most else text[: most - 1] + "…"


def label_tokens(ax: Axes, side: str, tokens: Sequence[str], *, turn: float = 0) -> None:
    """Write tokens along the ``"x"`` or ``"y"`` axis, at positions 0, 1, …"""
    step = max(1, -(-len(tokens) // MOST_LABELS))
    ticks = list(range(0, len(tokens), step))
    size = float(np.clip(360 / max(len(tokens) / step, 1), 5, 9))
    labels = [written(tokens[at]) for at in ticks]
    (ax.set_xticks if side == "x" else ax.set_yticks)(ticks, labels)
    plain_ticks(ax, side)
    for text in (ax.get_xticklabels if side == "x" else ax.get_yticklabels)():
        text.set(fontsize=size)
        if turn:
            text.set(rotation=turn, rotation_mode="anchor", ha="right", va="center")


def plain_ticks(ax: Axes, side: str) -> None:
    """Draw the tick labels of one axis, on both sides of the figure, as plain text."""
    for tick in (ax.xaxis if side == "x" else ax.yaxis).get_major_ticks():
        for text in (tick.label1, tick.label2):
            text.set(**plain())


def name(ax: Axes, title: str) -> None:
    """Set a title that may hold tokens."""
    ax.set_title(title, fontsize="medium", **plain())


def keyed(ax: Axes) -> None:
    """Put a legend beside the figure, whose entries may hold tokens."""
    legend = ax.legend(fontsize="small", frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    for text in legend.get_texts():
        text.set(**plain())


def bare(ax: Axes) -> None:
    """Take away what a line figure needs not."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(visible=True, color=LIGHT.line, linewidth=0.6)
    ax.set_axisbelow(True)


def cells(
    ax: Axes,
    values: np.ndarray,
    colors: Colormap,
    ends: tuple[float, float],
    *,
    aspect: float | Literal["equal"] = "equal",
    extent: tuple[float, float] | None = None,
) -> ScalarMappable:
    """Draw a matrix from its top left corner: as vectors up to ``MOST_VECTORS`` cells, as an image beyond.

    Parameters
    ----------
    values
        float [rows, columns]; NaN where there is no number.
    colors, ends
        The colours, and the numbers of the first and the last.
    aspect
        Height of a cell as a part of its width.
    extent
        Where the last row and the last column end, if not after as many units as there are; the first begin at 0 then.
    """
    shown, (rows, columns) = np.ma.masked_invalid(values), values.shape
    start, tall, wide = (-0.5, rows - 0.5, columns - 0.5) if extent is None else (0.0, *extent)
    if values.size > MOST_VECTORS:
        return ax.imshow(
            shown, cmap=colors, vmin=ends[0], vmax=ends[1], interpolation="none", aspect=aspect,
            extent=(start, wide, tall, start),
        )  # fmt: skip
    # An edge in its own colour closes the seams that viewers of PDF and SVG leave between neighbours.
    mesh = ax.pcolormesh(
        np.linspace(start, wide, columns + 1), np.linspace(start, tall, rows + 1), shown, cmap=colors, vmin=ends[0],
        vmax=ends[1], edgecolors="face", linewidth=0.1,
    )  # fmt: skip
    ax.set(xlim=(start, wide), ylim=(tall, start), aspect=aspect)
    return mesh


def scale_beside(ax: Axes, image: ScalarMappable, label: str) -> Colorbar:
    """Say what the colours mean."""
    bar = ax.figure.colorbar(image, ax=ax, shrink=0.85, pad=0.02)
    if bar.solids is not None:
        bar.solids.set(rasterized=False, edgecolor="face")
    bar.set_label(label, fontsize="small")
    bar.ax.tick_params(labelsize="small")
    return bar


def write_values(ax: Axes, values: np.ndarray, most: float) -> None:
    """Write every number into its cell, dark on light and light on dark; none where there is none."""
    for i, j in np.argwhere(np.isfinite(values)).tolist():
        color = "white" if abs(values[i, j]) > 0.55 * most else LIGHT.ink
        number = f"{round(values[i, j], 2) + 0.0:.2f}"  # never -0.00
        ax.text(j, i, number, ha="center", va="center", fontsize=6.5, color=color)
