from __future__ import annotations

import pytest

from attnscope import Tokens
from attnscope.attention.turns import turns_of

CHATS = {
    "ChatML": (
        ["<|im_start|>", "user", "\n", "Hello", "<|im_end|>", "\n", "<|im_start|>", "assistant", "\n", "Hi"],
        [(0, 6, "user"), (6, 10, "assistant")],
    ),
    "Llama 3": (
        ["<|begin_of_text|>", "<|start_header_id|>", "system", "<|end_header_id|>", "\n\n", "Be", "<|eot_id|>",
         "<|start_header_id|>", "user", "<|end_header_id|>", "\n\n", "Hello"],
        [(1, 7, "system"), (7, 12, "user")],
    ),
    "Gemma": (["<bos>", "<start_of_turn>", "user", "\n", "Hello", "<end_of_turn>"], [(1, 6, "user")]),
    "Phi": (["<|user|>", "\n", "Hello", "<|end|>", "<|assistant|>", "\n"], [(0, 4, "user"), (4, 6, "assistant")]),
    "Mistral": (["<s>", "[INST]", "Hello", "[/INST]", "Hi"], [(1, 3, "user"), (3, 5, "assistant")]),
    "a role of several tokens": (["<|im_start|>", "assist", "ant", "\n", "x"], [(0, 5, "assistant")]),
    "a role that is not written": (["<|im_start|>", "\n", "x"], [(0, 3, "turn")]),
    "no chat": (["[CLS]", "user", ":", "Hello", "[SEP]"], []),
    "nothing": ([], []),
}  # fmt: skip


@pytest.mark.parametrize(("pieces", "turns"), CHATS.values(), ids=CHATS)
def test_turns_are_found_by_the_marks_of_chat_templates(pieces, turns):
    assert turns_of(Tokens.of(pieces)) == turns
