"""How much to make of it: findings about the capture, what chance links, and what a head does to the prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attnscope.analysis.causal.ablation import effect_of
from attnscope.analysis.find_heads import link_levels
from attnscope.analysis.health import health
from attnscope.errors import ModelError
from attnscope.wire.question import Numbers

if TYPE_CHECKING:
    from attnscope.wire.question import Question

MOST_LEVELS = 4097
"""Levels sent; more are thinned out evenly, which keeps shares to within one in so many."""


def findings(question: Question) -> Numbers:
    """Answer with what is wrong or good to know: [findings, layers, most heads], 1 for the heads concerned, else 0."""
    attention = question.attention
    question.go_on()
    found = health(question.capture, kind=attention.kind)
    rows = {number: row for row, number in enumerate(attention.layers)}
    concerned = np.zeros((len(found), attention.n_layers, attention.n_heads), np.float32)
    for at, finding in enumerate(found):
        for layer, head in finding.heads:
            concerned[at, rows[layer], head] = 1
    names = ("name", "severity", "message")
    return Numbers(concerned, {"findings": [{name: getattr(finding, name) for name in names} for finding in found]})


def links(question: Question) -> Numbers:
    """Answer with the largest weight of any head between every two content tokens, in ascending order: [levels].

    ``info`` says how many pairs they stand for.
    """
    levels = link_levels(question.capture, go_on=question.go_on, kind=question.attention.kind)
    pairs = len(levels)
    if pairs > MOST_LEVELS:
        levels = levels[np.linspace(0, pairs - 1, MOST_LEVELS).round().astype(int)]
    return Numbers(levels, {"pairs": pairs})


def ablate(question: Question) -> Numbers:
    """Answer with what switching heads off does to the model's prediction, in ``info``; see :func:`effect_of`."""
    held = question.held
    if held.model is None or question.capture is not held.capture:
        raise ModelError(
            "The model is not here, so nothing can be switched off in it. Give it to the widget: "
            "AttentionWidget(capture, model=model, tokenizer=tokenizer)."
        )
    attention = question.attention
    heads = [(layer, attention.head(layer, head)) for layer, head in question.heads()]
    position = None if question.get("query") is None else question.position("query")
    question.go_on()
    return Numbers(
        info=effect_of(
            held.model, held.capture, heads, tokenizer=held.tokenizer, position=position, kind=attention.kind
        )
    )
