"""How the tokens of a text look; js/src/views/text-shade.ts has the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attnscope.export.measures import form_of
from attnscope.export.palette import hexadecimal, ink_on, ramp_at, series_color
from attnscope.export.strength import between, domain_of, ranks

if TYPE_CHECKING:
    from attnscope.export.figure import Figure
    from attnscope.export.palette import Color
    from attnscope.export.scene import Scene

BAND = 4
FAINTEST = 0.02


class Shade:
    """One series tints tokens, several underline them.

    Parameters
    ----------
    scene
        What is shown.
    rows
        A number per token and series.
    """

    def __init__(self, scene: Scene, rows: list[np.ndarray]) -> None:
        self.palette, self.rows = scene.palette, rows
        measure, scale = scene.look.measure, scene.look.color_scale
        self.signed = form_of(measure) == "signed"
        self.domain = domain_of(np.concatenate(rows), measure)
        sizes = [np.abs(row) if self.signed else row for row in rows]
        if scale == "rank":
            self.strengths = [ranks(row, np.concatenate(sizes)) for row in sizes]
        else:
            reach = (0.0, self.domain[1]) if self.signed else self.domain
            self.strengths = [between(row, *reach, scale) for row in sizes]
        self.colors = [series_color(self.palette, at, len(rows)) for at in range(len(rows))]

    @property
    def foot(self) -> float:
        """Pixels of underlines below the text."""
        return len(self.rows) * (BAND + 1) if len(self.rows) > 1 else BAND

    @property
    def ramp(self) -> tuple[Color, ...]:
        """The colours from the least to the most."""
        return self.palette.diverging if self.signed else self.palette.ramp

    def is_masked(self, unit: int) -> bool:
        """Whether a token has no number."""
        return all(bool(np.isnan(row[unit])) for row in self.rows)

    def paint(self, figure: Figure, unit: int, box: tuple[float, float, float, float]) -> str:
        """Tint or underline a token; give the ink that reads on it, empty for the usual one."""
        x, y, width, height = box
        if len(self.rows) == 1:
            strength = float(self.strengths[0][unit])
            if not strength > FAINTEST:
                return ""
            sign = float(np.sign(self.rows[0][unit])) if self.signed else 1.0
            color = ramp_at(self.ramp, 0.5 + sign * strength / 2 if self.signed else strength)
            figure.rect(x, y, width, height, fill=hexadecimal(color))
            band = round(strength * (BAND - 1), 1)
            if band >= 0.5:
                figure.rect(x, y + height - band, width, band, fill=ink_on(color))
            return ink_on(color)
        for at, (row, strengths) in enumerate(zip(self.rows, self.strengths, strict=True)):
            strength = float(strengths[unit])
            if not strength > FAINTEST:
                continue
            thick = max(1.0, strength * BAND)
            # The line of the series selected last stands nearest to the text.
            top = y + height - at * (BAND + 1) - BAND
            pieces = [(x, width)] if not row[unit] < 0 else [(x + left, 3.0) for left in np.arange(0, width - 2, 6)]
            for left, wide in pieces:
                figure.rect(left, top, wide, thick, fill=self.colors[at], opacity=round(0.35 + 0.65 * strength, 3))
        return ""
