"""Draw what was measured: one small plot for each question, ratios on a logarithmic axis, with their spread."""

from __future__ import annotations

import itertools
import math
import re
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter

from benchmarks.report import unique
from benchmarks.rows import Row, Spread, ratio

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = 3
HUES = {
    "attnscope": "#0072b2",
    "eager weights": "#d55e00",
    "TransformerLens": "#009e73",
    "BertViz": "#cc79a7",
    "CircuitsVis": "#e69f00",
}
"""Colours of those who are in many plots; their variants differ by marker."""
OTHER_HUES = ("#56b4e9", "#000000", "#7f7f7f", "#8c564b", "#17becf", "#9467bd", "#bcbd22")
DASHES = ("-", "--", ":", "-.")
MARKERS = "osD^vP*X<>ph"


def plot(rows: list[Row], path: Path) -> None:
    """Write the plots of all questions that have ratios.

    Parameters
    ----------
    rows
        What was measured.
    path
        The picture; its suffix says which kind.
    """
    shown = {question: points(question, rows) for question in unique(row.question for row in rows)}
    shown = {question: found for question, found in shown.items() if found}
    lines = math.ceil(len(shown) / COLUMNS) or 1
    figure = Figure(figsize=(6.2 * COLUMNS, 3.1 * lines), layout="constrained")
    for place, (question, found) in enumerate(shown.items(), start=1):
        axes = figure.add_subplot(lines, COLUMNS, place)
        beside = next(row.beside for row in rows if row.question == question and row.beside)
        draw(axes, found)
        axes.set_title(f"{question}\ntimes {beside}", fontsize=9)
    with mpl.rc_context({"svg.hashsalt": "attnscope"}):
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None)


def points(question: str, rows: list[Row]) -> dict[tuple[str, str], list[tuple[int, Spread]]]:
    """Give what is drawn for one question: for everybody and each model, tokens and ratios above zero."""
    found: dict[tuple[str, str], list[tuple[int, Spread]]] = {}
    for row in rows:
        times = ratio(row, rows) if row.question == question and row.who != row.beside else None
        if times is not None and times.median > 0:
            found.setdefault((row.who, row.model), []).append((row.tokens, times))
    return found


def styled(names: list[str]) -> dict[str, tuple[str, str]]:
    """Give everybody in one plot a colour and a marker."""
    found: dict[str, tuple[str, str]] = {}
    others = itertools.cycle(OTHER_HUES)
    for name, marker in zip(names, itertools.cycle(MARKERS), strict=False):
        known = re.split(r"[,.]", name)[0]
        found[name] = (HUES[known] if known in HUES else next(others), marker)
    return found


def draw(axes: Any, found: dict[tuple[str, str], list[tuple[int, Spread]]]) -> None:
    """Draw the ratios of one question over the tokens; several models of one viewer by full and broken lines."""
    axes.axhline(1, color="#999", linewidth=1)
    tokens = sorted({n for line in found.values() for n, _ in line})
    models = unique(model for _, model in found)
    names = unique(name for name, _ in found)
    styles = styled(names)
    for (name, model), line in found.items():
        shift = 1.03 ** (names.index(name) - (len(names) - 1) / 2)
        at = [(n or 1) * shift for n, _ in line]
        middle = [times.median for _, times in line]
        low = [max(0.0, times.median - max(times.low, times.median / 1e3)) for _, times in line]
        high = [times.high - times.median for _, times in line]
        color, marker = styles[name]
        dashes = DASHES[models.index(model) % len(DASHES)]
        axes.errorbar(
            at, middle, yerr=[low, high], color=color, marker=marker, linestyle=dashes, capsize=2, markersize=4
        )
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xlim((min(tokens) or 1) / 1.6, (max(tokens) or 1) * 1.6)
    axes.set_xticks([n or 1 for n in tokens], [f"{n:,}" if n else "" for n in tokens], fontsize=8)
    axes.set_xlabel("tokens" if any(tokens) else "", fontsize=8)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    few = max(*axes.get_ylim()) / min(*axes.get_ylim()) < 20
    axes.yaxis.set_minor_formatter(FuncFormatter(lambda value, _: f"{value:g}") if few else NullFormatter())
    handles = [
        Line2D([], [], color=color, marker=marker, linestyle="", label=name) for name, (color, marker) in styles.items()
    ]
    if len(models) > 1:
        drawn = zip(DASHES, models, strict=False)
        handles += [Line2D([], [], color="#555", linestyle=dashes, label=model) for dashes, model in drawn]
    axes.legend(handles=handles, fontsize=6, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    axes.tick_params(labelsize=7, which="both")
    axes.grid(alpha=0.3, linewidth=0.5)
