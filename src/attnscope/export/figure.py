"""A drawing of simple shapes, written as SVG: vectors and text only, nothing that runs or loads."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

if TYPE_CHECKING:
    from collections.abc import Iterable

FONT = "'DejaVu Sans', Verdana, system-ui, sans-serif"
"""The bundled font first, so that a picture is the same on every machine."""


@dataclass
class Figure:
    """A drawing under construction; lengths are CSS pixels from the top left corner.

    Parameters
    ----------
    width, height
        Size of the picture.
    ground
        Colour of the paper.
    title
        What a screen reader says.
    """

    width: float
    height: float
    ground: str
    title: str
    shapes: list[str] = field(default_factory=list)

    def rect(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        *,
        fill: str = "none",
        opacity: float = 1,
        stroke: str = "none",
        thick: float = 1.5,
        radius: float = 0,
        sharp: bool = False,
    ) -> None:
        """Draw a rectangle; its outline is ``thick``."""
        self._add(
            "rect", x=x, y=y, width=width, height=height, rx=radius or "", fill=fill,
            fill_opacity=opacity if opacity < 1 else "", stroke=stroke if stroke != "none" else "",
            stroke_width=thick if stroke != "none" else "", shape_rendering="crispEdges" if sharp else "",
        )  # fmt: skip

    def curves(
        self,
        links: Iterable[tuple[float, float, float, float]],
        *,
        color: str,
        width: float,
        opacity: float,
        dashed: bool = False,
        bend: float = 0.46,
    ) -> None:
        """Draw links of one look, each as x, y, x, y and level at both ends.

        Parameters
        ----------
        bend
            Where they turn, as a part of their way across.
        """
        points = []
        for x, y, right, bottom in links:
            first, second = x + (right - x) * bend, x + (right - x) * (1 - bend)
            bends = " ".join(map(number, (first, y, second, bottom, right, bottom)))
            points.append(f"M{number(x)} {number(y)}C{bends}")
        if points:
            self._add(
                "path", d="".join(points), fill="none", stroke=color, stroke_width=width, stroke_opacity=opacity,
                stroke_linecap="" if dashed else "round", stroke_dasharray="4 4" if dashed else "",
            )  # fmt: skip

    def disc(self, x: float, y: float, radius: float, *, fill: str, opacity: float = 1, stroke: str = "none") -> None:
        """Draw a disc."""
        self._add(
            "circle", cx=x, cy=y, r=radius, fill=fill, fill_opacity=opacity if opacity < 1 else "",
            stroke=stroke if stroke != "none" else "", stroke_width=1.5 if stroke != "none" else "",
        )  # fmt: skip

    def triangle(self, x: float, y: float, *, down: bool, fill: str) -> None:
        """Draw the sign of something folded, or unfolded."""
        turned = "h8l-4 6z" if down else "v8l6 -4z"
        self._add("path", d=f"M{number(x)} {number(y)}{turned}", fill=fill)

    def image(self, x: float, y: float, width: float, height: float, png: bytes) -> None:
        """Embed pixels, where there is no other way: of what a model was shown."""
        data = base64.b64encode(png).decode("ascii")
        self._add(
            "image", x=x, y=y, width=width, height=height, preserveAspectRatio="none",
            href=f"data:image/png;base64,{data}",
        )  # fmt: skip

    def lines(self, segments: Iterable[tuple[float, float, float, float]], *, color: str, width: float = 1) -> None:
        """Draw straight lines, each as x, y, x, y."""
        points = "".join(f"M{number(a)} {number(b)}L{number(c)} {number(d)}" for a, b, c, d in segments)
        if points:
            self._add("path", d=points, fill="none", stroke=color, stroke_width=width)

    def cells(
        self,
        corner: tuple[float, float],
        size: tuple[float, float],
        cells: Iterable[tuple[int, int, int]],
        *,
        fill: str,
        gap: float = 0,
    ) -> None:
        """Draw cells of one colour, each run as row, column, length; ``size`` is a cell's, across and down.

        A run is a stroke as thick as a cell is tall, which takes half the letters of a rectangle.
        """
        runs = ((r, c + i, 1) for r, c, length in cells for i in range(length)) if gap else cells
        wide, tall = size
        points = "".join(f"M{c} {r}h{number(n - gap / wide)}" for r, c, n in runs)
        if points:
            thick = 1 - gap / tall
            x, y = number(corner[0]), number(corner[1] + tall * thick / 2)
            place = f"translate({x} {y}) scale({number(wide)} {number(tall)})"
            self._add(
                "path", d=points, stroke=fill, stroke_width=round(thick, 3), transform=place,
                shape_rendering="crispEdges",
            )  # fmt: skip

    def strokes(self, runs: Iterable[tuple[float, float, float]], *, color: str, thick: float) -> None:
        """Draw cells of one colour anywhere, each run as left, middle of its height, length; to a tenth of a pixel."""
        points = "".join(f"M{round(10 * x)} {round(10 * y)}h{ceil(10 * wide)}" for x, y, wide in runs)
        if points:
            self._add(
                "path", d=points, stroke=color, stroke_width=ceil(10 * thick), transform="scale(.1)",
                shape_rendering="crispEdges",
            )  # fmt: skip

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        size: float = 13,
        fill: str,
        anchor: str = "start",
        bold: bool = False,
        turned: float = 0,
        width: float = 0,
    ) -> None:
        """Write one line; ``y`` is where its letters stand, ``turned`` turns it about its start, in degrees.

        With a ``width``, the text takes that, whatever the font it is written in.
        """
        place = {"x": x, "y": y} if not turned else {}
        turn = f"translate({number(x)} {number(y)}) rotate({number(turned)})" if turned else ""
        self._add(
            "text", text, **place, transform=turn, font_size=size, fill=fill,
            text_anchor=anchor if anchor != "start" else "", font_weight="600" if bold else "",
            textLength=width or "", lengthAdjust="spacingAndGlyphs" if width else "",
        )  # fmt: skip

    def svg(self) -> str:
        """Write the drawing as one SVG document."""
        width, height = number(self.width), number(self.height)
        head = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}" role="img" aria-label={quoteattr(self.title)} '
            f'font-family="{FONT}" xml:space="preserve">'
        )
        paper = f'<rect width="{width}" height="{height}" fill="{self.ground}"/>'
        return "".join([head, paper, *self.shapes, "</svg>"])

    def _add(self, name: str, inner: str = "", **attributes: str | float) -> None:
        written = "".join(
            f" {key.replace('_', '-')}={quoteattr(value if isinstance(value, str) else number(value))}"
            for key, value in attributes.items()
            if value != ""
        )
        self.shapes.append(f"<{name}{written}>{escape(inner)}</{name}>" if inner else f"<{name}{written}/>")


def number(value: float) -> str:
    """Write a length shortly."""
    return f"{value:.2f}".rstrip("0").rstrip(".") if value % 1 else str(int(value))
