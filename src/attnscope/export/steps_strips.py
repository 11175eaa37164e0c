"""Vectors as strips of cells, one cell per dimension, zero in the middle of the colours."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attnscope.export.cells import runs_by_color
from attnscope.export.frame import MARGIN, WIDTH
from attnscope.export.labels import fitted, spoken
from attnscope.export.strength import between

if TYPE_CHECKING:
    from attnscope.analysis.steps import Steps
    from attnscope.export.figure import Figure
    from attnscope.export.scene import Scene

_TALL, _PITCH, _NAMES, _ENDS = 13, 20, 118, 92


def paint_strips(figure: Figure, y: float, scene: Scene, now: Steps, key: int) -> float:
    """Draw the query's vector, a key's, their product, the key's value and the output; give where they end."""
    palette = scene.palette
    width = WIDTH - 2 * MARGIN - _NAMES - _ENDS - 16
    for row, (name, ends, values) in enumerate(_vectors(now, key)):
        top = y + row * _PITCH
        figure.text(MARGIN, top + 11, fitted(name, 12, _NAMES), size=12, fill=palette.ink)
        figure.text(WIDTH - MARGIN, top + 11, ends, size=12, fill=palette.faint, anchor="end")
        most = float(np.abs(values).max(initial=0))
        strength = np.zeros(len(values)) if most == 0 else values / most
        shades = between(strength, -1, 1, "linear")[None]
        for color, runs in runs_by_color(shades, palette.diverging):
            size = width / len(values), float(_TALL)
            figure.cells((MARGIN + _NAMES + 8, top), size, runs, fill=color, gap=1 if size[0] > 5 else 0)
    return y + len(_vectors(now, key)) * _PITCH


def written(value: float) -> str:
    """Write a number that is no share, shortly."""
    if value == -np.inf:
        return "−∞"
    size = abs(value)
    digits = 0 if size >= 1000 else 1 if size >= 100 else 2 if size >= 10 else 3
    return f"{value:.{digits}f}".replace("-", "−")


def _vectors(now: Steps, key: int) -> list[tuple[str, str, np.ndarray]]:
    if now.q is None or now.k is None:
        return []
    name = spoken(now.tokens[1 + key])
    product = now.q * now.k[key]

    def length(values: np.ndarray) -> str:
        return f"length {written(float(np.linalg.norm(values)))}"

    strips = [
        (f"query {spoken(now.tokens[0])}", length(now.q), now.q),
        (f"key {name}", length(now.k[key]), now.k[key]),
        ("q × k", f"Σ = {written(float(product.sum(dtype=np.float64)))}", product),
    ]
    if now.v is not None and now.output is not None:
        strips.append((f"value {name}", length(now.v[key]), now.v[key]))
        strips.append(("z = Σ w·v", length(now.output), now.output))
    return strips
