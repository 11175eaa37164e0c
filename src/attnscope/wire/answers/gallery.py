"""All heads beside each other: their pictures, an order in which like heads stand together, and their roles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.analysis.clusters import likeness_order
from attnscope.analysis.roles import role_rows
from attnscope.errors import InputError
from attnscope.wire.answers.cells import masked_overview
from attnscope.wire.question import Numbers

if TYPE_CHECKING:
    from attnscope.wire.question import Question

MOST_HEADS, MOST_SIZE = 64, 128
"""Most heads and cells a side in one answer."""


def overviews(question: Question) -> Numbers:
    """Answer with small pictures of several heads: [heads, ≤ size, ≤ size], NaN where all of a cell is masked."""
    heads = question.heads()
    (size,) = question.ints("size")
    if len(heads) > MOST_HEADS or not 1 <= size <= MOST_SIZE:
        raise InputError(
            f"One answer holds at most {MOST_HEADS} pictures of at most {MOST_SIZE} cells a side; "
            f"{len(heads)} of {size} were asked for. Ask for fewer."
        )
    pictures = []
    for layer, head in heads:
        question.go_on()
        pictures.append(masked_overview(question.attention, layer, head, size))
    return Numbers(np.stack(pictures))


def likeness(question: Question) -> Numbers:
    """Answer with the place of every head where like heads stand together: [layers, most heads]."""
    attention = question.attention
    question.go_on()
    places = np.full((attention.n_layers, attention.n_heads), np.nan, np.float32)
    rows = {number: row for row, number in enumerate(attention.layers)}
    for place, (layer, head) in enumerate(likeness_order(question.capture, kind=attention.kind)):
        places[rows[layer], head] = place
    return Numbers(places)


def roles(question: Question) -> Numbers:
    """Answer with the strongest role of every head that fires one: [layers, most heads, number, score, chance].

    The numbers count the names in ``info.roles``; NaN where no role fires.
    """
    attention = question.attention
    question.go_on()
    found: dict[tuple[int, int], dict[str, Any]] = {}
    for entry in role_rows(question.capture, kind=attention.kind):
        place = (entry["layer"], entry["head"])
        if entry["fires"] and _weight(entry) > _weight(found.get(place)):
            found[place] = entry
    names = sorted({entry["role"] for entry in found.values()})
    rows = {number: row for row, number in enumerate(attention.layers)}
    numbers = np.full((attention.n_layers, attention.n_heads, 3), np.nan, np.float32)
    for (layer, head), entry in found.items():
        numbers[rows[layer], head] = names.index(entry["role"]), entry["score"], entry["chance"]
    return Numbers(numbers, {"roles": names})


def _weight(entry: dict[str, Any] | None) -> float:
    """How much a role says: its margin over chance; that a head is broad says least."""
    if entry is None:
        return -1.0
    return 0.0 if entry["role"] == "broad" else float(entry["margin"])
