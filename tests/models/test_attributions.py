"""Captum's attributions are Captum's: completeness, and values worked out by the model itself."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch

from attnscope import analysis
from attnscope.errors import InputError, MissingPackageError, ModelError
from attnscope.recording import small
from tests.models import causal
from tests.models.test_untouched import left_as_it_was

pytest.importorskip("captum")

SENTENCE = "the cat saw a small red bird near the old house . the cat saw a small"


def logit_without(model, tokenizer, positions, target, baseline):
    ids = tokenizer(SENTENCE, return_tensors="pt").input_ids
    ids[0, positions] = baseline
    with torch.no_grad():
        return float(model(ids).logits[0, -1, target])


def test_ablation_is_the_difference_each_token_makes():
    model, tokenizer = small.load()
    red, king = (tokenizer.convert_tokens_to_ids(word) for word in ("red", "king"))
    found = analysis.attributions(model, tokenizer, SENTENCE, method="ablation", baseline=king)
    whole = logit_without(model, tokenizer, [], red, king)
    assert found.target.strip() == "red"
    assert found.scores[0] == 0  # the start token stays
    for position in range(1, 18):
        expected = whole - logit_without(model, tokenizer, [position], red, king)
        assert found.scores[position] == pytest.approx(expected, abs=1e-4)
    assert found.scores.argmax() in (6, 17)  # what is copied, and the word that asks for it


def test_shapley_values_sum_to_the_difference_to_the_baseline():
    model, tokenizer = small.load()
    red, king = (tokenizer.convert_tokens_to_ids(word) for word in ("red", "king"))
    found = analysis.attributions(model, tokenizer, SENTENCE, method="shapley", baseline=king, samples=3)
    everything = list(range(1, 18))
    difference = logit_without(model, tokenizer, [], red, king) - logit_without(model, tokenizer, everything, red, king)
    assert found.scores.sum() == pytest.approx(difference, abs=1e-3)
    again = analysis.attributions(model, tokenizer, SENTENCE, method="shapley", baseline=king, samples=3)
    np.testing.assert_array_equal(found.scores, again.scores)


@pytest.mark.parametrize("name", ["gpt2", "llama", "bert", "classifier", "t5", "bart"])
def test_integrated_gradients_are_complete(name):
    model, tokenizer = causal.loaded(name)
    found = analysis.attributions(model, tokenizer, causal.text_of(name), steps=200, **causal.options_of(name))
    special = found._beside.keys.special
    assert found.error < 0.05
    assert (found.scores[special] == 0).all()
    assert abs(found.scores[~special]).min() > 0
    assert len(found.table()) == len(found.scores)
    assert found.method in repr(found)


def test_input_times_gradient_by_hand():
    model, tokenizer = causal.loaded("gpt2")
    found = analysis.attributions(model, tokenizer, causal.TEXT, method="input_x_gradient")
    ids = tokenizer(causal.TEXT, return_tensors="pt").input_ids
    vectors = model.get_input_embeddings()(ids).detach().requires_grad_()
    logits = model(inputs_embeds=vectors).logits[0, -1]
    (slope,) = torch.autograd.grad(logits.max(), vectors)
    np.testing.assert_allclose(found.scores, (vectors * slope).sum(-1)[0].detach(), atol=1e-4)


def test_beside_the_weights():
    model, tokenizer = small.load()
    king = tokenizer.convert_tokens_to_ids("king")
    found = analysis.attributions(model, tokenizer, SENTENCE, method="ablation", baseline=king)
    table = found.table(1, 0)
    np.testing.assert_allclose(table["weight"], found.capture.weights(1, 0, queries=17), atol=1e-7)
    np.testing.assert_allclose(found.weights(1), found.capture.weights(1, queries=17).mean(0), atol=1e-7)
    agreement = found.agreement()
    assert agreement.shape == (2, 4)
    assert -1 <= np.nanmin(agreement) <= np.nanmax(agreement) <= 1
    assert abs(np.nanmax(agreement) - np.nanmin(agreement)) > 0.1


@pytest.mark.parametrize("method", ["integrated_gradients", "input_x_gradient", "ablation", "shapley"])
def test_the_model_is_left_as_it_was(method):
    model, tokenizer = causal.loaded("llama")
    ids = tokenizer(causal.TEXT, return_tensors="pt").input_ids
    for weight in model.parameters():
        weight.grad = None
    with left_as_it_was(model, ids), torch.no_grad():
        analysis.attributions(model, tokenizer, causal.TEXT, method=method, steps=4, samples=1)


def test_refusals(minilm, monkeypatch):
    with pytest.raises(InputError, match="'integrated_gradients', 'input_x_gradient', 'ablation', 'shapley'"):
        analysis.attributions(*causal.loaded("gpt2"), causal.TEXT, method="magic")
    with pytest.raises(ModelError, match="predicts nothing"):
        analysis.attributions(*minilm, causal.TEXT, method="ablation")
    monkeypatch.setitem(sys.modules, "captum.attr", None)
    with pytest.raises(MissingPackageError, match=r'pip install "attnscope\[captum\]"'):
        analysis.attributions(*causal.loaded("gpt2"), causal.TEXT)
