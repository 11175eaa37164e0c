"""Naming heads and layers of a subject."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.errors import InputError, InputTypeError

if TYPE_CHECKING:
    from attnscope.attention.capture import Attention, Capture


def attention_of(capture: Capture, kind: str | None) -> Attention:
    """One kind of attention; the first by default."""
    return capture[capture.kinds[0] if kind is None else kind]


def checked_heads(attention: Attention, heads: Any) -> list[tuple[int, int]]:
    """Check heads given as (layer, head) pairs, or one pair.

    Raises
    ------
    InputTypeError, InputError
        When they are given otherwise, or there is none.
    NotFoundError
        For a layer or head that is not there.
    """
    pairs = [heads] if _is_pair(heads) else heads
    if isinstance(pairs, str) or not isinstance(pairs, Iterable):
        raise InputTypeError(f"Heads are (layer, head) pairs, such as [(0, 2), (1, 3)]; got {heads!r}.")
    pairs = list(pairs)
    wrong = [pair for pair in pairs if not _is_pair(pair)]
    if wrong:
        raise InputTypeError(f"A head is a (layer, head) pair of numbers; got {wrong[0]!r}.")
    if not pairs:
        raise InputError("There is no head in heads. Name at least one, as a (layer, head) pair.")
    return list(dict.fromkeys((int(layer), attention.head(layer, head)) for layer, head in pairs))


def all_heads(attention: Attention) -> list[tuple[int, int]]:
    """Every head, layer by layer."""
    return [(number, head) for number, layer in attention.stored.items() for head in range(layer.n_heads)]


def by_layer_and_head(attention: Attention, values: list[float]) -> np.ndarray:
    """Put one value per head into float32 [layers, heads]; NaN where a layer has no such head."""
    table = np.full((attention.n_layers, attention.n_heads), np.nan, np.float32)
    rows = {number: row for row, number in enumerate(attention.stored)}
    for (layer, head), value in zip(all_heads(attention), values, strict=True):
        table[rows[layer], head] = value
    return table


def in_words(heads: list[tuple[int, int]]) -> str:
    """Name heads shortly: ``L0H2, L1H0 and 3 more``."""
    shown = ", ".join(f"L{layer}H{head}" for layer, head in heads[:6])
    return shown + (f" and {len(heads) - 6} more" if len(heads) > 6 else "")


def _is_pair(value: Any) -> bool:
    return (
        isinstance(value, tuple | list)
        and len(value) == 2
        and all(isinstance(number, int | np.integer) and not isinstance(number, bool) for number in value)
    )
