"""Averaging what is measured on every head's rows."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from attnscope.analysis import fused
from attnscope.analysis.blocks import Rows, blocks, walk
from attnscope.analysis.measures import lasting_name
from attnscope.analysis.sums import Sums
from attnscope.attention.kept import about, kept
from attnscope.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from attnscope.analysis.fused import FusedRows
    from attnscope.analysis.measures import Measure
    from attnscope.attention.capture import Attention, Capture
    from attnscope.attention.layers import Layer, QueriesKeys


def attention_of(capture: Capture, kind: str | None) -> Attention:
    """Pick one kind of attention, the first by default."""
    return capture[capture.kinds[0] if kind is None else kind]


def head_sums(
    capture: Capture,
    measures: Mapping[str, Measure],
    kind: str | None = None,
    *,
    chance: bool = False,
    content: bool = False,
) -> dict[str, Sums]:
    """Sum measures over the rows that count, in one pass over the weights, and keep the sums with the capture.

    Parameters
    ----------
    chance
        Measure uniform attention under the same mask instead.
    content
        Leave special tokens out on both sides, and scale what is left of each row to sum 1.
    """
    attention = attention_of(capture, kind)
    store = kept(attention)
    questions = {
        name: about(attention, "sums", lasting, chance, content)
        for name, measure in measures.items()
        if (lasting := lasting_name(measure)) is not None
    }
    with store.alone("sums"):
        found = {name: sums for name, question in questions.items() if (sums := store.find(question)) is not None}
        missing = {name: measure for name, measure in measures.items() if name not in found}
        if missing:
            found |= _summed(attention, missing, chance=chance, content=content)
        for name in missing.keys() & questions.keys():
            store.put(questions[name], found[name])
    return {name: found[name] for name in measures}


def _summed(attention: Attention, measures: Mapping[str, Measure], *, chance: bool, content: bool) -> dict[str, Sums]:
    """Sum measures in one pass."""
    sums = {name: Sums.none(attention.n_layers, attention.n_heads) for name in measures}
    if chance:
        for members, rows in _even(attention, list(measures.values()), content=content):
            for name, measure in measures.items():
                values = measure(rows)
                for row, layer in members:
                    sums[name].put(row, slice(0, layer.n_heads), values)
        return sums
    for row, head, rows in look(attention, measures.values(), content=content):
        for name, measure in measures.items():
            sums[name].put(row, head, measure(rows))
    return sums


def look(
    attention: Attention, measures: Iterable[Measure], *, received: bool = False, content: bool = False
) -> Iterator[tuple[int, int, Rows | FusedRows]]:
    """Go through every head's rows in the way that costs least: by sums alone where the measures allow it.

    Parameters
    ----------
    measures
        What will be measured of the rows.
    received
        Whether what each key receives will be asked for too.
    content
        Leave special tokens out on both sides.

    Yields
    ------
    int, int, Rows or FusedRows
        The row of the layer in results, the head, and some or all of its rows.
    """
    measures = list(measures)
    fusable = _fusable(attention, measures, content)
    wanted = replace(fused.wanted_by(measures), received=received)
    for row, layer in fusable.items():
        for head, rows in enumerate(fused.sweep(layer, attention, wanted, content=content)):
            yield row, head, rows
    yield from walk(attention, content=content, but=fusable)


def _fusable(attention: Attention, measures: list[Measure], content: bool) -> dict[int, QueriesKeys]:
    """Give the long layers, by row of the result, whose rows can be known by sums, where the measures allow it."""
    if not all(map(fused.needs_no_weights, measures)) or (content and attention.keys.special.all()):
        return {}
    long = {row: layer for row, layer in enumerate(attention.stored.values()) if layer.n_queries >= fused.LONG}
    return {row: layer for row, layer in long.items() if fused.can_fuse(layer)}


def _even(
    attention: Attention, measures: list[Measure], *, content: bool
) -> Iterator[tuple[list[tuple[int, Layer]], Rows | FusedRows]]:
    """Go through rows of uniform attention, once for the layers (by row of the result) that share what they see."""
    fusable = _fusable(attention, measures, content)
    sharing: dict[int, list[tuple[int, Layer]]] = {}
    for row, layer in fusable.items():
        sharing.setdefault(id(layer.mask), []).append((row, layer))
    for members in sharing.values():
        for rows in fused.sweep(
            fused.uniform(members[0][1].mask), attention, fused.wanted_by(measures), content=content
        ):
            yield members, rows
    for members, block in blocks(attention, content=content, but=fusable):
        yield members, block.uniform()


def head_means(
    capture: Capture,
    measures: Mapping[str, Measure],
    kind: str | None = None,
    *,
    chance: bool = False,
    content: bool = False,
) -> dict[str, np.ndarray]:
    """Average measures over the rows that count; see :func:`head_sums`.

    Returns
    -------
    dict of numpy.ndarray
        Per measure float32 [layers, heads]; NaN where no row counts, or a layer has no such head.
    """
    return {
        name: sums.mean for name, sums in head_sums(capture, measures, kind, chance=chance, content=content).items()
    }


def head_mean(capture: Capture, measure: Measure, kind: str | None, *, content: bool = False) -> np.ndarray:
    """Average one measure: float32 [layers, heads]; see :func:`head_means`."""
    return head_means(capture, {"it": measure}, kind, content=content)["it"]


def every_row(capture: Capture, measure: Measure, kind: str | None, *, content: bool = False) -> np.ndarray:
    """Measure every row: float32 [layers, heads, queries], NaN for rows that do not count."""
    attention = attention_of(capture, kind)
    result = np.full((attention.n_layers, attention.n_heads, len(attention.queries)), np.nan, np.float32)
    for row, head, rows in look(attention, [measure], content=content):
        result[row, head, rows.positions] = measure(rows)
    return result


def is_one_sequence(attention: Attention) -> bool:
    """Whether queries and keys are the same tokens, so that their positions can be compared."""
    return attention.queries is attention.keys or attention.queries.text == attention.keys.text


def require_one_sequence(capture: Capture, kind: str | None, question: str) -> None:
    """Refuse a question about positions where queries and keys are different tokens."""
    if not is_one_sequence(attention_of(capture, kind)):
        raise InputError(
            f"{question} compares positions inside one text, but here queries and keys are different tokens. "
            f"Ask it of self-attention: kind={capture.kinds!r}."
        )
