"""Target words beside source words, and the links between them."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.analysis.alignment import Alignment
from attnscope.analysis.alignment import alignment as align
from attnscope.analysis.alignment_error import GoldLinks
from attnscope.export.palette import LIGHT
from attnscope.plot import style

if TYPE_CHECKING:
    from collections.abc import Iterable

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from attnscope.attention.capture import Capture


@style.on_paper
def alignment(
    found: Alignment | Capture, *, gold: GoldLinks | Iterable[tuple[int, int]] = (), ax: Axes | None = None, **how: Any
) -> Figure:
    """Draw an alignment: weights of target words (rows) on source words (columns), a ring on every link.

    Parameters
    ----------
    found
        What :func:`attnscope.analysis.alignment` gave; or a capture, of which it is asked with ``how``.
    gold
        Known links, pairs (source word, target word), drawn as squares; those that are possible only, as diamonds.
    ax
        Where to draw; None makes a figure.

    Examples
    --------
    >>> figure = plot.alignment(translation, gold=[(0, 0), (1, 2), (2, 1)], content=True)
    >>> figure.savefig("alignment.pdf")
    """
    held = found if isinstance(found, Alignment) else align(found, **how)
    sure, possible = (gold.sure, gold.possible - gold.sure) if isinstance(gold, GoldLinks) else (gold, ())
    width, own = 2.0 + 0.42 * len(held.source), ax is None
    figure, ax = style.axes_for(ax, width, 2.1 + 0.42 * len(held.target))
    most = float(np.nanmax(held.weights, initial=0)) or 1.0
    image = style.cells(ax, held.weights, style.ramp(), (0, most))
    for links, marker, size, color, label in (
        (sorted(sure), "s", 130, "#e69f00", "known link"),
        (sorted(possible), "D", 90, "#e69f00", "possible link"),
        (sorted(held.links), "o", 60, "white", "strongest"),
    ):
        if links:
            x, y = np.array(links).T
            ax.scatter(
                x, y, s=size, marker=marker, facecolors="none", edgecolors=LIGHT.ink, linewidths=2.6, label=label
            )
            ax.scatter(x, y, s=size, marker=marker, facecolors="none", edgecolors=color, linewidths=1.4)
    style.label_tokens(ax, "x", held.source, turn=60)
    style.label_tokens(ax, "y", held.target)
    ax.set(xlabel="source word", ylabel="target word")
    what = "all layers" if held.layer is None else f"layer {held.layer}"
    what += ", mean over heads" if held.head is None else f", head {held.head}"
    style.name(ax, fill(f"{what}; row where a word is {held.reading}", int(9 * width)))
    style.scale_beside(ax, image, "weight")
    if own and ax.collections:
        figure.legend(loc="outside lower center", ncols=3, markerscale=0.7, fontsize="small", frameon=False)
    return figure
