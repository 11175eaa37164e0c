"""What the numbers of passages add up to, as bars beside a text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attnscope.export.frame import MARGIN
from attnscope.export.labels import fitted, fixed, text_width
from attnscope.export.palette import series_color

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attnscope.export.figure import Figure
    from attnscope.export.scene import Scene
    from attnscope.export.text_passages import Passage
    from attnscope.export.text_shade import Shade

SUMS = 190
"""Width of the sums."""
_LABEL, _BAR = 18, 15


@dataclass(frozen=True, eq=False)
class Sums:
    """Sums of passages.

    Parameters
    ----------
    labels
        Of the passages, and of what lies in none where anything does.
    values
        float64 [passages, series]; without rows where nothing is pinned.
    """

    labels: list[str]
    values: np.ndarray

    @classmethod
    def of(cls, scene: Scene, shade: Shade | None, passages: Sequence[Passage], side: str) -> Sums:
        """Add up."""
        axis = scene.axis(side)
        covered = np.zeros(len(axis), bool)
        for passage in passages:
            covered[passage.start : passage.stop] = True
        labels = [passage.label for passage in passages]
        outside = axis.special[~covered]
        if outside.size:
            labels.append("special tokens" if outside.all() else "elsewhere")
        if shade is None:
            return cls(labels, np.zeros((0, len(scene.series))))
        rows = np.stack([np.nan_to_num(row).astype(np.float64) for row in shade.rows], axis=1)
        values = [rows[passage.start : passage.stop].sum(axis=0) for passage in passages]
        return cls(labels, np.stack([*values, *([rows[~covered].sum(axis=0)] if outside.size else [])]))

    @property
    def most(self) -> float:
        """The largest sum, which has the longest bar."""
        return max(float(np.abs(self.values).max(initial=0)), 1e-12)


def paint_sums(
    figure: Figure, top: float, sums: Sums, scene: Scene, room: float, *, by_size: bool
) -> tuple[float, str]:
    """Draw as many passages as there is room for; give where they end, and how many are left out.

    In the text's order, or the largest sum of the head selected last first.
    """
    pitch = _LABEL + _BAR * len(sums.values[:1].T) * bool(len(sums.values)) + 6
    most = max(8, int(room // pitch))
    order = list(range(len(sums.labels)))
    if len(sums.values):
        ranked = np.argsort(-np.abs(sums.values[:, -1]), kind="stable")
        order = ranked.tolist() if by_size else sorted(ranked[:most].tolist())
    left_out = len(order) - most
    y = top
    for at in order[:most]:
        label = fitted(sums.labels[at], 12, SUMS - 8)
        figure.text(MARGIN, y + 12, label, size=12, fill=scene.palette.ink)
        if len(sums.values):
            paint_bars(figure, (MARGIN, y + _LABEL, SUMS - 6), sums, at, scene)
        y += pitch
    which = "those with the largest sums" if len(sums.values) else "the first"
    return y, f"{most} of {len(order)} passages summed, {which}" if left_out > 0 else ""


def paint_bars(figure: Figure, place: tuple[float, float, float], sums: Sums, at: int, scene: Scene) -> None:
    """Draw the sums of a passage, the head selected last first."""
    x, y, room = place
    for line, series in enumerate(reversed(range(len(scene.series)))):
        value = float(sums.values[at, series])
        text = fixed(value)
        figure.rect(x, y + line * _BAR + 3, room - 50, 7, fill=scene.palette.placeholder, radius=2)
        width = (room - 50) * min(1.0, abs(value) / sums.most)
        fill = series_color(scene.palette, series, len(scene.series))
        figure.rect(x, y + line * _BAR + 3, width, 7, fill=fill, opacity=0.45 if value < 0 else 1, radius=2)
        ink = series_color(scene.palette, series, len(scene.series), ink=True)
        figure.text(x + room, y + line * _BAR + 10, text, size=11, fill=ink, anchor="end")


def paint_head(
    figure: Figure,
    box: tuple[float, float, float, float],
    at: int,
    passages: Sequence[Passage],
    sums: Sums | None,
    folded: set[int],
    scene: Scene,
) -> None:
    """Draw the line a passage begins with: its name, its length and its sums."""
    x, y, width, height = box
    passage, palette = passages[at], scene.palette
    figure.rect(x, y, width, height - 4, fill=palette.placeholder, radius=4)
    middle = y + (height - 4) / 2
    figure.triangle(x + 6, middle - 3, down=at not in folded, fill=palette.faint)
    count = passage.stop - passage.start
    said = f"{count} {'token' if count == 1 else 'tokens'}"
    numbers = [fixed(float(value)) for value in sums.values[at][::-1]] if sums and len(sums.values) else []
    right = x + width - 6
    for number, series in zip(reversed(numbers), range(len(scene.series)), strict=False):
        ink = series_color(palette, series, len(scene.series), ink=True)
        figure.text(right, middle + 4, number, size=11, fill=ink, anchor="end")
        right -= text_width(number, 11) + 10
    figure.text(right, middle + 4, said, size=12, fill=palette.faint, anchor="end")
    room = right - text_width(said, 12) - x - 28
    figure.text(x + 20, middle + 4, fitted(passage.label, 12, room), size=12, fill=palette.faint)
