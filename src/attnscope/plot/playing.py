"""What temperature and 1/√width do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.analysis.teaching.scaling import scaling_effect
from attnscope.errors import InputError
from attnscope.export.palette import LIGHT
from attnscope.plot import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from attnscope.analysis.teaching.temperature import TemperatureSweep


@style.on_paper
def temperature(found: TemperatureSweep, *, top: int = 5, ax: Axes | None = None) -> Figure:
    """Draw one row's weights over temperatures, and how flat the row is.

    Parameters
    ----------
    found
        What :func:`attnscope.analysis.temperature_sweep` gave.
    top
        Keys to draw: those strongest at the temperature nearest 1.
    ax
        Where to draw; None makes a figure.

    Examples
    --------
    >>> sweep = analysis.temperature_sweep(c, 1, 0, "bird")
    >>> plot.temperature(sweep, top=3).savefig("temperature.svg")
    """
    if not 1 <= top <= len(style.LINES):
        raise InputError(f"top is 1 to {len(style.LINES)} lines, which is how many can be told apart; got {top!r}.")
    figure, ax = style.axes_for(ax, 5.2, 3.4)
    style.bare(ax)
    own = int(np.abs(np.log(found.temperatures)).argmin())
    for at, key in enumerate(np.argsort(-found.weights[own], kind="stable")[:top].tolist()):
        label = f"{style.written(found.key_tokens[key])} ({key})"
        ax.plot(found.temperatures, found.weights[:, key], label=label, markersize=4, **style.line(at))
    ax.plot(found.temperatures, found.entropy, color=LIGHT.ink, linewidth=2.2, alpha=0.6, label="normalised entropy")
    ax.axvline(1, color=LIGHT.faint, linewidth=0.8)
    ax.set(xscale="log", xlabel="temperature (1 is the model's own)", ylabel="weight", ylim=(-0.03, 1.03))
    ax.set_xticks(found.temperatures, [f"{each:g}" for each in found.temperatures])
    ax.minorticks_off()
    style.name(ax, f"“{style.written(found.token)}”, layer {found.layer}, head {found.head}")
    style.keyed(ax)
    return figure


@style.on_paper
def scaling(found: Any = None, *, ax: Axes | None = None) -> Figure:
    """Draw how attention between random vectors narrows with their width, unless scores are divided by its root.

    Parameters
    ----------
    found
        What :func:`attnscope.analysis.scaling_effect` gave; None asks it.
    ax
        Where to draw; None makes a figure.

    Examples
    --------
    >>> plot.scaling(analysis.scaling_effect((4, 64))).savefig("scaling.svg")
    """
    held = scaling_effect() if found is None else found
    rows = held.to_dict("records") if hasattr(held, "to_dict") else list(held)
    figure, ax = style.axes_for(ax, 5.2, 3.4)
    style.bare(ax)
    at = 0
    for column, name in (("entropy", "normalised entropy"), ("max_weight", "largest weight")):
        for scaled in (True, False):
            mine = [row for row in rows if bool(row["scaled"]) is scaled]
            label = f"{name}, {'q·k / √width' if scaled else 'q·k'}"
            values = [row["width"] for row in mine], [row[column] for row in mine]
            ax.plot(*values, label=label, markersize=5, **style.line(at))
            at += 1
    ax.set_xscale("log", base=2)
    widths = sorted({row["width"] for row in rows})
    ax.set_xticks(widths, [str(width) for width in widths])
    ax.set(xlabel="width of queries and keys", ylabel="share", ylim=(-0.03, 1.03))
    style.keyed(ax)
    return figure
