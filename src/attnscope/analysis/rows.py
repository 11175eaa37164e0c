"""Walking through every head's rows of weights in blocks, and averaging what is measured on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from attnscope.attention.compute import row_blocks
from attnscope.errors import InputError

if TYPE_CHECKING:
    from attnscope.attention.capture import Attention, Capture
    from attnscope.attention.layers import Layer
    from attnscope.attention.tokens import Tokens


@dataclass(frozen=True, eq=False)
class Rows:
    """Some rows of one head.

    Parameters
    ----------
    positions
        int [rows]: positions of the queries.
    weights
        float32 [rows, keys].
    allowed
        bool [rows, keys]: the keys the mask lets each query see.
    keys
        Tokens attended to.
    """

    positions: np.ndarray
    weights: np.ndarray
    allowed: np.ndarray
    keys: Tokens

    def share(self, target: np.ndarray) -> np.ndarray:
        """Weight on the target keys, per row; NaN for rows that see none of them.

        Parameters
        ----------
        target
            bool [rows, keys] or [keys].
        """
        hit = target & self.allowed
        return np.where(hit.any(axis=1), np.where(hit, self.weights, 0).sum(axis=1), np.nan)

    def uniform(self) -> Rows:
        """The same rows with their weight spread evenly over the keys they see: the chance level."""
        seen = self.allowed.sum(axis=1, keepdims=True)
        return replace(self, weights=(self.allowed / np.maximum(seen, 1)).astype(np.float32))


Measure = Callable[[Rows], np.ndarray]
"""A number per row, float [rows]; NaN for rows that do not count."""


def walk(attention: Attention, layer: Layer, head: int) -> Iterator[Rows]:
    """Go through one head's rows, leaving out rows that see no key."""
    for block in row_blocks(layer.n_queries, layer.n_keys):
        allowed = layer.mask.allowed(block)
        seeing = allowed.any(axis=1)
        yield Rows(
            np.arange(block.start, block.stop)[seeing],
            layer.weight_rows(head, block)[seeing],
            allowed[seeing],
            attention.keys,
        )


def head_means(
    capture: Capture, measures: Mapping[str, Measure], kind: str | None, *, chance: bool = False
) -> dict[str, np.ndarray]:
    """Average measures over the rows that count, in one pass over the weights.

    Returns
    -------
    dict of numpy.ndarray
        Per measure float32 [layers, heads]; NaN where no row counts, or a layer has no such head. With ``chance``,
        the value under uniform attention instead.
    """
    attention = capture[capture.kinds[0] if kind is None else kind]
    means = {name: np.full((attention.n_layers, attention.n_heads), np.nan, np.float32) for name in measures}
    for row, layer in enumerate(attention.stored.values()):
        for head in range(1 if chance else layer.n_heads):
            total = dict.fromkeys(measures, 0.0)
            count = dict.fromkeys(measures, 0)
            for rows in walk(attention, layer, head):
                seen = rows.uniform() if chance else rows
                for name, measure in measures.items():
                    values = measure(seen)
                    counts = ~np.isnan(values)
                    total[name] += float(values[counts].sum(dtype=np.float64))
                    count[name] += int(counts.sum())
            for name in measures:
                columns = slice(0, layer.n_heads) if chance else head
                means[name][row, columns] = total[name] / count[name] if count[name] else np.nan
    return means


def every_row(capture: Capture, measure: Measure, kind: str | None) -> np.ndarray:
    """Measure every row: float32 [layers, heads, queries], NaN for rows that do not count."""
    attention = capture[capture.kinds[0] if kind is None else kind]
    result = np.full((attention.n_layers, attention.n_heads, len(attention.queries)), np.nan, np.float32)
    for row, layer in enumerate(attention.stored.values()):
        for head in range(layer.n_heads):
            for rows in walk(attention, layer, head):
                result[row, head, rows.positions] = measure(rows)
    return result


def require_one_sequence(capture: Capture, kind: str | None, question: str) -> None:
    """Refuse a question about positions where queries and keys are different tokens."""
    queries, keys = capture.tokens_of(kind)
    if queries is not keys and queries.text != keys.text:
        raise InputError(
            f"{question} compares positions inside one text, but here queries and keys are different tokens. "
            f"Ask it of self-attention: kind={capture.kinds!r}."
        )
