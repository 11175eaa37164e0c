"""Every refusal says the reason and the remedy."""

from __future__ import annotations

import pytest
import torch
import transformers

from attnscope import capture, record
from attnscope.errors import (
    InputError,
    InputTypeError,
    ModelError,
    NoAttentionError,
    NotFoundError,
    UnverifiedError,
)
from tests.models import words, zoo

TEXT = "The cat sat."


@pytest.fixture(scope="module")
def bert():
    return zoo.small("bert")


@pytest.fixture(scope="module")
def inputs(bert):
    return dict(bert[1](TEXT, return_tensors="pt"))


class TestTexts:
    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("", "The text is empty. Give a text with at least one word"),
            (" \n\t", "The text is empty"),
            (["a cat", "", "a dog"], "Entry 1 of text is empty"),
            (["a cat", "a dog", "\n"], "Entry 2 of text is empty"),
            ([], "the list is empty. Give at least one text"),
            ("\u200b", "the tokenizer makes no token of it"),
            (["a cat", "\u200b"], r"The text '\\u200b' is empty: the tokenizer makes no token of it"),
        ],
    )
    def test_empty_ones(self, bert, text, said):
        with pytest.raises(InputError, match=said):
            capture(*bert, text)

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            (None, "got NoneType None"), (3, "got int 3"), (b"cat", "got int 99"), (["a", None], "got NoneType None"),
            ([["a", "b"]], r"got list \['a', 'b'\]"), ([1, 2], r"got int 1.*\{'input_ids': tensor\}"),
            (torch.tensor([1, 2]), r"got Tensor .*\{'input_ids': tensor\}"),
        ],
    )  # fmt: skip
    def test_other_types(self, bert, text, said):
        with pytest.raises(InputTypeError, match="A text is a string, several are a list of strings") as raised:
            capture(*bert, text)
        raised.match(said)

    @pytest.mark.parametrize(
        ("text", "pair", "said"),
        [
            ("a", " ", "The text_pair is empty"),
            (["a", "b"], ["c", ""], "Entry 1 of text_pair is empty"),
            (["a", "b"], ["c"], "one text_pair per text: got 2 texts and 1 pairs"),
            (["a", "b"], "c", "one text_pair per text: got 2 texts and 1 pairs"),
        ],
    )
    def test_pairs(self, bert, text, pair, said):
        with pytest.raises(InputError, match=said):
            capture(*bert, text, pair)

    @pytest.mark.parametrize("pair", [3, ["a", 3]])
    def test_pairs_of_other_types(self, bert, pair):
        with pytest.raises(InputTypeError, match=r"A text is a string.* got int 3"):
            capture(*bert, ["a", "b"], pair)

    @pytest.mark.parametrize(
        ("family", "most"), [("bert", 96), ("gpt2", 96), ("opt", 96), ("roberta", 94), ("distilbert", 96)]
    )
    def test_too_long(self, family, most):
        model, tokenizer = zoo.small(family)
        with pytest.raises(
            InputError, match=rf"The text has \d+ tokens, and {type(model).__name__} takes at most {most}"
        ):
            capture(model, tokenizer, "cat " * 100)
        # As long as it takes is taken: no good text is refused.
        ids = torch.full((1, most), 7)
        assert len(capture(model, tokenizer, {"input_ids": ids}).tokens) == most
        with pytest.raises(InputError, match=f"The text has {most + 1} tokens.*pieces of at most {most}"):
            capture(model, tokenizer, {"input_ids": torch.full((1, most + 1), 7)})

    def test_models_without_a_table_of_positions_take_any_length(self):
        model, tokenizer = zoo.small("llama", max_position_embeddings=16)
        assert len(capture(model, tokenizer, TEXT * 10).tokens) > 16


class TestEncodedInputs:
    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"ids": torch.ones(1, 3)}, "need 'input_ids' as a tensor.*got input_ids of none.*return_tensors=\"pt\""),
            ({"input_ids": [[1, 2]]}, "got input_ids of list"),
            ({"input_ids": torch.ones(1, 1, 3, dtype=int)}, r"got input_ids of shape \(1, 1, 3\)"),
            ({"input_ids": torch.ones((1, 0), dtype=int)}, "holds no token"),
            ({"input_ids": torch.tensor([[1, 9999]])}, "token with id 9999, but BertModel knows the ids 0 to 399"),
            ({"input_ids": torch.tensor([[-1, 2]])}, "token with id -1.*tokenizer belongs to another model"),
        ],
    )
    def test_what_is_no_input(self, bert, given, said):
        with pytest.raises(InputError, match=said):
            capture(*bert, given)

    def test_a_pair_beside_them(self, bert, inputs):
        with pytest.raises(InputError, match=r"already encoded.*Encode both together"):
            capture(*bert, inputs, "more")

    def test_a_tokenizer_of_another_model(self):
        model, _ = zoo.small("bert", vocab_size=20)
        with pytest.raises(InputError, match=r"knows the ids 0 to 19. The tokenizer belongs to another model"):
            capture(model, words.byte_level(), TEXT)


class TestTokenizers:
    def test_missing(self, bert):
        with pytest.raises(InputTypeError, match="A text needs a tokenizer"):
            capture(bert[0], None, TEXT)

    @pytest.mark.parametrize("tokenizer", ["bert-base-uncased", print, 3])
    def test_something_else(self, bert, tokenizer):
        with pytest.raises(InputTypeError, match=r"transformers tokenizer or processor, got .*AutoTokenizer"):
            capture(bert[0], tokenizer, TEXT)


class TestLayers:
    @pytest.mark.parametrize("layers", [[3], [0, 99], [-1]])
    def test_there_is_no_such_layer(self, bert, layers):
        wrong = next(n for n in layers if not 0 <= n < 3)
        with pytest.raises(
            NotFoundError, match=rf"BertModel has no attention in layer {wrong}; its layers are \[0, 1, 2\]"
        ):
            capture(*bert, TEXT, layers=layers)

    def test_none_at_all(self, bert):
        with pytest.raises(InputError, match="layers is empty: name at least one"):
            capture(*bert, TEXT, layers=[])

    @pytest.mark.parametrize("layers", [1, "12", 1.5])
    def test_no_list(self, bert, layers):
        with pytest.raises(InputTypeError, match=r"list of layer numbers, got .*layers=\[0\]"):
            capture(*bert, TEXT, layers=layers)

    @pytest.mark.parametrize("layers", [["a"], [True], [1.5], [None]])
    def test_no_numbers(self, bert, layers):
        with pytest.raises(InputTypeError, match="A layer is a number, got"):
            capture(*bert, TEXT, layers=layers)


class Plain(torch.nn.Module):
    def forward(self, x):
        return x


class TestModels:
    @pytest.mark.parametrize("model", [None, "bert-base-uncased", zoo.words.wordpiece()], ids=repr)
    @pytest.mark.parametrize("run", [lambda model: capture(model, words.wordpiece(), TEXT), record])
    def test_not_a_model(self, model, run):
        with pytest.raises(InputTypeError, match=r"Expected a PyTorch model.*AutoModel.*from_attentions"):
            run(model)

    def test_a_module_that_reads_no_text(self):
        with pytest.raises(InputTypeError, match=r"capture\(\) runs transformers models.*Plain.*record\(model\)"):
            capture(Plain(), words.wordpiece(), TEXT)

    @pytest.mark.filterwarnings("ignore::DeprecationWarning")
    def test_scripted(self):
        with pytest.raises(ModelError, match=r"scripted model.*Use the module it was scripted from"):
            record(torch.jit.script(Plain()))

    def test_training_mode_with_dropout(self):
        model, tokenizer = zoo.small("bert")
        model.train()
        with pytest.raises(ModelError, match=r"training mode, where dropout \(embeddings.dropout\).*model.eval\(\)"):
            capture(model, tokenizer, TEXT)
        assert model.training

    def test_training_mode_with_dropout_inside_the_attention_function(self):
        model, tokenizer = zoo.small("llama", attention_dropout=0.2)
        model.train()
        with pytest.raises(ModelError, match=r"layers.0.self_attn drops out weights at random.*model.eval\(\)"):
            capture(model, tokenizer, TEXT)

    def test_an_encoder_decoder_that_cannot_write(self):
        config = transformers.T5Config(vocab_size=400, d_model=16, d_kv=4, num_heads=2, num_layers=2, d_ff=16)
        with pytest.raises(InputError, match=r"T5Model cannot write text by itself.*target=….*language head"):
            capture(transformers.T5Model(config).eval(), words.sentencepiece(), TEXT)

    def test_an_encoder_decoder_without_a_start_token(self):
        config = transformers.T5Config(vocab_size=400, d_model=16, d_kv=4, num_heads=2, num_layers=2, d_ff=16)
        with pytest.raises(InputError, match=r"does not say.*decoder_start_token_id.*decoder_input_ids"):
            capture(transformers.T5Model(config).eval(), words.sentencepiece(), TEXT, target="Le chat")

    def test_a_target_for_another_model(self, bert):
        with pytest.raises(InputError, match=r"target is the decoder's text.*BertModel is none\. Leave it out"):
            capture(*bert, TEXT, target="Le chat")

    @pytest.mark.parametrize(
        ("name", "config"),
        [
            ("MambaModel", transformers.MambaConfig(vocab_size=400, hidden_size=16, num_hidden_layers=1, state_size=4)),
        ],
    )
    def test_nothing_to_see(self, name, config):
        model = getattr(transformers, name)(config).eval()
        with pytest.raises(NoAttentionError, match=rf"though {name} ran\..*no attention.*from_attentions"):
            capture(model, words.byte_level(), TEXT)

    def test_layers_without_attention_are_not_there(self):
        model = transformers.Qwen3NextModel(
            transformers.Qwen3NextConfig(
                vocab_size=400, hidden_size=16, num_hidden_layers=4, num_attention_heads=2, num_key_value_heads=1,
                head_dim=8, linear_num_key_heads=2, linear_num_value_heads=2, linear_key_head_dim=4,
                linear_value_head_dim=4, num_experts=2, num_experts_per_tok=1, moe_intermediate_size=8,
                intermediate_size=16, shared_expert_intermediate_size=8, pad_token_id=0,
            )
        ).eval()  # fmt: skip
        tokenizer = words.byte_level()
        assert capture(model, tokenizer, TEXT)["self"].layers == (3,)
        found = capture(model, tokenizer, TEXT, layers=[3])
        assert found["self"].layers == (3,)
        with pytest.raises(NotFoundError, match=r"no attention in layer 0; its layers are \[3\]"):
            capture(model, tokenizer, TEXT, layers=[0])


class TestTheSelfCheck:
    def test_attention_that_is_not_what_it_says(self, monkeypatch):
        """An attention function that scales in its own way, past what the model told it."""
        from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

        sdpa = ALL_ATTENTION_FUNCTIONS["sdpa"]

        def warmer(module, query, *args, twist=None, **options):
            return sdpa(module, query * 1.1, *args, **options)

        model, tokenizer = zoo.small("bert")
        monkeypatch.setitem(ALL_ATTENTION_FUNCTIONS._local_mapping, "sdpa", warmer)
        with pytest.raises(
            UnverifiedError, match=r"Layer 0 \(encoder.layer.0.*do not reproduce its output \(off by 0\.\d"
        ):
            capture(model, tokenizer, TEXT)

    def test_keywords_it_does_not_know_are_named(self, bert, monkeypatch):
        from transformers.models.bert.modeling_bert import BertSelfAttention

        forward = BertSelfAttention.forward

        def with_keyword(self, *args, **options):
            return forward(self, *args, temperature=2.0, **options)

        from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

        sdpa = ALL_ATTENTION_FUNCTIONS["sdpa"]

        def heated(module, query, *args, temperature=1.0, **options):
            return sdpa(module, query / temperature, *args, **options)

        monkeypatch.setattr(BertSelfAttention, "forward", with_keyword)
        monkeypatch.setitem(ALL_ATTENTION_FUNCTIONS._local_mapping, "sdpa", heated)
        with pytest.raises(UnverifiedError, match="called with temperature, which attnscope does not know"):
            capture(*bert, TEXT)

    @pytest.mark.parametrize("part", ["query", "value"])
    def test_numbers_that_are_none(self, part):
        model, tokenizer = zoo.small("bert")
        with torch.no_grad():
            getattr(model.encoder.layer[1].attention.self, part).weight[0, 0] = float("nan")
        with pytest.raises(UnverifiedError, match=r"Layer 1 .* NaN or infinite numbers.*dtype=torch.float32"):
            capture(model, tokenizer, [TEXT, "A dog"])

    def test_an_input_that_is_all_padding(self, bert, inputs):
        hidden = inputs | {"attention_mask": torch.zeros_like(inputs["attention_mask"])}
        with pytest.raises(InputError, match=r"No token sees any other in layer 0.*1 for the tokens to read"):
            capture(*bert, hidden)

    def test_an_input_of_a_batch_that_is_all_padding(self, bert):
        batch = bert[1]([TEXT, "A dog"], padding=True, return_tensors="pt")
        batch["attention_mask"][1] = 0
        with pytest.raises(InputError, match=r"Input 1 of the batch is padding throughout.*Leave it out"):
            capture(*bert, batch)


class TestRecordings:
    def test_asked_inside_the_block(self, bert, inputs):
        with record(bert[0]) as recording:
            bert[0](**inputs)
            for ask in (recording.capture, recording.captures):
                with pytest.raises(InputError, match="still open; ask for the capture after the with block"):
                    ask()

    def test_no_pass(self, bert):
        with record(bert[0]) as recording:
            pass
        with pytest.raises(
            NoAttentionError,
            match=r"BertModel did not run\. Call model\(\*\*inputs\) or model.generate\(\*\*inputs\) inside",
        ):
            recording.capture()
        with pytest.raises(NoAttentionError, match="did not run"):
            record(bert[0]).capture()

    def test_several_passes(self, bert, inputs):
        with record(bert[0]) as recording:
            for _ in range(3):
                bert[0](**inputs)
        with pytest.raises(InputError, match=r"3 forward passes.*Open a block for each"):
            recording.capture()

    @pytest.mark.parametrize("tokens", [["a"], ["t"] * 7])
    def test_tokens_that_do_not_match(self, bert, inputs, tokens):
        with record(bert[0]) as recording:
            bert[0](**inputs)
        with pytest.raises(
            InputError, match=rf"6 queries and 6 keys, but got {len(tokens)} token.*special tokens included"
        ):
            recording.capture(tokens)

    def test_a_batch(self, bert):
        with record(bert[0]) as recording:
            bert[0](**bert[1]([TEXT, "A dog"], padding=True, return_tensors="pt"))
        with pytest.raises(InputError, match=r"over 2 inputs; use \.captures\(\)"):
            recording.capture()
        with pytest.raises(InputError, match="over 2 inputs, but tokens of 1 were given"):
            recording.captures([["a"] * 6])

    def test_positions_without_names_are_numbered(self, bert):
        with record(bert[0]) as recording:
            bert[0](inputs_embeds=torch.randn(1, 4, 32))
        assert recording.capture().tokens == ["0", "1", "2", "3"]
        assert recording.capture(["a", "b", "c", "d"]).tokens == ["a", "b", "c", "d"]
