"""A token's routes through the layers as a picture, or its row of weights layer by layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attnscope.export import frame
from attnscope.export.flow_routes import Followed, followed, is_routed
from attnscope.export.frame import MARGIN, WIDTH
from attnscope.export.labels import fitted, percent, shown, spoken
from attnscope.export.palette import hexadecimal, series_color

if TYPE_CHECKING:
    from attnscope.export.figure import Figure
    from attnscope.export.scene import Scene

_LEFT, _TOP, _PITCH = 118, 24, 26


def flow_figure(scene: Scene, said: str) -> Figure:
    """Draw where the pinned query's content came from, or what it attends to in every layer.

    The page may say that it is ``layered``, shown layer by layer, of ``all`` heads together; that routes are what is in
    ``excess`` of chance; and the ``level`` they are followed from, in layers.
    """
    found, palette = followed(scene), scene.palette
    routed = found.links is not None
    figure, top = frame.begin(scene, said, series=())
    pitch = min(_PITCH, max(15, 900 / len(found.rows)))
    step = (WIDTH - MARGIN - _LEFT - MARGIN) / found.values.shape[0]
    columns = [MARGIN + _LEFT + (at + 0.5) * step for at in range(found.values.shape[0])]
    rows = [top + _TOP + (at + 0.5) * pitch for at in range(len(found.rows))]
    if routed:
        _paint_links(figure, found, columns, rows, scene)
        _paint_discs(figure, found, columns, rows, scene)
    else:
        _paint_bars(figure, found, columns, rows, step, scene)
    names = [*(["input"] if routed else []), *(f"L{number}" for number in scene.attention.layers)]
    every = int(np.ceil(26 / step))
    for at, x in enumerate(columns):
        if (len(columns) - 1 - at) % every == 0:
            figure.text(x, top + 15, names[at], size=11, fill=palette.faint, anchor="middle")
    chosen = scene.query if routed else scene.look.key
    tokens = scene.attention.keys
    for y, token in zip(rows, found.rows.tolist(), strict=True):
        text = fitted(shown(tokens[token]), 12, _LEFT - 12)
        fill = palette.faint if tokens.special[token] else palette.ink
        figure.text(MARGIN + _LEFT - 8, y + 4, text, size=12, fill=fill, anchor="end", bold=token == chosen)
    return frame.end(figure, top + _TOP + len(rows) * pitch, _note(scene, found), palette)


def say_flow(scene: Scene) -> str:
    """Say where most of it came from, or how the row changes over the layers."""
    found = followed(scene)
    tokens, name = scene.attention.keys, spoken(scene.attention.queries[scene.query])
    if found.links is not None:
        shares = found.values[0]
        best = np.argsort(-shares, kind="stable")[:3]
        from_ = [f"{spoken(tokens[int(at)])} ({percent(float(shares[at]))})" for at in best if shares[at] > 0]
        than = " more than by chance" if found.excess else ""
        layers = f"{found.values.shape[0] - 1} layers"
        listed = f"{from_[0]}, then from {' and '.join(from_[1:])}" if from_[1:] else "".join(from_) or "nowhere"
        return f"Flow{scene.of_model} into {name} through {layers}: most{than} from {listed}."
    heads = "the mean of all heads" if found.head is None else f"head {found.head}"
    said = []
    for at in (0, len(found.values) - 1):
        row = found.values[at]
        if np.isfinite(row).any():
            best_at = int(np.nanargmax(row))
            said.append(f"in layer {scene.attention.layers[at]} to {spoken(tokens[best_at])} ({row[best_at]:.3f})")
    return f"Weights{scene.of_model} of {name} layer by layer, {heads}: most {' and '.join(dict.fromkeys(said))}."


def _paint_links(figure: Figure, found: Followed, columns: list[float], rows: list[float], scene: Scene) -> None:
    """Draw curves between neighbouring columns, the weak below the strong; what is less than by chance is dashed."""
    place = {int(token): row for row, token in enumerate(found.rows)}
    links = [
        (abs(size), size, column, place[int(below)], place[int(above)])
        for column, layer in enumerate(found.links or [])
        for above, below, size in layer
        if int(above) in place and int(below) in place
    ]
    most = max((link[0] for link in links), default=1e-9)
    more, less = series_color(scene.palette, 0, 1), hexadecimal(scene.palette.diverging[1])
    for size, signed, column, start, end in sorted(links):
        strength = round(size / max(most, 1e-9), 2)
        figure.curves(
            [(columns[column], rows[start], columns[column + 1], rows[end])],
            color=less if signed < 0 else more, width=0.7 + 8 * strength, opacity=round(0.28 + 0.45 * strength, 3),
            dashed=signed < 0, bend=0.5,
        )  # fmt: skip


def _paint_discs(figure: Figure, found: Followed, columns: list[float], rows: list[float], scene: Scene) -> None:
    """Draw a disc per token and level, its area the share; a ring where it is less than by chance."""
    step = columns[1] - columns[0] if len(columns) > 1 else 40
    pitch = rows[1] - rows[0] if len(rows) > 1 else 26
    most = max(3.0, min(pitch / 2 - 2, step / 2 - 3, 11))
    more, less = series_color(scene.palette, 0, 1), hexadecimal(scene.palette.diverging[1])
    for y, token in zip(rows, found.rows.tolist(), strict=True):
        for x, share in zip(columns, found.values[:, token].tolist(), strict=True):
            radius = max(1.2, most * abs(share) ** 0.5)
            if share < 0:
                figure.disc(x, y, radius, fill=scene.palette.ground, stroke=less)
            else:
                figure.disc(x, y, radius, fill=more, opacity=0.25 if share == 0 else 1)


def _paint_bars(
    figure: Figure, found: Followed, columns: list[float], rows: list[float], step: float, scene: Scene
) -> None:
    """Draw a small chart of bars per layer, all of one scale."""
    wide, pitch = step - min(8, step * 0.2), rows[1] - rows[0] if len(rows) > 1 else 26
    fill = series_color(scene.palette, 0, 1)
    for x, values in zip(columns, found.values, strict=True):
        left = x - wide / 2
        figure.rect(left - 1, rows[0] - pitch / 2, 1, rows[-1] - rows[0] + pitch, fill=scene.palette.line)
        for y, token in zip(rows, found.rows.tolist(), strict=True):
            share = float(values[token])
            if np.isnan(share):
                figure.rect(left, y - 0.5, min(5, wide), 1, fill=scene.palette.hatch)
            elif share > 0:
                figure.rect(left, y - pitch * 0.3, max(1, wide * share), pitch * 0.6, fill=fill)


def _note(scene: Scene, found: Followed) -> list[str]:
    n = len(scene.attention.keys)
    left = f"{len(found.rows)} of {n:,} tokens shown, the others hold at most {percent(found.missing)} of a column"
    missing = [left] if len(found.rows) < n else []
    if not is_routed(scene):
        heads = "the mean of all heads" if found.head is None else f"head {found.head}"
        name = spoken(scene.attention.queries[scene.query])
        return [f"bars: the weights of {name} in each layer, {heads}", *missing]
    threshold = scene.look.threshold
    from_ = f", from {percent(threshold)} of their layer's strongest up" if threshold > 0 else ""
    layer = scene.attention.layers[found.weakest]
    return [
        f"links shown carry {percent(found.carried)} of the flow{from_} (least in L{layer}: {percent(found.least)})",
        "filled: more than uniform attention would give; hollow, dashed: less"
        if found.excess
        else "sinks and early tokens gather flow by chance too",
        *missing,
    ]
