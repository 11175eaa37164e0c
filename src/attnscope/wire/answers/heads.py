"""One number per head: a statistic, or the weight between two tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attnscope.analysis.head_table import measures_of
from attnscope.errors import NotFoundError
from attnscope.wire.comparing import CHANGE, change_of
from attnscope.wire.known import known
from attnscope.wire.question import Numbers

if TYPE_CHECKING:
    from attnscope.wire.question import Question


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
    measure = measures[name]
    found = known(capture, attention.kind, [measure])[measure]
    levels = found.chance[:, 0]
    return Numbers(found.mean, {"chance": [None if np.isnan(level) else round(float(level), 6) for level in levels]})


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
