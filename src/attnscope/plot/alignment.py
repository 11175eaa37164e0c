"""Target words beside source words, and the links between them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.analysis.alignment import Alignment
from attnscope.analysis.alignment import alignment as align
from attnscope.export.palette import LIGHT
from attnscope.plot import style

if TYPE_CHECKING:
    from collections.abc import Iterable

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from attnscope.attention.capture import Capture


def alignment(
    found: Alignment | Capture, *, gold: Iterable[tuple[int, int]] = (), ax: Axes | None = None, **how: Any
) -> Figure:
    """Draw an alignment: weights of target words (rows) on source words (columns), a ring on every link.

    Parameters
    ----------
    found
        What :func:`attnscope.analysis.alignment` gave; or a capture, of which it is asked with ``how``.
    gold
        Known links, pairs (source word, target word), drawn as squares.
    ax
        Where to draw; None makes a figure.
    """
    held = found if isinstance(found, Alignment) else align(found, **how)
    figure, ax = style.axes_for(ax, 2.0 + 0.42 * len(held.source), 1.4 + 0.42 * len(held.target))
    image = ax.imshow(
        np.ma.masked_invalid(held.weights),
        cmap=style.ramp(),
        vmin=0,
        vmax=float(np.nanmax(held.weights, initial=0)) or 1.0,
        interpolation="none",
        aspect="equal",
    )
    for links, marker, size, color, label in (
        (sorted(gold), "s", 130, "#e69f00", "known link"),
        (sorted(held.links), "o", 60, "white", "strongest"),
    ):
        if links:
            x, y = np.array(links).T
            ax.scatter(x, y, s=size, marker=marker, facecolors="none", edgecolors=LIGHT.ink, linewidths=2.6)
            ax.scatter(x, y, s=size, marker=marker, facecolors="none", edgecolors=color, linewidths=1.4, label=label)
    style.label_tokens(ax, "x", held.source, turn=60)
    style.label_tokens(ax, "y", held.target)
    ax.set(xlabel="source word", ylabel="target word")
    what = "all layers" if held.layer is None else f"layer {held.layer}"
    what += ", mean over heads" if held.head is None else f", head {held.head}"
    style.name(ax, f"{what}; row where a word is {held.reading}")
    style.scale_beside(ax, image, "weight")
    return figure
