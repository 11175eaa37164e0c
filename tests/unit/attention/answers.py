"""Servers' answers in each of the documented forms, written for these tests: no server was asked."""

from __future__ import annotations

import copy
import re
from typing import Any


class Client:
    """What a client library gives: an object with ``model_dump``."""

    def __init__(self, data: Any) -> None:
        self._data = data

    def model_dump(self) -> Any:
        return copy.deepcopy(self._data)


def entry(token: str, logprob: float, *top: tuple[str, float], raw: bytes | None = None) -> dict[str, Any]:
    """One token of a chat completion."""
    others = [{"token": name, "logprob": number, "bytes": _bytes(name)} for name, number in top]
    return {"token": token, "logprob": logprob, "bytes": list(raw) if raw else _bytes(token), "top_logprobs": others}


def _bytes(token: str) -> list[int] | None:
    """UTF-8, where a token has one."""
    return None if re.search("[\ud800-\udfff]", token) else list(token.encode())


CHAT = {
    "id": "chatcmpl-1", "object": "chat.completion", "created": 0, "model": "small-chat",
    "choices": [{
        "index": 0, "finish_reason": "stop",
        "message": {"role": "assistant", "content": "The cat😀\n"},
        "logprobs": {
            "content": [
                entry("The", -0.25, ("The", -0.25), ("A", -2.0), ("An", -4.0)),
                entry(" cat", -2.5, (" dog", -0.5), (" cat", -2.5), (" fish", -9999.0)),
                entry("\\xf0\\x9f", -3.0, raw=b"\xf0\x9f"),
                entry("\\x98\\x80", -0.0625, raw=b"\x98\x80"),
                entry("\n", -9999.0, (".", -0.25), ("!", -2.0), ("?", -3.0)),
            ],
            "refusal": None,
        },
    }],
}  # fmt: skip

COMPLETION = {
    "object": "text_completion", "model": "small-text",
    "choices": [{
        "index": 0, "text": "The caté", "finish_reason": "length",
        "logprobs": {
            "tokens": ["The", " cat", "é", "bytes:\\xe2\\x80"],
            "token_logprobs": [None, -2.0, -4.0, -1.0],
            "top_logprobs": [
                None, {" cat": -2.0, " dog": -3.0}, {"e": -0.5, "a": -1.5, "é": -4.0}, {" ": -0.75, "x": -1.0},
            ],
            "text_offset": [0, 3, 7, 8],
        },
    }],
}  # fmt: skip

TWO = [entry("The", -0.25, ("The", -0.25)), entry(" cat", -2.5, (" dog", -0.5))]
RESPONSES = {
    "object": "response", "model": "small-responses",
    "output": [
        {"type": "reasoning", "summary": []},
        {"type": "message", "role": "assistant", "content": [
            {"type": "output_text", "text": "The cat", "annotations": [], "logprobs": TWO},
        ]},
    ],
}  # fmt: skip
EVENTS = [
    {"type": "response.created", "response": {"output": []}},
    {"type": "response.output_text.delta", "delta": "The", "logprobs": TWO[:1]},
    {"type": "response.output_text.delta", "delta": " cat", "logprobs": TWO[1:]},
    {"type": "response.completed", "response": RESPONSES},
]


def _chunk(index: int, *entries: dict[str, Any]) -> dict[str, Any]:
    logprobs = {"content": list(entries), "refusal": None} if entries else None
    return {
        "object": "chat.completion.chunk", "model": "small-chat",
        "choices": [{"index": index, "delta": {}, "logprobs": logprobs}],
    }  # fmt: skip


CHUNKS = [
    _chunk(0), _chunk(1, entry("A", -1.5)), _chunk(0, entry("The", -0.5)), _chunk(0, entry(" cat", -1.0)),
    _chunk(1, entry(" dog", -2.5)), _chunk(0), {"object": "chat.completion.chunk", "choices": [], "usage": {}},
]  # fmt: skip

PROMPT = {
    "object": "chat.completion", "model": "small-served",
    "choices": [{"index": 0, "logprobs": {"content": [entry(" on", -0.25)]}}],
    "prompt_logprobs": [
        None,
        {"10": {"logprob": -3.0, "rank": 7, "decoded_token": " cat"},
         "12": {"logprob": -0.5, "rank": 1, "decoded_token": " dog"}},
        {"11": {"logprob": -0.5, "rank": 1, "decoded_token": " sat"}},
    ],
}  # fmt: skip
