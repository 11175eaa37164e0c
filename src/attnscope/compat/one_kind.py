"""A capture of one kind of attention, of one of the inputs that were handed in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnscope.attention.capture import Capture
from attnscope.attention.given import from_attentions
from attnscope.compat.tokens import read_tokens, require_match, without_padding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attnscope.attention.arrays import Array


def title_of(number: int, count: int) -> str:
    """Say which input a display is of, where there are several."""
    return f"input {number + 1} of {count}" if count > 1 else ""


def self_attention(
    layers: Sequence[Array | None], tokens: Sequence[str], name: str, title: str, *, padded: bool
) -> Capture:
    """Make a capture of the self-attention of one input.

    Parameters
    ----------
    layers
        [heads, tokens, tokens] each, or None.
    tokens
        One string per position.
    name
        What the caller calls the weights.
    title
        Title of the display.
    padded
        Whether to cut padding away.
    """
    for axis in (1, 2):
        require_match(tokens, "tokens", layers, name, axis)
    kept = without_padding(tokens, layers) if padded else slice(None)
    cut = [None if layer is None else layer[:, kept, kept] for layer in layers]
    return Capture(from_attentions(cut, read_tokens(tokens[kept])).attention, title)
