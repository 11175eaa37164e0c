"""A token's routes down through the layers, and one row of every layer beside the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attnscope.analysis.rollout import Mixing
from attnscope.errors import InputError
from attnscope.wire.question import Numbers

if TYPE_CHECKING:
    from attnscope.wire.question import Question

MOST_EDGES = 2000
"""Most links in one answer, all layers together."""


def flow(question: Question) -> Numbers:
    """Answer with what passes through each token and each of the strongest links, beside chance.

    One list of numbers: the share of each token at each level, [level + 1, tokens]; the same under uniform attention;
    then the links, [level, edges, 4], as token above, token below, share, and share by chance. Level ``l`` is what
    tokens hold before the ``l``-th layer with attention. With ``excess``, the links are those furthest above or below
    chance.
    """
    attention, query = question.attention, question.position("query")
    level, edges = question.ints("level", "edges")
    if not 1 <= level <= attention.n_layers:
        raise InputError(f"level is a number of layers from 1 to {attention.n_layers}, got {level}.")
    if not 1 <= edges * level <= MOST_EDGES:
        raise InputError(f"One answer holds 1 to {MOST_EDGES} links, {edges} in each of {level} layers were asked for.")
    excess = question.get("excess", False) is True
    mixings = Mixing(attention), Mixing(attention, chance=True)
    n = len(attention.queries)
    nodes = np.zeros((2, level + 1, n), np.float32)
    nodes[:, level, query] = 1
    links = np.zeros((level, edges, 4), np.float32)
    for row in reversed(range(level)):
        question.go_on()
        for (rows, real), (_, uniform) in zip(*(mixing.blocks(row) for mixing in mixings), strict=True):
            question.go_on()
            share, chance = nodes[0, row + 1, rows, None] * real, nodes[1, row + 1, rows, None] * uniform
            nodes[:, row] += share.sum(axis=0), chance.sum(axis=0)
            links[row] = _strongest(links[row], share, chance, rows.start, excess)
    info = {"levels": level + 1, "tokens": n, "edges": edges}
    return Numbers(np.concatenate([nodes.ravel(), links.ravel()]), info)


def _strongest(known: np.ndarray, share: np.ndarray, chance: np.ndarray, first: int, excess: bool) -> np.ndarray:
    """Merge a block's strongest links into those known: [edges, 4]."""
    size = np.abs(share - chance) if excess else share
    count = min(len(known), size.size)
    some = np.argpartition(size, -count, axis=None)[-count:]
    above, below = np.unravel_index(some, size.shape)
    found = np.stack([above + first, below, share.ravel()[some], chance.ravel()[some]], axis=1).astype(np.float32)
    merged = np.concatenate([known, found])
    sizes = np.abs(merged[:, 2] - merged[:, 3]) if excess else merged[:, 2]
    return merged[np.lexsort((merged[:, 1], merged[:, 0], -sizes))[: len(known)]]


def evolution(question: Question) -> Numbers:
    """Answer with one query's weights in every layer, of one head or the mean of all: [layers, keys].

    NaN where a key is masked, and throughout a layer that has no such head.
    """
    attention, query = question.attention, question.position("query")
    head = question.get("head")
    if head is not None:
        (head,) = question.ints("head")
    found = np.full((attention.n_layers, len(attention.keys)), np.nan, np.float32)
    for row, layer in enumerate(attention.stored.values()):
        question.go_on()
        heads = range(layer.n_heads) if head is None else [head] if 0 <= head < layer.n_heads else []
        if not heads:
            continue
        rows = [layer.weight_rows(number, slice(query, query + 1))[0] for number in heads]
        seen = layer.mask.allowed(slice(query, query + 1))[0]
        found[row, seen] = np.mean(rows, axis=0)[seen]
    return Numbers(found)
