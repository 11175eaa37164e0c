"""Attention over layers, or over the checkpoints of a training run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.analysis.evolution import LayerEvolution
from attnscope.errors import InputError
from attnscope.plot import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_NAMED = 8
"""Lines with a colour and a name of their own."""


@style.on_paper
def evolution(
    found: LayerEvolution | Any,
    *,
    statistic: str | None = None,
    top: int = 5,
    content: bool = True,
    ax: Axes | None = None,
) -> Figure:
    """Draw what an analysis followed over layers or checkpoints.

    Parameters
    ----------
    found
        What :func:`attnscope.analysis.layer_evolution` gave: with a query, its weights on the keys that are strongest
        in any layer are drawn, else a statistic. Or the table of :func:`attnscope.analysis.checkpoint_evolution`: one
        line per head, those that change most in colour.
    statistic
        Which column to draw; None for the query's weights, or ``"entropy"``.
    top
        Keys, or heads, drawn in colour.
    content
        Leave special tokens out of the keys.
    ax
        Where to draw; None makes a figure.

    Examples
    --------
    >>> plot.evolution(analysis.layer_evolution(c, query="bird")).savefig("layers.svg")
    """
    if not 1 <= top <= MOST_NAMED:
        raise InputError(f"top is 1 to {MOST_NAMED} lines, which is how many can be told apart; got {top!r}.")
    figure, ax = style.axes_for(ax, 5.2, 3.4)
    style.bare(ax)
    if isinstance(found, LayerEvolution):
        _over_layers(ax, found, statistic, top, content=content)
    else:
        _over_checkpoints(ax, _columns(found), statistic or "entropy", top)
    return figure


def _over_layers(ax: Axes, found: LayerEvolution, statistic: str | None, top: int, *, content: bool) -> None:
    of = "mean over heads" if found.head is None else f"head {found.head} of each layer"
    ax.set(xlabel="layer")
    ax.set_xticks(np.array(found.layers)[:: max(1, -(-len(found.layers) // 24))])
    if statistic is None and found.weights is not None:
        queries, keys = found.capture.tokens_of(found.kind)
        counted = np.nan_to_num(found.weights).max(axis=0)
        if content:
            counted = np.where(keys.special, -1.0, counted)
        strongest = [int(key) for key in np.argsort(-counted, kind="stable")[:top] if counted[key] >= 0]
        for at, key in enumerate(strongest):
            label = f"{style.written(keys.text[key])} ({key})"
            ax.plot(found.layers, found.weights[:, key], label=label, markersize=4, **style.line(at))
        ax.set(ylabel="weight", ylim=(0, None))
        style.name(ax, f"where “{style.written(queries.text[found.query or 0])}” looks: {of}")
        style.keyed(ax)
        return
    name = statistic or "entropy"
    values = found.change if name == "change" else found.statistics.get(name)
    if values is None:
        raise InputError(f"There is no statistic {name!r} here; there are change, {', '.join(found.statistics)}.")
    ax.plot(found.layers, values, markersize=4, **style.line(0))
    ax.set(ylabel=name)
    style.name(ax, of)


def _columns(found: Any) -> dict[str, np.ndarray]:
    """Take the columns of a table, whether it is a frame or a list of rows."""
    rows = found.to_dict("records") if hasattr(found, "to_dict") else found
    if not isinstance(rows, list) or not rows or not {"checkpoint", "layer", "head"} <= set(rows[0]):
        raise InputError("Give what layer_evolution() or checkpoint_evolution() gave; this is neither.")
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _over_checkpoints(ax: Axes, columns: dict[str, np.ndarray], statistic: str, top: int) -> None:
    if statistic not in columns:
        raise InputError(f"There is no column {statistic!r} here; there are {', '.join(columns)}.")
    names = list(dict.fromkeys(columns["checkpoint"].tolist()))
    numeric = all(isinstance(name, int | float) for name in names)
    places = {name: name if numeric else at for at, name in enumerate(names)}
    heads = list(dict.fromkeys(zip(columns["layer"].tolist(), columns["head"].tolist(), strict=True)))
    lines = {}
    for layer, head in heads:
        mine = (columns["layer"] == layer) & (columns["head"] == head)
        x = np.array([places[name] for name in columns["checkpoint"][mine].tolist()])
        lines[layer, head] = x, columns[statistic][mine].astype(float)
    moved = sorted(lines, key=lambda each: -_reach(lines[each][1]))
    for each in moved[top:]:
        ax.plot(*lines[each], color="#b5bcc4", linewidth=0.8, zorder=1)
    for at, each in enumerate(moved[:top]):
        ax.plot(*lines[each], label=f"layer {each[0]}, head {each[1]}", markersize=4, **style.line(at))
    ax.set(xlabel="checkpoint", ylabel=statistic)
    if not numeric:
        ax.set_xticks(range(len(names)), [str(name) for name in names])
        style.plain_ticks(ax, "x")
    style.keyed(ax)


def _reach(values: np.ndarray) -> float:
    """How far a line goes from its lowest to its highest point."""
    there = values[~np.isnan(values)]
    return float(np.ptp(there)) if there.size else 0.0
