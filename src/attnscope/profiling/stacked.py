"""The rows of every head of a text, many heads at once, measured in as few passes over the weights as that takes.

What is measured equals what the analysis room measures on one head after another but for the last digits of float32.
Blocks are small enough to stay in a processor's cache while everything is measured on them, so memory grows neither
with the square of a text's length nor with the number of heads.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from attnscope.analysis.blocks import Block, block_of, sharing_masks
from attnscope.attention import compute
from attnscope.attention.arrays import to_float32
from attnscope.attention.layers import QueriesKeys
from attnscope.profiling.stack_rows import Marks, StackRows, dot, room

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from attnscope.attention.capture import Attention
    from attnscope.attention.layers import Layer

CELLS = 1 << 19
"""Weights in a block, of all its heads: 2 MiB of float32."""
ROWS = 32
"""Rows that a block of several layers should hold at least; where it could not, it holds fewer layers."""
_LEAST = -200.0
"""Stands for scores of minus infinity, whose product with a weight of 0 is no number; its exponential is 0 too."""

_WORTH_CUTTING = 64
"""Keys that have to go for a block to be made without them."""

_Members = list[tuple[int, "Layer"]]


class Stack(NamedTuple):
    """Some queries as several heads look.

    Parameters
    ----------
    layers
        int [heads]: the row of each head's layer in results.
    heads
        int [heads]: its number.
    rows
        The weights, [heads, rows, keys].
    """

    layers: np.ndarray
    heads: np.ndarray
    rows: StackRows


def stacks(attention: Attention, *, content: bool = False) -> Iterator[Stack]:
    """Go through every head's rows; each row of each head comes once, and its weights are gone when the next comes.

    Parameters
    ----------
    content
        Leave special tokens out on both sides, and scale what is left of each row to sum 1.
    """
    for sharing in sharing_masks(attention):
        mask, n_queries, n_keys = sharing[0][1].mask, sharing[0][1].n_queries, max(sharing[0][1].n_keys, 1)
        parts = [_Part(members) for members in _fitting(sharing)]
        rows = max(1, CELLS // (n_keys * max(len(part.heads) for part in parts)))
        for first in range(0, n_queries, rows):
            marks = Marks(_seen(block_of(attention, mask, slice(first, min(first + rows, n_queries)), content)))
            for part in parts:
                yield Stack(part.layers, part.heads, part.rows(marks))


def _seen(block: Block) -> Block:
    """Leave out keys that come after all that the block's queries see, in causal models most of those of a text."""
    if block.queries is not block.keys or not block.positions.size:
        return block
    stop = max(int(np.flatnonzero(block.allowed.any(axis=0)).max()), int(block.positions.max())) + 1
    if len(block.keys) - stop < _WORTH_CUTTING:
        return block
    keys = block.keys.take(np.arange(stop))
    return Block(block.positions, block.allowed[:, :stop], block.queries, keys, block.content)


def _fitting(members: _Members) -> Iterator[_Members]:
    """Part layers that share a mask into those whose blocks hold enough rows, and can be computed together."""
    first = members[0][1]
    most = CELLS // (max(first.n_keys, 1) * max(min(ROWS, first.n_queries), 1))
    taken: _Members = []
    for member in members:
        if taken and (sum(layer.n_heads for _, layer in [*taken, member]) > most or not _alike(taken[0][1], member[1])):
            yield taken
            taken = []
        taken.append(member)
    yield taken


def _alike(a: Layer, b: Layer) -> bool:
    """Whether the weights of two layers can be computed as those of one."""
    if not (isinstance(a, QueriesKeys) and isinstance(b, QueriesKeys)):
        return type(a) is type(b)
    facts = [(x.scale, x.softcap, x.group_size, x.width, x.sinks is None) for x in (a, b)]
    return facts[0] == facts[1] and a.bias is None and b.bias is None


class _Part:
    """Layers whose rows are computed together."""

    def __init__(self, members: _Members) -> None:
        counts = [layer.n_heads for _, layer in members]
        self.layers = np.repeat([row for row, _ in members], counts)
        self.heads = np.concatenate([np.arange(count) for count in counts])
        self._given = [layer for _, layer in members]
        scored = [layer for layer in self._given if isinstance(layer, QueriesKeys)]
        self._scored = _joined(scored) if scored else None

    def rows(self, marks: Marks) -> StackRows:
        """Compute the rows of a block."""
        if self._scored is not None:
            return _scored(marks, self._scored)
        block = marks.block
        each = [[layer.weight_rows(head, block.positions) for head in range(layer.n_heads)] for layer in self._given]
        given = np.concatenate([np.stack(heads) for heads in each])[..., : len(block.keys)]
        return StackRows(block, np.ascontiguousarray(block.rows(given).weights), marks)


def _joined(layers: Sequence[QueriesKeys]) -> QueriesKeys:
    """Make one layer of several that are alike, in float32, whose queries are scaled."""
    queries, keys, sinks, bias = (
        None if some[0] is None else torch.cat([torch.from_numpy(to_float32(array)) for array in some])
        for some in ([getattr(layer, name) for layer in layers] for name in ("queries", "keys", "sinks", "bias"))
    )
    assert queries is not None
    first = layers[0]
    return replace(first, queries=queries * first.scale, keys=keys, sinks=sinks, bias=bias, values=None, scale=1.0)


def _scored(marks: Marks, layer: QueriesKeys) -> StackRows:
    """Compute the weights of a block's rows from queries and keys, and what comes cheap on the way."""
    block = marks.block
    scores = _scores(layer, block)
    strongest = scores.numpy().argmax(axis=-1)
    peak = scores.gather(-1, torch.from_numpy(strongest)[..., None])
    peak.masked_fill_(peak == -torch.inf, 0)
    scores -= peak
    if not marks.sees_all or layer.bias is not None:
        scores.clamp_(min=_LEAST)
    weights = torch.from_numpy(np.exp(scores.numpy(), out=room("weights", scores.shape)))
    total = weights.sum(-1, keepdim=True)
    mean = torch.from_numpy(dot(weights.numpy(), scores.numpy()))
    seeing = torch.where(total > 0, total, 1)[..., 0]
    entropy = (seeing.log() - mean / seeing).clamp_(min=0)
    whole = total
    if layer.sinks is not None and not block.content:
        whole = total + (layer.sinks[:, None, None] - peak).exp()
    whole = torch.where(whole > 0, whole, 1)
    weights /= whole
    rows = StackRows(block, weights.numpy(), marks)
    vars(rows).update(  # in place of what these properties would compute
        strongest=strongest, entropy=entropy.numpy(), total=(total / whole)[..., 0].numpy()
    )
    return rows


def _scores(layer: QueriesKeys, block: Block) -> torch.Tensor:
    """Scores of a block's rows, minus infinity where they do not look: float32 [heads, rows, keys]."""
    n_keys, positions = len(block.keys), block.positions
    if layer.bias is not None or layer.softcap is not None:
        scores = compute.score_rows(layer, None, positions)[..., :n_keys].contiguous()
    else:
        shape = (layer.n_key_heads, layer.group_size * len(positions), n_keys)
        rows = layer.queries[:, _places(positions)].reshape(*shape[:2], layer.width)
        found = torch.bmm(rows, layer.keys[:, :n_keys].mT, out=torch.from_numpy(room("scores", shape)))
        scores = found.view(layer.n_heads, len(positions), n_keys)
    if not block.allowed.all():
        scores.masked_fill_(torch.from_numpy(~block.allowed), -torch.inf)
    return scores


def _places(positions: np.ndarray) -> Any:
    """Positions as an index, a slice where they follow each other, which copies nothing."""
    n = len(positions)
    if n and positions[-1] - positions[0] == n - 1:
        return slice(int(positions[0]), int(positions[-1]) + 1)
    return torch.from_numpy(positions)
