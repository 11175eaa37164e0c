"""The pattern primitive: mass, hits, chance and rows, by hand and by loops; sums that add up."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from attnscope import analysis, from_attentions
from attnscope.analysis import Sums, pattern_score, previous_token, strongest_offset
from attnscope.analysis.targets import PATTERNS, has_duplicates, is_punctuation, is_separator
from attnscope.attention import compute
from attnscope.attention.tokens import Tokens
from attnscope.errors import InputError, InputTypeError, NotFoundError
from tests.unit.analysis import maps


def previous(positions, keys):
    return np.arange(len(keys)) == positions[:, None] - 1


def by_loops(weights, allowed, target):
    """Mass, hit rate, chance, rows and diluted mass of one head."""
    rows = []
    for i in range(len(weights)):
        keys = [j for j in range(weights.shape[1]) if allowed[i, j]]
        marked = [j for j in keys if target[i, j]]
        if marked:
            best = max(keys, key=lambda j: (weights[i, j], -j))
            rows.append((sum(weights[i, j] for j in marked), best in marked, len(marked) / len(keys)))
    mass, hit, chance = np.mean(rows, axis=0)
    return mass, hit, chance, len(rows), sum(row[0] for row in rows) / allowed.any(1).sum()


class TestScore:
    @pytest.mark.parametrize("causal", [False, True])
    @pytest.mark.parametrize("cells", [1, 30, 1 << 22])
    def test_by_loops(self, monkeypatch, causal, cells):
        monkeypatch.setattr(compute, "BLOCK_CELLS", cells)
        weights = maps.random_rows(3, 9, 9, causal=causal)
        allowed = np.tri(9, dtype=bool) if causal else np.ones((9, 9), bool)
        target = np.random.default_rng(1).random((9, 9)) < 0.3
        score = pattern_score(maps.given(weights), target)
        for head in range(3):
            mass, hit, chance, rows, diluted = by_loops(weights[head], allowed, target)
            assert score.mass[0, head] == pytest.approx(mass, rel=1e-5)
            assert score.hit[0, head] == pytest.approx(hit)
            assert score.chance[0, head] == pytest.approx(chance, rel=1e-6)
            assert score.margin[0, head] == pytest.approx((mass - chance) / (1 - chance), rel=1e-4)
            assert score.rows[0, head] == rows
            assert score.diluted[0, head] == pytest.approx(diluted, rel=1e-5)

    def test_a_perfect_head(self):
        score = pattern_score(maps.given(maps.shifted(8, -1)), previous)
        assert score.mass[0, 0] == score.hit[0, 0] == score.margin[0, 0] == 1
        assert score.rows[0, 0] == 7
        assert score.diluted[0, 0] == pytest.approx(7 / 8)
        assert score.chance[0, 0] == pytest.approx(sum(1 / (i + 1) for i in range(1, 8)) / 7)

    def test_uniform_attention_is_at_chance(self):
        score = pattern_score(maps.uniform(8), previous)
        assert score.mass[0, 0] == pytest.approx(score.chance[0, 0]) == pytest.approx(1 / 8)
        assert score.margin[0, 0] == pytest.approx(0, abs=1e-6)

    def test_a_function_an_array_and_one_row_for_all(self):
        c = maps.given(maps.random_rows(2, 6, 6))
        array = pattern_score(c, np.eye(6, k=-1))
        np.testing.assert_array_equal(pattern_score(c, previous).mass, array.mass)
        np.testing.assert_allclose(array.mass, previous_token(c), rtol=1e-6)
        one_row = pattern_score(c, lambda positions, keys: np.array([text == "t2" for text in keys]))
        np.testing.assert_allclose(one_row.mass, c.weights(0)[:, :, 2].mean(1)[None], rtol=1e-6)

    def test_content(self):
        weights = np.array([[[0.5, 0.1, 0.4], [0.6, 0.3, 0.1], [0.2, 0.2, 0.6]]], np.float32)
        c = from_attentions([weights], ["[CLS]", "a", "b"])
        score = pattern_score(c, np.eye(3), content=True)
        assert score.mass[0, 0] == pytest.approx((0.3 / 0.4 + 0.6 / 0.8) / 2)
        assert score.chance[0, 0] == pytest.approx(0.5)
        assert score.rows[0, 0] == 2

    def test_rows_with_nothing_on_content_do_not_count(self):
        weights = np.array([[[1.0, 0, 0], [1, 0, 0], [0, 1, 0]]], np.float32)
        score = pattern_score(from_attentions([weights], ["[CLS]", "a", "b"]), np.tri(3, k=-1), content=True)
        assert score.rows[0, 0] == 1
        assert score.mass[0, 0] == 1

    def test_a_pattern_nobody_can_show(self):
        score = pattern_score(maps.uniform(5, causal=True), np.triu(np.ones((5, 5), bool), 1))
        assert score.rows[0, 0] == 0
        assert math.isnan(score.mass[0, 0])
        assert math.isnan(score.hit[0, 0])

    @pytest.mark.parametrize("wrong", [np.eye(4), np.full((6, 6), 0.5), None, np.eye(6, dtype=int) * 2])
    def test_other_things_are_refused(self, wrong):
        with pytest.raises(InputTypeError, match=r"A pattern is a bool array .* \(6, 6\)"):
            pattern_score(maps.given(maps.random_rows(1, 6, 6)), wrong)

    def test_patterns_by_name(self):
        c = maps.given(maps.random_rows(2, 6, 6), tokens=["[CLS]", "a", "b", ".", "a", "[SEP]"])
        by_name = {
            "previous_token": analysis.previous_token, "self": analysis.self_share, "next_token": analysis.next_token,
            "local": analysis.local_share, "duplicate_token": analysis.duplicate_token,
            "induction": analysis.induction, "sink": analysis.sink_share, "separator": analysis.separator_share,
            "punctuation": analysis.punctuation_share,
        }  # fmt: skip
        assert set(by_name) == set(PATTERNS)
        for name, ask in by_name.items():
            np.testing.assert_allclose(pattern_score(c, name).mass, ask(c), rtol=1e-6, err_msg=name)
        with pytest.raises(NotFoundError, match="no pattern 'previous'; there are previous_token, self"):
            pattern_score(c, "previous")
        cross = maps.given(maps.random_rows(2, 4, 4), key_tokens=list("wxyz"))
        assert pattern_score(cross, "sink").rows.all()
        with pytest.raises(InputError, match="The pattern 'self' compares positions"):
            pattern_score(cross, "self")

    def test_functions_that_give_other_things_are_refused(self):
        with pytest.raises(InputError, match=r"gives bool \[rows, keys\] = \(6, 6\).*float64 \(6, 6\)"):
            pattern_score(maps.given(maps.random_rows(1, 6, 6)), lambda positions, keys: np.eye(6))


class TestAddingUp:
    @drawn(st.integers(2, 9), st.integers(2, 9), st.integers(0, 1000))
    def test_scores_of_two_texts(self, n, m, seed):
        a, b = (maps.given(maps.random_rows(2, size, size, seed=seed + size)) for size in (n, m))
        both = pattern_score(a, previous) + pattern_score(b, previous)
        rows = np.concatenate([np.diagonal(c.weights(0), -1, 1, 2) for c in (a, b)], axis=1)
        np.testing.assert_allclose(both.mass[0], rows.mean(1), rtol=1e-5)
        np.testing.assert_array_equal(both.rows, rows.shape[1])
        np.testing.assert_allclose(both.of_mass.spread[0], rows.std(1), rtol=1e-3, atol=1e-4)

    def test_other_models_are_refused(self):
        a, b = maps.given(maps.random_rows(2, 4, 4)), maps.given(maps.random_rows(3, 4, 4))
        with pytest.raises(InputError, match=r"\(1, 2\) and one of \(1, 3\)"):
            pattern_score(a, previous) + pattern_score(b, previous)

    def test_no_row(self):
        nothing = Sums.none(1, 2)
        assert np.isnan(nothing.mean).all()
        assert np.isnan(nothing.spread).all()


class TestStrongestOffset:
    @pytest.mark.parametrize("offset", [-2, -1, 0, 1, 3])
    def test_a_positional_head(self, offset):
        found = strongest_offset(maps.given(maps.shifted(12, offset)))
        assert found.offset[0, 0] == offset
        assert found.rate[0, 0] == 1
        assert found.positional[0, 0]

    def test_a_head_that_is_none(self):
        found = strongest_offset(maps.given(maps.random_rows(1, 12, 12)))
        assert found.rate[0, 0] < 0.5
        assert not found.positional[0, 0]

    def test_beyond_reach(self):
        assert not strongest_offset(maps.given(maps.shifted(12, -4)), reach=3).positional[0, 0]
        with pytest.raises(InputError, match="reach"):
            strongest_offset(maps.uniform(3), reach=-1)


class TestWhatIsTheSameToken:
    def test_ids_before_texts(self):
        tokens = Tokens.of(["a", "a", "b"])
        assert has_duplicates(tokens)
        assert not has_duplicates(replace(tokens, ids=np.array([1, 2, 3])))
        assert has_duplicates(replace(tokens, ids=np.array([1, 2, 1])))

    def test_pieces_of_an_image_or_a_sound_never_are(self):
        tokens = replace(Tokens.of(["x", "<image>", "<image>"]), ids=np.array([1, 7, 7]))
        patches = np.array([[-1] * 4, [0, 0, 1, 2], [0, 1, 1, 2]], np.int32)
        assert has_duplicates(tokens)
        assert not has_duplicates(replace(tokens, patches=patches))
        times = np.array([[np.nan] * 2, [0, 1], [1, 2]], np.float32)
        assert not has_duplicates(replace(tokens, times=times))

    def test_punctuation(self):
        pieces = {True: [".", " ,", "##!", "「", "#", "…"], False: ["[CLS]", "a", "a.", "1", "$", " "]}
        for expected, texts in pieces.items():
            assert is_punctuation(Tokens.of(texts)).tolist() == [expected] * len(texts)

    def test_separators(self):
        assert is_separator(Tokens.of(["[CLS]", "a", "[SEP]", "b", "[SEP]"])).tolist() == [0, 0, 1, 0, 1]
