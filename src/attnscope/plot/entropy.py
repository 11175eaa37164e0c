"""How widely every head spreads its weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attnscope.analysis.entropy import entropy as entropies
from attnscope.analysis.rows import attention_of
from attnscope.export.palette import LIGHT
from attnscope.plot import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from attnscope.attention.capture import Capture


@style.on_paper
def entropy(c: Capture, *, content: bool = False, ax: Axes | None = None, kind: str | None = None) -> Figure:
    """Draw every head's normalised entropy by layer, and the layers' means: 0 is one key, 1 equal weights.

    Parameters
    ----------
    content
        Leave special tokens out on both sides.
    ax
        Where to draw; None makes a figure.

    Examples
    --------
    >>> plot.entropy(c).savefig("entropy.svg")
    """
    found = entropies(c, content=content, kind=kind)
    numbers = np.array(attention_of(c, kind).layers)
    figure, ax = style.axes_for(ax, min(10, 4.2 + 0.25 * len(numbers)), 3.2)
    n_heads = found.shape[1]
    aside = np.linspace(-0.22, 0.22, n_heads) if n_heads > 1 else np.zeros(1)
    x = (numbers[:, None] + aside).ravel()
    there = ~np.isnan(found.ravel())
    ax.scatter(x[there], found.ravel()[there], s=14, color=style.LINES[0], alpha=0.75, linewidths=0, label="one head")
    count = np.maximum((~np.isnan(found)).sum(axis=1), 1)
    means = np.where(np.isnan(found).all(axis=1), np.nan, np.nansum(found, axis=1) / count)
    ax.plot(numbers, means, color=LIGHT.ink, marker="_", markersize=16, linewidth=1.2, label="mean of the layer")
    ax.set(xlabel="layer", ylabel="normalised entropy", ylim=(-0.03, 1.03))
    ax.set_xticks(numbers[:: max(1, -(-len(numbers) // 24))])
    style.bare(ax)
    style.keyed(ax)
    name = c.model_name or "entropy of the weights"
    style.name(ax, f"{name}, special tokens left out" if content else name)
    return figure
