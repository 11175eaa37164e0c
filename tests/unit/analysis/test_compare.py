from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from attnscope import AttnscopeError, Tokens, from_attentions
from attnscope.analysis import compare, match_heads
from attnscope.analysis.same_text import align


def maps(*shape, seed=0):
    weights = np.random.default_rng(seed).random(shape).astype(np.float32)
    return weights / weights.sum(-1, keepdims=True)


def test_a_capture_does_not_differ_from_itself():
    a = from_attentions(list(maps(2, 3, 4, 4)), ["a", "b", "c", "d"])
    found = compare(a, a)
    assert found.queries.tolist() == [[i, i + 1, i, i + 1] for i in range(4)]
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
    assert found.queries.tolist() == [[0, 1, 0, 1], [1, 2, 2, 3]]
    assert found.pairs() == found.pairs("key") == [("a", "a"), (None, "new"), ("b", "b")]
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


def test_difference_is_signed_and_over_what_both_have():
    one, two = maps(1, 2, 3, 3), maps(1, 2, 4, 4, seed=1)
    a, b = from_attentions(list(one), ["a", "b", "c"]), from_attentions(list(two), ["a", "x", "b", "c"])
    found = compare(a, b)
    both = np.ix_([0, 2, 3], [0, 2, 3])
    for head in range(2):
        expected = two[0, head][both] - one[0, head]
        np.testing.assert_allclose(found.difference(0, head), expected, atol=1e-6)
        assert found.largest[0, head] == pytest.approx(np.abs(expected).max(), abs=1e-6)
    np.testing.assert_allclose(compare(b, a).difference(0, 1), -found.difference(0, 1), atol=1e-6)
    np.testing.assert_allclose(found.difference(0, 0, other=(0, 1)), two[0, 1][both] - one[0, 0], atol=1e-6)
    assert found.table()["largest"].tolist() == [found.largest[layer, head] for layer, head, _ in found.ranked()]
    with pytest.raises(AttnscopeError, match="no head 5"):
        found.difference(0, 5)


def test_pieces_of_another_tokenizer_are_joined_so_that_rows_still_sum_to_one():
    texts = ["[CLS]", "un", "##believ", "##able", "news"], ["<s>", "unb", "eliev", "able", "ne", "ws"]
    b_special = np.array([True, False, False, False, False, False])
    one, two = maps(1, 1, 5, 5)[0, 0], maps(1, 1, 6, 6, seed=1)[0, 0]
    b_tokens = Tokens(texts[1], b_special, np.array([-1, 0, 0, 0, 1, 1], np.int32))
    a, b = from_attentions([one[None]], texts[0]), from_attentions([two[None]], b_tokens)
    found = compare(a, b)
    assert found.queries.tolist() == [[1, 3, 1, 3], [3, 4, 3, 4], [4, 5, 4, 6]]
    assert found.pairs() == [
        ("[CLS]", None), (None, "<s>"), ("unbeliev", "unbeliev"), ("##able", "able"), ("news", "news"),
    ]  # fmt: skip

    def literal(weights, spans):
        rows = np.stack([weights[i:j].mean(0) for i, j in spans])
        return np.stack([rows[:, i:j].sum(1) for i, j in spans], axis=1)

    p, q = literal(one, [(1, 3), (3, 4), (4, 5)]), literal(two, [(1, 3), (3, 4), (4, 6)])
    np.testing.assert_allclose(found.difference(0, 0), q - p, atol=1e-6)
    p, q = np.c_[p, 1 - p.sum(1), np.zeros(3)], np.c_[q, np.zeros(3), 1 - q.sum(1)]
    expected = np.mean([jensenshannon(x, y, base=2) ** 2 for x, y in zip(p, q, strict=True)])
    assert found.change[0, 0] == pytest.approx(expected, abs=1e-6)


def test_heads_are_matched_with_their_likes_wherever_they_stand():
    one = maps(2, 3, 5, 5)
    order = [4, 0, 5, 3, 1, 2]
    mixed = one.reshape(6, 5, 5)[order].reshape(2, 3, 5, 5)
    a, b = (from_attentions(list(each), [*"abcde"]) for each in (one, mixed))
    found = match_heads(a, b)
    assert [order[match.other_layer * 3 + match.other_head] for match in found] == list(range(6))
    assert [(match.layer, match.head) for match in found] == [(n // 3, n % 3) for n in range(6)]
    for match in found:
        assert match.divergence == pytest.approx(0, abs=1e-6)
        np.testing.assert_allclose(
            compare(a, b).difference(match.layer, match.head, other=(match.other_layer, match.other_head)), 0, atol=1e-6
        )


def test_a_match_costs_what_it_costs_in_sum():
    """Two heads want the same partner: the sum decides, and the best is named beside."""
    eye, flat = np.eye(4, dtype="f4"), np.full((4, 4), 0.25, "f4")
    near = 0.9 * eye + 0.1 * flat
    a = from_attentions([np.stack([eye, near])], [*"abcd"])
    b = from_attentions([np.stack([flat, eye])], [*"abcd"])
    found = match_heads(a, b)
    assert [(match.head, match.other_head) for match in found] == [(0, 1), (1, 0)]
    assert found[0].divergence == found[0].best == pytest.approx(0, abs=1e-6)
    expected = [np.mean([jensenshannon(near[i], other[i], base=2) ** 2 for i in range(4)]) for other in (flat, eye)]
    assert found[1].divergence == pytest.approx(expected[0], abs=1e-6)
    assert found[1].best == pytest.approx(expected[1], abs=1e-6)


def test_a_larger_model_keeps_heads_without_a_match():
    a, b = from_attentions([maps(2, 3, 3)], [*"abc"]), from_attentions([maps(4, 3, 3)] * 2, [*"abc"])
    assert len(match_heads(a, b)) == len(match_heads(b, a)) == 2
    with pytest.raises(AttnscopeError, match="no token in common"):
        match_heads(a, from_attentions([maps(2, 3, 3)], [*"xyz"]))
