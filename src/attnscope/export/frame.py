"""What every picture has round it: a title line with the heads in their colours, and a note below."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnscope.export.labels import clean, fitted, text_width
from attnscope.export.palette import series_color

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attnscope.export.figure import Figure
    from attnscope.export.palette import Palette
    from attnscope.export.series import Series

WIDTH = 740
MARGIN = 20
MOST_NAMED = 12
_LINE = 22


def add_title(figure: Figure, name: str, series: Sequence[Series], palette: Palette) -> None:
    """Write the model and the heads, wrapped where they do not fit on one line."""
    for x, y, text, color in _placed(name, series, palette):
        if color is None:
            figure.text(x, y, text, size=14, fill=palette.ink, bold=True)
        else:
            figure.rect(x, y - 9.5, 10, 10, fill=color, radius=2)
            figure.text(x + 15, y, text, size=13, fill=palette.ink)


def title_height(name: str, series: Sequence[Series], palette: Palette) -> float:
    """Say where the title ends."""
    return max((y for _, y, _, _ in _placed(name, series, palette)), default=10.0) + 8


def add_note(figure: Figure, note: str, palette: Palette) -> None:
    """Write what the picture leaves out."""
    figure.text(MARGIN, figure.height - 14, fitted(note, 11, WIDTH - 2 * MARGIN), size=11, fill=palette.faint)


def _placed(name: str, series: Sequence[Series], palette: Palette) -> list[tuple[float, float, str, str | None]]:
    placed: list[tuple[float, float, str, str | None]] = []
    x, y = float(MARGIN), 30.0
    if name:
        text = fitted(clean(name), 14, 380)
        placed.append((x, y, text, None))
        x += text_width(text, 14) * 1.08 + 18
    for i, one in enumerate(series[:MOST_NAMED]):
        wide = 15 + text_width(one.name, 13) + 16
        if x + wide > WIDTH and x > MARGIN:
            x, y = float(MARGIN), y + _LINE
        placed.append((x, y, one.name, series_color(palette, i, len(series))))
        x += wide
    if len(series) > MOST_NAMED:
        placed.append((x, y, f"and {len(series) - MOST_NAMED} more", palette.ground))
    return placed
