"""Going through the rows of many heads at once, which for short texts takes a fraction of the time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from attnscope.analysis.blocks import ARRAYS, Rows, block_of, sharing_masks
from attnscope.attention import compute
from attnscope.attention.arrays import to_float32
from attnscope.attention.layers import QueriesKeys

if TYPE_CHECKING:
    from collections.abc import Iterator

    from attnscope.attention.capture import Attention
    from attnscope.attention.layers import Layer

ROWS = 64
"""Rows that a block of several layers should hold at least; where it could not, layers are taken one by one."""


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
    rows: Rows


def stacks(attention: Attention, *, content: bool = False) -> Iterator[Stack]:
    """Go through every head's rows, several heads at once.

    Each row of each head comes once. What is measured equals what :func:`~attnscope.analysis.blocks.walk` gives but
    for the last digits of float32.

    Parameters
    ----------
    content
        Leave special tokens out on both sides.
    """
    for sharing in sharing_masks(attention):
        for members in _fitting(sharing):
            first, n_heads = members[0][1], [layer.n_heads for _, layer in members]
            layers = np.repeat([row for row, _ in members], n_heads)
            heads = np.concatenate([np.arange(n) for n in n_heads])
            for some in compute.row_blocks(first.n_queries, ARRAYS * first.n_keys * len(heads)):
                block = block_of(attention, first.mask, some, content)
                weights = np.concatenate([_weights(layer, block.positions) for _, layer in members])
                yield Stack(layers, heads, block.rows(weights))


def _fitting(members: list[tuple[int, Layer]]) -> Iterator[list[tuple[int, Layer]]]:
    """Part layers that share a mask so that blocks of all their heads hold enough rows."""
    first = members[0][1]
    most = compute.BLOCK_CELLS // (ARRAYS * max(first.n_keys, 1) * max(min(ROWS, first.n_queries), 1))
    taken: list[tuple[int, Layer]] = []
    for member in members:
        if taken and sum(layer.n_heads for _, layer in [*taken, member]) > most:
            yield taken
            taken = []
        taken.append(member)
    yield taken


def _weights(layer: Layer, positions: np.ndarray) -> np.ndarray:
    """Weights of all heads of a layer: float32 [heads, rows, keys]."""
    if isinstance(layer, QueriesKeys):
        return to_float32(compute.weight_rows(layer, None, positions))
    return np.stack([layer.weight_rows(head, positions) for head in range(layer.n_heads)])
