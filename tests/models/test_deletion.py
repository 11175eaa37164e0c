"""Tokens that matter take the prediction with them when they go, sooner than tokens drawn at random."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attnscope import analysis, capture
from attnscope.analysis.causal.deletion import areas
from attnscope.errors import InputError
from attnscope.recording import small
from tests.models import causal, handbuilt
from tests.models.test_untouched import left_as_it_was

SENTENCE = "the cat saw a small red bird near the old house . the cat saw a small"


@pytest.mark.parametrize("how", ["hide", "remove", "replace"])
def test_the_small_models_relevance_beats_random_orders(how):
    model, tokenizer = small.load()
    found = analysis.relevance(model, tokenizer, SENTENCE)
    by = {"by": tokenizer.convert_tokens_to_ids("king")} if how == "replace" else {}
    curve = analysis.deletion_curve(model, tokenizer, SENTENCE, found.tokens, how=how, draws=20, **by)
    assert curve.order[0] == 6
    assert curve.ordered[0] > 0.99
    assert curve.ordered[1] < 0.2
    assert curve.interval[0] > 0.1
    assert curve.interval[0] < curve.between < curve.interval[1]
    assert curve.share_as_good < 0.2
    assert set(curve.order) == set(range(1, 17))  # neither the start token nor the one it is read at


def test_scores_of_nothing_are_no_better_than_random():
    model, tokenizer = small.load()
    scores = np.random.default_rng(3).normal(size=18)
    scores[5:8] = -10  # what is copied goes last
    curve = analysis.deletion_curve(model, tokenizer, SENTENCE, scores, draws=20)
    assert curve.between < 0
    assert curve.interval[1] < 0.05
    assert curve.share_as_good > 0.5


def test_the_curve_by_hand():
    """Masking, step by step, by calls of the model itself."""
    model, tokenizer = causal.loaded("classifier")
    c = capture(model, tokenizer, causal.TEXT)
    scores = c.weights(2, 1, queries=0)
    curve = analysis.deletion_curve(model, tokenizer, causal.TEXT, scores, draws=3, points=100)
    ids = tokenizer(causal.TEXT, return_tensors="pt")
    content = [i for i in range(len(scores)) if not c.tokens_of()[0].special[i]]
    order = sorted(content, key=lambda i: -scores[i])
    assert curve.order.tolist() == order
    assert curve.counts.tolist() == list(range(len(content) + 1))
    assert curve.how == "mask"
    with torch.no_grad():
        best = int(model(**ids).logits[0].argmax())
        for count in range(len(content) + 1):
            hidden = ids.input_ids.clone()
            hidden[0, order[:count]] = tokenizer.mask_token_id
            p = model(**{**ids, "input_ids": hidden}).logits[0].softmax(-1)[best]
            assert curve.ordered[count] == pytest.approx(float(p), abs=1e-5)
    assert curve.random.shape == (3, len(content) + 1)
    np.testing.assert_allclose(curve.random[:, 0], curve.ordered[0], atol=1e-6)
    np.testing.assert_allclose(curve.random[:, -1], curve.ordered[-1], atol=1e-6)
    assert np.ptp(curve.random[:, 3]) > 1e-6


def test_areas_of_known_curves():
    counts = np.array([0, 1, 2, 4])
    curves = np.array([[1.0, 1, 1, 1], [1, 0, 0, 0], [4, 3, 2, 0]])
    np.testing.assert_allclose(areas(counts, curves), [1, 0.125, 2])


def test_a_known_model():
    """Only what is copied and what comes before it matter, whatever else goes."""
    text = " ".join(handbuilt.repeated(length=10, times=2).split()[:-3])
    last = len(text.split())
    source = last - 10 + 1
    scores = np.zeros(last + 1)
    scores[source] = 1
    curve = analysis.deletion_curve(handbuilt.gpt2(), handbuilt.tokenizer(), text, scores, draws=10)
    assert curve.ordered[0] == pytest.approx(1, abs=1e-6)
    assert curve.ordered[1] < 0.07
    assert curve.share_as_good <= 0.2
    late = analysis.deletion_curve(handbuilt.gpt2(), handbuilt.tokenizer(), text, np.arange(last + 1)[::-1], draws=10)
    gone = [set(late.order[:count].tolist()) for count in late.counts]
    for value, without in zip(late.ordered, gone, strict=True):
        assert (value > 0.99) == (not without & {source, source - 1})


def test_the_same_seed_gives_the_same_curve():
    given = (*small.load(), SENTENCE, np.arange(18.0))
    first, again, other = (analysis.deletion_curve(*given, draws=5, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.random, again.random)
    assert first.interval == again.interval
    assert abs(first.random - other.random).max() > 0.01


def test_of_an_encoder_decoder_and_of_hidden_states(minilm):
    model, tokenizer = causal.loaded("bart")
    n = len(tokenizer(causal.TEXT).input_ids)
    for how in ("hide", "remove"):
        curve = analysis.deletion_curve(
            model, tokenizer, causal.TEXT, np.arange(float(n)), how=how, draws=2, points=3, decoder_text=causal.TARGET
        )
        assert len(curve.order) == n - 1
        assert np.ptp(curve.ordered) > 1e-4
    found = analysis.deletion_curve(*minilm, causal.TEXT, np.arange(13.0), draws=2, points=4)
    assert found.how == "mask"
    assert found.ordered[0] == pytest.approx(1, abs=1e-6)
    assert (found.ordered[1:] < 0.99).all()
    assert len(found.table()) == len(found.counts)


def test_the_model_is_left_as_it_was():
    model, tokenizer = causal.loaded("llama")
    ids = tokenizer(causal.TEXT, return_tensors="pt").input_ids
    with left_as_it_was(model, ids):
        for how in ("hide", "remove"):
            analysis.deletion_curve(model, tokenizer, causal.TEXT, np.arange(ids.shape[1]), how=how, draws=2, points=3)


@pytest.mark.parametrize(
    ("scores", "options", "words"),
    [
        ([1.0, 2.0], {}, r"one finite score per token, 18 with special tokens"),
        (np.full(18, np.nan), {}, "not finite"),
        (np.zeros(18), {"how": "blur"}, "'mask', 'hide', 'replace', 'remove'"),
        (np.zeros(18), {"how": "mask"}, "no mask token.*how='hide'"),
        (np.zeros(18), {"how": "replace"}, "needs by="),
        (np.zeros(18), {"draws": 1}, "at least 2"),
    ],
)
def test_refusals(scores, options, words):
    with pytest.raises(InputError, match=words):
        analysis.deletion_curve(*small.load(), SENTENCE, scores, **options)
