"""A profile as a still picture: the map of the heads beside a scatter of two statistics."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.export import frame
from attnscope.export.figure import Figure
from attnscope.export.frame import MARGIN, WIDTH
from attnscope.export.grid_order import ROLES, role_name
from attnscope.export.labels import clean, fitted, fixed, text_width
from attnscope.export.palette import Palette, hexadecimal, ink_on, palette_of, ramp_at, series_color
from attnscope.export.strength import between
from attnscope.wire.profile_heads import NO_ROLE, Roles, passing
from attnscope.wire.profile_pack import described_statistic

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attnscope.profiling.head_profile import HeadProfile

MAP, GUTTER, LABEL = 300, 36, 28
"""Pixels of the map's width, between it and the scatter, and of the names of its layers."""
TALLEST, LEAST_TALL = 620, 250
MOST_NAMED = 12
"""Most selected heads that are ringed in colours of their own."""
MEANS = {"rows": "queries", "texts": "texts"}
"""What a mean is over, as it is said."""
Box = tuple[float, float, float, float]


@dataclass(frozen=True, eq=False)
class ProfileDrawing:
    """A view of a profile, drawn once in all its forms.

    Parameters
    ----------
    profile
        What is shown.
    state
        The public traits.
    """

    profile: HeadProfile
    state: Mapping[str, Any]

    @cached_property
    def words(self) -> str:
        """What it shows, in a sentence."""
        profile, by = self.profile, self.state["by"]
        name = self._by if self._by in profile.statistics else profile.statistics[0]
        top = self._strongest(name)
        of = f" of {clean(profile.model_name)}" if profile.model_name else ""
        begin = f"{sum(profile.head_counts)} heads{of} over {profile.n_texts:,} texts"
        if top is None:
            return f"{begin}."
        layer, head, value = top
        return (
            f"{begin}: {name.replace('_', ' ')} is largest in layer {layer}, head {head} "
            f"({fixed(value, 2)}; mean over {MEANS[by]})."
        )

    @cached_property
    def svg(self) -> str:
        """The vectors."""
        palette = palette_of(self.state["theme"])
        most, rows = max(self.profile.head_counts), len(self.profile.layers)
        pitch = min(24.0, (MAP - LABEL) / most, (TALLEST - 60) / rows)
        tall = max(LEAST_TALL, rows * pitch + 52)
        figure = Figure(WIDTH, 0, palette.ground, self.words)
        title = fitted(clean(self.profile.model_name or "heads"), 14, 300)
        figure.text(MARGIN, 30, title, size=14, fill=palette.ink, bold=True)
        said = f"{rows} × {most} heads · {self.profile.n_texts:,} texts"
        figure.text(MARGIN + text_width(title, 14) * 1.16 + 14, 30, said, size=13, fill=palette.faint)
        top = 48.0
        self._paint_map(figure, (MARGIN + LABEL, top + 14), pitch, palette)
        left = MARGIN + MAP + GUTTER + 34
        self._paint_scatter(figure, (left, top + 14, WIDTH - MARGIN - left, tall - 52), palette)
        return frame.end(figure, top + tall, self._note, palette).svg()

    @property
    def _by(self) -> str:
        return str(self.state["color_by"])

    def _strongest(self, name: str) -> tuple[int, int, float] | None:
        values = np.where(self._passes, self.profile.mean(name, by=self.state["by"]), np.nan)
        if np.isnan(values).all():
            return None
        row, head = np.unravel_index(int(np.nanargmax(values)), values.shape)
        return self.profile.layers[row], int(head), float(values[row, head])

    @cached_property
    def _passes(self) -> np.ndarray:
        return passing(self.profile, self.state)

    @property
    def _chosen(self) -> dict[tuple[int, int], int]:
        rows = {layer: row for row, layer in enumerate(self.profile.layers)}
        return {(rows[layer], head): at for at, (layer, head) in enumerate(self.state["heads"])}

    def _colors(self, palette: Palette) -> list[list[tuple[str, str]]]:
        """Give the colour and the sign of every head."""
        shape = self._passes.shape
        if self._by in self.profile.statistics:
            values = self.profile.mean(self._by, by=self.state["by"])
            strengths = between(values, float(np.nanmin(values)), float(np.nanmax(values)), "linear")
            return [
                [self._shade(palette, float(strengths[row, head]), row, head) for head in range(shape[1])]
                for row in range(shape[0])
            ]
        roles, order = Roles.of(self.profile), list(ROLES)
        looks = []
        for row in range(shape[0]):
            looks.append([(palette.placeholder, "")] * shape[1])
            for head in range(shape[1]):
                number = roles.strongest[row, head]
                if number != NO_ROLE and self._passes[row, head]:
                    rank = order.index(roles.names[number])
                    looks[row][head] = hexadecimal(palette.roles[rank % len(palette.roles)]), ROLES[roles.names[number]]
        return looks

    def _shade(self, palette: Palette, strength: float, row: int, head: int) -> tuple[str, str]:
        if math.isnan(strength) or not self._passes[row, head]:
            return palette.placeholder, ""
        return hexadecimal(ramp_at(palette.ramp, 0.04 + 0.66 * strength)), ""

    def _ring(self, palette: Palette, place: tuple[int, int]) -> str | None:
        chosen = self._chosen
        return series_color(palette, chosen[place], len(chosen), ink=True) if place in chosen else None

    def _paint_map(self, figure: Figure, corner: tuple[float, float], pitch: float, palette: Palette) -> None:
        x, y = corner
        gap = 1 if pitch > 4 else 0
        looks = self._colors(palette)
        every = max(1, math.ceil(12 / pitch))
        for row, layer in enumerate(self.profile.layers):
            if row % every == 0:
                figure.text(
                    x - 6, y + row * pitch + pitch / 2 + 4, f"L{layer}", size=11, fill=palette.faint, anchor="end"
                )
            for head in range(self.profile.head_counts[row]):
                color, sign = looks[row][head]
                left, up = x + head * pitch, y + row * pitch
                figure.rect(left, up, pitch - gap, pitch - gap, fill=color, sharp=True)
                if sign and pitch >= 9:
                    ink = ink_on(tuple(int(color[at : at + 2], 16) for at in (1, 3, 5)))  # type: ignore[arg-type]  # three of them
                    middle = left + (pitch - gap) / 2
                    figure.text(middle, up + pitch * 0.72, sign, size=round(pitch * 0.6), fill=ink, anchor="middle")
        for row, head in self._chosen:
            color = self._ring(palette, (row, head)) or palette.accent
            figure.rect(x + head * pitch - 1.5, y + row * pitch - 1.5, pitch + 2, pitch + 2, stroke=color, thick=2)
        below = y + len(self.profile.layers) * pitch
        most = max(self.profile.head_counts)
        for head in range(0, most, max(1, round(most / 8))):
            figure.text(x + (head + 0.5) * pitch, below + 13, str(head), size=10, fill=palette.faint, anchor="middle")
        if self._by in self.profile.statistics:
            values = self.profile.mean(self._by, by=self.state["by"])
            ends = float(np.nanmin(values)), float(np.nanmax(values))
            ramp = [ramp_at(palette.ramp, 0.04 + 0.66 * at / 8) for at in range(9)]
            frame.add_scale(figure, MARGIN, below + 22, ramp, ends, self._by.replace("_", " "), palette, wide=90)

    def _paint_scatter(self, figure: Figure, box: Box, palette: Palette) -> None:
        x, y, wide, tall = box
        by = self.state["by"]
        across, up = (self.profile.mean(self.state[axis], by=by) for axis in ("x", "y"))
        spans = [ends_of(values) for values in (across, up)]
        for axis, (least, most) in zip(("x", "y"), spans, strict=True):
            for tick in ticks(least, most, 6):
                part = (tick - least) / (most - least)
                if axis == "x":
                    figure.lines([(x + part * wide, y, x + part * wide, y + tall)], color=palette.line)
                    figure.text(
                        x + part * wide, y + tall + 14, f"{tick:g}", size=10, fill=palette.faint, anchor="middle"
                    )
                else:
                    level = y + tall - part * tall
                    figure.lines([(x, level, x + wide, level)], color=palette.line)
                    figure.text(x - 6, level + 4, f"{tick:g}", size=10, fill=palette.faint, anchor="end")
        figure.text(x + wide, y + tall + 30, axis_name(self.state["x"]), size=12, fill=palette.ink, anchor="end")
        figure.text(x - 30, y - 8, axis_name(self.state["y"]), size=12, fill=palette.ink)
        looks = self._colors(palette)
        places = [tuple(place) for place in np.argwhere(self._passes & ~np.isnan(across + up)).tolist()]
        radius, edge = (4.5, palette.faint) if len(places) <= 400 else (2.2, "none")
        places.sort(key=lambda place: place in self._chosen)
        for row, head in places:
            left = x + (across[row, head] - spans[0][0]) / (spans[0][1] - spans[0][0]) * wide
            level = y + tall - (up[row, head] - spans[1][0]) / (spans[1][1] - spans[1][0]) * tall
            ring = self._ring(palette, (row, head))
            figure.disc(left, level, radius + (2 if ring else 0), fill=looks[row][head][0], stroke=ring or edge)
            if ring and len(self._chosen) <= MOST_NAMED:
                name = f"L{self.profile.layers[row]} H{head}"
                before = left > x + wide - 50
                figure.text(
                    left + (-9 if before else 9), level - 6, name, size=11, fill=ring,
                    anchor="end" if before else "start", bold=True,
                )  # fmt: skip

    @property
    def _note(self) -> list[str]:
        shown, of = int(self._passes.sum()), sum(self.profile.head_counts)
        known = self._by in self.profile.statistics
        signs = [] if known else [f"{ROLES[name]} {role_name(name)}" for name in Roles.of(self.profile).names]
        return [
            f"mean over {MEANS[self.state['by']]}",
            f"{shown:,} of {of:,} heads shown" if shown < of else f"{of:,} heads",
            f"{self._by.replace('_', ' ')}: {described_statistic(self._by)['says']}" if known else "coloured by role",
            *signs,
        ]


def axis_name(statistic: str) -> str:
    """Name a statistic on an axis, with what it counts."""
    return statistic.replace("_", " ") + (" (tokens)" if described_statistic(statistic)["tokens"] else "")


def ends_of(values: np.ndarray) -> tuple[float, float]:
    """Give the ends of an axis: those of the numbers, with some room."""
    known = values[~np.isnan(values)]
    if known.size == 0:
        return 0.0, 1.0
    least, most = float(known.min()), float(known.max())
    room = 0.06 * (most - least) or max(abs(most), 1) * 0.05
    return least - room, most + room


def ticks(least: float, most: float, count: int) -> list[float]:
    """Give round numbers between two ends: 1, 2 or 5 times a power of ten apart; see js/src/draw/scatter.ts."""
    rough = (most - least) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first, last = math.ceil(least / step), math.floor(most / step)
    return [round(at * step, 12) for at in range(first, last + 1)]
