"""The parts of a text that are summed as one; js/src/views/text-passages.ts has the same."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.attention.turns import turns_of
from attnscope.export.labels import shown

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from attnscope.export.axis import Axis
    from attnscope.export.text_flow import Piece

_LABEL = 60
_ENDS = re.compile(
    "(?:[!?\u203c-\u2049\u0964]+['\")\\]\u2019\u201d\u00bb]*\\s+|[.\u2026]+['\")\\]\u2019\u201d\u00bb]*\\s+(?![a-z])"
    "|[\u3002\uff01\uff1f]+[\u300d\u300f\uff09]*\\s*|[\n\u2029]+)"
)
"""Where a sentence ends: the rules of Unicode's UAX #29 for the common marks."""
_LOST_CAPITAL = re.compile("([.!?]['\")\\]]*\\s+)([a-z])")


@dataclass(frozen=True)
class Passage:
    """A part of a text, in places of its axis."""

    start: int
    stop: int
    label: str


def groupings_of(axis: Axis, flow: Sequence[Piece], spans: Sequence[Mapping[str, Any]]) -> dict[str, list[Passage]]:
    """Give what a text can be grouped by, the most telling first, each with its passages."""
    tokens = axis.tokens
    found = {
        "span": _in_units(axis, [(span["from"], span["to"], span.get("label", "")) for span in spans]),
        "turn": _in_units(axis, turns_of(tokens)),
        "segment": _in_units(axis, [] if tokens.segments is None else _segments(tokens.segments)),
        "sentence": sentences_of(flow),
    }
    if len(found["segment"]) < 2:
        found["segment"] = []
    return {name: passages for name, passages in found.items() if passages}


def chosen(groupings: Mapping[str, list[Passage]], wish: str) -> tuple[str, list[Passage]]:
    """Give the grouping asked for, by name; empty where there is none."""
    name = next(iter(groupings), "") if wish == "auto" else wish if wish in groupings else ""
    passages = groupings.get(name, [])
    if name == "sentence" and wish == "auto" and len(passages) < 2:
        return "", []  # one sentence is the whole text
    return name, passages


def sentences_of(flow: Sequence[Piece]) -> list[Passage]:
    """Split a text into sentences; special tokens stand outside."""
    found: list[Passage] = []
    text, starts, units = "", [], []
    for piece in [*flow, None]:
        if piece is not None and not piece.special:
            starts.append(len(text) + len(piece.lead))
            units.append(piece.unit)
            text += piece.lead + (" " * piece.text.count("·") if piece.sign else piece.text) + "\n" * piece.breaks
            if piece.breaks < 2:
                continue
        found += _split(text, starts, units, found[-1].stop if found else 0)
        text, starts, units = "", [], []
    return found


def _split(text: str, starts: list[int], units: list[int], taken: int) -> list[Passage]:
    found: list[Passage] = []
    # Sentences end at a full stop where a capital follows, and some tokenizers drop capitals.
    cased = text if re.search("[A-Z]", text) else _LOST_CAPITAL.sub(lambda m: m[1] + m[2].upper(), text)
    ends = [*(match.end() for match in _ENDS.finditer(cased)), len(text)]
    begin = at = 0
    for end in ends:
        first = at
        while at < len(starts) and starts[at] < end:
            at += 1
        if at > first:
            start, stop = max(units[first], taken), units[at - 1] + 1
            if stop > start:
                found.append(Passage(start, stop, _label(text[begin:end])))
                taken = stop
        begin = end
    return found


def _in_units(axis: Axis, spans: Sequence[tuple[int, int, str]]) -> list[Passage]:
    passages = [
        Passage(int(axis.unit_of[start]), int(axis.unit_of[stop - 1]) + 1, shown(label) if label else "")
        for start, stop, label in spans
        if 0 <= start < stop <= len(axis.tokens)
    ]
    return sorted(passages, key=lambda passage: passage.start)


def _segments(segments: np.ndarray) -> list[tuple[int, int, str]]:
    edges = [0, *(np.flatnonzero(np.diff(segments)) + 1).tolist(), len(segments)]
    return [(a, b, f"text {int(segments[a]) + 1}") for a, b in pairwise(edges) if b > a]


def _label(sentence: str) -> str:
    line = " ".join(sentence.split())
    return f"{line[:_LABEL]}…" if len(line) > _LABEL else line
