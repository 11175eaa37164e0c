"""Tokens are laid beside each other as the texts they spell."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnscope import Tokens
from attnscope.analysis.same_text import groups, matched


def tokens(texts, special=()):
    flags = np.array([text in special for text in texts], bool)
    return Tokens(tuple(texts), flags, np.arange(len(texts), dtype=np.int32))


def laid(one, two, special=("[CLS]", "[SEP]", "<s>")):
    a, b = tokens(one, special), tokens(two, special)
    return [(" ".join(a.text[i:j]), " ".join(b.text[k:m])) for i, j, k, m in groups(a, b)]


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        # the finest groups both tokenizers agree on
        (["abc", "de"], ["ab", "cd", "e"], [("abc de", "ab cd e")]),
        (["ab", "##c", "de"], ["a", "bc", " d", "e"], [("ab ##c", "a bc"), ("de", " d e")]),
        # white space, case and accents are no difference
        (["The", " Café"], ["the", "ca", "##fe"], [("The", "the"), (" Café", "ca ##fe")]),
        # bytes of one character are joined to the character
        ([" ", "<0xE4>", "<0xB8>", "<0xAD>", "a"], ["中", "a"], [("  <0xE4> <0xB8> <0xAD>", "中"), ("a", "a")]),
        (["<0xE4>", "<0xB8><0xAD>"], ["<0xE4><0xB8>", "<0xAD>"], [("<0xE4> <0xB8><0xAD>", "<0xE4><0xB8> <0xAD>")]),
        # special tokens are matched by their texts, wherever they stand
        (
            ["[CLS]", "a", "[SEP]", "b"],
            ["a", "[SEP]", "b"],
            [("[CLS]", ""), ("a", "a"), ("[SEP]", "[SEP]"), ("b", "b")],
        ),
        (["[CLS]", "a"], ["<s>", "a"], [("[CLS]", ""), ("", "<s>"), ("a", "a")]),
        # other texts: an insertion is never stretched, and what spells the same in between is joined
        (
            ["a", "cat", "sat"],
            ["a", "black", "cat", "sat"],
            [("a", "a"), ("", "black"), ("cat", "cat"), ("sat", "sat")],
        ),
        (
            ["so", "un", "##kind", "x"],
            ["so", "unk", "ind", "x", "y"],
            [("so", "so"), ("un ##kind", "unk ind"), ("x", "x"), ("", "y")],
        ),
        # line breaks, which spell nothing, stay with each other
        (["a", "\n", "b"], ["[CLS]", "a", "\n", "b"], [("", "[CLS]"), ("a", "a"), ("\n", "\n"), ("b", "b")]),
        ([], ["a"], [("", "a")]),
    ],
)
def test_tokens_beside_each_other(one, two, expected):
    assert laid(one, two) == expected


texts = st.lists(st.sampled_from(["a", "b", "ab", "ba", "##a", " b", "é", "[CLS]"]), max_size=12)


@given(texts, texts)
def test_every_token_is_in_one_group_in_order(one, two):
    found = groups(tokens(one, ["[CLS]"]), tokens(two, ["[CLS]"]))
    for side, n in ((0, len(one)), (2, len(two))):
        covered = [at for group in found for at in range(group[side], group[side + 1])]
        assert covered == list(range(n))
    for i, j, k, m in matched(found).tolist():
        assert i < j
        assert k < m


@given(st.text("abc", min_size=1, max_size=14), st.sets(st.integers(1, 13)), st.sets(st.integers(1, 13)))
def test_one_text_cut_twice_is_joined_where_both_cut(text, first, second):
    def cut(places):
        ends = [0, *sorted(place for place in places if place < len(text)), len(text)]
        return [text[i:j] for i, j in pairwise(ends)]

    one, two = cut(first), cut(second)
    found = groups(tokens(one), tokens(two))
    common = {place for place in first & second if place < len(text)}
    assert len(found) == len(common) + 1
    for i, j, k, m in found:
        assert "".join(one[i:j]) == "".join(two[k:m])
