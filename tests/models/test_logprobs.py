"""The log-probabilities of a local model's tokens are those of log_softmax over its own logits."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

import attnscope
from attnscope.errors import InputError, InputTypeError, ModelError, TooLargeError
from attnscope.recording import tail
from tests.models import words, zoo
from tests.models.test_untouched import left_as_it_was

TEXT = "The cat sat on the mat — naïve café."
HEADS = {
    "gpt2": ("GPT2LMHeadModel", {}),
    "llama": ("LlamaForCausalLM", {}),
    "gemma2": ("Gemma2ForCausalLM", {"final_logit_softcapping": 3.0}),
    "gpt_oss": ("GptOssForCausalLM", {}),
    "opt": ("OPTForCausalLM", {}),
    "gpt_neox": ("GPTNeoXForCausalLM", {}),
    "mistral": ("MistralForCausalLM", {}),
}
"""Models with what comes after the body: tied matrices, caps, biases."""


def with_head(name: str, model: str = "", **options):
    known = zoo.family(name)
    head, more = HEADS.get(name, ("", {}))
    options = known.options | more | options
    known = zoo.Family(known.name, known.config, model or head, options, known.tokenizer, gain=known.gain)
    return zoo.build(known), zoo.tokenizer_of(known)


def expected(model, ids):
    """[tokens - 1, vocabulary] from torch alone."""
    with torch.no_grad():
        return model(ids, use_cache=False).logits[0, :-1].float().log_softmax(-1)


@pytest.mark.parametrize("most", [1 << 23, 1200], ids=["one block", "blocks of three"])
@pytest.mark.parametrize("name", HEADS)
def test_the_numbers_are_those_of_log_softmax(name, most, monkeypatch):
    monkeypatch.setattr(tail, "MOST", most)
    model, tokenizer = with_head(name)
    ids = tokenizer(TEXT, return_tensors="pt").input_ids
    every = expected(model, ids)
    found = attnscope.logprobs(model, tokenizer, TEXT, top=7)
    mine = every.gather(-1, ids[0, 1:, None])[:, 0]
    assert np.isnan(found.logprobs[0])
    np.testing.assert_allclose(found.logprobs[1:], mine, atol=1e-5)
    best = every.topk(7)
    for at in range(len(every)):
        listed = found.alternatives[at + 1]
        np.testing.assert_allclose([each.logprob for each in listed], best.values[at], atol=1e-5)
    np.testing.assert_array_equal(found.ranks[1:], (every > mine[:, None]).sum(-1) + 1)
    entropies = torch.distributions.Categorical(logits=every).entropy() / math.log(2)
    np.testing.assert_allclose(found.entropies[1:], entropies, atol=1e-4)
    assert (found.least_entropies[1:] <= found.entropies[1:] + 1e-4).all()
    assert found.perplexity == pytest.approx(float(torch.exp(-mine.mean())), rel=1e-5)


def test_the_perplexity_is_the_one_of_the_model_s_own_loss():
    model, tokenizer = with_head("gpt2")
    ids = tokenizer(TEXT, return_tensors="pt").input_ids
    with torch.no_grad():
        loss = float(model(ids, labels=ids).loss)
    assert attnscope.logprobs(model, tokenizer, TEXT).perplexity == pytest.approx(math.exp(loss), rel=1e-5)


def test_tokens_x_vocabulary_never_stands_at_once(monkeypatch):
    model, tokenizer = with_head("llama")
    ids = tokenizer(TEXT * 6, return_tensors="pt").input_ids
    rows = []
    hook = model.lm_head.register_forward_hook(lambda _module, _given, output: rows.append(output.shape[1]))
    monkeypatch.setattr(tail, "MOST", 10 * words.VOCABULARY)
    found = attnscope.logprobs(model, None, {"input_ids": ids})
    hook.remove()
    assert len(found) == ids.shape[1] > 100
    assert max(rows) <= 10


def test_a_model_whose_tail_is_not_its_own_runs_whole(monkeypatch):
    """What comes after the body also depends on something else: then all logits are the model's, at once."""
    model, tokenizer = with_head("llama")
    ids = tokenizer(TEXT, return_tensors="pt").input_ids
    steps = torch.linspace(1, 2, ids.shape[1])

    def bend(_module, _given, output):
        output.logits = output.logits * steps[-output.logits.shape[1] :, None]
        return output

    def shift(_module, _given, output):
        output.logits = output.logits + (10.0 if ids.shape[1] > output.logits.shape[1] > 1 else 0.0)
        return output

    monkeypatch.setattr(tail, "MOST", 3 * words.VOCABULARY)
    for change in (bend, shift):
        hook = model.register_forward_hook(change)
        found = attnscope.logprobs(model, tokenizer, TEXT)
        every = expected(model, ids)
        hook.remove()
        np.testing.assert_allclose(found.logprobs[1:], every.gather(-1, ids[0, 1:, None])[:, 0], atol=1e-5)
    model.register_forward_hook(shift)
    monkeypatch.setattr(tail, "require_memory", lambda *given: (_ for _ in ()).throw(TooLargeError(given[2])))
    with pytest.raises(TooLargeError, match="Give a shorter text"):
        attnscope.logprobs(model, tokenizer, TEXT)


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_the_model_is_left_as_it_was(name):
    model, tokenizer = with_head(name)
    ids = tokenizer(TEXT, return_tensors="pt").input_ids
    with left_as_it_was(model, ids):
        attnscope.logprobs(model, tokenizer, TEXT)
    with left_as_it_was(model, ids), pytest.raises(InputError, match="one token"):
        attnscope.logprobs(model, None, {"input_ids": ids[:, :1]})


def test_the_model_is_left_as_it_was_after_an_error(monkeypatch):
    model, tokenizer = with_head("llama")
    ids = tokenizer(TEXT, return_tensors="pt").input_ids
    calls = []

    def stop(*_given):
        calls.append(1)
        if len(calls) > 3:
            raise RuntimeError("out of luck")

    with left_as_it_was(model, ids):
        hook = model.lm_head.register_forward_hook(stop)
        monkeypatch.setattr(tail, "MOST", 3 * words.VOCABULARY)
        with pytest.raises(ModelError, match="LlamaForCausalLM stopped: RuntimeError: out of luck"):
            attnscope.logprobs(model, tokenizer, TEXT)
        hook.remove()


def test_tokens_know_their_place_in_the_text_and_several_texts_give_several_answers():
    model, tokenizer = with_head("gpt2")
    found = attnscope.logprobs(model, tokenizer, [TEXT, "A dog runs."])
    assert [each.model_name for each in found] == ["GPT2LMHeadModel"] * 2
    alone = attnscope.logprobs(model, tokenizer, "A dog runs.")
    np.testing.assert_array_equal(found[1].logprobs, alone.logprobs)
    start, end = alone.tokens.offsets[alone.tokens.find("runs")]
    assert "A dog runs."[start:end].strip().startswith("r")


def test_encoded_text_and_no_alternatives():
    model, tokenizer = with_head("gpt2")
    ids = tokenizer(TEXT, return_tensors="pt").input_ids
    found = attnscope.logprobs(model, tokenizer, {"input_ids": ids[0]}, top=0)
    np.testing.assert_array_equal(found.logprobs, attnscope.logprobs(model, tokenizer, TEXT).logprobs)
    assert set(found.alternatives) == {()}
    assert np.isnan(found.least_entropies).all()


def test_half_precision_is_read_in_float32():
    model, tokenizer = with_head("llama")
    model = model.to(torch.bfloat16)
    ids = tokenizer(TEXT, return_tensors="pt").input_ids
    found = attnscope.logprobs(model, tokenizer, TEXT)
    np.testing.assert_allclose(found.logprobs[1:], expected(model, ids).gather(-1, ids[0, 1:, None])[:, 0], atol=0.05)


@pytest.mark.parametrize(
    ("name", "model", "said"),
    [
        ("bert", "BertForMaskedLM", "BertForMaskedLM sees the tokens that follow, as masked language models do"),
        ("electra", "ElectraForMaskedLM", "sees the tokens that follow"),
        ("bert", "BertLMHeadModel", "with is_decoder=True"),
        ("bert", "BertModel", "BertModel has no language-model head, .* AutoModelForCausalLM"),
        ("gpt2", "GPT2ForSequenceClassification", "has no language-model head"),
    ],
)
def test_models_that_do_not_say_what_comes_next_are_refused(name, model, said):
    with pytest.raises(ModelError, match=said):
        attnscope.logprobs(*with_head(name, model), "the cat sat on the dog")


def test_bert_as_a_decoder_is_taken():
    model, tokenizer = with_head("bert", "BertLMHeadModel", is_decoder=True)
    ids = tokenizer("the cat sat", return_tensors="pt").input_ids
    found = attnscope.logprobs(model, tokenizer, "the cat sat")
    np.testing.assert_allclose(found.logprobs[1:], expected(model, ids).gather(-1, ids[0, 1:, None])[:, 0], atol=1e-5)


def test_encoder_decoders_are_refused():
    from tests.models.test_encoder_decoder import loaded

    model, _, tokenizer = loaded("bart")
    with pytest.raises(ModelError, match="reads one text and writes another"):
        attnscope.logprobs(model, tokenizer, TEXT)


def test_refusals():
    model, tokenizer = with_head("gpt2")
    with pytest.raises(InputTypeError, match="Expected a PyTorch model"):
        attnscope.logprobs("gpt2", tokenizer, TEXT)
    with pytest.raises(InputTypeError, match="A text is a string, several are a list of strings, got int"):
        attnscope.logprobs(model, tokenizer, 3)
    with pytest.raises(InputTypeError, match="A text is a string, several are a list of strings, got list"):
        attnscope.logprobs(model, tokenizer, [])
    with pytest.raises(InputTypeError, match="A text needs a tokenizer"):
        attnscope.logprobs(model, None, TEXT)
    with pytest.raises(InputError, match="makes no token of it"):
        attnscope.logprobs(model, tokenizer, "")
    with pytest.raises(InputError, match="takes at most 96"):
        attnscope.logprobs(model, tokenizer, TEXT * 20)
    with pytest.raises(InputError, match="top is a whole number from 0, got -1"):
        attnscope.logprobs(model, tokenizer, TEXT, top=-1)
    with pytest.raises(InputError, match="those of one text"):
        attnscope.logprobs(model, tokenizer, {"input_ids": torch.ones(2, 3, dtype=torch.long)})
    padded = {"input_ids": torch.ones(1, 3, dtype=torch.long), "attention_mask": torch.tensor([[1, 1, 0]])}
    with pytest.raises(InputError, match="is padded"):
        attnscope.logprobs(model, tokenizer, padded)
    with torch.no_grad():
        model.lm_head.weight[3, 0] = torch.nan
    with pytest.raises(ModelError, match="hold NaN or infinity"):
        attnscope.logprobs(model, tokenizer, {"input_ids": torch.arange(5, 9)[None]})
