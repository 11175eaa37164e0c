"""Checks of what is selected, and the rules that keep a selection whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from traitlets import TraitError

from attnscope.errors import AttnscopeError, NotFoundError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attnscope.attention.capture import Attention
    from attnscope.attention.tokens import Tokens


class SelectionError(NotFoundError, TraitError):
    """What was selected is not in the capture; the widget keeps what it showed."""


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
