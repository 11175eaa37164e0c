from __future__ import annotations

import json

import numpy as np

from attnscope import Tokens, from_attentions
from attnscope.wire.describe import describe


def kind_of(tokens):
    return describe(from_attentions([np.full((1, 2, 2), 0.5, np.float32)], tokens))["kinds"][0]["queries"]


def test_text_has_neither_patches_nor_times():
    assert set(kind_of(["a", " b"])) == {"text", "special", "words", "segments"}


def test_white_space_that_no_token_carries_is_told():
    assert kind_of(["a", "b"])["gaps"] == [0, 1]


def test_turns_of_a_chat_are_told():
    assert kind_of(["<|user|>", "<|assistant|>"])["turns"] == [(0, 1, "user"), (1, 2, "assistant")]


def test_patches_and_times_are_told_where_there_are_any():
    tokens = Tokens(
        ("[CLS]", "patch 0,0"),
        np.array([True, False]),
        np.array([-1, 0], np.int32),
        patches=np.array([[-1] * 4, [0, 0, 1, 1]], np.int32),
        times=np.array([[np.nan] * 2, [0.1, 0.12]], np.float32),
    )
    told = json.loads(json.dumps(kind_of(tokens), allow_nan=False))
    assert told["patches"] == [None, [0, 0, 1, 1]]
    assert told["times"][0] is None
    np.testing.assert_allclose(told["times"][1], [0.1, 0.12], atol=1e-6)
