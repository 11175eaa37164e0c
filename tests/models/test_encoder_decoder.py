"""Encoder–decoders: encoder, decoder and cross-attention from one call, over a target or over what the model writes."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
import torch
from transformers import BertConfig, EncoderDecoderConfig, EncoderDecoderModel

from attnscope import capture, record
from attnscope.errors import InputError, InputTypeError
from tests.models import words, zoo
from tests.models.test_untouched import left_as_it_was

TOLERANCE = 1e-5
TEXTS = ["The cat sat on the mat.", "A dog runs"]
TARGETS = ["It was tired.", "She took French lessons so she"]

T5 = {
    "vocab_size": words.VOCABULARY, "d_model": 32, "d_kv": 8, "num_heads": 4, "num_layers": 3, "num_decoder_layers": 2,
    "d_ff": 48, "pad_token_id": 0, "eos_token_id": 1, "decoder_start_token_id": 0,
}  # fmt: skip
BART = {
    "vocab_size": words.VOCABULARY, "d_model": 32, "encoder_layers": 3, "decoder_layers": 2,
    "encoder_attention_heads": 4, "decoder_attention_heads": 4, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48,
    "max_position_embeddings": 96, "pad_token_id": 0, "bos_token_id": 3, "eos_token_id": 1,
    "decoder_start_token_id": 1, "forced_eos_token_id": None,
}  # fmt: skip
WHISPER = BART | {
    "num_mel_bins": 8, "max_source_positions": 20, "max_target_positions": 40, "decoder_start_token_id": 3,
    "suppress_tokens": None, "begin_suppress_tokens": None,
}  # fmt: skip
FAMILIES = {
    known.name: known
    for known in [
        zoo.Family("t5", "T5Config", "T5ForConditionalGeneration", T5, "sentencepiece_last", gain=1.0),
        zoo.Family("bart", "BartConfig", "BartForConditionalGeneration", BART, "sentencepiece_last"),
        zoo.Family("mbart", "MBartConfig", "MBartForConditionalGeneration", BART, "sentencepiece_last"),
        zoo.Family("marian", "MarianConfig", "MarianMTModel", BART, "sentencepiece_last"),
        zoo.Family("pegasus", "PegasusConfig", "PegasusForConditionalGeneration", BART, "sentencepiece_last"),
        zoo.Family("m2m_100", "M2M100Config", "M2M100ForConditionalGeneration", BART, "sentencepiece_last"),
    ]
}
ALL = [*FAMILIES, "bert2bert"]

every_family = pytest.mark.parametrize("name", ALL)
live_or_not = pytest.mark.parametrize("live", [False, True], ids=["one pass", "live"])


@cache
def loaded(name):
    """A model, its eager twin and its tokenizer."""
    if name == "bert2bert":
        return bert2bert()
    known = FAMILIES[name]
    model = zoo.build(known)
    model.generation_config.forced_eos_token_id = None
    return model, zoo.twin(model), zoo.tokenizer_of(known)


def bert2bert():
    """Two BERTs, the second with cross-attention to the first."""
    writes = {"num_hidden_layers": 2, "is_decoder": True, "add_cross_attention": True}
    configs = BertConfig(**zoo.BERT), BertConfig(**zoo.BERT | writes)
    config = EncoderDecoderConfig.from_encoder_decoder_configs(*configs)
    config.update({"decoder_start_token_id": 2, "pad_token_id": 0, "eos_token_id": 3})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = EncoderDecoderModel(config).eval()
    model.generation_config.update(decoder_start_token_id=2, pad_token_id=0, eos_token_id=3)
    eager = EncoderDecoderModel(config).eval()
    eager.set_attn_implementation("eager")
    eager.load_state_dict(model.state_dict())
    return model, eager, words.wordpiece()


def encoded(tokenizer, texts, **options):
    inputs = tokenizer(texts, return_tensors="pt", **options)
    return {name: inputs[name] for name in ("input_ids", "attention_mask")}


def assert_true_of(eager, found, decoder_ids, **inputs):
    """A capture has this decoder input, all three kinds, and the model's own weights."""
    assert found.kinds == ("encoder", "decoder", "cross")
    queries, keys = found.tokens_of("cross")
    assert queries.ids.tolist() == decoder_ids.tolist()
    assert found.tokens_of("encoder")[0].text == keys.text
    assert found.tokens_of("decoder")[0].text == queries.text
    with torch.no_grad():
        own = eager(**inputs, decoder_input_ids=decoder_ids[None], output_attentions=True, use_cache=False)
    kinds = {"encoder": own.encoder_attentions, "decoder": own.decoder_attentions, "cross": own.cross_attentions}
    for kind, layers in kinds.items():
        assert found[kind].layers == tuple(range(len(layers)))
        for number, expected in enumerate(layers):
            expected = expected[0].numpy()
            np.testing.assert_allclose(found.weights(number, kind=kind), expected, rtol=0, atol=TOLERANCE)


def start_of(name):
    """What the decoder of a family reads first."""
    return {"t5": 0, "bert2bert": 2}.get(name, 1)


@every_family
def test_a_target_text(name):
    model, eager, tokenizer = loaded(name)
    found = capture(model, tokenizer, TEXTS[0], target=TARGETS[0])
    labels = tokenizer(TARGETS[0])["input_ids"]
    assert_true_of(eager, found, torch.tensor([start_of(name), *labels[:-1]]), **encoded(tokenizer, TEXTS[0]))
    assert found["encoder"].n_layers == 3
    assert found["decoder"].n_layers == found["cross"].n_layers == 2
    assert found["decoder"].is_causal
    assert not found["cross"].is_causal
    assert found.tokens_of("encoder")[0].offsets is not None


@every_family
def test_targets_of_a_batch(name):
    model, eager, tokenizer = loaded(name)
    for target in (TARGETS, TARGETS[0]):
        several = capture(model, tokenizer, TEXTS, target=target)
        assert len(several) == 2
        for item, found in enumerate(several):
            text = target if isinstance(target, str) else target[item]
            alone = capture(model, tokenizer, TEXTS[item], target=text)
            assert found.tokens_of("cross")[0].text == alone.tokens_of("cross")[0].text
            ids = alone.tokens_of("decoder")[0].ids
            assert_true_of(eager, found, torch.tensor(ids), **encoded(tokenizer, TEXTS[item]))


@every_family
def test_without_a_target_the_model_writes_it(name):
    model, eager, tokenizer = loaded(name)
    inputs = encoded(tokenizer, TEXTS[0])
    most = 128 if name in ("t5", "bert2bert") else 95
    written = eager.generate(**inputs, do_sample=False, num_beams=1, max_new_tokens=most)[0]
    assert len(written) > 3
    assert_true_of(eager, capture(model, tokenizer, TEXTS[0]), written, **inputs)


def test_the_decoders_input_is_that_of_training():
    for name in ALL:
        model, _, tokenizer = loaded(name)
        labels = tokenizer(text_target=TARGETS[1], return_tensors="pt")["input_ids"]
        with record(model) as recording, torch.no_grad():
            model(**encoded(tokenizer, TEXTS[0]), labels=labels)
        trained, found = recording.capture(tokenizer=tokenizer), capture(model, tokenizer, TEXTS[0], target=TARGETS[1])
        assert trained.tokens_of("decoder")[0].ids.tolist() == found.tokens_of("decoder")[0].ids.tolist(), name
        for kind in found.kinds:
            np.testing.assert_allclose(trained.weights(1, kind=kind), found.weights(1, kind=kind), atol=1e-6)


@pytest.mark.parametrize("name", ["t5", "bart", "marian"])
@pytest.mark.parametrize("side", ["left", "right"])
def test_an_encoded_batch_with_padding_on_either_side(name, side):
    model, eager, tokenizer = loaded(name)
    inputs = encoded(tokenizer, TEXTS, padding=True, padding_side=side)
    found = capture(model, tokenizer, {**inputs, "decoder_input_ids": torch.tensor([[1, 9, 10], [1, 11, 12]])})
    # Learned and sinusoidal positions count the padding too, as they do when the model is run so.
    items = [0, 1] if name == "t5" or side == "right" else [0]
    for item in items:
        ids = torch.tensor([[1, 9, 10], [1, 11, 12]][item])
        assert_true_of(eager, found[item], ids, **encoded(tokenizer, TEXTS[item]))


class TestGenerate:
    @every_family
    @live_or_not
    def test_a_batch(self, name, live):
        model, eager, tokenizer = loaded(name)
        inputs = encoded(tokenizer, TEXTS, padding=True, padding_side="right")
        torch.manual_seed(3)
        with record(model, live=live) as recording:
            output = model.generate(**inputs, do_sample=True, max_new_tokens=9, num_return_sequences=2)
        several = recording.captures(tokenizer=tokenizer)
        assert len(several) == len(output) == 4
        for item, found in enumerate(several):
            ids = found.tokens_of("decoder")[0].ids
            n = output.shape[1] - live
            assert ids.tolist() == output[item, : len(ids)].tolist()
            assert len(ids) == n or int(ids[-1]) == model.generation_config.eos_token_id
            assert_true_of(eager, found, torch.tensor(ids), **encoded(tokenizer, TEXTS[item // 2]))

    @pytest.mark.parametrize("kind", ["static", "dynamic"])
    @pytest.mark.parametrize("name", ["t5", "bart"])
    def test_live_with_either_cache(self, name, kind):
        model, eager, tokenizer = loaded(name)
        inputs = encoded(tokenizer, TEXTS[0])
        with record(model, live=True) as recording:
            output = model.generate(**inputs, max_new_tokens=9, cache_implementation=kind)
        assert_true_of(eager, recording.capture(tokenizer=tokenizer), output[0, :-1], **inputs)

    def test_beams(self):
        model, eager, tokenizer = loaded("bart")
        inputs = encoded(tokenizer, TEXTS, padding=True)
        with record(model) as recording:
            output = model.generate(**inputs, num_beams=3, max_new_tokens=9)
        for item, found in enumerate(recording.captures(tokenizer=tokenizer)):
            ids = torch.tensor(found.tokens_of("decoder")[0].ids)
            assert torch.equal(ids, output[item, : len(ids)])
            assert_true_of(eager, found, ids, **encoded(tokenizer, TEXTS[item]))

    def test_a_decoder_prompt(self):
        model, eager, tokenizer = loaded("t5")
        inputs, prompt = encoded(tokenizer, TEXTS[0]), torch.tensor([[0, 20, 21, 22]])
        for live in (False, True):
            with record(model, live=live) as recording:
                output = model.generate(**inputs, decoder_input_ids=prompt, max_new_tokens=5)
            assert output[0, :4].tolist() == prompt[0].tolist()
            found = recording.capture(tokenizer=tokenizer)
            assert_true_of(eager, found, output[0, : output.shape[1] - live], **inputs)

    def test_each_step_has_its_row_of_cross_attention(self):
        model, _, tokenizer = loaded("bart")
        inputs, rows = encoded(tokenizer, TEXTS[0]), []

        def on_step(step):
            found = step.capture(tokenizer=tokenizer)
            rows.append((step.ids[0][-1], found.weights(1, kind="cross", queries=-1)))

        with record(model, live=True, on_step=on_step) as recording:
            output = model.generate(**inputs, max_new_tokens=6)
        assert [token for token, _ in rows] == output[0, :-1].tolist()
        whole = recording.capture(tokenizer=tokenizer).weights(1, kind="cross")
        np.testing.assert_allclose(np.stack([row for _, row in rows], axis=1), whole, atol=1e-6)

    def test_the_model_is_left_as_it_was(self):
        model, _, tokenizer = loaded("bart")
        inputs = encoded(tokenizer, TEXTS[0])
        config = model.generation_config.to_dict()
        with left_as_it_was(model, inputs["input_ids"]):
            capture(model, tokenizer, TEXTS)
            capture(model, tokenizer, TEXTS, target=TARGETS)
            with record(model, live=True):
                model.generate(**inputs, max_new_tokens=4)
        assert model.generation_config.to_dict() == config


class TestSpeech:
    @staticmethod
    @cache
    def loaded():
        known = zoo.Family("whisper", "WhisperConfig", "WhisperForConditionalGeneration", WHISPER, "sentencepiece_last")
        model = zoo.build(known)
        model.generation_config.no_timestamps_token_id = words.VOCABULARY - 5
        sound = torch.randn(2, 8, 40, generator=torch.Generator().manual_seed(0))
        return model, zoo.twin(model), zoo.tokenizer_of(known), sound

    def test_sound_and_a_target(self):
        model, eager, tokenizer, sound = self.loaded()
        several = capture(model, tokenizer, {"input_features": sound}, target=TARGETS)
        for item, found in enumerate(several):
            ids = torch.tensor([3, *tokenizer(TARGETS[item])["input_ids"][:-1]])
            assert_true_of(eager, found, ids, input_features=sound[item : item + 1])
            assert len(found.tokens_of("encoder")[0]) == 20

    def test_a_start_token_the_tokenizer_writes_is_not_doubled(self):
        model, _, _, sound = self.loaded()
        tokenizer = words.sentencepiece(first=True, last=True)
        found = capture(model, tokenizer, {"input_features": sound[0]}, target=TARGETS[0])
        assert found.tokens_of("decoder")[0].ids.tolist() == tokenizer(TARGETS[0])["input_ids"][:-1]

    @live_or_not
    def test_what_generate_leaves_out_of_its_answer_is_shown_too(self, live):
        model, eager, tokenizer, sound = self.loaded()
        with record(model, live=live) as recording:
            output = model.generate(sound[:1], max_new_tokens=6)
        found = recording.capture(tokenizer=tokenizer)
        ids = found.tokens_of("decoder")[0].ids.tolist()
        new = output[0].tolist()
        start = len(ids) + live - len(new)
        assert start > 0
        assert ids[0] == 3
        assert ids[start:] == new[: len(new) - live]
        assert_true_of(eager, found, torch.tensor(ids), input_features=sound[:1])


class TestRefusals:
    def test_a_target_for_a_model_that_has_no_decoder(self):
        model, tokenizer = zoo.small("bert")
        with pytest.raises(InputError, match="BertModel is none"):
            capture(model, tokenizer, TEXTS[0], target=TARGETS[0])

    @pytest.mark.parametrize(
        ("target", "error", "match"),
        [
            (["one", "two", "three"], InputError, "2 texts and 3 targets"),
            (" ", InputError, "target is empty"),
            (["one", ""], InputError, "Entry 1 of target is empty"),
            ([1, 2], InputTypeError, "A target is a string"),
        ],
    )
    def test_targets_that_do_not_fit(self, target, error, match):
        model, _, tokenizer = loaded("bart")
        with pytest.raises(error, match=match):
            capture(model, tokenizer, TEXTS, target=target)

    def test_a_target_without_a_tokenizer(self):
        model, _, tokenizer = loaded("bart")
        with pytest.raises(InputTypeError, match="target text needs a tokenizer"):
            capture(model, None, encoded(tokenizer, TEXTS[0]), target=TARGETS[0])

    def test_a_model_without_a_language_head_needs_a_target(self):
        known = zoo.Family("bart", "BartConfig", "BartModel", BART)
        model, tokenizer = zoo.build(known), words.sentencepiece(first=False, last=True)
        with pytest.raises(InputError, match=r"BartModel cannot write.*target="):
            capture(model, tokenizer, TEXTS[0])
        found = capture(model, tokenizer, TEXTS[0], target=TARGETS[0])
        ids = torch.tensor([1, *tokenizer(TARGETS[0])["input_ids"][:-1]])
        assert_true_of(zoo.twin(model), found, ids, **encoded(tokenizer, TEXTS[0]))

    def test_a_decoder_without_a_start_token(self):
        known = FAMILIES["t5"]
        model, tokenizer = zoo.build(known), zoo.tokenizer_of(known)
        model.config.decoder_start_token_id = model.generation_config.decoder_start_token_id = None
        with pytest.raises(InputError, match="decoder_start_token_id"):
            capture(model, tokenizer, TEXTS[0], target=TARGETS[0])

    @pytest.mark.parametrize(
        "inputs",
        [{}, {"attention_mask": torch.ones(1, 3)}, {"input_features": torch.ones(3)}, {"input_ids": [1, 2]}],
        ids=["nothing", "no input", "no axes", "a list"],
    )
    def test_encoded_inputs_that_are_none(self, inputs):
        model, _, tokenizer = loaded("bart")
        with pytest.raises(InputError, match="Encoded inputs need 'input_ids'"):
            capture(model, tokenizer, inputs)
