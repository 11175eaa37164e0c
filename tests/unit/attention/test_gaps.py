from __future__ import annotations

import numpy as np
import pytest

from attnscope import Tokens
from attnscope.attention.gaps import gaps_in, gaps_of


def rejoined(tokens):
    """The text again, from the tokens and their gaps."""
    gaps = gaps_of(tokens)
    return "".join(
        "\n" * (gap - 1) + " " * (gap == 1) + text for gap, text in zip(gaps.tolist(), tokens.text, strict=True)
    )


def located(source, pieces, special=()):
    """Tokens that stand in a text one after the other."""
    offsets, at = [], 0
    for piece in pieces:
        if piece in special:
            offsets.append((0, 0))
            continue
        at = source.index(piece, at)
        offsets.append((at, at + len(piece)))
        at += len(piece)
    n = len(pieces)
    return Tokens(
        tuple(pieces),
        np.array([piece in special for piece in pieces]),
        np.arange(n, dtype=np.int32),
        offsets=np.array(offsets, np.int32),
    )


@pytest.mark.parametrize(
    ("source", "pieces", "gaps"),
    [
        ("a b", ["a", "b"], [0, 1]),
        ("ab", ["a", "b"], None),
        ("a\n\nb  c", ["a", "b", "c"], [0, 3, 1]),
        ("a\r\nb", ["a", "b"], [0, 2]),
        ("a b", ["a", " b"], None),
        ("a\nb", ["a", "\n", "b"], None),
        ("  a", ["a"], [1]),
    ],
)
def test_white_space_that_no_token_carries_is_found(source, pieces, gaps):
    found = gaps_in([source], located(source, pieces))
    assert (found if found is None else found.tolist()) == gaps


def test_each_text_of_a_pair_is_read_for_itself():
    tokens = Tokens(
        ("[CLS]", "a", "b", "[SEP]", "c", "d"),
        np.array([1, 0, 0, 1, 0, 0], bool),
        np.array([-1, 0, 1, -1, 2, 3], np.int32),
        segments=np.array([0, 0, 0, 0, 1, 1], np.int32),
        offsets=np.array([[0, 0], [0, 1], [2, 3], [0, 0], [0, 1], [2, 3]], np.int32),
    )
    assert gaps_in(["a b", "c\nd"], tokens).tolist() == [0, 0, 1, 0, 0, 2]


def test_a_captured_text_reads_as_it_was_written(minilm):
    import attnscope

    source = "the cat's mat,\n\nit slept (deeply) because of 3.5 Donaudampf reasons."
    tokens = attnscope.capture(minilm.model, minilm.tokenizer, source).tokens_of()[0]
    inner = tokens.take(np.arange(1, len(tokens) - 1))
    assert any(text.startswith("##") for text in inner.text)
    assert rejoined(inner).replace("##", "") == source.lower()


@pytest.mark.parametrize(
    ("pieces", "text"),
    [
        (["The", "cat", "s", "##at", "(", "on", "it", ")", "."], "The cat s##at (on it)."),
        (["[CLS]", "猫", "が", "座", "[SEP]"], "[CLS] 猫が座 [SEP]"),
        (["▁The", "▁cat", "s"], " The cats"),
        (["ĠThe", "Ċ", "cat"], " The\ncat"),
        ([], ""),
    ],
)
def test_gaps_that_are_not_known_are_guessed(pieces, text):
    assert rejoined(Tokens.of(pieces)) == text
