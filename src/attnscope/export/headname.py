"""What a head is called; js/src/headname.ts has the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnscope.export.labels import clean

if TYPE_CHECKING:
    from attnscope.attention.capture import Attention

Head = tuple[int, int]


def head_name(attention: Attention, head: Head) -> str:
    """Name a head in a heading."""
    return _given(attention, head) or f"Layer {head[0]} · Head {head[1]}"


def short_head_name(attention: Attention, head: Head) -> str:
    """Name a head where there is little room."""
    return _given(attention, head) or f"L{head[0]} H{head[1]}"


def spoken_head_name(attention: Attention, head: Head) -> str:
    """Name a head in a sentence."""
    return _given(attention, head) or f"Layer {head[0]}, head {head[1]}"


def _given(attention: Attention, head: Head) -> str:
    """What it was called by whoever handed it in; empty where it was not."""
    return clean(attention.head_names[head[0]][head[1]]) if attention.head_names else ""
