"""A drawing of simple shapes, written as SVG: vectors and text only, nothing that runs or loads."""

from __future__ import annotations

from dataclasses import dataclass, field
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
        radius: float = 0,
        sharp: bool = False,
    ) -> None:
        """Draw a rectangle."""
        self._add(
            "rect", x=x, y=y, width=width, height=height, rx=radius, fill=fill, fill_opacity=opacity,
            stroke=stroke, stroke_width=1.5 if stroke != "none" else 0,
            shape_rendering="crispEdges" if sharp else "",
        )  # fmt: skip

    def curve(
        self, start: tuple[float, float], end: tuple[float, float], *, color: str, width: float, opacity: float
    ) -> None:
        """Draw a link, level at both ends."""
        (x, y), (right, bottom) = start, end
        first, second = x + (right - x) * 0.46, x + (right - x) * 0.54
        bends = " ".join(map(number, (first, y, second, bottom, right, bottom)))
        points = f"M{number(x)} {number(y)}C{bends}"
        self._add(
            "path",
            d=points,
            fill="none",
            stroke=color,
            stroke_width=width,
            stroke_opacity=opacity,
            stroke_linecap="round",
        )

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
        """Draw cells of one colour, each run as row, column, length; ``size`` is a cell's, across and down."""
        runs = ((r, c + i, 1) for r, c, length in cells for i in range(length)) if gap else cells
        (wide, tall), down = size, number(1 - gap / size[1])
        points = "".join(f"M{c} {r}h{number(n - gap / wide)}v{down}h-{number(n - gap / wide)}z" for r, c, n in runs)
        if points:
            x, y = map(number, corner)
            place = f"translate({x} {y}) scale({number(wide)} {number(tall)})"
            self._add("path", d=points, fill=fill, transform=place, shape_rendering="crispEdges")

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
    ) -> None:
        """Write one line; ``y`` is where its letters stand, ``turned`` turns it about its start, in degrees."""
        place = {"x": x, "y": y} if not turned else {}
        turn = f"translate({number(x)} {number(y)}) rotate({number(turned)})" if turned else ""
        self._add(
            "text", text, **place, transform=turn, font_size=size, fill=fill,
            text_anchor=anchor if anchor != "start" else "", font_weight="600" if bold else "",
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
