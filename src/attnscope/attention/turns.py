"""The turns of a chat, found by the marks chat templates put into the text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from attnscope.attention.tokens import Tokens

_OPENS = {
    "<|im_start|>": "", "<|start_header_id|>": "<|end_header_id|>", "<start_of_turn>": "",
    "<|start_of_role|>": "<|end_of_role|>", "<|start|>": "<|message|>", "<|header_start|>": "<|header_end|>",
}  # fmt: skip
"""Marks before a role, and the mark behind it; where that is empty, the role is what stands in the mark's line."""
_ROLE = re.compile(r"<[|｜](user|assistant|system|tool|developer|observation)[|｜]>", re.IGNORECASE)
_INSTRUCTION = {"[INST]": "user", "[/INST]": "assistant"}
_MOST_OF_ROLE = 8
"""Most tokens a role is written with."""


def turns_of(tokens: Tokens) -> list[tuple[int, int, str]]:
    """Find the turns of a chat.

    Returns
    -------
    list of (int, int, str)
        First token, the token past the last, and the role, of each turn; empty where the text is no chat. A turn
        begins with the mark before it.
    """
    starts: list[tuple[int, str]] = []
    for i, text in enumerate(tokens.text):
        mark = text.strip()
        if mark in _OPENS:
            starts.append((i, _role(tokens, i + 1, _OPENS[mark])))
        elif mark in _INSTRUCTION:
            starts.append((i, _INSTRUCTION[mark]))
        elif named := _ROLE.fullmatch(mark):
            starts.append((i, named[1].lower()))
    ends = [start for start, _ in starts] + [len(tokens)]
    return [(start, end, role) for (start, role), end in zip(starts, ends[1:], strict=True)]


def _role(tokens: Tokens, start: int, closing: str) -> str:
    """Read the name behind a mark."""
    name = ""
    for text in tokens.text[start : start + _MOST_OF_ROLE]:
        if text.strip() == closing and closing:
            break
        line, broken, _ = text.partition("\n")
        if text.startswith("<|"):
            break
        name += line
        if broken:
            break
    return name.strip() or "turn"
