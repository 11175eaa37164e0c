"""Text the model writes: one captured pass over it, live steps, and what cannot be followed."""

from __future__ import annotations

import copy
import dataclasses
import threading
from functools import cache

import numpy as np
import pytest
import torch
from transformers import DynamicCache, StoppingCriteria

from attnscope import capture, record
from attnscope.errors import AttnscopeWarning, InputError, ModelError, NoAttentionError
from tests.models import words, zoo
from tests.models.test_untouched import left_as_it_was

TOLERANCE = 1e-5
TEXTS = [words.SENTENCES[0][:24], "A dog runs."]
FAMILIES = {
    "gpt2": "GPT2LMHeadModel",
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "gemma3": "Gemma3ForCausalLM",
    "gpt_oss": "GptOssForCausalLM",
}
CACHES = {
    "dynamic": {"cache_implementation": "dynamic"},
    "static": {"cache_implementation": "static"},
    "chunked prefill": {"prefill_chunk_size": 3},
    "none": {"use_cache": False},
}

every_family = pytest.mark.parametrize("name", FAMILIES)
every_cache = pytest.mark.parametrize("kind", CACHES)
live_or_not = pytest.mark.parametrize("live", [False, True], ids=["one pass", "live"])


@cache
def loaded(name):
    """A model that writes, its eager twin and its tokenizer."""
    known = dataclasses.replace(zoo.family(name), model=FAMILIES[name])
    model = zoo.build(known)
    tokenizer = zoo.tokenizer_of(known)
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    return model, zoo.twin(model), tokenizer


def encoded(tokenizer, texts, **options):
    inputs = tokenizer(texts, return_tensors="pt", **options)
    return {name: inputs[name] for name in ("input_ids", "attention_mask")}


def left_padded(tokenizer):
    inputs = encoded(tokenizer, TEXTS, padding=True, padding_side="left")
    assert int(inputs["attention_mask"].sum()) < inputs["attention_mask"].numel()
    return inputs


def generate(model, inputs, seed=0, **options):
    torch.manual_seed(seed)
    return model.generate(**inputs, **{"max_new_tokens": 12, "do_sample": True} | options)


def written(model, inputs, output, item, end=None):
    """Prompt and new tokens of one sequence, without padding and without what follows the end."""
    width = inputs["input_ids"].shape[1]
    kept = inputs["attention_mask"][item % len(inputs["input_ids"])].bool()
    new = output[item, width:].tolist()
    end = model.generation_config.eos_token_id if end is None else end
    new = new[: new.index(end) + 1] if end in new else new
    return torch.tensor([*output[item, :width][kept].tolist(), *new])


def assert_true_of(eager, found, ids, *, live=False):
    """A capture is of these ids, all but the last where it is live, and has the model's own weights."""
    assert found["self"].queries.ids.tolist() == ids[: len(ids) - live].tolist()
    n = len(found.tokens)
    own = zoo.own_weights(eager, {"input_ids": ids[None]})
    assert found["self"].layers == tuple(range(len(own)))
    for number, expected in enumerate(own):
        np.testing.assert_allclose(found.weights(number), expected[0][:, :n, :n], rtol=0, atol=TOLERANCE)


class TestOnePass:
    @every_family
    @pytest.mark.parametrize("kind", ["dynamic", "static"])
    def test_over_prompt_and_new_tokens(self, name, kind):
        model, eager, tokenizer = loaded(name)
        inputs = encoded(tokenizer, TEXTS[0])
        with record(model) as recording:
            output = generate(model, inputs, **CACHES[kind])
        found = recording.capture(tokenizer=tokenizer)
        assert found["self"].is_causal
        assert len(found.tokens) == len(output[0]) > inputs["input_ids"].shape[1] + 5
        assert_true_of(eager, found, output[0])

    @every_family
    def test_of_a_batch_with_padding_on_the_left(self, name):
        model, eager, tokenizer = loaded(name)
        inputs = left_padded(tokenizer)
        with record(model) as recording:
            output = generate(model, inputs)
        for item, found in enumerate(recording.captures(tokenizer=tokenizer)):
            assert_true_of(eager, found, written(model, inputs, output, item))

    @pytest.mark.parametrize(
        ("options", "count"),
        [
            ({"do_sample": False}, 1),
            ({"num_return_sequences": 3}, 3),
            ({"num_beams": 3}, 1),
            ({"num_beams": 4, "num_return_sequences": 2, "do_sample": False}, 2),
            ({"prompt_lookup_num_tokens": 3}, 1),
            ({"return_dict_in_generate": True, "output_scores": True}, 1),
            ({"use_cache": False}, 1),
        ],
        ids=lambda value: " ".join(value) if isinstance(value, dict) else None,
    )
    def test_however_it_was_decoded(self, options, count):
        model, eager, tokenizer = loaded("llama")
        inputs = encoded(tokenizer, "A dog runs; the dog runs")
        with record(model) as recording:
            output = generate(model, inputs, **options)
        output = output if isinstance(output, torch.Tensor) else output.sequences
        found = recording.captures(tokenizer=tokenizer)
        assert len(found) == len(output) == count
        for item, one in enumerate(found):
            assert_true_of(eager, one, written(model, inputs, output, item))

    @live_or_not
    @pytest.mark.parametrize("itself", [False, True], ids=["another", "its own first layer"])
    def test_an_assistants_calls_are_not_recorded(self, live, itself):
        model, eager, tokenizer = loaded("llama")
        known = zoo.family("llama")
        smaller = zoo.build(dataclasses.replace(known, options=known.options | {"num_hidden_layers": 1}))
        inputs = encoded(tokenizer, TEXTS[0])
        draft = {"assistant_early_exit": 1} if itself else {"assistant_model": smaller}
        with record(model, live=live) as recording:
            output = generate(model, inputs, do_sample=False, **draft)
        assert_true_of(eager, recording.capture(tokenizer=tokenizer), output[0], live=live)

    @live_or_not
    def test_a_sequence_that_ends_before_the_others(self, live):
        model, eager, tokenizer = loaded("llama")
        inputs = left_padded(tokenizer)
        width = inputs["input_ids"].shape[1]
        plain = generate(model, inputs)
        end = next(int(t) for t in plain[0, width + 2 : width + 9] if t not in plain[1, width:])
        with record(model, live=live) as recording:
            output = generate(model, inputs, eos_token_id=end)
        assert bool((output[0] == tokenizer.pad_token_id).any())
        first, second = recording.captures(tokenizer=tokenizer)
        assert int(first["self"].queries.ids[-1]) == end
        assert_true_of(eager, first, written(model, inputs, output, 0, end))
        assert_true_of(eager, second, written(model, inputs, output, 1), live=live)

    def test_a_prompt_given_as_the_first_argument_or_not_at_all(self):
        model, eager, tokenizer = loaded("llama")
        with record(model) as recording:
            output = model.generate(encoded(tokenizer, TEXTS[0])["input_ids"], max_new_tokens=4)
        assert_true_of(eager, recording.capture(), output[0])
        with record(model) as recording:
            output = model.generate(max_new_tokens=4)
        assert_true_of(eager, recording.capture(), output[0])

    @live_or_not
    def test_a_prompt_given_as_vectors(self, live):
        model, eager, tokenizer = loaded("llama")
        ids = encoded(tokenizer, TEXTS[0])["input_ids"]
        vectors = model.get_input_embeddings()(ids).detach()
        with record(model, live=live) as recording:
            output = model.generate(inputs_embeds=vectors, max_new_tokens=5)
        own = zoo.own_weights(eager, {"input_ids": torch.cat([ids, output], dim=1)})
        found = recording.capture()
        n = ids.shape[1] + 5 - live
        assert len(found.tokens) == n
        np.testing.assert_allclose(found.weights(2), own[2][0][:, :n, :n], rtol=0, atol=TOLERANCE)

    def test_some_layers_and_values(self):
        model, _, tokenizer = loaded("llama")
        inputs = encoded(tokenizer, TEXTS[0])
        for live in (False, True):
            with record(model, layers=[1], values=True, live=live) as recording:
                generate(model, inputs)
            found = recording.capture()
            assert found["self"].layers == (1,)
            layer = found["self"].layer(1)
            assert layer.values.shape[:2] == layer.keys.shape[:2]

    def test_a_quantised_cache_is_said_to_differ(self):
        model, eager, tokenizer = loaded("llama")
        inputs = encoded(tokenizer, TEXTS[0])
        with pytest.warns(AttnscopeWarning, match="quantised cache"), record(model) as recording:
            output = generate(model, inputs, past_key_values=QuantizedCache())
        assert_true_of(eager, recording.capture(), output[0])


class QuantizedCache(DynamicCache):
    """A cache that keeps rounded keys and gives exact ones only for the newest tokens."""

    def update(self, keys, values, layer, *args, **kwargs):
        for known in self.layers[layer : layer + 1]:
            if known.is_initialized:
                known.keys = (known.keys * 8).round() / 8
        return super().update(keys, values, layer, *args, **kwargs)


class TestLive:
    @every_family
    @every_cache
    def test_equals_the_pass_over_the_final_text(self, name, kind):
        model, eager, tokenizer = loaded(name)
        inputs = left_padded(tokenizer)
        with record(model, live=True) as recording:
            output = generate(model, inputs, **CACHES[kind])
        with record(model) as whole:
            again = generate(model, inputs, **CACHES[kind])
        assert torch.equal(output, again)
        both = zip(recording.captures(tokenizer=tokenizer), whole.captures(tokenizer=tokenizer), strict=True)
        for item, (found, expected) in enumerate(both):
            n = len(found.tokens)
            ids = written(model, inputs, output, item)
            assert found.tokens == expected.tokens[:n]
            for number in expected["self"].layers:
                np.testing.assert_allclose(
                    found.weights(number), expected.weights(number)[:, :n, :n], rtol=0, atol=TOLERANCE
                )
            assert_true_of(eager, found, ids, live=len(ids) > n)
            assert len(ids) - n <= 1
            assert max(found["self"].check.values()) < TOLERANCE

    @pytest.mark.parametrize("name", ["gpt2", "gemma3", "gpt_oss"])
    def test_rows_equal_what_an_eager_generate_gives_step_by_step(self, name):
        _, eager, tokenizer = loaded(name)
        inputs = encoded(tokenizer, TEXTS[0])
        with record(eager, live=True) as recording:
            output = generate(eager, inputs, output_attentions=True, return_dict_in_generate=True)
        found = recording.capture()
        row = inputs["input_ids"].shape[1] - 1
        for step in output.attentions:
            for number, given in enumerate(step):
                given = given[0, :, -1].float().numpy()
                weights = found.weights(number, queries=row)[:, : row + 1]
                np.testing.assert_allclose(given[:, -(row + 1) :], weights[:, -given.shape[-1] :], atol=TOLERANCE)
            row += 1
        assert row == len(found.tokens)

    def test_a_loop_of_ones_own(self):
        model, eager, tokenizer = loaded("mistral")
        inputs, past, read = encoded(tokenizer, TEXTS[0]), None, []
        ids = inputs["input_ids"]
        with record(model, live=True) as recording, torch.no_grad():
            for _ in range(6):
                read.append(ids)
                output = model(ids, past_key_values=past, use_cache=True)
                ids, past = output.logits[:, -1:].argmax(-1), output.past_key_values
        assert_true_of(eager, recording.capture(tokenizer=tokenizer), torch.cat(read, dim=1)[0])

    def test_tokens_that_are_taken_back(self):
        model, eager, tokenizer = loaded("llama")
        first, rejected = encoded(tokenizer, TEXTS[0])["input_ids"], torch.tensor([[5, 6, 7]])
        kept = torch.tensor([[9, 10]])
        past = DynamicCache(config=model.config)
        with record(model, live=True) as recording, torch.no_grad():
            model(first, past_key_values=past)
            model(rejected, past_key_values=past)
            past.crop(-2)
            model(kept, past_key_values=past)
        assert_true_of(eager, recording.capture(), torch.cat([first, rejected[:, :1], kept], dim=1)[0])

    def test_each_step_is_handed_over(self):
        model, _, tokenizer = loaded("gemma3")
        inputs, steps, early = left_padded(tokenizer), [], []

        def on_step(step):
            steps.append(step)
            early.append(step.capture(tokenizer=tokenizer, item=1))

        with record(model, live=True, on_step=on_step) as recording:
            output = generate(model, inputs)
        width = inputs["input_ids"].shape[1]
        assert [step.number for step in steps] == list(range(12))
        assert steps[0].ids == inputs["input_ids"].tolist()
        assert [step.ids for step in steps[1:]] == output[:, width:-1].T[..., None].tolist()
        whole = recording.captures(tokenizer=tokenizer)[1]
        for step, found in zip(steps, early, strict=True):
            n = len(found.tokens)
            assert found.tokens == whole.tokens[:n]
            assert n == int(inputs["attention_mask"][1].sum()) + step.number
            late = step.capture(tokenizer=tokenizer, item=1)
            for number in whole["self"].layers:
                np.testing.assert_allclose(found.weights(number), whole.weights(number)[:, :n, :n], atol=1e-6)
                np.testing.assert_array_equal(found.weights(number), late.weights(number))

    def test_a_pass_the_callback_runs_is_not_recorded(self):
        model, eager, tokenizer = loaded("llama")
        inputs = encoded(tokenizer, TEXTS[0])
        with record(model, live=True, on_step=lambda _: model(torch.tensor([[7, 8]]))) as recording:
            output = generate(model, inputs)
        assert_true_of(eager, recording.capture(), output[0], live=True)

    def test_beams_are_refused_before_they_start(self):
        model, _, tokenizer = loaded("llama")
        inputs = encoded(tokenizer, TEXTS[0])
        with pytest.raises(InputError, match=r"3 beams.*without live=True"), record(model, live=True):
            generate(model, inputs, num_beams=3)

    def test_keys_that_change_in_the_cache_are_refused(self):
        model, _, tokenizer = loaded("llama")
        inputs = encoded(tokenizer, TEXTS[0])
        refused = pytest.raises(ModelError, match=r"quantised cache rounds them.*without live=True")
        with refused, record(model, live=True):
            generate(model, inputs, past_key_values=QuantizedCache())

    def test_a_cache_filled_before_the_block_is_refused(self):
        model, _, _ = loaded("llama")
        with torch.no_grad():
            past = model(torch.tensor([[7, 8, 9]])).past_key_values
        with pytest.raises(InputError, match=r"already held 3 tokens"), record(model, live=True), torch.no_grad():
            model(torch.tensor([[10]]), past_key_values=past)

    def test_on_step_needs_live(self):
        with pytest.raises(InputError, match=r"live=True"):
            record(loaded("llama")[0], on_step=print)


class TestTheModelIsLeftAsItWas:
    class Interrupt(StoppingCriteria):
        """Raises after some tokens, as the stop button does."""

        def __init__(self):
            self.steps = 0

        def __call__(self, ids, scores, **kwargs):
            self.steps += 1
            if self.steps == 3:
                raise KeyboardInterrupt
            return torch.zeros(len(ids), dtype=torch.bool)

    @live_or_not
    def test_after_generating(self, live):
        model, _, tokenizer = loaded("llama")
        inputs = encoded(tokenizer, TEXTS[0])
        config = copy.deepcopy(model.generation_config.to_dict())
        plain = generate(model, inputs)
        with left_as_it_was(model, inputs["input_ids"]):
            state = torch.get_rng_state()
            with record(model, live=live):
                recorded = generate(model, inputs)
            torch.set_rng_state(state)
        assert torch.equal(plain, recorded)
        assert model.generation_config.to_dict() == config
        assert "generate" not in vars(model)

    @live_or_not
    def test_after_an_interruption(self, live):
        model, _, tokenizer = loaded("llama")
        inputs = encoded(tokenizer, TEXTS[0])
        config = copy.deepcopy(model.generation_config.to_dict())
        with left_as_it_was(model, inputs["input_ids"]):
            recording = record(model, live=live)
            with pytest.raises(KeyboardInterrupt), recording:
                model.generate(**inputs, max_new_tokens=9, stopping_criteria=[self.Interrupt()])
        assert model.generation_config.to_dict() == config
        with pytest.raises(InputError, match="did not come to its end"):
            recording.capture()

    def test_after_an_error_in_the_callback(self):
        model, _, tokenizer = loaded("llama")
        inputs, error = encoded(tokenizer, TEXTS[0]), RuntimeError("the view is gone")

        def fail(step):
            raise error

        recording = record(model, live=True, on_step=fail)
        with left_as_it_was(model, inputs["input_ids"]), pytest.raises(RuntimeError, match="view is gone"), recording:
            model.generate(**inputs, max_new_tokens=5)

    def test_a_generate_of_ones_own_stays(self):
        model, tokenizer = zoo.small("llama")
        own = model.generate
        model.generate = own
        inputs = encoded(tokenizer, TEXTS[0])
        with record(model) as recording:
            output = generate(model, inputs)
        assert vars(model)["generate"] is own
        assert_true_of(zoo.twin(model), recording.capture(), output[0])

    def test_two_threads_generate_at_once(self):
        model, eager, tokenizer = loaded("llama")
        both, found = threading.Barrier(2), {}

        def work(text):
            inputs = encoded(tokenizer, text)
            with record(model) as recording:
                both.wait(timeout=30)
                output = model.generate(**inputs, max_new_tokens=5, do_sample=False)
                both.wait(timeout=30)
            found[text] = recording.capture(tokenizer=tokenizer), output[0]

        threads = [threading.Thread(target=work, args=(text,)) for text in TEXTS]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
        assert "generate" not in vars(model)
        for text in TEXTS:
            assert_true_of(eager, *found[text])


class TestOnlyOneTextIsRecorded:
    def test_two_generations_are_refused(self):
        model, _, tokenizer = loaded("llama")
        inputs = encoded(tokenizer, TEXTS[0])
        for live in (False, True):
            with record(model, live=live) as recording:
                generate(model, inputs)
                generate(model, inputs)
            with pytest.raises(InputError, match=r"2 calls of generate\(\) ran"):
                recording.capture()

    def test_a_generation_and_a_pass_are_refused(self):
        model, _, tokenizer = loaded("llama")
        inputs = encoded(tokenizer, TEXTS[0])
        for live in (False, True):
            with record(model, live=live) as recording:
                model(**inputs)
                generate(model, inputs)
            with pytest.raises(InputError, match=r"1 calls of generate\(\) and 1 forward passes"):
                recording.capture()

    @live_or_not
    def test_several_passes_are_refused(self, live):
        model, _, tokenizer = loaded("llama")
        inputs = encoded(tokenizer, TEXTS[0])
        with record(model, live=live) as recording:
            model(**inputs)
            model(**inputs)
        with pytest.raises(InputError, match=r"2 forward passes.*model\.generate.*live=True"):
            recording.capture()

    def test_a_pass_that_raised_is_refused(self):
        model, _, tokenizer = loaded("llama")
        hook = model.model.layers[2].register_forward_pre_hook(lambda *_: 1 / 0)
        with record(model) as recording, pytest.raises(ZeroDivisionError):
            model(**encoded(tokenizer, TEXTS[0]))
        hook.remove()
        with pytest.raises(InputError, match="raised an error"):
            recording.capture()

    def test_an_error_after_generating_is_said(self):
        model, _, tokenizer = loaded("llama")
        recording, inputs = record(model), encoded(tokenizer, TEXTS[0])

        def work():
            with recording:
                generate(model, inputs)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            work()
        with pytest.raises(InputError, match=r"after generate\(\)"):
            recording.capture()

    def test_nothing_ran(self):
        with record(loaded("llama")[0]) as recording:
            pass
        with pytest.raises(NoAttentionError, match=r"did not run.*model\.generate"):
            recording.capture()

    def test_another_models_generation_is_not_recorded(self):
        model, eager, tokenizer = loaded("llama")
        other = loaded("mistral")[0]
        inputs = encoded(tokenizer, TEXTS[0])
        with record(model) as recording:
            generate(other, inputs)
            output = generate(model, inputs)
        assert_true_of(eager, recording.capture(), output[0])

    def test_of_nested_recordings_the_inner_one_records(self):
        model, eager, tokenizer = loaded("llama")
        inputs = encoded(tokenizer, TEXTS[0])
        with record(model) as outer:
            with record(model) as inner:
                output = generate(model, inputs)
            other = generate(model, inputs, seed=1)
        assert not torch.equal(output, other)
        assert_true_of(eager, inner.capture(), output[0])
        assert_true_of(eager, outer.capture(), other[0])

    def test_a_generate_that_gives_no_tokens_is_refused(self):
        model, tokenizer = zoo.small("llama")
        model.generate = lambda **_: "some text"
        with pytest.raises(InputError, match=r"gave str.*one pass over the text"), record(model):
            model.generate(**encoded(tokenizer, TEXTS[0]))


@pytest.mark.parametrize("name", ["gpt2", "llama", "mistral"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_encoded_inputs_with_padding_equal_one_by_one(name, side):
    model, eager, tokenizer = loaded(name)
    inputs = encoded(tokenizer, TEXTS, padding=True, padding_side=side)
    for text, found in zip(TEXTS, capture(model, tokenizer, inputs), strict=True):
        assert_true_of(eager, found, encoded(tokenizer, text)["input_ids"][0])
