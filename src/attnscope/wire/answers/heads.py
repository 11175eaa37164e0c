"""One number per head: a statistic, or the weight between two tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np

from attnscope.analysis.fused import needs_no_weights
from attnscope.analysis.head_table import measures_of
from attnscope.analysis.rows import head_means
from attnscope.errors import NotFoundError
from attnscope.wire.comparing import CHANGE, change_of
from attnscope.wire.question import Numbers

if TYPE_CHECKING:
    from attnscope.analysis.measures import Measure
    from attnscope.attention.capture import Capture
    from attnscope.wire.question import Question

_statistics: WeakKeyDictionary[Capture, dict[str, dict[str, tuple[np.ndarray, np.ndarray]]]] = WeakKeyDictionary()
"""By kind and name, the values and what chance gives, of captures that were asked for them."""


def statistic(question: Question) -> Numbers:
    """Answer with one statistic of every head, [layers, most heads], and the chance level of each layer."""
    capture, attention = question.capture, question.attention
    measures = measures_of(capture, attention.kind)
    name = question.get("statistic")
    if name == CHANGE and question.held.other is not None:
        question.go_on()
        return Numbers(change_of(question.held.capture, question.held.other, attention.kind))
    if not isinstance(name, str) or name not in measures:
        raise NotFoundError(f"There is no statistic {name!r} here; there are {', '.join(measures)}.")
    question.go_on()
    known = _statistics.setdefault(capture, {}).setdefault(attention.kind, {})
    if name not in known:
        together = _asked_together(measures, name)
        values = head_means(capture, together, attention.kind)
        chance = head_means(capture, together, attention.kind, chance=True)
        known |= {other: (values[other], chance[other][:, 0]) for other in together}
    values_of_heads, level = known[name]
    return Numbers(values_of_heads, {"chance": [None if np.isnan(it) else round(float(it), 6) for it in level]})


def _asked_together(measures: dict[str, Measure], name: str) -> dict[str, Measure]:
    """Statistics that cost little more than one of them: those that need each weight, or those that do not."""
    light = needs_no_weights(measures[name])
    return {other: measure for other, measure in measures.items() if needs_no_weights(measure) == light}


def pair(question: Question) -> Numbers:
    """Answer with the weight from a query to a key in every head: [layers, most heads]."""
    attention = question.attention
    i, j = question.position("query"), question.position("key")
    found = np.full((attention.n_layers, attention.n_heads), np.nan, np.float32)
    for row, layer in enumerate(attention.stored.values()):
        question.go_on()
        if layer.mask.allowed(slice(i, i + 1))[0, j]:
            found[row, : layer.n_heads] = [layer.weight_rows(h, slice(i, i + 1))[0, j] for h in range(layer.n_heads)]
    return Numbers(found)
