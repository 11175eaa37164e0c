"""What capture() and record() give beside the weights: layers, values, tokens, names."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers

from attnscope import Capture, capture, record
from tests.models import words, zoo

TEXT = "The cat sat."


def attention_of(found):
    return np.stack([found.weights(number) for number in found["self"].layers])


class TestLayers:
    @pytest.mark.parametrize("layers", [[1], (2, 0), {0, 1, 2}, [1, 1], range(1, 3), np.array([1])])
    @pytest.mark.parametrize("family", ["bert", "albert", "gpt2"])
    def test_only_those_asked_for(self, layers, family):
        model, tokenizer = zoo.small(family)
        wanted = list(layers)
        found = capture(model, tokenizer, [TEXT, "A dog"], layers=iter(wanted))[0]
        assert found["self"].layers == tuple(sorted(set(map(int, wanted))))
        every = capture(model, tokenizer, TEXT)
        for number in found["self"].layers:
            np.testing.assert_allclose(found.weights(number), every.weights(number), atol=1e-6)

    def test_fewer_layers_take_fewer_bytes(self):
        model, tokenizer = zoo.small("gpt2")
        every, one = capture(model, tokenizer, TEXT), capture(model, tokenizer, TEXT, layers=[1])
        arrays = every.nbytes - every["self"].layer(0).mask.nbytes
        assert one.nbytes - one["self"].layer(1).mask.nbytes == arrays // 3


class TestValues:
    @pytest.mark.parametrize("family", ["bert", "llama", "gpt2", "deepseek_v3", "gpt_bigcode"])
    def test_weights_times_values_are_the_output(self, family):
        model, tokenizer = zoo.small(family)
        outputs = []
        attention = [m for name, m in model.named_modules() if name.endswith(("self_attn", "attention.self", ".attn"))]
        assert len(attention) == 3
        projections = [
            m for name, m in model.named_modules() if name.endswith(("attention.output.dense", "o_proj", "attn.c_proj"))
        ]
        hooks = [m.register_forward_pre_hook(lambda _, args: outputs.append(args[0])) for m in projections]
        found = capture(model, tokenizer, TEXT, values=True)
        for hook in hooks:
            hook.remove()
        assert len(outputs) == 3
        for number, output in enumerate(outputs):
            layer = found["self"].layer(number)
            shared_by = layer.n_heads // layer.values.shape[0]
            values = np.repeat(layer.values.numpy(), shared_by, axis=0)
            mixed = np.einsum("hqk,hkd->qhd", found.weights(number), values)
            np.testing.assert_allclose(mixed.reshape(output.shape[1:]), output[0].detach().numpy(), atol=1e-5)

    def test_not_kept_unless_asked_for(self):
        model, tokenizer = zoo.small("gpt2")
        without, with_values = capture(model, tokenizer, TEXT), capture(model, tokenizer, TEXT, values=True)
        assert without["self"].layer(0).values is None
        mask = without["self"].layer(0).mask.nbytes
        # Queries and keys are views of one tensor in GPT-2; only what is wanted is kept alive.
        kept = with_values.nbytes - with_values["self"].stream.nbytes
        assert (kept - mask) * 2 == (without.nbytes - mask) * 3
        storage = without["self"].layer(0).queries.untyped_storage().nbytes()
        assert storage == without["self"].layer(0).queries.numel() * 4

    def test_padding_is_cut_from_values_too(self):
        model, tokenizer = zoo.small("bert")
        alone = capture(model, tokenizer, "A dog", values=True)
        batch = capture(model, tokenizer, [TEXT, "A dog"], values=True)[1]
        np.testing.assert_allclose(batch["self"].layer(2).values, alone["self"].layer(2).values, atol=1e-5)


class TestWhatComesBack:
    def test_one_text_or_a_list(self):
        model, tokenizer = zoo.small("bert")
        assert isinstance(capture(model, tokenizer, TEXT), Capture)
        for several in ([TEXT], (TEXT,), iter([TEXT])):
            found = capture(model, tokenizer, several)
            assert isinstance(found, list)
            assert found[0].tokens == capture(model, tokenizer, TEXT).tokens
        pair = capture(model, tokenizer, TEXT, ["A dog"])
        assert pair["self"].queries.segments.tolist() == [0] * 6 + [1] * 3

    def test_encoded_inputs(self):
        model, tokenizer = zoo.small("bert")
        expected = capture(model, tokenizer, TEXT)
        encoded = tokenizer(TEXT, return_tensors="pt")
        for given in (encoded, dict(encoded), {name: value[0] for name, value in encoded.items()}):
            found = capture(model, tokenizer, given)
            assert found.tokens == expected.tokens
            np.testing.assert_allclose(attention_of(found), attention_of(expected), atol=1e-6)
        assert capture(model, None, encoded).tokens == [str(i) for i in encoded["input_ids"][0].tolist()]
        batch = capture(model, tokenizer, tokenizer([TEXT, "A dog"], padding=True, return_tensors="pt"))
        assert [len(one.tokens) for one in batch] == [6, 4]

    def test_inputs_the_model_does_not_take_are_left_out(self):
        model, tokenizer = zoo.small("distilbert")
        assert "token_type_ids" in tokenizer(TEXT)
        assert capture(model, tokenizer, TEXT).n_layers == 3

    @pytest.mark.parametrize("family", ["gpt2", "llama"])
    def test_a_tokenizer_without_padding_reads_one_text_at_a_time(self, family):
        model, _ = zoo.small(family)
        tokenizer = words.byte_level(padding=False)
        assert tokenizer.pad_token_id is None
        found = capture(model, tokenizer, [TEXT, "A dog runs."])
        for text, one in zip([TEXT, "A dog runs."], found, strict=True):
            np.testing.assert_allclose(attention_of(one), attention_of(capture(model, tokenizer, text)), atol=1e-6)

    def test_a_processor_stands_for_its_tokenizer(self):
        class Processor:
            tokenizer = words.wordpiece()

        model, tokenizer = zoo.small("bert")
        assert capture(model, Processor(), TEXT).tokens == capture(model, tokenizer, TEXT).tokens

    def test_a_tokenizer_that_would_cut_texts_does_not(self):
        model, _ = zoo.small("bert")
        tokenizer = words.wordpiece.__wrapped__()
        tokenizer.backend_tokenizer.enable_truncation(5)
        tokenizer.model_max_length = 5
        assert len(capture(model, tokenizer, "the cat sat on the the cat").tokens) == 9

    def test_a_tokenizer_that_pads_on_the_left(self):
        model, _ = zoo.small("gpt2")
        tokenizer = words.byte_level.__wrapped__()
        tokenizer.padding_side = "left"
        batch = capture(model, tokenizer, [TEXT, "A dog runs again and again."])
        assert tokenizer.padding_side == "left"
        np.testing.assert_allclose(attention_of(batch[0]), attention_of(capture(model, tokenizer, TEXT)), atol=1e-6)

    def test_a_progress_bar_only_when_asked(self, capsys):
        model, tokenizer = zoo.small("bert")
        capture(model, tokenizer, [TEXT] * 9)
        assert capsys.readouterr().err == ""
        capture(model, tokenizer, [TEXT] * 9, progress=True)
        assert "capture 9 texts" in capsys.readouterr().err

    def test_the_encoder_of_an_encoder_decoder(self):
        config = transformers.BartConfig(
            vocab_size=400, d_model=16, encoder_layers=2, decoder_layers=1, encoder_attention_heads=2,
            decoder_attention_heads=2, encoder_ffn_dim=16, decoder_ffn_dim=16, pad_token_id=0, bos_token_id=3,
            eos_token_id=1, decoder_start_token_id=1,
        )  # fmt: skip
        model = transformers.BartModel(config).eval()
        tokenizer = words.sentencepiece(first=False, last=True)
        found = capture(model.get_encoder(), tokenizer, TEXT)
        eager = zoo.twin(model)
        with torch.no_grad():
            own = eager(tokenizer(TEXT, return_tensors="pt").input_ids, output_attentions=True).encoder_attentions
        np.testing.assert_allclose(attention_of(found), np.stack([layer[0] for layer in own]), atol=1e-5)


class TestNames:
    @pytest.mark.parametrize(
        ("given", "shown"),
        [
            ("google/bert-base", "bert-base"), ("gpt2", "gpt2"), ("", "BertModel"), (None, "BertModel"),
            ("./checkpoints/run7/final", "final"), ("/data/runs/run7/checkpoint", "run7"),
            ("/data/runs/run7/model/", "run7"), ("/model", "BertModel"), ("C:\\models\\mine", "mine"),
        ],
    )  # fmt: skip
    def test_model_names(self, given, shown):
        model, tokenizer = zoo.small("bert")
        model.name_or_path = given
        assert capture(model, tokenizer, TEXT).model_name == shown


class TestTokens:
    def test_wordpiece(self):
        queries = capture(*zoo.small("bert"), "The lessons, dogs")["self"].queries
        assert queries.text[:4] == ("[CLS]", "the", "les", "##son")
        assert queries.special.tolist() == [True] + [False] * (len(queries) - 2) + [True]
        assert queries.word_text(queries.words[2]) == "lessons"
        text = "the lessons, dogs"
        assert text[queries.offsets[2][0] : queries.offsets[4][1]] == "lessons"
        assert queries.ids[0] == 2

    def test_byte_level_pieces_are_decoded(self):
        found = capture(*zoo.small("gpt2"), "The cat é 😀")
        assert found.tokens[:2] == ["The", " cat"]
        # This tokenizer knows no whole é or emoji: their bytes are shown one by one.
        assert "".join(found.tokens[2:]) == " <0xC3><0xA9> <0xF0><0x9F><0x98><0x80>"

    def test_sentencepiece(self):
        queries = capture(*zoo.small("llama"), "The cat sat")["self"].queries
        assert queries.text == ("<s>", " The", " cat", " sat")
        assert queries.special.tolist() == [True, False, False, False]
        assert queries.words.tolist() == [-1, 0, 1, 2]
        assert queries.find("cat") == 2

    def test_special_tokens_written_in_the_text_are_special(self):
        queries = capture(*zoo.small("bert"), "the cat [SEP] the dog")["self"].queries
        assert queries.special.tolist() == [text.startswith("[") for text in queries.text]
        assert queries.text.count("[SEP]") == 2

    def test_recorded_ids_are_named_by_a_tokenizer(self):
        model, tokenizer = zoo.small("bert")
        with record(model) as recording:
            model(**tokenizer(TEXT, return_tensors="pt"))
        named = recording.capture(tokenizer=tokenizer)
        assert named.tokens == capture(model, tokenizer, TEXT).tokens
        assert named["self"].queries.special.tolist() == [True, False, False, False, False, True]
        assert recording.capture().tokens == ["2", "5", "6", "9", "15", "3"]
        assert recording.capture(["a"] * 6).tokens == ["a"] * 6

    def test_recorded_batches_take_padded_names(self):
        model, tokenizer = zoo.small("bert")
        batch = tokenizer([TEXT, "the"], padding=True, return_tensors="pt")
        with record(model) as recording:
            model(**batch)
        found = recording.captures([list("abcdef"), list("uvwxyz")])
        assert [one.tokens for one in found] == [list("abcdef"), list("uvw")]

    def test_a_model_inside_another_can_be_recorded(self):
        model, tokenizer = zoo.small("gpt2")
        with record(model.transformer) as recording:
            model(**tokenizer(TEXT, return_tensors="pt"))
        np.testing.assert_allclose(
            attention_of(recording.capture(tokenizer=tokenizer)),
            attention_of(capture(model, tokenizer, TEXT)),
            atol=1e-6,
        )

    def test_a_step_with_a_cache_is_one_row_over_all_keys(self):
        model, tokenizer = zoo.small("llama")
        ids = tokenizer(TEXT, return_tensors="pt").input_ids
        with torch.no_grad():
            past = model(ids[:, :-1], use_cache=True).past_key_values
            with record(model) as recording:
                model(ids[:, -1:], past_key_values=past)
        names = [str(i) for i in ids[0].tolist()]
        found = recording.capture(names[-1:], key_tokens=names)
        whole = capture(model, tokenizer, {"input_ids": ids})
        np.testing.assert_allclose(attention_of(found)[:, :, 0], attention_of(whole)[:, :, -1], atol=1e-5)


class TestKept:
    def test_layers_share_one_mask(self):
        model, tokenizer = zoo.small("llama")
        for found in capture(model, tokenizer, [TEXT, "A dog runs."]):
            assert len({id(found["self"].layer(number).mask) for number in range(3)}) == 1

    def test_ordinary_masks_take_two_numbers_per_token(self):
        for family in ("bert", "llama", "mistral", "modernbert"):
            for found in capture(*zoo.small(family), [TEXT, "A dog runs and runs."]):
                for number in found["self"].layers:
                    assert found["self"].layer(number).mask.bits is None

    def test_nothing_grows_with_the_square_of_the_text(self):
        model, tokenizer = zoo.small("llama", max_position_embeddings=2048)
        sizes = [capture(model, tokenizer, "cat " * n).nbytes for n in (100, 200, 400)]
        assert sizes[2] - sizes[1] == 2 * (sizes[1] - sizes[0])
