from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from attnscope import AttnscopeError, Tokens, from_attentions
from attnscope.analysis import compare
from attnscope.analysis.compare import align, positions


def maps(*shape, seed=0):
    weights = np.random.default_rng(seed).random(shape).astype(np.float32)
    return weights / weights.sum(-1, keepdims=True)


def test_a_capture_does_not_differ_from_itself():
    a = from_attentions(list(maps(2, 3, 4, 4)), ["a", "b", "c", "d"])
    found = compare(a, a)
    assert found.queries.tolist() == [[0, 0, 4]]
    np.testing.assert_allclose(found.change, 0, atol=1e-7)
    assert found.rows == 4


def test_change_is_scipy_s_divergence_of_the_rows():
    one, two = maps(1, 2, 4, 4), maps(1, 2, 4, 4, seed=1)
    tokens = ["a", "b", "c", "d"]
    found = compare(from_attentions(list(one), tokens), from_attentions(list(two), tokens))
    expected = [
        np.mean([jensenshannon(one[0, head, i], two[0, head, i], base=2) ** 2 for i in range(4)]) for head in range(2)
    ]
    np.testing.assert_allclose(found.change[0], expected, atol=1e-6)
    assert [(layer, head) for layer, head, _ in found.ranked()] == [
        (0, int(head)) for head in np.argsort(-found.change[0])
    ]


def test_attention_to_a_token_the_other_lacks_is_change():
    a = from_attentions([np.array([[[0.5, 0.5], [0.5, 0.5]]], "f4")], ["a", "b"])
    b = from_attentions([np.array([[[0.5, 0, 0.5], [0, 1, 0], [0.5, 0.0, 0.5]]], "f4")], ["a", "new", "b"])
    found = compare(a, b)
    assert found.queries.tolist() == [[0, 0, 1], [1, 2, 1]]
    np.testing.assert_allclose(found.change, 0, atol=1e-7)
    b = from_attentions([np.array([[[0, 1, 0]] * 3], "f4")], ["a", "new", "b"])
    np.testing.assert_allclose(compare(a, b).change, 1, atol=1e-7)


@pytest.mark.parametrize(
    ("one", "two", "runs"),
    [
        ("abcd", "abcd", [[0, 0, 4]]),
        ("abcd", "axcd", [[0, 0, 1], [2, 2, 2]]),
        ("abcd", "acd", [[0, 0, 1], [2, 1, 2]]),
        ("abcd", "abxcd", [[0, 0, 2], [2, 3, 2]]),
        ("ab", "xy", []),
        ("", "", []),
        ("Ab", "aB", [[0, 0, 2]]),
    ],
)
def test_equal_tokens_are_aligned(one, two, runs):
    assert align(Tokens.of(list(one)), Tokens.of(list(two))).tolist() == runs
    left, right = positions(align(Tokens.of(list(one)), Tokens.of(list(two))))
    assert [one[i].lower() for i in left] == [two[j].lower() for j in right]


def test_tokens_of_different_tokenizers_are_aligned():
    assert align(Tokens.of(["[CLS]", "the", "cat", "##s"]), Tokens.of(["The", "Ġcat", "s"])).tolist() == [[1, 0, 3]]


def test_what_both_have_is_compared_and_the_rest_left_open():
    a = from_attentions([None, maps(3, 2, 2), maps(2, 2, 2)], ["a", "b"])
    b = from_attentions([maps(2, 2, 2), maps(2, 2, 2)], ["a", "b"])
    found = compare(a, b)
    assert found.layers == (1,)
    assert found.numbers == (1, 2)
    assert np.isnan(found.change).tolist() == [[False, False, True], [True, True, True]]
    assert {layer for layer, _, _ in found.ranked()} == {1}


def test_what_cannot_be_compared_is_refused():
    a = from_attentions([maps(2, 2, 2)], ["a", "b"])
    with pytest.raises(AttnscopeError, match="no 'self' attention"):
        compare(a, from_attentions([maps(2, 2, 2)], ["a", "b"], kind="cross"))
    with pytest.raises(AttnscopeError, match="no layer in common"):
        compare(a, from_attentions([None, maps(2, 2, 2)], ["a", "b"]))
    with pytest.raises(AttnscopeError, match="no token in common"):
        compare(a, from_attentions([maps(2, 2, 2)], ["x", "y"]))


def test_many_rows_are_sampled_evenly(monkeypatch):
    monkeypatch.setattr(sys.modules["attnscope.analysis.compare"], "MOST_CELLS", 1)
    tokens = [f"t{i}" for i in range(64)]
    a, b = (from_attentions([maps(1, 64, 64, seed=seed)], tokens) for seed in (0, 1))
    assert compare(a, b).rows == 16
