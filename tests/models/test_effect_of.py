"""What a page asks while the kernel lives: a model and its capture in, plain numbers out."""

from __future__ import annotations

import json

import numpy as np
import pytest

from attnscope import analysis, capture, from_attentions
from attnscope.analysis.causal.ablation import effect_of
from attnscope.errors import InputError
from tests.models import causal, zoo

TOLERANCE = 1e-5


@pytest.mark.parametrize("name", ["gpt2", "llama", "classifier", "bart"])
def test_a_capture_is_run_again(name):
    model, tokenizer = causal.loaded(name)
    options = {"target": causal.TARGET} if name == "bart" else {}
    c = capture(model, tokenizer, causal.TEXT, **options)
    kind = causal.PROJECTIONS[name][1]
    found = effect_of(model, c, [(1, 2)], tokenizer=tokenizer, kind=kind)
    expected = analysis.ablate_heads(model, tokenizer, causal.TEXT, (1, 2), kind=kind, **causal.options_of(name))
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["before"] == pytest.approx(expected.before, abs=TOLERANCE)
    assert found["after"] == pytest.approx(expected.after, abs=TOLERANCE)
    assert found["lines"][0] == expected.changed


def test_a_pair_of_texts():
    model, tokenizer = causal.loaded("classifier")
    c = capture(model, tokenizer, "A dog runs.", "the cat sat")
    found = effect_of(model, c, "each", tokenizer=tokenizer)
    expected = analysis.ablate_heads(model, tokenizer, "A dog runs.", "each", "the cat sat")
    np.testing.assert_allclose(found["change"], expected.change, atol=TOLERANCE)
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_without_a_head(minilm):
    c = capture(*minilm, causal.TEXT)
    found = effect_of(minilm.model, c, [(0, 2)], position="it")
    assert 0 < found["distance"] < 1
    assert found["change"] is None
    assert "'it' (position 8)" in found["read"]
    each = effect_of(minilm.model, c, "each")
    assert each["change"][0][0] is None
    assert json.dumps(each, allow_nan=False)


def test_another_model_is_refused():
    model, tokenizer = causal.loaded("gpt2")
    c = capture(model, tokenizer, causal.TEXT)
    other = zoo.build(causal.FAMILIES["gpt2"], seed=1)
    with pytest.raises(InputError, match="does not attend as in the capture"):
        effect_of(other, c, (0, 0))


def test_a_capture_of_weights_alone_is_refused():
    c = from_attentions([np.full((1, 2, 2), 0.5, np.float32)], ["a", "b"])
    with pytest.raises(InputError, match="does not hold the ids"):
        effect_of(causal.loaded("gpt2")[0], c, (0, 0))
