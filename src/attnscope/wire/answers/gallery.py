"""All heads beside each other: their pictures, an order in which like heads stand together, and their roles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attnscope.analysis.clusters import likeness_order
from attnscope.analysis.likeness import sampled
from attnscope.analysis.roles import can_show, firing, margin_of, role_measures
from attnscope.errors import InputError
from attnscope.wire.answers.cells import masked_overview
from attnscope.wire.known import known
from attnscope.wire.question import Numbers

if TYPE_CHECKING:
    from attnscope.wire.question import Question

MOST_HEADS, MOST_SIZE = 64, 128
"""Most heads and cells a side in one answer."""
MOST_COMPARED = 1 << 30
"""Pairs of weights compared to order heads by likeness: a few seconds on one core."""


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
    """Answer with the place of every head where like heads stand together: [layers, most heads].

    ``info`` says of how many there are the queries and groups of keys that were compared.
    """
    attention = question.attention
    question.go_on()
    sample = sampled(attention, MOST_COMPARED)
    places = np.full((attention.n_layers, attention.n_heads), np.nan, np.float32)
    rows = {number: row for row, number in enumerate(attention.layers)}
    for place, (layer, head) in enumerate(likeness_order(question.capture, sample=sample, kind=attention.kind)):
        places[rows[layer], head] = place
    compared = {
        "queries": [len(sample.queries), len(attention.queries)],
        "keys": [len(sample.keys), len(attention.keys)],
    }
    return Numbers(places, compared)


def roles(question: Question) -> Numbers:
    """Answer with the strongest role of every head that fires one: [layers, most heads, number, score, chance].

    The numbers count the names in ``info.roles``; NaN where no role fires.
    """
    attention = question.attention
    question.go_on()
    measures = role_measures(attention)
    found = {name: known(question.capture, attention.kind, measures.values())[it] for name, it in measures.items()}
    spread = found.pop("broad")
    scores = {name: (it.mean, it.chance, it.rows) for name, it in found.items() if can_show(it.chance, it.rows)}
    best, strongest = np.full(spread.mean.shape, -1.0), np.full((*spread.mean.shape, 3), np.nan, np.float32)
    names: list[str] = []
    for name, fires in firing(scores, spread.mean).items():
        score, chance, _ = scores.get(name, (spread.mean, np.ones_like(spread.mean), spread.rows))
        # That a head is broad says least.
        margin = np.zeros_like(best) if name == "broad" else margin_of(score, chance)
        better = fires & (margin > best)
        best[better] = margin[better]
        strongest[better] = np.stack([np.full(score.shape, len(names)), score, chance], axis=-1)[better]
        names.append(name)
    return Numbers(strongest, {"roles": names})
