"""The current view as a still picture, for readers without widgets: SVG, PNG, and a sentence that says it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import resources
from typing import TYPE_CHECKING

import numpy as np
import resvg_py

from attnscope.export.labels import clean, spoken
from attnscope.export.links_picture import MOST_LINKS, LinksView, links_figure, strongest_keys
from attnscope.export.matrix_picture import matrix_figure
from attnscope.export.palette import palette_of
from attnscope.export.series import Series, one_of, series_of

if TYPE_CHECKING:
    from attnscope.attention.capture import Capture

VIEWS = ("links", "matrix")
LEAST_SCALE = 1.25
"""Smallest scale at which small letters are still sharp."""
MOST_DESCRIBED = 512
"""Most tokens among which the strongest link is looked for to describe a view without a pinned query."""

Heads = Sequence[Sequence[int]] | None


def svg(
    capture: Capture,
    *,
    kind: str | None = None,
    view: str = "links",
    heads: Heads = None,
    query: int | None = None,
    key: int | None = None,
    measure: str = "weights",
    aggregate: str = "none",
    threshold: float = 0.06,
    special_tokens: bool = True,
    color_scale: str = "linear",
    most_links: int = MOST_LINKS,
    theme: str = "light",
) -> str:
    """Draw a view as SVG: vectors and text only, a few hundred kB at most whatever the number of tokens.

    Parameters
    ----------
    capture
        What to show.
    kind
        Kind of attention; None for the first.
    view
        ``"links"`` or ``"matrix"``.
    heads
        ``[[layer, head], …]``; None for the first head.
    query, key
        Pinned positions, or None.
    measure
        ``"weights"`` or ``"scores"``.
    aggregate
        ``"none"``, or ``"mean"`` or ``"max"`` over the heads.
    threshold
        Links weaker than this are left out.
    special_tokens
        Whether special keys take part.
    color_scale
        ``"linear"``, ``"log"`` or ``"rank"``.
    most_links
        Most links drawn, the strongest; the picture says how many there are.
    theme
        ``"light"`` or ``"dark"``.

    Raises
    ------
    InputError
        For an unknown view, measure, way to join heads or colour scale.
    NotFoundError
        For a kind, layer, head or position that is not there.
    """
    one_of("view", view, VIEWS)
    series = _series(capture, kind, heads, measure, aggregate, special_tokens)
    query, key = _positions(series[0], query, key)
    palette = palette_of(theme)
    title = _describe(capture, series, query)
    if view == "links":
        links = LinksView(query, key, threshold, color_scale, most_links)
        return links_figure(capture.model_name, series, links, palette, title).svg()
    return matrix_figure(capture.model_name, series, (query, key), color_scale, palette, title).svg()


def png(
    capture: Capture,
    *,
    scale: float = 2,
    most_bytes: int | None = 200_000,
    kind: str | None = None,
    view: str = "links",
    heads: Heads = None,
    query: int | None = None,
    key: int | None = None,
    measure: str = "weights",
    aggregate: str = "none",
    threshold: float = 0.06,
    special_tokens: bool = True,
    color_scale: str = "linear",
    theme: str = "light",
) -> bytes:
    """Draw a view as PNG; takes what :func:`svg` takes.

    Latin, Greek and Cyrillic text is drawn in a font that comes along, so that a picture is the same on every machine;
    other scripts and emoji need a font of the system, and are boxes where there is none.

    Parameters
    ----------
    scale
        Pixels per CSS pixel.
    most_bytes
        A larger picture is drawn smaller, then with fewer links; None for no limit.
    """

    def drawn(most_links: int) -> str:
        return svg(
            capture, kind=kind, view=view, heads=heads, query=query, key=key, measure=measure, aggregate=aggregate,
            threshold=threshold, special_tokens=special_tokens, color_scale=color_scale, most_links=most_links,
            theme=theme,
        )  # fmt: skip

    most_links = MOST_LINKS
    image = rendered(drawn(most_links), scale)
    while most_bytes is not None and len(image) > most_bytes and most_links > 1:
        if scale > LEAST_SCALE:
            scale = max(LEAST_SCALE, 0.95 * scale * (most_bytes / len(image)) ** 0.5)
        else:
            most_links //= 2
        image = rendered(drawn(most_links), scale)
    return image


def rendered(drawing: str, scale: float = 2, *, system_fonts: bool = True) -> bytes:
    """Turn an SVG into a PNG.

    Parameters
    ----------
    drawing
        The SVG.
    scale
        Pixels per CSS pixel.
    system_fonts
        Whether fonts of the system may stand in for characters that the bundled font lacks.
    """
    font = resources.files("attnscope.export") / "fonts" / "DejaVuSans-subset.ttf"
    with resources.as_file(font) as path:
        return bytes(
            resvg_py.svg_to_bytes(
                svg_string=drawing, zoom=scale, font_files=[str(path)], skip_system_fonts=not system_fonts
            )
        )


def alt_text(
    capture: Capture,
    *,
    kind: str | None = None,
    view: str = "links",
    heads: Heads = None,
    query: int | None = None,
    key: int | None = None,
    measure: str = "weights",
    aggregate: str = "none",
    special_tokens: bool = True,
    theme: str = "light",
) -> str:
    """Say in a sentence what a view shows: ``Layer 5, head 11 of MiniLM-L6: 'it' attends most to 'cat' (0.712)``.

    Takes what :func:`svg` takes; what does not change the sentence is ignored.
    """
    del view, theme
    series = _series(capture, kind, heads, measure, aggregate, special_tokens)
    return _describe(capture, series, _positions(series[0], query, key)[0])


def _series(
    capture: Capture, kind: str | None, heads: Heads, measure: str, aggregate: str, special_tokens: bool
) -> list[Series]:
    return series_of(
        capture, kind=kind, heads=heads, measure=measure, aggregate=aggregate, special_tokens=special_tokens
    )


def _positions(series: Series, query: int | None, key: int | None) -> tuple[int | None, int | None]:
    attention = series.attention
    return (
        None if query is None else attention.queries.position(query),
        None if key is None else attention.keys.position(key),
    )


def _describe(capture: Capture, series: Sequence[Series], query: int | None) -> str:
    attention = series[0].attention
    of_model = f" of {clean(capture.model_name)}" if capture.model_name else ""
    said = []
    for one in series[-3:]:
        name = one.name.replace(" · Head", ", head") if one.aggregate == "none" else one.name
        said.append(f"{name}{of_model}: {_finding(one, query)}")
    counts = f"{len(attention.queries):,} tokens"
    if attention.keys is not attention.queries:
        counts = f"{len(attention.queries):,} query tokens and {len(attention.keys):,} key tokens"
    more = f" And {len(series) - 3} more heads." if len(series) > 3 else ""
    return f"Attention between {counts}. {' '.join(said)}{more}"


def _finding(one: Series, query: int | None) -> str:
    queries, keys = one.attention.queries, one.attention.keys
    unit = "" if one.measure == "weights" else f"{one.measure.removesuffix('s')} "
    if query is not None:
        row = one.rows(np.array([query]))[0]
        best = [f"{spoken(keys[int(at)])} ({unit}{row[at]:.3f})" for at in strongest_keys(row, 3)]
        if not best:
            return f"{spoken(queries[query])} attends to no token."
        after = f", then to {' and '.join(best[1:])}" if best[1:] else ""
        return f"{spoken(queries[query])} attends most to {best[0]}{after}."
    if max(len(queries), len(keys)) > MOST_DESCRIBED:
        return "no token is pinned."
    values = one.rows(np.arange(len(queries)))
    if np.isnan(values).all():
        return "no token attends to any."
    row_at, key_at = np.unravel_index(int(np.nanargmax(values)), values.shape)
    return (
        f"the strongest link is from {spoken(queries[int(row_at)])} to {spoken(keys[int(key_at)])} "
        f"({unit}{values[row_at, key_at]:.3f})."
    )
