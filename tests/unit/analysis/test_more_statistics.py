"""Statistics beside the table of heads, against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from attnscope import analysis, capture
from attnscope.errors import InputError
from tests.models import handbuilt
from tests.models.handbuilt import HALF, INDUCTION, PREVIOUS, SELF, SINK, UNIFORM
from tests.unit.analysis import maps

lengths = pytest.mark.parametrize("n", [2, 5, 16])


class TestSparsity:
    @lengths
    def test_uniform(self, n):
        c = maps.uniform(n)
        assert analysis.gini(c)[0, 0] == pytest.approx(0, abs=1e-6)
        assert analysis.effective_keys(c)[0, 0] == pytest.approx(n, rel=1e-5)
        assert analysis.effective_keys(c, order=2)[0, 0] == pytest.approx(n, rel=1e-5)
        assert analysis.keys_needed(c)[0, 0] == math.ceil(0.9 * n)
        assert analysis.keys_needed(c, 1.0)[0, 0] == n
        assert analysis.negligible_share(c)[0, 0] == 0

    @lengths
    def test_one_hot(self, n):
        c = maps.given(maps.shifted(n, 1))
        assert analysis.gini(c)[0, 0] == pytest.approx(1, abs=1e-6)
        assert analysis.effective_keys(c)[0, 0] == analysis.effective_keys(c, order=2)[0, 0] == 1
        assert analysis.keys_needed(c)[0, 0] == 1
        assert analysis.negligible_share(c)[0, 0] == pytest.approx((n - 1) / n)

    def test_halving_weights(self):
        n = 6
        row = np.array([*(2.0 ** -(j + 1) for j in range(n - 1)), 2.0 ** -(n - 1)])
        c = maps.given(np.tile(row, (1, n, 1)))
        assert analysis.effective_keys(c)[0, 0] == pytest.approx(4 ** (1 - 2.0 ** -(n - 1)), rel=1e-5)
        assert analysis.keys_needed(c, 0.75)[0, 0] == 2
        assert analysis.keys_needed(c, 0.76)[0, 0] == 3

    @pytest.mark.parametrize(
        "ask",
        [
            lambda c: analysis.keys_needed(c, 0),
            lambda c: analysis.keys_needed(c, 1.5),
            lambda c: analysis.effective_keys(c, order=3),
            lambda c: analysis.offset_share(c, 0.5),
        ],
    )
    def test_wrong_numbers(self, ask):
        with pytest.raises(InputError):
            ask(maps.uniform(4))


class TestSinkRate:
    def test_of_heads_set_by_hand(self):
        c = capture(handbuilt.gpt2(), handbuilt.tokenizer(), handbuilt.repeated(10, 3))
        n, harmonic = 31, sum(1 / k for k in range(1, 32))
        first = {SINK: 1, UNIFORM: harmonic / n, PREVIOUS: 2 / n, SELF: 1 / n, HALF: 1.5 / n, INDUCTION: 11 / n}
        first |= {(0, 1): 11 / n} | {(1, head): harmonic / n for head in range(1, 6)}
        assert len(first) == 12
        for threshold in (0.05, 0.2, 0.3, 0.5):
            expected = sum(share > threshold for share in first.values()) / 12
            assert analysis.sink_rate(c, threshold) == pytest.approx(expected)

    def test_only_of_causal_attention(self):
        with pytest.raises(InputError, match="causal"):
            analysis.sink_rate(maps.uniform(5))


class TestVariability:
    def test_heads_that_go_by_position_have_none(self):
        model, tokenizer = handbuilt.gpt2(), handbuilt.tokenizer()
        captures = [capture(model, tokenizer, handbuilt.random_letters(20, seed)) for seed in range(4)]
        found = analysis.variability(captures)
        for place in (PREVIOUS, SELF, UNIFORM, SINK, HALF):
            assert found[place] == pytest.approx(0, abs=1e-5)
        assert found[INDUCTION] > 0.05

    def test_by_the_formula(self):
        texts = [maps.random_rows(2, 6, 6, seed=seed) for seed in range(3)]
        found = analysis.variability([maps.given(weights) for weights in texts], first=4)
        part = np.stack(texts)[:, :, :4, :4].astype(float)
        want = np.abs(part - part.mean(0)).sum((0, 2, 3)) / (2 * part.sum((0, 2, 3)))
        np.testing.assert_allclose(found[0], want, rtol=1e-5)

    def test_two_texts_that_share_no_key(self):
        texts = [maps.given(np.eye(4)[None][:, :, order]) for order in ([0, 1, 2, 3], [1, 0, 3, 2])]
        assert analysis.variability(texts, 4)[0, 0] == pytest.approx(0.5)

    @pytest.mark.parametrize(("captures", "first"), [(1, 4), (2, 9), (2, 0)])
    def test_what_cannot_be_compared(self, captures, first):
        with pytest.raises(InputError):
            analysis.variability([maps.uniform(5)] * captures, first)


class TestRepeatedRandom:
    def test_what_it_draws(self):
        ids = analysis.repeated_random(range(5, 40), length=7, times=3, first=1)
        assert ids.dtype == np.int64
        assert ids[0] == 1
        rounds = ids[1:].reshape(3, 7)
        assert (rounds == rounds[0]).all()
        assert len(set(rounds[0])) == 7
        assert set(rounds[0]) <= set(range(5, 40))
        assert ids.tolist() != analysis.repeated_random(range(5, 40), length=7, times=3, first=1, seed=1).tolist()
        assert len(analysis.repeated_random(range(50))) == 100

    def test_it_finds_induction_heads(self):
        model, tokenizer = handbuilt.gpt2(), handbuilt.tokenizer()
        scores = [
            analysis.pattern_score(capture(model, tokenizer, {"input_ids": torch.tensor(ids)}), "induction")
            for ids in (analysis.repeated_random(range(1, 16), length=9, first=0, seed=seed) for seed in range(3))
        ]
        score = scores[0] + scores[1] + scores[2]
        assert score.mass[INDUCTION] == pytest.approx(1, abs=1e-5)
        assert score.rows[INDUCTION] == 3 * 27

    @pytest.mark.parametrize("options", [{"length": 6}, {"length": 0}, {"times": 0, "length": 2}])
    def test_what_cannot_be_drawn(self, options):
        with pytest.raises(InputError, match="5 different ids"):
            analysis.repeated_random([1, 2, 3, 4, 5, 5], **options)
