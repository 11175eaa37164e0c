"""Checks of what is selected, and the rules that keep a selection whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from traitlets import TraitError

from attnscope.analysis.statistics import measures_of
from attnscope.attention.capture import Capture
from attnscope.errors import AttnscopeError, InputTypeError, NotFoundError, meant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attnscope.attention.capture import Attention
    from attnscope.attention.tokens import Tokens


class SelectionError(NotFoundError, TraitError):
    """What was selected is not in the capture; the widget keeps what it showed."""


def require_capture(capture: Any) -> None:
    """Refuse to show anything else."""
    if isinstance(capture, Capture):
        return
    hint = " Index the list for one of them." if isinstance(capture, list) else ""
    raise InputTypeError(
        f"AttentionWidget shows a Capture, got {type(capture).__name__}.{hint} Make one with "
        "attnscope.capture(model, tokenizer, text) or from_attentions(...)."
    )


def has_head(attention: Attention, pair: Sequence[int]) -> bool:
    """Whether there is such a head."""
    layer, head = pair
    return layer in attention.stored and head < attention.stored[layer].n_heads


def checked_heads(attention: Attention, heads: Any) -> list[list[int]]:
    """Give heads as [layer, head] pairs, each once."""
    if not isinstance(heads, list | tuple):
        raise SelectionError(f"heads is a list of [layer, head], got {heads!r}.")
    pairs: list[list[int]] = []
    for entry in heads:
        if not isinstance(entry, list | tuple) or len(entry) != 2:
            raise SelectionError(f"A head is [layer, head], got {entry!r}. Two heads are [[5, 3], [5, 11]].")
        layer = checked_layer(attention, entry[0])
        try:
            pair = [layer, attention.head(layer, entry[1])]
        except AttnscopeError as error:
            raise SelectionError(str(error)) from None
        if pair not in pairs:
            pairs.append(pair)
    return pairs


def checked_layer(attention: Attention, layer: Any) -> int:
    """Give a layer that has attention."""
    try:
        attention.layer(layer)
    except AttnscopeError as error:
        raise SelectionError(str(error)) from None
    return int(layer)


def checked_position(tokens: Tokens, wanted: Any) -> int | None:
    """Resolve a position, a token or a word; None stays None."""
    if wanted is None:
        return None
    try:
        return tokens.position(wanted)
    except AttnscopeError as error:
        raise SelectionError(str(error)) from None


def checked_positions(tokens: Tokens, name: str, wanted: Any) -> list[int]:
    """Resolve several positions, tokens or words; each once."""
    if not isinstance(wanted, list | tuple) or None in wanted:
        raise SelectionError(f"{name} is a list of positions, tokens or words, got {wanted!r}.")
    positions = [checked_position(tokens, one) for one in wanted]
    return list(dict.fromkeys(position for position in positions if position is not None))


def checked_name(capture: Capture, trait: str, wanted: str, *others: str) -> str:
    """Give the name of a statistic some kind of attention has, or of something else."""
    known = dict.fromkeys((*others, *(name for kind in capture.kinds for name in measures_of(capture, kind))))
    if wanted not in known:
        raise SelectionError(f"Heads have no {trait} {wanted!r}. {meant(wanted, known)}")
    return wanted


def checked_spans(attention: Attention, spans: Any) -> list[dict[str, Any]]:
    """Give passages as ``{from, to, label}`` and, where it was said, ``side``."""
    if not isinstance(spans, list | tuple):
        raise SelectionError(f'spans is a list of {{"from": 3, "to": 8, "label": "premise"}}, got {spans!r}.')
    return [_checked_span(attention, span) for span in spans]


def fitting_spans(attention: Attention, spans: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Keep the passages that lie within the tokens of another kind of attention."""
    return [span for span in spans if span["to"] <= _length(attention, span.get("side", "key"))]


def _checked_span(attention: Attention, span: Any) -> dict[str, Any]:
    if not isinstance(span, Mapping) or not {"from", "to"} <= set(span) <= {"from", "to", "label", "side"}:
        raise SelectionError(
            f'A span is {{"from": first token, "to": the one past the last, "label": its name}}, got {span!r}.'
        )
    ends = [span["from"], span["to"]]
    side = span.get("side", "key")
    if side not in ("query", "key"):
        raise SelectionError(f"The side of a span is 'query' or 'key', got {side!r}.")
    n = _length(attention, side)
    if any(isinstance(end, bool) or not isinstance(end, int) for end in ends) or not 0 <= ends[0] < ends[1] <= n:
        raise SelectionError(
            f"A span goes from a token to one behind it, 0 ≤ from < to ≤ {n}, got {ends[0]!r} and {ends[1]!r}."
        )
    label = str(span.get("label") or f"tokens {ends[0]}–{ends[1] - 1}")
    return {"from": ends[0], "to": ends[1], "label": label} | ({"side": side} if "side" in span else {})


def _length(attention: Attention, side: str) -> int:
    return len(attention.queries if side == "query" else attention.keys)


def heads_in_layer(attention: Attention, heads: Sequence[Sequence[int]], layer: int) -> list[list[int]]:
    """Move a selection to a layer, unless part of it is there already."""
    if any(selected == layer for selected, _ in heads):
        return [list(pair) for pair in heads]
    last = attention.layer(layer).n_heads - 1
    numbers = dict.fromkeys(min(head, last) for _, head in heads) or {0: None}
    return [[layer, head] for head in numbers]


def layer_of_heads(heads: Sequence[Sequence[int]], layer: int) -> int:
    """Give the layer of the head selected last; without heads, the layer there was."""
    return heads[-1][0] if heads else layer
