"""What the tests of pictures share: captures to draw, and eyes for what was drawn."""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ET

import numpy as np
from PIL import Image

import attnscope
from attnscope.attention.tokens import Tokens

SVG = "{http://www.w3.org/2000/svg}"
TOKENS = ["[CLS]", " the", " cat", " sat", " it", "[SEP]"]
DRAWN = {"svg", "rect", "path", "text", "circle", "image"}
HOSTILE = [
    "<img src=x onerror=alert(1)>", "</svg><script>alert(1)</script>", "a&b", '"><rect onload="alert(1)"/>', "'onx='",
    "]]>", "\x00\x07\x1b", "\ud800", "\ufffe", "\u202eevil", "\u2066", "", "\u200b", "\u2028", "javascript:alert(1)",
]  # fmt: skip


def bidirectional(seed: int = 0, n: int = len(TOKENS), tokens: list[str] | None = None, **given: object):
    """Two layers of four heads with random queries, keys and values."""
    rng = np.random.default_rng(seed)
    arrays = [[rng.normal(size=(4, n, 8)) * 1.5 for _ in range(2)] for _ in "qk"]
    values = [rng.normal(size=(4, n, 8)) for _ in range(2)]
    return attnscope.from_queries_keys(*arrays, tokens or TOKENS, **{"values": values, **given})


def patched(rows: int = 3, columns: int = 4, *, pictured: bool = True):
    """A class token and the patches of one image."""
    n = 1 + rows * columns
    grid = np.array([[-1] * 4, *([r, c, rows, columns] for r in range(rows) for c in range(columns))], np.int32)
    text = ("[CLS]", *(f"patch {r},{c}" for _, (r, c, *_) in enumerate(grid[1:].tolist())))
    special = np.arange(n) == 0
    tokens = Tokens(text, special, np.where(special, -1, np.arange(n) - 1).astype(np.int32), patches=grid)
    made = bidirectional(n=n, tokens=tokens)
    pixels = (np.random.default_rng(1).random((12, 16, 3)) * 255).astype(np.uint8)
    return type(made)(made.attention, "ViT", (pixels,) if pictured else ())


def parsed(drawing: str) -> ET.Element:
    root = ET.fromstring(drawing)
    assert {element.tag.removeprefix(SVG) for element in root.iter()} <= DRAWN
    names = {name for element in root.iter() for name in element.attrib}
    assert not [name for name in names if name.startswith("on") or name == "style"]
    links = [element for element in root.iter() if any("href" in name for name in element.attrib)]
    assert all(element.attrib["href"].startswith("data:image/png;base64,") for element in links)
    return root


def texts(root: ET.Element) -> list[str]:
    return [element.text or "" for element in root.iter(f"{SVG}text")]


def numbers(root: ET.Element, pattern: str = r"\d\.\d{3}") -> set[str]:
    return {text for text in texts(root) if re.fullmatch(pattern, text)}


def links(root: ET.Element) -> list[tuple[float, float, float]]:
    """Every link as width, height of its start, height of its end."""
    found = []
    for element in root.iter(f"{SVG}path"):
        for curve in re.findall(r"M(\S+) (\S+)C(\S+) (\S+) (\S+) (\S+) (\S+) ([\d.]+)", element.attrib["d"]):
            points = [float(number) for number in curve]
            found.append((float(element.attrib["stroke-width"]), points[1], points[7]))
    return found


def label_height(root: ET.Element, text: str, *, anchor: str) -> list[float]:
    labels = [element for element in root.iter(f"{SVG}text") if element.text == text]
    return [float(label.attrib["y"]) for label in labels if label.get("text-anchor", "start") == anchor]


def image(data: bytes) -> Image.Image:
    opened = Image.open(io.BytesIO(data))
    opened.load()
    return opened.convert("RGB")
