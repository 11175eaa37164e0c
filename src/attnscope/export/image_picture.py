"""Patches over what the model was shown, or times of a sound, and the words beside it.

What the model was shown is pixels, so this is the one picture with a raster in it: that, embedded, under vectors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attnscope.export import frame
from attnscope.export.frame import MARGIN, SCALED, WIDTH
from attnscope.export.image_numbers import Looked, looked_at
from attnscope.export.image_png import png_of
from attnscope.export.labels import fitted, fixed, shown, spoken, text_width
from attnscope.export.measures import form_of, label_of
from attnscope.export.palette import Color, colors_of, hexadecimal, ramp_at

if TYPE_CHECKING:
    from attnscope.export.figure import Figure
    from attnscope.export.scene import Scene

TINT: Color = (255, 140, 0)
MOST_WORDS = 72
_STRIP, _TALLEST, _WORDS = 96, 460, 200

Box = tuple[float, float, float, float]


def image_figure(scene: Scene, said: str) -> Figure:
    """Draw the head selected last.

    The page may say the ``number`` of the image, whether it shows what looks ``towards`` a patch, and the ``opacity``
    of the colours.
    """
    found, palette = looked_at(scene), scene.palette
    figure, top = frame.begin(scene, said, colored=False, series=scene.series[-1:])
    words, place = found.words, found.place
    pixels = _pixels(scene, found)
    shape = pixels.shape[1] / pixels.shape[0] if pixels is not None else place.columns / place.rows
    below = place.seconds is not None or shape > 1.2
    room = WIDTH - 2 * MARGIN - (0 if below or not len(words) else _WORDS + 16)
    width, height = (room, _STRIP) if place.seconds is not None else _fit(shape, room, _TALLEST)
    box = (MARGIN, top + 6, width, height)
    _paint_places(figure, box, scene, found, pixels)
    bottom = top + 6 + height
    if place.seconds is not None:
        _paint_seconds(figure, box, place.seconds, palette.faint)
        bottom += 18
    x, y = (MARGIN, bottom + 10) if below else (MARGIN + width + 16, top + 6)
    end, left_out = _paint_words(figure, (x, y, WIDTH - MARGIN - x), scene, found)
    bottom = max(bottom, end) + 12
    signed = form_of(scene.look.measure) == "signed"
    ramp = colors_of(palette, signed=signed) if pixels is None else _tints(palette.ground)
    what = label_of(scene.look.measure) + SCALED[scene.look.color_scale]
    frame.add_scale(figure, MARGIN, bottom, ramp, found.domain, what, palette)
    many = f"image {found.number + 1} of {found.count}" if found.count > 1 else ""
    raster = "the picture under the colours is what the model was shown" if pixels is not None else ""
    return frame.end(figure, bottom + 12, [_finding(scene, found), many, left_out, raster], palette)


def say_image(scene: Scene) -> str:
    """Say whose numbers these are, and where they are largest."""
    found = looked_at(scene)
    what = "an image" if found.place.seconds is None else "a sound"
    return f"Attention over {what}. {scene.of_head}: {_finding(scene, found)}."


def _finding(scene: Scene, found: Looked) -> str:
    if found.asker is None:
        return "no token is pinned"
    other = "query" if found.side == "key" else "key"
    name = spoken(scene.axis(other).text[found.asker])
    best = "all masked"
    if not np.isnan(found.values).all():
        at = int(np.nanargmax(found.values))
        unit = scene.axis(found.side).unit_of[found.place.tokens[at]]
        best = f"strongest: {spoken(scene.axis(found.side).text[unit])} ({fixed(float(found.values[at]), 4)})"
    if found.side == "query":
        return f"who looks at {name} · {best}"
    if form_of(scene.look.measure) != "share":
        return f"{name} · {best}"
    what = "this image" if found.place.seconds is None else "this sound"
    return f"{name} gives {what} {fixed(float(np.nansum(found.values)), 2)} of its row · {best}"


def _pixels(scene: Scene, found: Looked) -> np.ndarray | None:
    """Give what the model was shown, where there is one for every image; numbers with a sign have no room on it."""
    pictures = scene.capture.pictures
    if len(pictures) != found.count or form_of(scene.look.measure) == "signed":
        return None
    return pictures[found.number]


def _paint_places(figure: Figure, box: Box, scene: Scene, found: Looked, pixels: np.ndarray | None) -> None:
    palette, opacity = scene.palette, scene.look.number("opacity", 0.8, 0, 1)
    figure.rect(*box, fill=palette.placeholder)
    if pixels is not None:
        figure.image(*box, png_of(pixels))
    signed = form_of(scene.look.measure) == "signed"
    ramp = colors_of(palette, signed=signed)
    gap = 1.0 if pixels is None and found.place.boxes[0, 2] * box[2] > 8 else 0.0
    for (left, top, width, height), strength in zip(_boxes(box, found.place.boxes), found.strengths, strict=True):
        wide, tall = max(1.0, width - gap), max(1.0, height - gap)
        if np.isnan(strength):
            mark = min(4, wide)
            figure.rect(left + (wide - mark) / 2, top + tall / 2 - 0.5, mark, 1, fill=palette.hatch)
        elif pixels is None:
            figure.rect(left, top, wide, tall, fill=hexadecimal(ramp_at(ramp, strength)), sharp=True)
        else:
            dark, tint = round(0.55 * opacity * (1 - strength), 3), round(0.75 * opacity * strength, 3)
            if dark >= 0.01:
                figure.rect(left, top, wide, tall, fill="#000000", opacity=dark, sharp=True)
            if tint >= 0.01:
                figure.rect(left, top, wide, tall, fill=hexadecimal(TINT), opacity=tint, sharp=True)
    units = scene.axis(found.side).unit_of[found.place.tokens]
    for unit in scene.pinned[found.pin_side]:
        for at in np.flatnonzero(units == unit):
            (place,) = _boxes(box, found.place.boxes[at : at + 1])
            figure.rect(*place, stroke="#ffffff", thick=3.5)
            figure.rect(*place, stroke=palette.ink, thick=2)


def _paint_words(figure: Figure, place: tuple[float, float, float], scene: Scene, found: Looked) -> tuple[float, str]:
    """Draw the words with their numbers, each a bar as long as its number; give where they end."""
    x, y, room = place
    palette, axis = scene.palette, scene.axis(found.word_side)
    most = max(float(np.nanmax(np.abs(found.word_values), initial=0)), 1e-9)
    pinned = scene.pinned[found.pin_word_side]
    left, top, kept = x, y, found.words[:MOST_WORDS]
    for at, unit in enumerate(kept.tolist()):
        known = len(found.word_values) > 0
        value = float(found.word_values[at]) if known else np.nan
        number = fixed(value) if known else ""
        name = fitted(shown(axis.text[unit]), 12, room - 60)
        wide = text_width(name, 12) + text_width(number, 11) + 22
        if left + wide > x + room and left > x:
            left, top = x, top + 28
        ink = palette.faint if axis.special[unit] else palette.ink
        edge = palette.accent if unit in pinned else palette.line
        if known and not np.isnan(value):
            figure.rect(left, top + 20, wide * min(1.0, abs(value) / most), 4, fill=palette.accent, opacity=0.25)
        figure.rect(left, top, wide, 24, stroke=edge, thick=2 if unit in pinned else 1, radius=4)
        figure.text(left + 7, top + 16, name, size=12, fill=ink)
        figure.text(left + wide - 7, top + 16, number, size=11, fill=palette.faint, anchor="end")
        left += wide + 4
    count = len(found.words)
    return top + 24 if len(kept) else y, f"{MOST_WORDS} of {count:,} words shown" if count > MOST_WORDS else ""


def _paint_seconds(figure: Figure, box: Box, seconds: float, fill: str) -> None:
    x, y, width, height = box
    for part in range(5):
        text = f"{seconds * part / 4:.{2 if seconds < 10 else 0}f} s"
        anchor = "start" if part == 0 else "end" if part == 4 else "middle"
        figure.text(x + width * part / 4, y + height + 14, text, size=11, fill=fill, anchor=anchor)


def _boxes(box: Box, parts: np.ndarray) -> list[Box]:
    x, y, width, height = box
    return [(x + a * width, y + b * height, c * width, d * height) for a, b, c, d in parts.tolist()]


def _fit(shape: float, width: float, height: float) -> tuple[float, float]:
    return (height * shape, height) if width / height > shape else (width, width / shape)


def _tints(ground: str) -> tuple[Color, ...]:
    """Give the tint over the paper, from none to the most."""
    paper = [int(ground[at : at + 2], 16) for at in (1, 3, 5)]
    parts = [0.08, 0.93]
    mixed = [[round(p + (t - p) * part) for p, t in zip(paper, TINT, strict=True)] for part in parts]
    return tuple((red, green, blue) for red, green, blue in mixed)
