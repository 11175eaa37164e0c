"""Tokens as they are written in a picture: white space visible, nothing that could act on the text around it."""

from __future__ import annotations

import math
import unicodedata

from attnscope.export.font import advances

SIGNS = {"\n": "⏎", "\r": "⇤", "\t": "⇥", "\u2028": "⏎", "\u2029": "⏎", "\x0b": "⏎", "\x0c": "⏎"}
UNREADABLE = "\N{REPLACEMENT CHARACTER}"
_JOINERS = ("\N{ZERO WIDTH NON-JOINER}", "\N{ZERO WIDTH JOINER}")


def shown(token: str) -> str:
    """Write a token so that all of it is seen: space at its ends as ``·``, line breaks as ``⏎``, nothing as ``∅``."""
    if not token:
        return "∅"
    spaces = len(token) - len(token.lstrip(" ")), len(token.rstrip(" "))
    signs = [
        "·" if character == " " and not spaces[0] <= i < spaces[1] else SIGNS.get(character, character)
        for i, character in enumerate(token)
    ]
    return clean("".join(signs))


def clean(text: str) -> str:
    """Replace what XML forbids, what cannot be seen and what would reorder other text."""
    kept = "".join(UNREADABLE if _acts(character) else character for character in text)
    return kept if kept.strip("".join(_JOINERS)) else UNREADABLE


def spoken(token: str, most: int = 30) -> str:
    """Write a token inside a sentence, in quotes."""
    bare = shown(token.strip() or token)
    return f"'{bare if len(bare) <= most else bare[: most - 1] + '…'}'"


def fixed(value: float, digits: int = 3) -> str:
    """Write a number as the page does: with its power where it would round to nothing."""
    if math.isnan(value):
        return "masked"
    if value != 0 and abs(value) < 0.5 * 10**-digits:
        mantissa, power = f"{value:.1e}".split("e")
        return f"{mantissa}e{int(power)}"
    return f"{value:.{digits}f}"


def percent(share: float) -> str:
    """Write a share in hundredths."""
    return f"{100 * share:.{1 if 0 < share < 0.1 else 0}f} %"


def text_width(text: str, size: float) -> float:
    """Say how wide a text is in the pictures' font; characters it lacks are estimated."""
    joined = [False, *(character == _JOINERS[1] for character in text)]
    return size * sum(0 if after and ord(c) > 0xFFFF else _em(c) for c, after in zip(text, joined, strict=False))


def is_bundled(text: str) -> bool:
    """Whether every character is in the pictures' font, so that its width is known for certain."""
    return all(ord(character) in advances() for character in text)


def fitted(text: str, size: float, room: float) -> str:
    """Cut a text to the room there is, and say so with an ellipsis."""
    if text_width(text, size) <= room:
        return text
    left = room - text_width("…", size)
    for i, character in enumerate(text):
        left -= size * _em(character)
        if left < 0:
            return text[:i] + "…"
    return text


def _acts(character: str) -> bool:
    category = unicodedata.category(character)
    noncharacter = ord(character) & 0xFFFE == 0xFFFE or 0xFDD0 <= ord(character) <= 0xFDEF
    invisible = category == "Cf" and character not in _JOINERS and unicodedata.bidirectional(character) != "AN"
    return category in ("Cc", "Cs", "Zl", "Zp") or noncharacter or invisible


def _em(character: str) -> float:
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    if unicodedata.east_asian_width(character) in ("W", "F"):
        return 1.25 if ord(character) > 0xFFFF else 1
    return advances().get(ord(character), 0.65)
