"""What every picture has round it: a title line with the heads in their colours, and a note below."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnscope.export.figure import Figure
from attnscope.export.labels import clean, fitted, fixed, text_width
from attnscope.export.palette import hexadecimal, ramp_at, series_color

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attnscope.export.palette import Color, Palette
    from attnscope.export.scene import Scene
    from attnscope.export.series import Series

WIDTH = 740
MARGIN = 20
MOST_NAMED = 12
_LINE = 22


def begin(
    scene: Scene, said: str, *, colored: bool = True, series: Sequence[Series] | None = None
) -> tuple[Figure, float]:
    """Begin a picture with the model and the heads; give where what follows begins.

    Parameters
    ----------
    said
        What a screen reader says.
    colored
        Whether each head has its colour.
    series
        What is named; None for all that is selected.
    """
    figure = Figure(WIDTH, 0, scene.palette.ground, said)
    name = scene.capture.model_name
    if len(scene.capture.kinds) > 1:
        name = " · ".join(filter(None, [name, f"{scene.attention.kind} attention"]))
    bottom = 10.0
    for x, y, text, color in _placed(name, scene.series if series is None else series, scene.palette):
        bottom = max(bottom, y)
        if color is None:
            figure.text(x, y, text, size=14, fill=scene.palette.ink, bold=True)
            continue
        if colored:
            figure.rect(x, y - 9.5, 10, 10, fill=color, radius=2)
        figure.text(x + (15 if colored else 0), y, text, size=13, fill=scene.palette.ink)
    return figure, bottom + 8


def end(figure: Figure, y: float, note: Sequence[str], palette: Palette) -> Figure:
    """End a picture below ``y`` with what it means and leaves out."""
    lines = note_lines(note)
    for at, line in enumerate(lines):
        figure.text(MARGIN, y + 20 + 15 * at, line, size=11, fill=palette.faint)
    figure.height = y + 20 + 15 * len(lines)
    return figure


def note_lines(parts: Sequence[str]) -> list[str]:
    """Break a note into lines, between its parts where it can be."""
    room, lines = WIDTH - 2 * MARGIN, [""]
    for part in filter(None, parts):
        longer = f"{lines[-1]} · {part}" if lines[-1] else part
        if lines[-1] and text_width(longer, 11) > room:
            lines.append(part)
        else:
            lines[-1] = longer
    return [fitted(line, 11, room) for line in lines if line]


def add_scale(
    figure: Figure,
    x: float,
    y: float,
    ramp: Sequence[Color],
    ends: tuple[float, float],
    what: str,
    palette: Palette,
    *,
    wide: float = 150,
) -> float:
    """Draw the colours between the numbers at their ends, in one line; give where it ends."""
    shades = 48
    least, most = fixed(ends[0], 2), f"{fixed(ends[1], 2)} {what}"
    left = x + text_width(least, 11) + 6
    figure.text(x, y + 9, least, size=11, fill=palette.faint)
    for shade in range(shades):
        color = hexadecimal(ramp_at(tuple(ramp), shade / (shades - 1)))
        figure.rect(left + shade * wide / shades, y, wide / shades + 0.3, 10, fill=color, sharp=True)
    figure.rect(left - 0.5, y - 0.5, wide + 1, 11, stroke=palette.line, thick=1)
    figure.text(left + wide + 6, y + 9, most, size=11, fill=palette.faint)
    return left + wide + 6 + text_width(most, 11)


SCALED = {"linear": "", "log": " (log)", "rank": " (rank)"}


def _placed(name: str, series: Sequence[Series], palette: Palette) -> list[tuple[float, float, str, str | None]]:
    placed: list[tuple[float, float, str, str | None]] = []
    x, y = float(MARGIN), 30.0
    if name:
        text = fitted(clean(name), 14, 380)
        placed.append((x, y, text, None))
        x += text_width(text, 14) * 1.16 + 18
    for i, one in enumerate(series[:MOST_NAMED]):
        wide = 15 + text_width(one.name, 13) + 16
        if x + wide > WIDTH and x > MARGIN:
            x, y = float(MARGIN), y + _LINE
        placed.append((x, y, one.name, series_color(palette, i, len(series))))
        x += wide
    if len(series) > MOST_NAMED:
        placed.append((x, y, f"and {len(series) - MOST_NAMED} more", palette.ground))
    return placed
