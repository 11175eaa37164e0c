"""The numbers of the cells: exact ones, and an overview of a whole head."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attnscope.analysis.cells import measure_rows
from attnscope.attention.compute import cell_span
from attnscope.errors import InputError
from attnscope.wire.protocol import MEASURES
from attnscope.wire.question import Numbers

if TYPE_CHECKING:
    from attnscope.attention.capture import Attention, Capture
    from attnscope.wire.question import Question

MOST_CELLS = 1 << 22
"""Most numbers in one reply: 16 MiB of float32."""
MOST_OVERVIEW = 1024
MOST_HELD = 1 << 20
"""Most cells of a head held at once while some of its columns are read: 4 MiB of float32."""


def weights(question: Question) -> Numbers:
    """Answer with [heads, queries, keys] of a measure; NaN where a key is masked."""
    attention = question.attention
    measure = question.get("measure", "weights")
    if measure not in MEASURES:
        raise InputError(f"Unknown measure {measure!r}; expected {' or '.join(MEASURES)}.")
    heads = question.heads()
    rows, columns = question.span("queries"), question.span("keys")
    cells = len(heads) * (rows.stop - rows.start) * (columns.stop - columns.start)
    if cells > MOST_CELLS:
        raise InputError(f"One answer holds at most {MOST_CELLS} numbers, {cells} were asked for. Ask for fewer rows.")
    found = np.empty((len(heads), rows.stop - rows.start, columns.stop - columns.start), np.float32)
    step = max(1, MOST_HELD // max(1, len(attention.keys)))
    for at, head in enumerate(heads):
        for first in range(rows.start, rows.stop, step):
            question.go_on()
            some = slice(first, min(first + step, rows.stop))
            block = rows_shown(question.capture, attention, measure, head, some)[:, columns]
            found[at, some.start - rows.start : some.stop - rows.start] = block
    return Numbers(found)


def rows_shown(
    capture: Capture, attention: Attention, measure: str, head: tuple[int, int], rows: slice | np.ndarray
) -> np.ndarray:
    """Give rows of a measure as they are shown: float32 [queries, keys], NaN where a key is masked."""
    layer, number = head
    block = measure_rows(capture, attention.kind, measure, layer, number, rows).copy()
    hidden = ~attention.layer(layer).mask.allowed(rows)
    if measure == "rollout":
        hidden &= block == 0  # what this layer hides may come through the ones below
    block[hidden] = np.nan
    return block


def overview(question: Question) -> Numbers:
    """Answer with the largest weight of each cell of a coarse grid; NaN where all of it is masked."""
    attention = question.attention
    layer, head, size = question.ints("layer", "head", "size")
    if size > MOST_OVERVIEW:
        raise InputError(f"An overview has at most {MOST_OVERVIEW} cells a side, {size} were asked for.")
    question.go_on()
    return Numbers(masked_overview(attention, layer, head, size))


def masked_overview(attention: Attention, layer: int, head: int, size: int) -> np.ndarray:
    """Largest weight of each cell of a coarse grid; NaN where all of it is masked."""
    picture = attention.overview(layer, head, size)
    mask = attention.layer(layer).mask
    picture[~mask.pooled(cell_span(mask.n_queries, size), cell_span(mask.n_keys, size))] = np.nan
    return picture
