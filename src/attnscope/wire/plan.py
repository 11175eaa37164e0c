"""What of a capture is stored, and as what, where there is room for so many bytes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from attnscope.attention.layers import QueriesKeys

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from attnscope.attention.capture import Attention, Capture
    from attnscope.attention.layers import Layer

Form = Literal["queries_keys", "weights"]

SMALL = 1 << 21
"""Bytes of queries and keys that are stored whatever the weights would take, since they also give scores: 2 MiB."""


@dataclass(frozen=True)
class Plan:
    """What is stored.

    Parameters
    ----------
    forms
        By kind of attention: queries and keys, or packed weights.
    heads
        By kind and layer: the heads stored, ascending.
    """

    forms: Mapping[str, Form]
    heads: Mapping[str, Mapping[int, tuple[int, ...]]]

    def is_whole(self, capture: Capture) -> bool:
        """Whether every head of every layer of every kind is stored."""
        return all(
            len(self.heads[attention.kind].get(number, ())) == layer.n_heads
            for attention in capture.attention.values()
            for number, layer in attention.stored.items()
        )


def everything(capture: Capture) -> Plan:
    """Store all of it: queries and keys where they can be and are small or smaller than weights, else weights."""
    forms: dict[str, Form] = {}
    for attention in capture.attention.values():
        vectors = _bytes(attention, "queries_keys")
        is_smaller = vectors <= max(_bytes(attention, "weights"), SMALL)
        forms[attention.kind] = "queries_keys" if is_smaller else "weights"
    return Plan(forms, {attention.kind: _all_heads(attention) for attention in capture.attention.values()})


def size_of(capture: Capture, plan: Plan) -> float:
    """Bytes that a plan's layers take, before compression."""
    return sum(
        _layer_bytes(attention.stored[number], plan.forms[attention.kind], heads)
        for attention in capture.attention.values()
        for number, heads in plan.heads[attention.kind].items()
    )


def fitting(capture: Capture, kind: str, shown: Sequence[Sequence[int]], room: float, *, more: bool = True) -> Plan:
    """Store what fits.

    All of it where that fits, with queries and keys if those fit, as they also give scores. Else the heads shown, then
    the rest of their layers, then the layers nearest to them, then the other kinds; each in the smaller form.

    Parameters
    ----------
    kind, shown
        What is on screen: a kind, and its selected heads as [layer, head].
    room
        Bytes there are, before compression.
    more
        Whether to store more than what is shown.
    """
    attentions = capture.attention.values()
    smaller = {one.kind: min(_FORMS, key=lambda form, one=one: _bytes(one, form)) for one in attentions}  # type: ignore[misc]
    if more:
        vectors: dict[str, Form] = {
            one.kind: "queries_keys" if math.isfinite(_bytes(one, "queries_keys")) else "weights" for one in attentions
        }
        whole = {one.kind: _all_heads(one) for one in attentions}
        for forms in (vectors, smaller):
            if sum(_bytes(one, forms[one.kind]) for one in attentions) <= room:
                return Plan(forms, whole)
    stored: dict[str, dict[int, tuple[int, ...]]] = {one.kind: {} for one in attentions}
    for name, number, heads in _wanted(capture, kind, shown) if more else _shown(kind, shown):
        layer = capture[name].stored[number]
        before = stored[name].get(number, ())
        after = tuple(sorted({*before, *heads}))
        grown = _layer_bytes(layer, smaller[name], after) - _layer_bytes(layer, smaller[name], before)
        if len(after) > len(before) and grown <= room:
            stored[name][number] = after
            room -= grown
    return Plan(smaller, stored)


_FORMS: tuple[Form, ...] = ("queries_keys", "weights")


def _shown(kind: str, shown: Sequence[Sequence[int]]) -> Iterator[tuple[str, int, tuple[int, ...]]]:
    for number, head in shown:
        yield kind, number, (head,)


def _wanted(capture: Capture, kind: str, shown: Sequence[Sequence[int]]) -> Iterator[tuple[str, int, tuple[int, ...]]]:
    yield from _shown(kind, shown)
    near = {number for number, _ in shown} or {capture[kind].layers[0]}
    for number in sorted(near):
        yield kind, number, tuple(range(capture[kind].stored[number].n_heads))
        for head in range(capture[kind].stored[number].n_heads):
            yield kind, number, (head,)
    for attention in sorted(capture.attention.values(), key=lambda one: one.kind != kind):
        away = {number: min(abs(number - other) for other in near) for number in attention.layers}
        for number in sorted(away, key=away.__getitem__):
            yield attention.kind, number, tuple(range(attention.stored[number].n_heads))


def _all_heads(attention: Attention) -> dict[int, tuple[int, ...]]:
    return {number: tuple(range(layer.n_heads)) for number, layer in attention.stored.items()}


def _bytes(attention: Attention, form: Form) -> float:
    return sum(_layer_bytes(layer, form, tuple(range(layer.n_heads))) for layer in attention.stored.values())


def _layer_bytes(layer: Layer, form: Form, heads: Sequence[int]) -> float:
    """Bytes of some heads of a layer; infinite where it cannot be stored so."""
    if not heads:
        return 0
    if form == "weights":
        return 2 * len(heads) * int(layer.mask.counts().sum())
    if not isinstance(layer, QueriesKeys):
        return math.inf
    key_heads = layer.n_key_heads if len(heads) == layer.n_heads else len(heads)
    numbers = layer.width * (len(heads) * layer.n_queries + key_heads * layer.n_keys)
    if layer.values is not None:
        numbers += key_heads * layer.n_keys * int(layer.values.shape[2])
    if layer.bias is not None:
        numbers += min(len(heads), int(layer.bias.shape[0])) * layer.n_queries * layer.n_keys
    return 4 * numbers
