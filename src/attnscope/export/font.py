"""How wide is a character of the bundled font? Read from the font file, as OpenType lays it out."""

from __future__ import annotations

import struct
from functools import cache
from importlib import resources

FILE = resources.files("attnscope.export") / "fonts" / "DejaVuSans-subset.ttf"


@cache
def advances() -> dict[int, float]:
    """Give the width of every character of the font, in parts of its size, by code point.

    Tables ``head`` (units), ``hhea`` and ``hmtx`` (widths of glyphs), ``cmap`` (glyphs of characters), of which format
    4 is read, that of the basic plane (OpenType 1.9).
    """
    data = FILE.read_bytes()
    tables = {
        data[at : at + 4].decode("latin-1"): struct.unpack_from(">I", data, at + 8)[0]
        for at in range(12, 12 + 16 * struct.unpack_from(">H", data, 4)[0], 16)
    }
    (units,) = struct.unpack_from(">H", data, tables["head"] + 18)
    (count,) = struct.unpack_from(">H", data, tables["hhea"] + 34)
    widths = [struct.unpack_from(">H", data, tables["hmtx"] + 4 * glyph)[0] / units for glyph in range(count)]
    return {code: widths[min(glyph, count - 1)] for code, glyph in _glyphs(data, tables["cmap"]).items()}


def _glyphs(data: bytes, start: int) -> dict[int, int]:
    found: dict[int, int] = {}
    for record in range(struct.unpack_from(">H", data, start + 2)[0]):
        table = start + struct.unpack_from(">I", data, start + 8 + 8 * record)[0]
        if struct.unpack_from(">H", data, table)[0] != 4:
            continue
        segments = struct.unpack_from(">H", data, table + 6)[0] // 2
        ends, firsts, deltas, offsets = (
            struct.unpack_from(f">{segments}H", data, table + 14 + 2 * segments * part + (2 if part else 0))
            for part in range(4)
        )
        for segment in range(segments):
            for code in range(firsts[segment], min(ends[segment], 0xFFFE) + 1):
                glyph = code
                if offsets[segment]:
                    here = table + 16 + 2 * (3 * segments + segment)
                    at = here + offsets[segment] + 2 * (code - firsts[segment])
                    (glyph,) = struct.unpack_from(">H", data, at)
                if glyph:
                    found[code] = (glyph + deltas[segment]) & 0xFFFF
    return {code: glyph for code, glyph in found.items() if glyph}
