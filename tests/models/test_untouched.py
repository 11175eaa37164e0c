"""A capture leaves the model, the random state and the library as it found them, whatever happens inside."""

from __future__ import annotations

import copy
import random
import threading
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from transformers.modeling_utils import AttentionInterface

from attnscope import capture, record
from attnscope.errors import AttnscopeError, InputError, NoAttentionError
from tests.models import words, zoo

TEXT = words.SENTENCES[0]
OTHER = "A dog runs."

HOOKS = (
    "_forward_hooks", "_forward_hooks_with_kwargs", "_forward_hooks_always_called", "_forward_pre_hooks",
    "_forward_pre_hooks_with_kwargs", "_backward_hooks", "_backward_pre_hooks",
)  # fmt: skip
FAMILIES = ["bert", "llama", "gpt_oss"]


def state_of(model):
    """Everything a capture must leave alone."""
    return {
        "config": copy.deepcopy(model.config.to_dict()),
        "implementation": model.config._attn_implementation,
        "training": [module.training for module in model.modules()],
        "hooks": [[list(getattr(module, hook)) for hook in HOOKS] for module in model.modules()],
        "attributes": [sorted(vars(module)) for module in model.modules()],
        "methods": [vars(module).get("forward") for module in model.modules()],
        "requires_grad": [weight.requires_grad for weight in model.parameters()],
        "grad": [weight.grad for weight in model.parameters()],
        "storage": [weight.data_ptr() for weight in model.parameters()],
        "torch": torch.get_rng_state().tolist(),
        "numpy": str(np.random.get_state()),  # noqa: NPY002 - the global state is what is compared
        "python": random.getstate(),
        "interface": AttentionInterface.get_interface,
        "grad mode": torch.is_grad_enabled(),
        "stance": str(torch._dynamo.eval_frame._stance),
    }


def outputs_of(model, ids):
    with torch.no_grad():
        return [value.clone() for value in model(ids, use_cache=False).to_tuple() if isinstance(value, torch.Tensor)]


@contextmanager
def left_as_it_was(model, ids):
    before, outputs = state_of(model), outputs_of(model, ids)
    assert "'default'" in before["stance"]  # nor has an earlier test left it changed
    assert before["interface"].__code__.co_filename.endswith("modeling_utils.py")
    weights = {name: weight.clone() for name, weight in model.state_dict().items()}
    yield
    after = state_of(model)
    for name, value in before.items():
        assert after[name] == value, name
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, weights[name]), name
    for mine, its in zip(outputs, outputs_of(model, ids), strict=True):
        assert torch.equal(mine, its)


@pytest.fixture(params=FAMILIES)
def loaded(request):
    model, tokenizer = zoo.small(request.param)
    if request.param == "llama":
        next(model.parameters()).requires_grad_(False)
    return model, tokenizer


def test_after_a_capture(loaded):
    model, tokenizer = loaded
    with left_as_it_was(model, tokenizer(TEXT, return_tensors="pt").input_ids):
        capture(model, tokenizer, [TEXT, OTHER])
        capture(model, tokenizer, TEXT, layers=[1], values=True)


def test_the_recorded_pass_gives_the_same_output(loaded):
    model, tokenizer = loaded
    ids = tokenizer(TEXT, return_tensors="pt").input_ids
    plain = outputs_of(model, ids)
    with left_as_it_was(model, ids), record(model) as recording:
        recorded = outputs_of(model, ids)
    assert len(recorded) == len(plain) > 0
    assert all(torch.equal(mine, its) for mine, its in zip(plain, recorded, strict=True))
    assert recording.capture(tokenizer=tokenizer).n_layers == 3


def captured(model, tokenizer, inputs):
    return capture(model, tokenizer, TEXT)


def recorded(model, tokenizer, inputs):
    with record(model):
        model(inputs.input_ids)


@pytest.mark.parametrize("error", [RuntimeError("a module failed"), KeyboardInterrupt()], ids=["error", "interrupt"])
@pytest.mark.parametrize("run", [captured, recorded])
def test_after_an_error_inside_the_pass(loaded, error, run):
    model, tokenizer = loaded
    inputs = tokenizer(TEXT, return_tensors="pt")
    broken = model.get_submodule("encoder.layer.2" if hasattr(model, "encoder") else "layers.2" if hasattr(
        model, "layers") else "model.layers.2")  # fmt: skip
    reached = []

    def fail(*_):
        reached.append(True)
        raise error

    with left_as_it_was(model, inputs.input_ids):
        hook = broken.register_forward_pre_hook(fail)
        try:
            with pytest.raises((type(error), AttnscopeError)) as raised:
                run(model, tokenizer, inputs)
        finally:
            hook.remove()
        assert reached
        told = run is captured and isinstance(error, Exception)  # capture() says what the model was given
        assert (raised.value.__cause__ if told else raised.value) is error
    assert capture(model, tokenizer, TEXT).n_layers == 3


def test_after_a_refusal(loaded):
    model, tokenizer = loaded
    with left_as_it_was(model, tokenizer(TEXT, return_tensors="pt").input_ids):
        for text, options in [("", {}), (TEXT, {"layers": [99]}), (["a", " "], {})]:
            with pytest.raises(AttnscopeError):
                capture(model, tokenizer, text, **options)


def test_training_mode_without_dropout_stays_on():
    model, tokenizer = zoo.small("llama")
    model.train()
    with left_as_it_was(model, tokenizer(TEXT, return_tensors="pt").input_ids):
        capture(model, tokenizer, TEXT)
    assert model.training


def test_gradients_flow_through_a_recorded_pass():
    model, tokenizer = zoo.small("llama")
    ids = tokenizer(TEXT, return_tensors="pt").input_ids
    model(ids).logits.square().mean().backward()
    plain = [weight.grad.clone() for weight in model.parameters()]
    model.zero_grad()

    with record(model) as recording:
        model(ids).logits.square().mean().backward()

    for expected, weight in zip(plain, model.parameters(), strict=True):
        assert torch.equal(expected, weight.grad)
    found = recording.capture(tokenizer=tokenizer)
    assert not found["self"].layer(0).queries.requires_grad


def test_a_pass_in_inference_mode():
    model, tokenizer = zoo.small("t5 encoder")
    with record(model) as recording, torch.inference_mode():
        model(**tokenizer(TEXT, return_tensors="pt"))
    found = recording.capture(tokenizer=tokenizer)
    expected = capture(model, tokenizer, TEXT)
    for number in range(3):
        np.testing.assert_allclose(found.weights(number), expected.weights(number), atol=1e-6)
        assert found.overview(number, 0, 4).shape == expected.overview(number, 0, 4).shape


def test_what_the_model_does_later_does_not_change_a_capture():
    model, tokenizer = zoo.small("gpt2")
    found = capture(model, tokenizer, TEXT)
    before = [found.weights(number).copy() for number in range(3)]
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
    capture(model, tokenizer, OTHER)
    for number in range(3):
        np.testing.assert_allclose(found.weights(number), before[number], atol=1e-6)


class TestOnlyTheRightPassIsRecorded:
    def test_of_nested_recordings_the_inner_one_records(self):
        model, tokenizer = zoo.small("bert")
        with left_as_it_was(model, tokenizer(TEXT, return_tensors="pt").input_ids), record(model) as outer:
            with record(model) as inner:
                model(**tokenizer(OTHER, return_tensors="pt"))
            model(**tokenizer(TEXT, return_tensors="pt"))
        alone = capture(model, tokenizer, TEXT)
        assert outer.capture(tokenizer=tokenizer).tokens == alone.tokens
        np.testing.assert_allclose(outer.capture(tokenizer=tokenizer).weights(1), alone.weights(1), atol=1e-6)
        assert inner.capture(tokenizer=tokenizer).tokens == capture(model, tokenizer, OTHER).tokens

    def test_an_outer_recording_sees_nothing_of_the_inner_ones_pass(self):
        model, tokenizer = zoo.small("bert")
        with record(model) as outer:
            capture(model, tokenizer, TEXT)
        with pytest.raises(NoAttentionError, match="did not run"):
            outer.capture(tokenizer=tokenizer)

    def test_another_model_inside_the_block_is_not_recorded(self):
        model, tokenizer = zoo.small("bert")
        other, _ = zoo.small("bert", num_hidden_layers=2)
        with record(model) as recording:
            model(**tokenizer(TEXT, return_tensors="pt"))
            other(**tokenizer(OTHER, return_tensors="pt"))
        found = recording.capture(tokenizer=tokenizer)
        np.testing.assert_allclose(found.weights(0), capture(model, tokenizer, TEXT).weights(0), atol=1e-6)

    def test_a_pass_before_and_after_the_block_is_not_recorded(self):
        model, tokenizer = zoo.small("bert")
        model(**tokenizer(OTHER, return_tensors="pt"))
        with record(model) as recording:
            model(**tokenizer(TEXT, return_tensors="pt"))
        model(**tokenizer(OTHER, return_tensors="pt"))
        assert recording.capture(tokenizer=tokenizer).tokens == capture(model, tokenizer, TEXT).tokens


class TestThreads:
    @staticmethod
    def run(*workers):
        """Run workers in threads and give what they raised."""
        raised = []

        def guarded(worker):
            try:
                worker()
            except BaseException as error:  # noqa: BLE001 - it is what the test looks at
                raised.append(error)

        threads = [threading.Thread(target=guarded, args=(worker,)) for worker in workers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
            assert not thread.is_alive()
        return raised

    def test_another_threads_pass_inside_the_block_is_not_recorded(self):
        model, tokenizer = zoo.small("bert")
        inputs = tokenizer(OTHER, return_tensors="pt")
        plain, seen = outputs_of(model, inputs.input_ids), []
        with left_as_it_was(model, inputs.input_ids), record(model) as recording:
            assert not self.run(lambda: seen.extend(outputs_of(model, inputs.input_ids)))
            model(**tokenizer(TEXT, return_tensors="pt"))
            assert not self.run(lambda: seen.extend(outputs_of(model, inputs.input_ids)))
        assert torch.equal(seen[0], plain[0])
        found = recording.capture(tokenizer=tokenizer)
        np.testing.assert_allclose(found.weights(1), capture(model, tokenizer, TEXT).weights(1), atol=1e-6)

    def test_two_threads_capture_one_model_at_once(self):
        model, tokenizer = zoo.small("bert")
        alone = {text: capture(model, tokenizer, text) for text in (TEXT, OTHER)}
        both_open, found = threading.Barrier(2), {}

        def work(text):
            inputs = tokenizer(text, return_tensors="pt")
            with record(model) as recording:
                both_open.wait(timeout=30)
                model(**inputs)
                both_open.wait(timeout=30)
            found[text] = recording.capture(tokenizer=tokenizer)

        with left_as_it_was(model, tokenizer(TEXT, return_tensors="pt").input_ids):
            assert not self.run(lambda: work(TEXT), lambda: work(OTHER))
        for text, expected in alone.items():
            assert found[text].tokens == expected.tokens
            for number in range(3):
                np.testing.assert_allclose(found[text].weights(number), expected.weights(number), atol=1e-6)

    def test_recordings_that_end_in_the_order_they_began(self):
        model, tokenizer = zoo.small("bert")
        first_open, first_closed = threading.Event(), threading.Event()
        second_open = threading.Event()

        def first():
            with record(model):
                first_open.set()
                assert second_open.wait(timeout=30)
            first_closed.set()

        def second():
            assert first_open.wait(timeout=30)
            with record(model) as recording:
                second_open.set()
                assert first_closed.wait(timeout=30)
                model(**tokenizer(TEXT, return_tensors="pt"))
            assert recording.capture(tokenizer=tokenizer).n_layers == 3

        with left_as_it_was(model, tokenizer(TEXT, return_tensors="pt").input_ids):
            assert not self.run(first, second)

    def test_many_captures_in_four_threads(self):
        model, tokenizer = zoo.small("gpt2")
        texts = [*words.SENTENCES[:3], OTHER]
        alone = [capture(model, tokenizer, text) for text in texts]
        found = [[] for _ in texts]

        def work(which):
            for _ in range(6):
                found[which].append(capture(model, tokenizer, texts[which]))

        with left_as_it_was(model, tokenizer(TEXT, return_tensors="pt").input_ids):
            assert not self.run(*(lambda which=which: work(which) for which in range(4)))
        for expected, repeated in zip(alone, found, strict=True):
            for again in repeated:
                assert again.tokens == expected.tokens
                np.testing.assert_allclose(again.weights(2), expected.weights(2), atol=1e-6)


class TestCompiled:
    def test_a_model_compiled_before_the_capture(self):
        model, tokenizer = zoo.small("bert")
        expected = capture(model, tokenizer, TEXT)
        compiled = torch.compile(model, backend="eager")
        with torch.no_grad():
            compiled(**tokenizer(TEXT, return_tensors="pt"))

        found = capture(compiled, tokenizer, TEXT)

        assert found.model_name == expected.model_name
        for number in range(3):
            np.testing.assert_allclose(found.weights(number), expected.weights(number), atol=1e-6)

    def test_a_model_compiled_in_place(self):
        model, tokenizer = zoo.small("llama")
        expected = capture(model, tokenizer, TEXT)
        model.compile(backend="eager")
        with torch.no_grad():
            model(**tokenizer(TEXT, return_tensors="pt"))
        found = capture(model, tokenizer, TEXT)
        for number in range(3):
            np.testing.assert_allclose(found.weights(number), expected.weights(number), atol=1e-6)

    def test_two_recordings_at_once_of_a_compiled_model(self):
        model, tokenizer = zoo.small("bert")
        compiled = torch.compile(model, backend="eager")
        inputs = tokenizer(TEXT, return_tensors="pt")
        with torch.no_grad():
            compiled(**inputs)
        first = record(compiled)
        first.__enter__()
        closed, opened = threading.Event(), threading.Event()
        found = []

        def second():
            with record(compiled) as recording, torch.no_grad():
                opened.set()
                assert closed.wait(timeout=30)
                compiled(**inputs)
            found.append(recording.capture(tokenizer=tokenizer))

        thread = threading.Thread(target=second)
        thread.start()
        assert opened.wait(timeout=30)
        first.__exit__(None, None, None)
        closed.set()
        thread.join(timeout=60)
        assert found
        np.testing.assert_allclose(found[0].weights(2), capture(model, tokenizer, TEXT).weights(2), atol=1e-6)


def test_two_passes_in_one_block_are_refused():
    model, tokenizer = zoo.small("bert")
    with record(model) as recording:
        model(**tokenizer(TEXT, return_tensors="pt"))
        model(**tokenizer(OTHER, return_tensors="pt"))
    with pytest.raises(InputError, match=r"2 forward passes.*Open a block for each.*model.generate"):
        recording.capture(tokenizer=tokenizer)
