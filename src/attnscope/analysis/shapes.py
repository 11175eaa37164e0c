"""Which of three shapes a head's picture has: stripes, a diagonal, blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.analysis.blocks import blocks, walk
from attnscope.analysis.patterns import pattern_scores
from attnscope.analysis.rows import attention_of, require_one_sequence
from attnscope.analysis.tables import table
from attnscope.analysis.targets import AT_ONE_PLACE, SameSegment

if TYPE_CHECKING:
    from attnscope.attention.capture import Attention, Capture

STRIPES = 2


def pattern_shapes(c: Capture, *, content: bool = False, kind: str | None = None) -> Any:
    """Score every head on three shapes that Kovaleva et al. (2019) tell apart by eye, each minus its chance level.

    They trained a classifier on pictures labelled by hand and give no formula; these three are ours, and no label is
    made of them: where special tokens are sinks, nearly every head is striped. ``content=True`` takes those away.

    Parameters
    ----------
    content
        Leave special tokens out on both sides, and scale what is left of each row to sum 1.

    Returns
    -------
    pandas.DataFrame or list of dict
        Per head: ``layer``, ``head``; ``vertical``, the weight on its two most attended keys; ``diagonal``, the
        largest of its weights on the previous, the own and the next token; ``block``, the weight inside the query's
        own text of a pair, as a share of what could be above chance (NaN for a single text). Of the first two, the same
        of uniform attention is taken away, so that chance is 0.

    Examples
    --------
    >>> analysis.pattern_shapes(c).head(3).round(2)
       layer  head  vertical  diagonal  block
    0      0     0      0.00      0.08    NaN
    1      0     1     -0.09     -0.06    NaN
    2      0     2     -0.16      0.75    NaN
    """
    require_one_sequence(c, kind, "The shape of a head's picture")
    attention = attention_of(c, kind)
    segments = attention.queries.segments
    paired = segments is not None and len(np.unique(segments)) > 1
    targets = AT_ONE_PLACE | ({"block": SameSegment()} if paired else {})
    scores = pattern_scores(c, targets, kind, content=content)
    diagonal = _largest([scores[name].mass for name in AT_ONE_PLACE])
    diagonal -= _largest([scores[name].chance for name in AT_ONE_PLACE])
    vertical = _stripes(attention, content=content)
    return table(
        [
            {
                "layer": number,
                "head": head,
                "vertical": float(vertical[row, head]),
                "diagonal": float(diagonal[row, head]),
                "block": float(scores["block"].margin[row, head]) if paired else np.nan,
            }
            for row, (number, layer) in enumerate(attention.stored.items())
            for head in range(layer.n_heads)
        ]
    )


def _largest(arrays: list[np.ndarray]) -> np.ndarray:
    found: np.ndarray = np.max(np.nan_to_num(arrays, nan=0.0), axis=0)
    return found


def _stripes(attention: Attention, *, content: bool) -> np.ndarray:
    """Mean weight on each head's two most attended keys, minus that of uniform attention."""
    shape = (attention.n_layers, attention.n_heads, len(attention.keys))
    sums, chance = np.zeros(shape), np.zeros(shape)
    count = np.zeros(shape[:2], np.int64)
    for row, head, rows in walk(attention, content=content):
        counted = ~np.isnan(rows.weights).any(axis=1)
        sums[row, head] += rows.weights[counted].sum(axis=0, dtype=np.float64)
        count[row, head] += counted.sum()
    for members, block in blocks(attention, content=content):
        uniform = block.uniform().weights.sum(axis=0, dtype=np.float64)
        for row, _ in members:
            chance[row] += uniform
    share = (np.sort(sums)[..., -STRIPES:].sum(-1) - np.sort(chance)[..., -STRIPES:].sum(-1)) / np.maximum(count, 1)
    return np.where(count > 0, share, np.nan)
