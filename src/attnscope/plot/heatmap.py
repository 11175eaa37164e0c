"""One head's weights, or how they changed, as a heat map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attnscope.analysis.rows import attention_of
from attnscope.attention.memory import require_memory
from attnscope.errors import InputError
from attnscope.plot import style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.cm import ScalarMappable
    from matplotlib.figure import Figure

    from attnscope.analysis.compare import Comparison
    from attnscope.attention.capture import Capture

MOST_CELLS = 512
"""Rows or columns drawn one by one; beyond, every cell shows the largest weight of several."""
MOST_WRITTEN = 16


@style.on_paper
def heatmap(
    c: Capture,
    layer: int,
    head: int | None = None,
    *,
    queries: slice | Sequence[int] | None = None,
    keys: slice | Sequence[int] | None = None,
    values: bool | None = None,
    vmax: float | None = None,
    ax: Axes | None = None,
    kind: str | None = None,
) -> Figure:
    """Draw a head's weights: rows are queries, columns keys, masked cells grey.

    Saved as SVG or PDF, up to 128 × 128 cells are vectors; more are an image, which keeps the file small.

    Parameters
    ----------
    layer, head
        The head; None for the mean over the layer's heads.
    queries, keys
        Positions to show; None for all. Of more than 512 without a choice, every cell shows the largest weight of
        several tokens, and the axis says of how many.
    values
        Whether to write numbers into cells; None writes them where there are at most 16 rows and columns.
    vmax
        The weight of the darkest colour; None for the largest shown.
    ax
        Where to draw; None makes a figure.

    Examples
    --------
    >>> plot.heatmap(c, 1, 0).savefig("head.svg")
    """
    attention = attention_of(c, kind)
    source = attention.layer(layer)
    name = f"layer {layer}, " + ("mean over heads" if head is None else f"head {attention.head(layer, head)}")
    rows, columns = _chosen(queries, source.n_queries, "queries"), _chosen(keys, source.n_keys, "keys")
    figure, ax = style.axes_for(ax, *_size(rows.size, columns.size))
    title = f"{c.model_name}: {name}" if c.model_name else name
    if max(rows.size, columns.size) > MOST_CELLS:
        if head is None or queries is not None or keys is not None:
            raise InputError(
                f"{rows.size} × {columns.size} cells are too many to draw: choose at most {MOST_CELLS} of queries and "
                "keys, or one head without a choice, of which an overview is drawn."
            )
        spans = [-(-n // MOST_CELLS) for n in (source.n_queries, source.n_keys)]
        shown = np.where(source.mask.pooled(*spans), source.overview(head, MOST_CELLS), np.nan)
        image = _paint(ax, shown, vmax, (source.n_queries, source.n_keys))
        ax.set(xlabel="key (position)", ylabel="query (position)")
        title += f" (largest of {spans[0]} × {spans[1]} tokens)"
    else:
        require_memory(8 * source.n_heads * rows.size * source.n_keys, "This heat map", "Choose some queries and keys")
        heads = range(source.n_heads) if head is None else [head]
        weights = sum(source.weight_rows(number, rows)[:, columns].astype(np.float64) for number in heads) / len(heads)
        shown = np.where(source.mask.allowed(rows)[:, columns], weights, np.nan)
        image = _paint(ax, shown, vmax, None)
        style.label_tokens(ax, "x", [attention.keys.text[j] for j in columns], turn=60)
        style.label_tokens(ax, "y", [attention.queries.text[i] for i in rows])
        ax.set(xlabel="key", ylabel="query")
        if values or (values is None and max(shown.shape) <= MOST_WRITTEN):
            style.write_values(ax, shown, image.get_clim()[1] or 1)
    style.name(ax, title)
    style.scale_beside(ax, image, "weight")
    return figure


@style.on_paper
def difference(
    found: Comparison, layer: int, head: int, *, values: bool | None = None, ax: Axes | None = None
) -> Figure:
    """Draw how a head's weights changed between two captures, among the tokens both have.

    Parameters
    ----------
    found
        What :func:`attnscope.analysis.compare` gave.
    layer, head
        The head.
    values
        As in :func:`heatmap`.
    ax
        Where to draw; None makes a figure.

    Examples
    --------
    >>> found = analysis.compare(c, capture(model, tokenizer, text.replace("red", "blue")))
    >>> plot.difference(found, 1, 0).savefig("difference.svg")
    """
    change = found.difference(layer, head)
    if max(change.shape) > MOST_CELLS:
        raise InputError(f"{' × '.join(map(str, change.shape))} cells are too many to draw; compare shorter texts.")
    figure, ax = style.axes_for(ax, *_size(*change.shape))
    most = float(np.abs(change).max(initial=0)) or 1.0
    image = style.cells(ax, change, style.diverging(), (-most, most))
    for side, one, tokens in (("y", found.queries, found.a.queries), ("x", found.keys, found.a.keys)):
        texts = ["".join(tokens.text[start:stop]) for start, stop in one[:, :2].tolist()]
        style.label_tokens(ax, side, texts, turn=60 if side == "x" else 0)
    ax.set(xlabel="key", ylabel="query")
    if values or (values is None and max(change.shape) <= MOST_WRITTEN):
        style.write_values(ax, change, most)
    style.name(ax, f"layer {layer}, head {head}: second minus first")
    style.scale_beside(ax, image, "change of weight")
    return figure


def _paint(ax: Axes, shown: np.ndarray, vmax: float | None, extent: tuple[float, float] | None) -> ScalarMappable:
    most = float(np.nanmax(shown, initial=0)) if vmax is None else vmax
    return style.cells(ax, shown, style.ramp(), (0, most or 1.0), extent=extent)


def _chosen(positions: slice | Sequence[int] | None, n: int, side: str) -> np.ndarray:
    everything = np.arange(n)
    try:
        found = np.atleast_1d(everything if positions is None else everything[positions])
    except (IndexError, TypeError) as error:
        raise InputError(f"{side} is a slice or positions from 0 to {n - 1}, got {positions!r}.") from error
    if not found.size:
        raise InputError(f"{side}={positions!r} leaves none of the {n} tokens to draw.")
    return found


def _size(n_rows: int, n_columns: int) -> tuple[float, float]:
    """Width and height in inches that leave a cell's number room to be read, within a page."""
    longest = max(n_rows, n_columns)
    cell = min(0.42, 6.5 / longest)
    return max(3.2, cell * n_columns + 2.0), max(2.4, cell * n_rows + 1.4)
