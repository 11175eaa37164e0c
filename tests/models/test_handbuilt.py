"""The hand-built models do what they were built to do, by their own eager weights and by ours."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from attnscope import capture
from tests.models import handbuilt
from tests.models.handbuilt import DUPLICATE, HALF, INDUCTION, PREVIOUS, SELF, SINK, UNIFORM

TEXT = handbuilt.repeated()


def ids_of(text):
    return handbuilt.tokenizer()(text, return_tensors="pt").input_ids


def foretold(model, ids):
    """Log-probability of each next token: float [tokens - 1]."""
    with torch.no_grad():
        logs = model(ids).logits[0, :-1].log_softmax(-1)
    return logs.gather(1, ids[0, 1:, None])[:, 0]


@pytest.fixture(scope="module", params=[TEXT, handbuilt.random_letters()], ids=["repeated", "random"])
def seen(request):
    return capture(handbuilt.gpt2(), handbuilt.tokenizer(), request.param)


class TestGpt2:
    def test_ours_equal_its_own(self, seen):
        ids = torch.tensor(seen["self"].queries.ids)[None]
        model = handbuilt.gpt2()
        model.set_attn_implementation("eager")
        with torch.no_grad():
            own = model(ids, output_attentions=True).attentions
        model.set_attn_implementation("sdpa")
        for layer, weights in enumerate(own):
            np.testing.assert_allclose(seen.weights(layer), weights[0], rtol=0, atol=1e-5)

    def test_previous_self_and_half(self, seen):
        assert np.diagonal(seen.weights(*PREVIOUS), -1).min() > 1 - 1e-6
        assert np.diagonal(seen.weights(*SELF)).min() > 1 - 1e-6
        halves = seen.weights(*HALF)
        np.testing.assert_allclose(np.diagonal(halves)[1:], 0.5, atol=1e-5)
        np.testing.assert_allclose(np.diagonal(halves, -1), 0.5, atol=1e-5)

    def test_uniform_and_sink(self, seen):
        n = len(seen.tokens)
        np.testing.assert_allclose(seen.weights(*UNIFORM), np.tri(n) / np.arange(1, n + 1)[:, None], rtol=0, atol=1e-6)
        assert seen.weights(*SINK)[:, 0].min() > 1 - 1e-6
        for head in range(1, 6):
            np.testing.assert_array_equal(seen.weights(1, head), seen.weights(*UNIFORM))

    def test_duplicates(self, seen):
        self.check(seen, DUPLICATE, lambda tokens, i: [j for j in range(i) if tokens[j] == tokens[i]])

    def test_induction(self, seen):
        self.check(seen, INDUCTION, lambda tokens, i: [j for j in range(1, i + 1) if tokens[j - 1] == tokens[i]])

    def check(self, seen, place, matches):
        """Equal weight on every match, all of it on the first token where there is none."""
        weights = seen.weights(*place)
        expected = np.zeros_like(weights)
        for i in range(len(seen.tokens)):
            expected[i, matches(seen.tokens, i) or [0]] = 1
        np.testing.assert_allclose(weights, expected / expected.sum(1, keepdims=True), atol=1e-5)

    def test_it_copies_what_followed(self):
        ids = ids_of(TEXT)
        logs = foretold(handbuilt.gpt2(), ids)[11:]  # from the first letter of the second round on
        assert logs.min() > -1e-6

    @pytest.mark.parametrize(
        ("place", "expected"), [(INDUCTION, -math.log(16)), (PREVIOUS, None), (DUPLICATE, 0), (SELF, 0), (SINK, 0)]
    )
    def test_what_removing_a_head_does(self, place, expected):
        model, (layer, head) = handbuilt.gpt2(), place
        part = slice(head * handbuilt.HEAD_WIDTH, (head + 1) * handbuilt.HEAD_WIDTH)

        def cut(module, inputs):
            kept = inputs[0].clone()
            kept[..., part] = 0
            return (kept,)

        with_hook = model.transformer.h[layer].attn.c_proj.register_forward_pre_hook(cut)
        try:
            logs = foretold(model, ids_of(TEXT))[11:]
        finally:
            with_hook.remove()
        if expected is None:  # the induction head falls back to the first token, which is never next
            assert logs.max() < -20
        else:
            np.testing.assert_allclose(logs, expected, atol=1e-6)


class TestLlama:
    def test_closed_form(self):
        seen = capture(handbuilt.llama(), handbuilt.tokenizer(), handbuilt.random_letters(47))
        assert (seen["self"].stored[0].n_heads, seen["self"].stored[0].n_key_heads) == (4, 2)
        expected = handbuilt.llama_weights(48)
        np.testing.assert_allclose(seen.weights(0), expected, rtol=0, atol=5e-5)  # scores reach 640 in float32
        for head, offset in enumerate(handbuilt.OFFSETS):
            assert np.diagonal(seen.weights(0, head), -offset).min() > 1 - 1e-6
