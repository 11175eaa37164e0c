"""The page's colours; js/src/draw/palette.ts has the same."""

from __future__ import annotations

from dataclasses import dataclass

Color = tuple[int, int, int]


@dataclass(frozen=True)
class Palette:
    """Colours of one theme.

    Parameters
    ----------
    ink, faint, line, ground, placeholder, hatch, accent
        Of text, lesser text, rules, the paper, empty areas, masked cells and the pinned token.
    heads
        One per head, the first for the head selected last.
    inks
        The same, dark or light enough to be read as text.
    ramp
        From no weight to the most.
    diverging
        From the most against, over nothing, to the most for.
    roles
        One per head role: Tol's muted colours, made to stand on either ground.
    """

    ink: str
    faint: str
    line: str
    ground: str
    placeholder: str
    hatch: str
    accent: str
    heads: tuple[Color, ...]
    inks: tuple[Color, ...]
    ramp: tuple[Color, ...]
    diverging: tuple[Color, ...]
    roles: tuple[Color, ...]


_DARK_HEADS = (
    (108, 176, 255),
    (230, 159, 0),
    (45, 190, 145),
    (232, 130, 185),
    (240, 125, 60),
    (110, 205, 235),
    (176, 156, 240),
    (200, 196, 80),
)
# The head colours are Okabe and Ito's (2008, "Color Universal Design"), shifted until they also carry text.
LIGHT = Palette(
    ink="#1f2328",
    faint="#57606a",
    line="#d8dee4",
    ground="#ffffff",
    placeholder="#f3f5f8",
    hatch="#d3d9e0",
    accent="#0b62c8",
    heads=(
        (11, 98, 200),
        (230, 159, 0),
        (0, 135, 98),
        (190, 60, 120),
        (202, 80, 0),
        (38, 140, 190),
        (108, 82, 170),
        (110, 110, 20),
    ),
    inks=(
        (11, 98, 200),
        (138, 92, 0),
        (0, 112, 82),
        (178, 50, 110),
        (176, 68, 0),
        (18, 102, 146),
        (108, 82, 170),
        (100, 100, 16),
    ),
    ramp=((246, 249, 254), (207, 226, 247), (116, 172, 232), (11, 98, 200), (6, 44, 105)),
    diverging=(
        (127, 59, 8),
        (224, 130, 20),
        (253, 214, 160),
        (246, 247, 249),
        (178, 208, 240),
        (64, 135, 214),
        (6, 58, 130),
    ),
    roles=(
        (51, 34, 136),
        (136, 204, 238),
        (68, 170, 153),
        (221, 204, 119),
        (204, 102, 119),
        (170, 68, 153),
        (17, 119, 51),
        (136, 34, 85),
        (153, 153, 51),
        (187, 187, 187),
    ),
)
DARK = Palette(
    ink="#e6e9ee",
    faint="#9aa4b0",
    line="#2d333b",
    ground="#15191e",
    placeholder="#1c2128",
    hatch="#343b45",
    accent="#6cb0ff",
    heads=_DARK_HEADS,
    inks=_DARK_HEADS,
    ramp=((26, 32, 40), (35, 58, 88), (50, 104, 168), (108, 176, 255), (214, 233, 255)),
    diverging=(
        (255, 214, 150),
        (224, 140, 40),
        (120, 76, 30),
        (26, 32, 40),
        (36, 74, 124),
        (84, 156, 240),
        (206, 228, 255),
    ),
    roles=(
        (140, 126, 230),
        (136, 204, 238),
        (68, 180, 160),
        (221, 204, 119),
        (224, 122, 138),
        (200, 100, 182),
        (60, 165, 95),
        (190, 80, 136),
        (173, 173, 71),
        (120, 126, 134),
    ),
)


def palette_of(theme: str) -> Palette:
    """Give the colours of a theme; every theme but ``"dark"`` is light, since paper is."""
    return DARK if theme == "dark" else LIGHT


def hexadecimal(color: Color) -> str:
    """Write a colour as ``#rrggbb``."""
    return "#{:02x}{:02x}{:02x}".format(*color)


def ramp_at(ramp: tuple[Color, ...], strength: float) -> Color:
    """Give the colour of a ramp at a strength between 0 and 1."""
    place = min(1.0, max(0.0, strength)) * (len(ramp) - 1)
    at = min(len(ramp) - 2, int(place))
    low, high = ramp[at], ramp[at + 1]
    red, green, blue = (round(a + (b - a) * (place - at)) for a, b in zip(low, high, strict=True))
    return red, green, blue


def ink_on(color: Color) -> str:
    """Give the ink, black or white, that reads better on a colour."""
    red, green, blue = (((value / 255 + 0.055) / 1.055) ** 2.4 for value in color)
    return "#000000" if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 else "#ffffff"


def series_color(palette: Palette, index: int, count: int, *, ink: bool = False) -> str:
    """Give a head's colour: the head selected last has the first, so that adding one keeps the others apart."""
    colors = palette.inks if ink else palette.heads
    return hexadecimal(colors[(count - 1 - index) % len(colors)])


def colors_of(palette: Palette, *, signed: bool) -> tuple[Color, ...]:
    """Give the colours of cells: zero in the middle where numbers have a sign."""
    return palette.diverging if signed else palette.ramp
