"""Captured weights against the weights each family's own eager code returns, on every layer and head."""

from __future__ import annotations

import dataclasses
import inspect
from functools import cache

import numpy as np
import pytest
import torch

from attnscope import capture, record
from attnscope.attention.rounding import UNIT
from tests.models import words, zoo
from tests.models.known import same_states

TOLERANCE = 1e-5
TEXT = words.SENTENCES[0]
TEXTS = [words.SENTENCES[0], "A dog runs.", words.SENTENCES[1]]

every_family = pytest.mark.parametrize("known", zoo.FAMILIES, ids=str)


@cache
def models_of(known):
    """The model as it would be loaded, and its eager twin."""
    model = zoo.build(known)
    return model, zoo.twin(model)


def inputs_of(model, tokenizer, *texts, **options):
    """What the model itself would be called with."""
    taken = inspect.signature(model.forward).parameters
    encoded = tokenizer(*texts, return_tensors="pt", **options)
    return {name: value for name, value in encoded.items() if name in taken}


def assert_equal_layers(found, own, tolerance=TOLERANCE):
    layers = found["self"].layers
    assert layers == tuple(range(len(own)))
    for number, expected in zip(layers, own, strict=True):
        weights = found.weights(number)
        assert weights.shape == expected.shape
        assert weights.dtype == np.float32
        np.testing.assert_allclose(weights, expected, rtol=0, atol=tolerance, err_msg=f"layer {number}")


@every_family
def test_weights_equal_the_models_own(known):
    model, eager = models_of(known)
    tokenizer = zoo.tokenizer_of(known)
    own = [layer[0] for layer in zoo.own_weights(eager, inputs_of(model, tokenizer, TEXT))]
    # Equality would say little if every head were uniform.
    assert np.mean([layer.max(axis=-1).mean() for layer in own]) > 3 / own[0].shape[-1]

    found = capture(model, tokenizer, TEXT)

    assert_equal_layers(found, own)
    sums = np.concatenate([found.weights(number).sum(axis=-1).ravel() for number in found["self"].layers])
    if known.rows_sum_to_one:
        np.testing.assert_allclose(sums, 1, atol=1e-5)
    else:
        assert sums.max() <= 1 + 1e-6
        assert sums.min() < 0.9
    assert len(found.tokens) == own[0].shape[-1]


@every_family
def test_a_batch_of_unequal_lengths_equals_one_by_one(known):
    model, eager = models_of(known)
    tokenizer = zoo.tokenizer_of(known)

    batch = capture(model, tokenizer, TEXTS)

    assert len({len(found.tokens) for found in batch}) == len(TEXTS)
    for text, found in zip(TEXTS, batch, strict=True):
        own = [layer[0] for layer in zoo.own_weights(eager, inputs_of(model, tokenizer, text))]
        assert_equal_layers(found, own)
        alone = capture(model, tokenizer, text)
        assert found.tokens == alone.tokens
        assert_equal_layers(found, [alone.weights(number) for number in alone["self"].layers])


@pytest.mark.parametrize("known", [known for known in zoo.FAMILIES if known.takes_pairs], ids=str)
def test_a_pair_equals_the_models_own(known):
    model, eager = models_of(known)
    tokenizer = zoo.tokenizer_of(known)
    first, second = "The cat sat.", "A dog runs again."
    own = [layer[0] for layer in zoo.own_weights(eager, inputs_of(model, tokenizer, first, second))]

    found = capture(model, tokenizer, first, second)

    assert_equal_layers(found, own)
    segments = found["self"].queries.segments.tolist()
    assert segments == sorted(segments)
    assert set(segments) == {0, 1}


def test_a_batch_of_pairs_equals_one_by_one():
    model, _ = models_of(zoo.family("bert"))
    tokenizer = words.wordpiece()
    firsts, seconds = ["The cat sat.", "A dog"], ["It was tired.", "runs again and again after the cat."]
    for first, second, found in zip(firsts, seconds, capture(model, tokenizer, firsts, seconds), strict=True):
        alone = capture(model, tokenizer, first, second)
        assert found.tokens == alone.tokens
        assert found["self"].queries.segments.tolist() == alone["self"].queries.segments.tolist()
        assert_equal_layers(found, [alone.weights(number) for number in alone["self"].layers])


@pytest.mark.parametrize(
    ("name", "implementation"),
    [
        ("bert", "eager"), ("gpt2", "eager"), ("llama", "eager"), ("mistral", "eager"), ("t5 encoder", "eager"),
        ("gpt_bigcode", "eager"), ("modernbert", "eager"),
        ("bert", "flex_attention"), ("llama", "flex_attention"), ("mistral", "flex_attention"),
    ],
)  # fmt: skip
def test_every_implementation_gives_the_same_weights(name, implementation):
    known = zoo.family(name)
    _, eager = models_of(known)
    model = zoo.twin(eager, implementation)
    tokenizer = zoo.tokenizer_of(known)

    batch = capture(model, tokenizer, TEXTS)

    assert model.config._attn_implementation == implementation
    for text, found in zip(TEXTS, batch, strict=True):
        own = [layer[0] for layer in zoo.own_weights(eager, inputs_of(model, tokenizer, text))]
        assert_equal_layers(found, own)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["float16", "bfloat16"])
@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
@pytest.mark.parametrize("name", ["bert", "gpt2", "llama", "mistral", "gemma3"])
def test_half_precision(name, implementation, dtype):
    # Scores of a unit's spread: the eager code rounds its scores, and a rounded score of 8 is off by more than this.
    known = dataclasses.replace(zoo.family(name), gain=1.0)
    model = zoo.build(known, implementation).to(dtype)
    eager = zoo.twin(model)
    tokenizer = zoo.tokenizer_of(known)
    for text in TEXTS:
        found = capture(model, tokenizer, text)
        assert found["self"].layer(0).dtype == str(dtype).removeprefix("torch.")
        # Outputs of sdpa and of eager code are rounded otherwise: later layers attend with other hidden states, which
        # move their weights by up to 2e-2 in bfloat16. The eager code is given those of the model.
        inputs = inputs_of(model, tokenizer, text)
        with same_states.kept(model, [*found["self"].modules.values()]) as states, torch.no_grad():
            model(**inputs)
        with same_states.given(eager, states):
            own = [layer[0] for layer in zoo.own_weights(eager, inputs)]
        assert_equal_layers(found, own, tolerance=5e-3 if dtype == torch.float16 else 1e-2)
        rounded = [found.weights(number, rounded=True) for number in found["self"].layers]
        np.testing.assert_allclose(rounded, own, rtol=0, atol=2 * UNIT[found["self"].layer(0).dtype])


@pytest.mark.parametrize("name", ["gpt2", "llama", "mistral", "gemma2", "gpt_oss"])
def test_left_padding_is_cut_away(name):
    known = zoo.family(name)
    model, eager = models_of(known)
    tokenizer = zoo.tokenizer_of(known)
    inputs = inputs_of(model, tokenizer, TEXTS, padding=True, padding_side="left")
    own = zoo.own_weights(eager, inputs)

    with record(model) as recording, torch.no_grad():
        model(**inputs)

    for item, found in enumerate(recording.captures(tokenizer=tokenizer)):
        kept = inputs["attention_mask"][item].numpy().astype(bool)
        assert_equal_layers(found, [layer[item][:, kept][:, :, kept] for layer in own])
        assert found.tokens == capture(model, tokenizer, TEXTS[item]).tokens


@every_family
def test_one_token(known):
    model, eager = models_of(known)
    ids = torch.tensor([[7]])
    own = [layer[0] for layer in zoo.own_weights(eager, {"input_ids": ids})]
    found = capture(model, zoo.tokenizer_of(known), {"input_ids": ids})
    assert_equal_layers(found, own)


@pytest.mark.parametrize(
    ("name", "window"), [("mistral", 5), ("phi3", 5), ("modernbert", None), ("gemma3", 5)], ids=str
)
def test_windows_are_masked_not_merely_small(name, window):
    known = zoo.family(name)
    model, _ = models_of(known)
    found = capture(model, zoo.tokenizer_of(known), TEXT)
    n = len(found.tokens)
    distance = np.arange(n)[:, None] - np.arange(n)
    # ModernBERT's local layers see 3 tokens to either side; causal windows see themselves and window - 1 before.
    local, hidden = (1, abs(distance) > 3) if window is None else (0, (distance >= window) | (distance < 0))
    assert n > 10
    np.testing.assert_array_equal(np.isneginf(found.scores(local, 0)), hidden)
    assert found["self"].layer(local).mask.bits is None


def test_sinks_take_what_the_rows_lack():
    known = zoo.family("gpt_oss")
    model, _ = models_of(known)
    found = capture(model, zoo.tokenizer_of(known), TEXT)
    for number in found["self"].layers:
        sinks = model.layers[number].self_attn.sinks.detach().numpy()
        scores = found.scores(number).astype(np.float64)
        missing = np.exp(sinks)[:, None] / (np.exp(scores).sum(-1) + np.exp(sinks)[:, None])
        np.testing.assert_allclose(1 - found.weights(number).sum(-1), missing, atol=1e-5)


def test_soft_cap_bounds_the_scores():
    known = zoo.family("gemma2")
    model, _ = models_of(known)
    scores = capture(model, zoo.tokenizer_of(known), TEXT).scores(0)
    seen = scores[np.isfinite(scores)]
    assert 3.5 < abs(seen).max() < 4.0


def test_layers_that_share_a_module_are_numbered_in_order():
    known = zoo.family("albert")
    model, eager = models_of(known)
    found = capture(model, zoo.tokenizer_of(known), TEXT)
    own = zoo.own_weights(eager, inputs_of(model, zoo.tokenizer_of(known), TEXT))
    assert found["self"].layers == (0, 1, 2)
    # The layers differ, so numbering them wrongly would show.
    assert abs(own[0] - own[2]).max() > 0.1
    assert_equal_layers(found, [layer[0] for layer in own])
