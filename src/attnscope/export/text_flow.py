"""A text as it was written, piece by piece; js/src/views/text-flow.ts has the same."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from attnscope.attention.gaps import gaps_of
from attnscope.export.labels import shown

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from attnscope.export.axis import Axis

PENDING = "+"
"""What stands for a token that only goes on with a character."""
_BREAKS = re.compile("\r\n|[\n\r\v\f\u2028\u2029]")
_BYTES = "(?:<0x[0-9A-F]{2}>)+"
_TAIL, _HEAD = re.compile(f"(.*?)({_BYTES})", re.DOTALL), re.compile(f"({_BYTES})(.*)", re.DOTALL)


@dataclass(frozen=True)
class Piece:
    """What is set in one go: a token, or the part of it between two line breaks.

    Parameters
    ----------
    unit
        The place it belongs to.
    text
        What is read, without the white space before it.
    lead
        Spaces before it, which may end a line.
    sign
        Whether it stands for white space, or for a character begun by the token before.
    breaks
        Line breaks after it.
    special
        Whether its token is special.
    open
        Whether a line may end before it, where that cannot be seen by its spaces.
    """

    unit: int
    text: str
    lead: str
    sign: bool
    breaks: int
    special: bool
    open: bool = False


def flow_of(axis: Axis) -> list[Piece]:
    """Join pieces of words, make bytes characters again, and give white space back."""
    gaps = gaps_of(axis.tokens)
    flow: list[Piece] = []
    for unit, text in enumerate(joined_bytes(axis.text)):
        gap = int(gaps[axis.starts[unit]])
        if flow and gap > 1:
            flow[-1] = _broken(flow[-1], max(flow[-1].breaks, gap - 1))
        bare = text[2:] if gap == 0 and unit > 0 and text.startswith("##") and len(text) > 2 else text
        parts = _BREAKS.split(bare)
        for at, part in enumerate(parts):
            breaks = int(at < len(parts) - 1)
            if part == "" and flow and flow[-1].unit == unit and breaks:
                flow[-1] = _broken(flow[-1], flow[-1].breaks + 1)
            elif part != "" or breaks or len(parts) == 1:
                face = _face(part, apart=at == 0 and gap == 1, breaks=breaks)
                flow.append(Piece(unit, *face, breaks, bool(axis.special[unit])))
    return flow


def joined_bytes(texts: Sequence[str]) -> list[str]:
    """Write characters whose bytes are spread over several tokens in the first of these."""
    found, at = list(texts), 0
    while at < len(found):
        tail = _TAIL.fullmatch(found[at])
        if tail:
            raw, rest, after = tail[2], "", at + 1
            while after < len(found) and not rest:
                head = _HEAD.fullmatch(found[after])
                if not head:
                    break
                raw, rest, after = raw + head[1], head[2], after + 1
            try:
                text = bytes(int(code, 16) for code in re.findall("0x(..)", raw)).decode("utf-8")
            except UnicodeDecodeError:
                text = ""
            if text:
                found[at] = tail[1] + text
                found[at + 1 : after] = [PENDING] * (after - at - 1)
                if rest:
                    found[after - 1] = rest
                at = after - 1
        at += 1
    return found


def runs_left(pieces: Iterable[Piece]) -> bool:
    """Whether a paragraph runs from right to left: its first letter decides."""
    for piece in pieces:
        for character in "" if piece.special or piece.sign else piece.text:
            if unicodedata.category(character).startswith("L"):
                return unicodedata.bidirectional(character) in ("R", "AL")
    return False


def _broken(piece: Piece, breaks: int) -> Piece:
    return Piece(piece.unit, piece.text, piece.lead, piece.sign, breaks, piece.special)


def _face(part: str, *, apart: bool, breaks: int) -> tuple[str, str, bool]:
    rest = part.lstrip(" \t")
    white = part[: len(part) - len(rest)]
    lead, before = white.replace("\t", "    "), " " if apart else ""
    if rest == PENDING:
        return PENDING, "", True
    if not rest:
        return ("⏎", before + lead, True) if breaks else (shown(white) if white else "∅", before, True)
    return shown(rest), before + lead, False
