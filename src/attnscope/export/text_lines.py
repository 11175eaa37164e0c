"""A text broken into lines; js/src/views/text-layout.ts has the same."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from attnscope.export.labels import text_width
from attnscope.export.text_flow import runs_left

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from attnscope.export.text_flow import Piece
    from attnscope.export.text_passages import Passage

_SOLID = re.compile("[\u2e80-\ua4cf\uac00-\ud7af\uf900-\ufaff\uff00-\uffef\u0e00-\u0eff\U00020000-\U0003ffff]")
"""Scripts that may break between any two characters."""


@dataclass(frozen=True)
class Placed:
    """A piece where it stands, or a part of one that is longer than a line, behind so many spaces."""

    piece: Piece
    text: str
    lead: str


@dataclass
class Line:
    """What stands on one line; a line with the ``head`` of a passage has nothing else on it."""

    placed: list[Placed] = field(default_factory=list)
    rtl: bool = False
    head: int | None = None


@dataclass(frozen=True)
class Section:
    """A passage that begins on a line of its own, under a head; folded, the head is all there is."""

    passage: int
    start: int
    stop: int
    folded: bool


def sections_of(passages: Sequence[Passage], folded: set[int], *, heads: bool) -> list[Section]:
    """Give the passages that have a head: all with ``heads``, else those that are folded; none inside another."""
    found: list[Section] = []
    for at, passage in enumerate(passages):
        end = found[-1].stop if found else 0
        if passage.start >= end and passage.stop > passage.start and (heads or at in folded):
            found.append(Section(at, passage.start, passage.stop, at in folded))
    return found


def lay_out(flow: Sequence[Piece], sections: Sequence[Section], width: float, size: float) -> list[Line]:
    """Break a text into lines of a width, in letters of a size."""
    setter, at = _Setter(width, size), 0

    def until(unit: int) -> Sequence[Piece]:
        nonlocal at
        start = at
        while at < len(flow) and flow[at].unit < unit:
            at += 1
        return flow[start:at]

    for section in sections:
        setter.text(until(section.start))
        setter.lines.append(Line(head=section.passage))
        inside = until(section.stop)
        if not section.folded:
            setter.text(inside)
    setter.text(flow[at:])
    return setter.lines


class _Setter:
    def __init__(self, width: float, size: float) -> None:
        self.width, self.size = width, size
        self.lines: list[Line] = []
        self.line, self.used = Line(), 0.0

    def wide(self, text: str) -> float:
        return text_width(text, self.size)

    def text(self, pieces: Sequence[Piece]) -> None:
        start = 0
        for at, piece in enumerate(pieces):
            last = at == len(pieces) - 1
            if not piece.breaks and not last:
                continue
            paragraph = pieces[start : at + 1]
            self.line.rtl = runs_left(paragraph)
            for number, word in enumerate(_words(paragraph)):
                self._word(word, opening=number == 0)
            self._end()
            start = at + 1
            for _ in range(0 if last else piece.breaks - 1):
                self._end()

    def _word(self, word: list[Piece], *, opening: bool) -> None:
        wide = sum(self.wide(piece.text) for piece in word)
        written = word[0].lead
        # An indentation is kept; the space a wrapped line would begin with is not.
        lead = written if self.line.placed or (opening and len(written) > 1) else ""
        if self.line.placed and self.used + self.wide(lead) + wide > self.width:
            self._end()
            lead = ""
        self.used += self.wide(lead)
        torn = self.used + wide > self.width
        for piece in word:
            if torn and self.line.placed and self.used + self.wide(piece.text) > self.width:
                self._end()
            for at, part in enumerate(self._parts(piece.text)):
                if at:
                    self._end()
                self.line.placed.append(Placed(piece, part, lead))
                self.used += self.wide(part)
                lead = ""

    def _parts(self, text: str) -> list[str]:
        """Tear a piece that is longer than a line."""
        parts = [""]
        for character in text:
            if parts[-1] and self.wide(parts[-1] + character) > self.width:
                parts.append("")
            parts[-1] += character
        return parts

    def _end(self) -> None:
        self.lines.append(self.line)
        self.line, self.used = Line(rtl=self.line.rtl), 0.0


def _words(pieces: Sequence[Piece]) -> Iterator[list[Piece]]:
    """Give what must not be torn apart: pieces up to the next space, or character of a script without spaces."""
    word: list[Piece] = []
    for piece in pieces:
        if word:
            solid = _SOLID.match(word[-1].text[-1:]) or _SOLID.match(piece.text[:1])
            if piece.open or piece.lead or word[-1].sign or solid:
                yield word
                word = []
        word.append(piece)
    if word:
        yield word
