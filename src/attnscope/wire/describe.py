"""What the page is told about a capture before it asks for numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attnscope.analysis.cells import measures_available
from attnscope.analysis.head_table import measures_of
from attnscope.attention.rounding import precision
from attnscope.wire.protocol import MEASURES, VERSION, CaptureInfo, KindInfo, Measure, Notes
from attnscope.wire.tokens import first_tokens, tokens_info

if TYPE_CHECKING:
    from attnscope.attention.capture import Attention, Capture

SAMPLED_HEADS, SAMPLED_ROWS = 64, 8
"""Heads and rows whose sums are looked at for the note on row sums."""


def describe(capture: Capture, *, pinned: tuple[int | None, int | None] | None = None) -> CaptureInfo:
    """Describe a capture.

    Parameters
    ----------
    pinned
        The pinned query and key, for a page that can ask for more: of a long text only the tokens it shows first are
        described. None for all of it.
    """
    info: CaptureInfo = {
        "version": VERSION,
        "model": capture.model_name,
        "kinds": [_kind(capture, attention, pinned) for attention in capture.attention.values()],
    }
    if capture.pictures:
        info["pictures"] = [[picture.shape[0], picture.shape[1]] for picture in capture.pictures]
    return info


def _kind(capture: Capture, attention: Attention, pinned: tuple[int | None, int | None] | None) -> KindInfo:
    same = attention.keys is attention.queries
    query, key = pinned or (None, None)
    if pinned is None:
        queries, keys = tokens_info(attention.queries), None if same else tokens_info(attention.keys)
    else:
        queries = first_tokens(attention.queries, key if same and query is None else query)
        keys = None if same else first_tokens(attention.keys, key)
    named = [list(attention.head_names[number]) for number in attention.layers] if attention.head_names else None
    info: KindInfo = {
        "kind": attention.kind,
        "label": _label(attention),
        "layers": list(attention.layers),
        "heads": list(attention.head_counts),
        "queries": queries,
        "keys": keys,
        "causal": attention.is_causal,
        "measures": measures_shown(attention),
        "statistics": list(measures_of(capture, attention.kind)),
        "notes": _notes(attention),
    }
    return info if named is None else {**info, "names": named}


def measures_shown(attention: Attention) -> list[Measure]:
    """Name the measures the page can be shown of one kind of attention, weights first."""
    available = measures_available(attention)
    return [name for name in MEASURES if name in available]


def _label(attention: Attention) -> str:
    if attention.kind == "self":
        return "decoder self-attention" if attention.is_causal else "encoder self-attention"
    between = attention.kind == "cross" or attention.keys is not attention.queries
    return f"{attention.kind} attention" if between else f"{attention.kind} self-attention"


def _notes(attention: Attention) -> Notes:
    first = next(iter(attention.stored.values()))
    cells = first.n_queries * first.n_keys
    seen = np.mean([layer.mask.counts().sum() / max(cells, 1) for layer in attention.stored.values()])
    sums = _row_sums(attention)
    notes: Notes = {
        "row_sums": [float(sums.min()), float(sums.max())] if sums.size else [0.0, 0.0],
        "dtype": precision(first),
        "check": max(attention.check.values(), default=None),
        "masked": float(1 - seen),
        "error": 0.0,
        "blind": max(int((layer.mask.counts() == 0).sum()) for layer in attention.stored.values()),
        "unchecked": [number for number in attention.layers if number not in attention.check],
    }
    other = next((layer for layer in attention.stored.values() if layer.dtype != precision(layer)), None)
    moved = max(attention.error.values())
    if other is not None or moved:
        notes["kept"] = {"dtype": (other or first).dtype, "error": moved}
    return notes


def _row_sums(attention: Attention) -> np.ndarray:
    """Sums of evenly spaced rows of evenly spaced heads, in float64."""
    heads = [(layer, head) for layer in attention.stored.values() for head in range(layer.n_heads)]
    step = max(1, -(-len(heads) // SAMPLED_HEADS))
    sums = []
    for layer, head in heads[::step]:
        seeing = np.flatnonzero(layer.mask.counts() > 0)
        rows = (
            np.unique(seeing[np.linspace(0, seeing.size - 1, SAMPLED_ROWS).round().astype(int)])
            if seeing.size
            else seeing
        )
        if layer.n_keys and rows.size:
            sums.append(layer.weight_rows(head, rows).sum(axis=1, dtype=np.float64))
    return np.concatenate(sums) if sums else np.zeros(0)
