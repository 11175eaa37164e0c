"""Running a model with changes: what is computed step by step is the model's own, and nothing is left behind."""

from __future__ import annotations

import threading

import pytest
import torch

from attnscope import analysis, capture
from attnscope.errors import UnverifiedError
from attnscope.recording.intervene.change import Change
from attnscope.recording.intervene.changing import changing
from attnscope.recording.intervene.subject import prepare, with_gradients, without_gradients
from attnscope.recording.watch import interface
from tests.models import causal, zoo
from tests.models.test_encoder_decoder import FAMILIES as PAIRS
from tests.models.test_untouched import left_as_it_was

TEXT = causal.TEXT


def first(output):
    """Something to follow in any output."""
    return output[0].reshape(1, -1)[:, 0]


@pytest.mark.parametrize("known", [*zoo.FAMILIES, *PAIRS.values()], ids=str)
def test_step_by_step_a_layer_gives_what_the_model_gives(known):
    model, tokenizer = zoo.build(known), zoo.tokenizer_of(known)
    subject = prepare(model, tokenizer, TEXT, target=first)
    places = [(kind, layer) for kind in subject.capture.kinds for layer in subject.capture[kind].layers]
    assert sorted(subject.sites.values()) == sorted(places)
    with torch.no_grad():
        same = subject.run({place: Change(weights=lambda weights: weights) for place in places})[0]
        other = subject.run({place: Change(weights=lambda weights: weights.flip(-2)) for place in places})[0]
    scale = subject.output[0].abs().max()
    assert (same - subject.output[0]).abs().max() < 1e-5 * scale
    assert (other - subject.output[0]).abs().max() > 1e-3 * scale


@pytest.mark.parametrize("name", ["bert", "llama", "gpt_oss", "gemma2", "t5 encoder", "albert"])
def test_the_weights_on_the_way_are_the_captured_ones(name):
    known = zoo.family(name)
    model, tokenizer = zoo.build(known), zoo.tokenizer_of(known)
    subject = prepare(model, tokenizer, TEXT, target=first)
    seen = {}

    def keep(place):
        def weights(given):
            seen[place] = given.detach()
            return given

        return Change(weights=weights)

    with torch.no_grad():
        subject.run({place: keep(place) for place in subject.sites.values()})
    for (kind, layer), weights in seen.items():
        assert abs(weights[0].numpy() - subject.capture.weights(layer, kind=kind)).max() < 1e-5


QUESTIONS = {
    "ablation": lambda *given: analysis.ablate_heads(*given, [(0, 1), (2, 2)], target=first),
    "each head": lambda *given: analysis.ablate_heads(*given, "each", how="mean", target=first),
    "links": lambda *given: analysis.cut_links(*given, [(None, 2)], target=first),
    "means": lambda *given: analysis.mean_outputs(*given[:2], [given[2], "A dog runs."]),
}


@pytest.fixture(params=["bert", "llama", "gpt_oss"])
def loaded(request):
    model, tokenizer = zoo.small(request.param)
    if request.param == "llama":
        next(model.parameters()).requires_grad_(False)
    return model, tokenizer


class TestLeftAsItWas:
    @pytest.mark.parametrize("question", QUESTIONS)
    def test_after_a_question(self, loaded, question):
        model, tokenizer = loaded
        with left_as_it_was(model, tokenizer(TEXT, return_tensors="pt").input_ids):
            QUESTIONS[question](model, tokenizer, TEXT)

    @pytest.mark.parametrize("question", QUESTIONS)
    @pytest.mark.parametrize("error", [RuntimeError("a module failed"), KeyboardInterrupt()], ids=["error", "stop"])
    def test_after_an_error_in_the_changed_run(self, loaded, question, error):
        model, tokenizer = loaded
        last = list(model.modules())[-1]
        runs = []

        def fail(*_):
            runs.append(True)
            if len(runs) > 1:
                raise error

        with left_as_it_was(model, tokenizer(TEXT, return_tensors="pt").input_ids):
            hook = last.register_forward_pre_hook(fail)
            try:
                with pytest.raises(type(error)):
                    QUESTIONS[question](model, tokenizer, TEXT)
            finally:
                hook.remove()
        assert len(runs) == 2

    def test_the_next_capture_is_of_the_unchanged_model(self, loaded):
        model, tokenizer = loaded
        before = capture(model, tokenizer, TEXT).weights(2)
        QUESTIONS["links"](model, tokenizer, TEXT)
        assert abs(capture(model, tokenizer, TEXT).weights(2) - before).max() == 0


def test_another_threads_pass_is_not_changed():
    model, tokenizer = zoo.small("llama")
    ids = tokenizer(TEXT, return_tensors="pt").input_ids
    with torch.no_grad():
        plain = model(ids).logits
    found = []

    def run():
        with torch.no_grad():
            found.append(model(ids).logits)

    silent = Change(outputs=torch.zeros_like)
    with changing(model, lambda *_: silent), torch.no_grad():
        changed = model(ids).logits
        thread = threading.Thread(target=run)
        thread.start()
        thread.join(timeout=60)
        other, _ = zoo.small("bert")
        of_other = other(ids).last_hidden_state
    assert torch.equal(found[0], plain)
    assert not torch.allclose(changed, plain, atol=1e-3)
    assert torch.equal(of_other, other(ids).last_hidden_state)


def test_blocks_inside_each_other():
    model, tokenizer = zoo.small("bert")
    inputs = tokenizer(TEXT, return_tensors="pt")
    silent, alone = Change(outputs=torch.zeros_like), Change(weights=lambda weights: weights)
    with torch.no_grad():
        plain = model(**inputs).last_hidden_state
        with changing(model, lambda *_: silent):
            outer = model(**inputs).last_hidden_state
            with changing(model, lambda *_: alone):
                inner = model(**inputs).last_hidden_state
            again = model(**inputs).last_hidden_state
        after = model(**inputs).last_hidden_state
    assert torch.equal(outer, again)
    assert torch.equal(after, plain)
    assert (inner - plain).abs().max() < 1e-5
    assert (outer - plain).abs().max() > 1e-2


def test_attention_with_something_unknown_in_it_is_refused():
    model, tokenizer = zoo.small("bert")
    known = interface.sys.modules["transformers.modeling_utils"].AttentionInterface

    def odd(module, query, key, value, mask, **options):
        output, weights = known._global_mapping["sdpa"](module, query, key, value, mask, **options)
        return output + 0.5 * output.roll(1, dims=1), weights

    known.register("odd", odd)
    try:
        model.config._attn_implementation = "odd"
        inputs = tokenizer(TEXT, return_tensors="pt")
        alone = Change(weights=lambda weights: weights)
        with (
            torch.no_grad(),
            changing(model, lambda *_: alone),
            pytest.raises(UnverifiedError, match=r"not known here.*set_attn_implementation"),
        ):
            model(**inputs)
    finally:
        del known._global_mapping["odd"]


def test_gradients_flow_also_where_they_were_switched_off():
    subject = prepare(*causal.loaded("gpt2"), TEXT)
    gates = torch.ones(4, requires_grad=True)
    change = {("self", 1): Change(outputs=lambda outputs: outputs * gates[:, None])}
    with torch.inference_mode(), with_gradients():
        value = subject.readout.value(subject.run(change))[0]
    assert torch.autograd.grad(value, gates)[0].abs().max() > 0
    with without_gradients():
        assert not subject.readout.value(subject.run(change))[0].requires_grad
