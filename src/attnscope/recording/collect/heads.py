"""Heads that are modules of their own, joined to layers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from attnscope.attention.layers import LazyWeights, QueriesKeys, StoredWeights
from attnscope.attention.mask import Mask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attnscope.attention.layers import Layer
    from attnscope.recording.collect.recorded import Recorded


def joined(recorded: Sequence[Recorded]) -> list[Recorded]:
    """Join each layer with those after it that are its further heads; the layer is named after what holds them all."""
    groups: list[list[Recorded]] = []
    for layer in recorded:
        if layer.joins and groups:
            groups[-1].append(layer)
        else:
            groups.append([layer])
    return [_one(group) for group in groups]


def _one(group: Sequence[Recorded]) -> Recorded:
    first = group[0]
    if len(group) == 1:
        return replace(first, joins=False)
    items = [_heads([layer.items[item] for layer in group]) for item in range(len(first.items))]
    parts = [layer.path.split(".") for layer in group]
    same = next(i for i, names in enumerate(zip(*parts, strict=True)) if len(set(names)) > 1)
    worst = max(layer.check for layer in group)
    return replace(first, path=".".join(parts[0][:same]), items=items, check=worst, joins=False, written=None)


def _heads(heads: Sequence[Layer]) -> Layer:
    """One layer of several heads that share their tokens."""
    first, mask = heads[0], _united([head.mask for head in heads])
    if isinstance(first, QueriesKeys):
        same = [head for head in heads if isinstance(head, QueriesKeys)]
        values = [head.values for head in same if head.values is not None]
        return replace(
            first,
            queries=torch.cat([head.queries for head in same]),
            keys=torch.cat([head.keys for head in same]),
            mask=mask,
            bias=_biases(same, mask),
            values=torch.cat(values) if values else None,
        )
    if all(isinstance(head, StoredWeights) for head in heads):
        return StoredWeights(torch.cat([head.weights for head in heads if isinstance(head, StoredWeights)]), mask)

    def compute() -> np.ndarray:
        return np.concatenate([head.weight_rows(0, slice(None))[None] for head in heads])

    return LazyWeights(compute, len(heads), mask, first.dtype)


def _united(masks: Sequence[Mask]) -> Mask:
    """What any head sees."""
    if all(mask is masks[0] for mask in masks):
        return masks[0]
    return Mask.of(np.logical_or.reduce([mask.allowed(slice(None)) for mask in masks]))


def _biases(heads: Sequence[QueriesKeys], mask: Mask) -> torch.Tensor | None:
    """What is added to the scores of each head, what it alone does not see included."""
    allowed = mask.allowed(slice(None)) if any(head.mask is not mask for head in heads) else None
    if allowed is None and all(head.bias is None for head in heads):
        return None
    biases = []
    for head in heads:
        bias = torch.zeros(1, head.n_queries, head.n_keys) if head.bias is None else head.bias
        if allowed is not None:
            bias = bias.masked_fill(torch.from_numpy(allowed & ~head.mask.allowed(slice(None))), -torch.inf)
        biases.append(bias)
    return torch.cat(biases)
