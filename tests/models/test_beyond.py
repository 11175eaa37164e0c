"""What layers write into the residual stream, held to what models really compute, and to the papers' formulas.

The formulas are written out here over all queries, keys and dimensions, from hooks on the models' own modules.
"""

from __future__ import annotations

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest
import torch

from attnscope import capture, load, record
from attnscope.analysis import alti, beside, logit_attribution, norm_weighted
from attnscope.analysis.alti import contributions
from attnscope.analysis.cells import measure_rows, measures_available
from attnscope.analysis.contributions import parts_of
from attnscope.attention.arrays import to_float32
from attnscope.errors import InputError, NotFoundError
from tests.models import handbuilt
from tests.models.known.family import Family, ids, padded
from tests.models.known.measure import build

SMALL = {
    "vocab_size": 120, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
    "max_position_embeddings": 64, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
GROUPED = SMALL | {"num_key_value_heads": 2}
GPT2 = {"vocab_size": 120, "n_embd": 32, "n_layer": 3, "n_head": 4, "n_positions": 64}
OPT = {
    "vocab_size": 120, "hidden_size": 32, "ffn_dim": 48, "num_hidden_layers": 3, "num_attention_heads": 4,
    "max_position_embeddings": 64, "word_embed_proj_dim": 32,
}  # fmt: skip
CAUSAL = {
    "GPT2LMHeadModel": GPT2,
    "LlamaForCausalLM": GROUPED,
    "GPTNeoXForCausalLM": SMALL,
    "GemmaForCausalLM": GROUPED | {"head_dim": 8},
    "Gemma2ForCausalLM": GROUPED | {"head_dim": 8},
    "Qwen2ForCausalLM": GROUPED,
    "Qwen3ForCausalLM": GROUPED | {"head_dim": 8},
    "MixtralForCausalLM": GROUPED,
    "OPTForCausalLM": OPT,
    "PhiForCausalLM": SMALL,
    "FalconForCausalLM": SMALL,
    "CohereForCausalLM": GROUPED,
    "Olmo2ForCausalLM": GROUPED,
    "GraniteForCausalLM": GROUPED | {"residual_multiplier": 0.22, "logits_scaling": 4.0},
}
BLOCKS = {
    "BertModel": (SMALL, lambda model, layer: (model.encoder.layer[layer].attention, False)),
    "GPT2Model": (GPT2, lambda model, layer: (model.h[layer].ln_2, True)),
    "LlamaModel": (GROUPED, lambda model, layer: (model.layers[layer].post_attention_layernorm, True)),
    "Gemma2Model": (
        GROUPED | {"head_dim": 8},
        lambda model, layer: (model.layers[layer].pre_feedforward_layernorm, True),
    ),
    "GraniteModel": (
        GROUPED | {"residual_multiplier": 0.22},
        lambda model, layer: (model.layers[layer].post_attention_layernorm, True),
    ),
}
"""Where each model has what its attention block gives: in what a module is given, or in what it gives."""


def made(name, options):
    """A small model whose norms and biases are far from plain."""
    model = build(Family(name, name, options, padded))
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    return model


def recorded(model, inputs):
    with torch.no_grad(), record(model, values=True) as recording:
        output = model(**copy.deepcopy(inputs))
    return recording.captures(), output


def watched(model, modules, inputs):
    """What modules are given and give, in one pass."""
    seen, hooks = {}, []
    for module in modules:

        def note(at, args, output):
            seen[at] = args[0].detach(), (output[0] if isinstance(output, tuple) else output).detach()

        hooks.append(module.register_forward_hook(note))
    with torch.no_grad():
        model(**inputs)
    for hook in hooks:
        hook.remove()
    return seen


@pytest.fixture(scope="module", params=BLOCKS)
def block(request):
    options, where = BLOCKS[request.param]
    model = made(request.param, options)
    inputs = {"input_ids": ids(1, 9)}
    (c,), _ = recorded(model, inputs)
    places = [where(model, layer) for layer in range(3)]
    seen = watched(model, [module for module, _ in places], inputs)
    real = [seen[module][0 if is_given else 1][0].numpy() for module, is_given in places]
    return c, real


def vectors(c, layer):
    """Every head's vector of every key to every query: [heads, queries, keys, width], by the definition."""
    source, write = c["self"].layer(layer), c["self"].stream.writes[layer]
    values = np.repeat(to_float32(source.values), source.group_size, axis=0)
    handed = np.einsum("hjd,hdm->hjm", values, to_float32(write.output))
    return c.weights(layer)[..., None] * handed[:, None]


def pieces(c, layer, real):
    """``T_i(x_j)`` of a block as the paper has it, [queries, keys, width], by way of a model's own norms."""
    write, each = c["self"].stream.writes[layer], vectors(c, layer).sum(axis=0)
    bias = 0 if write.bias is None else to_float32(write.bias)
    if write.inner is not None:
        total = each.sum(axis=1) + bias
        each = to_float32(write.inner.gain) * each / np.sqrt((total**2).mean(-1) + write.inner.eps)[:, None, None]
    each = each * write.factor
    n = len(each)
    each[np.arange(n), np.arange(n)] += to_float32(write.residual)
    if write.norm is not None:
        total = each.sum(axis=1) + bias
        spread = np.sqrt(total.var(axis=-1) + write.norm.eps)[:, None, None]
        each = to_float32(write.norm.gain) * (each - each.mean(-1, keepdims=True)) / spread
    return each


class TestBlocks:
    def test_the_pieces_add_up_to_what_the_block_really_gives(self, block):
        c, real = block
        for layer in range(3):
            parts = parts_of(c["self"], layer, residual=True)
            again = np.stack([parts.of(i).sum(axis=0) for i in range(9)]) + parts.constant
            np.testing.assert_allclose(again, real[layer], atol=2e-5 * np.abs(real[layer]).max())

    def test_each_piece_is_the_papers(self, block):
        c, real = block
        for layer in range(3):
            parts, expected = parts_of(c["self"], layer, residual=True), pieces(c, layer, real[layer])
            np.testing.assert_allclose(np.stack([parts.of(i) for i in range(9)]), expected, atol=1e-4)

    def test_norms_of_heads(self, block):
        c, _ = block
        for layer in range(3):
            factor = c["self"].stream.writes[layer].factor
            expected = factor * np.linalg.norm(vectors(c, layer), axis=-1)
            np.testing.assert_allclose(norm_weighted(c, layer), expected, atol=1e-5)
            np.testing.assert_allclose(norm_weighted(c, layer, 2, queries=slice(3, 5)), expected[2, 3:5], atol=1e-5)

    def test_norms_of_a_layer_with_residual_and_norm(self, block):
        c, real = block
        for layer in range(3):
            expected = np.linalg.norm(pieces(c, layer, real[layer]), axis=-1)
            found = norm_weighted(c, layer, joint=True, residual=True)
            np.testing.assert_allclose(found, expected, atol=1e-4)
            some = norm_weighted(c, layer, joint=True, residual=True, queries=slice(4, 7))
            np.testing.assert_allclose(some, expected[4:7], atol=1e-4)

    def test_heads_added_before_measuring(self, block):
        c, _ = block
        if c["self"].stream.writes[0].inner is not None:
            pytest.skip("a norm comes between the heads and what they add, which the test above covers")
        expected = c["self"].stream.writes[1].factor * np.linalg.norm(vectors(c, 1).sum(axis=0), axis=-1)
        np.testing.assert_allclose(norm_weighted(c, 1, joint=True), expected, atol=1e-5)
        assert (norm_weighted(c, 1, joint=True) <= norm_weighted(c, 1).sum(axis=0) + 1e-5).all()

    def test_alti(self, block):
        c, real = block
        joint = np.eye(9)
        for layer in range(3):
            y, each = real[layer], pieces(c, layer, real[layer])
            near = np.abs(y).sum(-1)[:, None] - np.abs(y[:, None] - each).sum(-1)
            near = np.maximum(near, 0) / np.maximum(near, 0).sum(axis=1, keepdims=True)
            np.testing.assert_allclose(contributions(c["self"], layer), near, atol=1e-4)
            joint = near @ joint
            np.testing.assert_allclose(alti(c)[layer], joint, atol=2e-4)
            np.testing.assert_allclose(alti(c, 5)[layer], joint[5], atol=2e-4)
        np.testing.assert_allclose(alti(c).sum(axis=-1), 1, atol=1e-5)

    def test_the_front_pages_table(self, block):
        c, _ = block
        found = beside(c, 6)
        np.testing.assert_allclose(
            found.weights, [c.weights(layer)[:, 6].mean(axis=0) for layer in range(3)], atol=1e-6
        )
        np.testing.assert_allclose(found.norms.sum(axis=1), 1, atol=1e-5)
        np.testing.assert_allclose(found.contributions, alti(c)[:, 6], atol=1e-5)
        assert len(found.table()) == 9

    def test_the_page_can_show_norms(self, block):
        c, _ = block
        assert "norm_weighted" in measures_available(c["self"])
        expected = norm_weighted(c, 1, 3, share=True)
        np.testing.assert_allclose(measure_rows(c, None, "norm_weighted", 1, 3, slice(2, 4)), expected[2:4], atol=1e-6)

    def test_all_comes_back_from_a_file(self, block, tmp_path):
        c, _ = block
        c.save(tmp_path / "c")
        again = load(tmp_path / "c")
        assert again.nbytes == c.nbytes
        np.testing.assert_allclose(alti(again), alti(c), atol=1e-5)
        for layer, write in c["self"].stream.writes.items():
            arrays = again["self"].stream.writes[layer].arrays()
            assert set(arrays) == set(write.arrays())
            assert all((to_float32(arrays[part]) == to_float32(array)).all() for part, array in write.arrays().items())


class TestLogits:
    @pytest.mark.parametrize("name", CAUSAL)
    def test_parts_add_up_to_the_models_own_logit(self, name, tmp_path):
        model, inputs = made(name, CAUSAL[name]), {"input_ids": ids(2, 9)}
        own = watched(model, [model.lm_head], inputs)[model.lm_head][1].numpy()
        captures, _ = recorded(model, inputs)
        for item, c in enumerate(captures):
            for position, target in ((8, 17), (8, None), (3, 40)):
                found = logit_attribution(c, position, target)
                assert found.logit == pytest.approx(own[item, position, found.target], abs=1e-4)
                assert found.total == pytest.approx(found.logit, abs=1e-4)
                np.testing.assert_allclose(found.sources.sum(axis=-1), found.heads, atol=1e-5)
                assert not found.sources[..., position + 1 :].any()
            assert found.heads.shape == (3, 4)
            assert logit_attribution(c, 8).target == own[item, 8].argmax()
            two = logit_attribution(c, 5, 17, against=40)
            assert two.total == pytest.approx(own[item, 5, 17] - own[item, 5, 40], abs=1e-4)
        c.save(tmp_path / "c")
        assert logit_attribution(load(tmp_path / "c"), 8).logit == pytest.approx(
            logit_attribution(c, 8).logit, abs=1e-5
        )

    @pytest.mark.parametrize("name", ["GPT2LMHeadModel", "LlamaForCausalLM", "GraniteForCausalLM"])
    def test_a_heads_part_is_what_the_stream_loses_without_it(self, name):
        """With the final norm's scale held, taking a head of the last layer out of the stream takes its part away."""
        model, inputs = made(name, CAUSAL[name]), {"input_ids": ids(1, 9)}
        (c,), _ = recorded(model, inputs)
        names = dict(model.named_modules())
        norm = names.get("transformer.ln_f") or names["model.norm"]
        projection = names.get("transformer.h.2.attn.c_proj") or names["model.layers.2.self_attn.o_proj"]
        given = watched(model, [norm, projection], inputs)
        joined, stream = given[projection][0][0, 8], given[norm][0][0, 8].double()
        weight = projection.weight if "transformer.ln_f" in names else projection.weight.T
        factor = getattr(model.config, "residual_multiplier", 1.0)
        centred = stream - stream.mean() if "transformer.ln_f" in names else stream
        eps = norm.eps if hasattr(norm, "eps") else norm.variance_epsilon
        scale = ((centred**2).mean() + eps).sqrt()
        found = logit_attribution(c, 8, 17)
        for head in range(4):
            z = torch.zeros_like(joined)
            z[head * 8 : (head + 1) * 8] = joined[head * 8 : (head + 1) * 8]
            lost = (factor * (z @ weight)).double()
            lost = lost - lost.mean() if "transformer.ln_f" in names else lost
            expected = float(model.lm_head.weight[17].double() @ (norm.weight.double() * lost / scale))
            assert found.heads[2, head] == pytest.approx(expected, abs=1e-5)

    def test_it_disagrees_with_ablation_where_it_must(self):
        """Layer 0's previous-token head makes the induction head work, and itself says nothing of the next token."""
        model, tokenizer = handbuilt.gpt2(), handbuilt.tokenizer()
        text = handbuilt.repeated()
        c = capture(model, tokenizer, text, values=True)
        position = len(c.tokens) - 1
        following = text.split()[(position - 1) % 10 + 1 - 10]
        found = logit_attribution(c, position, following)
        assert found.logit == pytest.approx(handbuilt.SHARP, rel=1e-3)
        assert found.heads[handbuilt.INDUCTION] == pytest.approx(handbuilt.SHARP, rel=1e-3)
        others = found.heads.copy()
        others[handbuilt.INDUCTION] = 0
        assert np.abs(others).max() < 1e-3
        sources = found.sources[handbuilt.INDUCTION]
        named = [c.tokens[key].strip() == following for key in range(len(c.tokens))]
        assert sources[named].sum() == pytest.approx(handbuilt.SHARP, rel=1e-3)

        def without(module, args):
            joined = args[0].clone()
            joined[..., : handbuilt.HEAD_WIDTH] = 0
            return (joined,)

        hook = model.transformer.h[0].attn.c_proj.register_forward_pre_hook(without)
        with torch.no_grad():
            logits = model(**tokenizer(text, return_tensors="pt")).logits[0, -1]
        hook.remove()
        assert abs(found.heads[handbuilt.PREVIOUS]) < 1e-3
        assert logits[found.target] < 1

    def test_tokens_by_text(self):
        c = capture(handbuilt.gpt2(), handbuilt.tokenizer(), handbuilt.repeated(), values=True)
        assert logit_attribution(c, -1, "a").target == 1
        with pytest.raises(NotFoundError, match="no token 'zebra'"):
            logit_attribution(c, -1, "zebra")

    def test_other_tokens_while_the_model_lives_unchanged(self):
        model = made("LlamaForCausalLM", GROUPED)
        (c,), _ = recorded(model, {"input_ids": ids(1, 9)})
        kept = c["self"].stream.readout.ids
        other = next(token for token in range(120) if token not in kept)
        assert np.isfinite(logit_attribution(c, 8, other).logit)
        copied = pickle.loads(pickle.dumps(c))
        np.testing.assert_array_equal(logit_attribution(copied, 8).heads, logit_attribution(c, 8).heads)
        with pytest.raises(NotFoundError, match="not kept"):
            logit_attribution(copied, 8, other)
        with torch.no_grad():
            model.lm_head.weight.mul_(2)
        with pytest.raises(NotFoundError, match="Capture again"):
            logit_attribution(c, 8, other)
        gone = weakref.ref(model)
        before = logit_attribution(c, 8).heads
        del model
        gc.collect()
        assert gone() is None
        np.testing.assert_array_equal(logit_attribution(c, 8).heads, before)


class TestRefusals:
    def test_without_values(self):
        model = made("LlamaForCausalLM", GROUPED)
        with torch.no_grad(), record(model) as recording:
            model(input_ids=ids(1, 9))
        c = recording.capture()
        for ask in (
            lambda: norm_weighted(c, 0),
            lambda: alti(c),
            lambda: logit_attribution(c, 8, 3),
            lambda: beside(c, 3),
        ):
            with pytest.raises(InputError, match="values=True"):
                ask()

    @pytest.mark.parametrize(
        ("name", "options", "words"),
        [
            ("LlamaModel", GROUPED, "language-model head"),
            ("BertForMaskedLM", SMALL, "residual stream"),
            ("ModernBertForMaskedLM", SMALL | {"cls_token_id": 3, "sep_token_id": 4}, "more happens"),
        ],
    )
    def test_logits_that_are_not_read_off_the_stream(self, name, options, words):
        (c,), _ = recorded(made(name, options), {"input_ids": ids(1, 9)})
        with pytest.raises(InputError, match=words):
            logit_attribution(c, 8, 3)

    def test_a_model_whose_last_layer_was_left_out(self):
        model = made("LlamaForCausalLM", GROUPED)
        with torch.no_grad(), record(model, values=True, layers=[0, 1]) as recording:
            model(input_ids=ids(1, 9))
        with pytest.raises(InputError, match="more happens"):
            logit_attribution(recording.capture(), 8, 3)

    def test_an_unembedding_that_does_more_than_multiply(self):
        model = made("LlamaForCausalLM", GROUPED)
        model.lm_head.register_forward_hook(lambda module, args, output: output + output.roll(1, -1))
        (c,), _ = recorded(model, {"input_ids": ids(1, 9)})
        with pytest.raises(InputError, match="other logits than the model"):
            logit_attribution(c, 8, 3)

    def test_an_adapter_on_the_output_projection(self):
        class Adapted(torch.nn.Module):
            def __init__(self, base):
                super().__init__()
                self.base_layer = base

            def forward(self, x):
                return self.base_layer(x) + x.sum(dim=-1, keepdim=True)

        model = made("LlamaForCausalLM", GROUPED)
        attention = model.model.layers[1].self_attn
        attention.o_proj = Adapted(attention.o_proj)
        (c,), _ = recorded(model, {"input_ids": ids(1, 9)})
        assert norm_weighted(c, 0).shape == (4, 9, 9)
        with pytest.raises(InputError, match="adapter"):
            norm_weighted(c, 1)

    def test_something_added_after_the_projection(self):
        class More(torch.nn.Module):
            def __init__(self, inner):
                super().__init__()
                self.inner = inner

            def forward(self, **given):
                output, weights = self.inner(**given)
                return output + output.flip(-1), weights

        model = made("LlamaForCausalLM", GROUPED)
        model.model.layers[1].self_attn = More(model.model.layers[1].self_attn)
        (c,), _ = recorded(model, {"input_ids": ids(1, 9)})
        with pytest.raises(InputError, match="was not found"):
            alti(c)

    def test_heads_and_layer_ask_for_different_things(self, block):
        c, _ = block
        with pytest.raises(InputError, match="leave the head out"):
            norm_weighted(c, 0, 1, joint=True)
        with pytest.raises(InputError, match="joint=True"):
            norm_weighted(c, 0, residual=True)


def test_cross_attention_has_norms_and_no_residual_of_a_key():
    options = {
        "vocab_size": 120, "d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
        "decoder_attention_heads": 4, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "max_position_embeddings": 64,
    }  # fmt: skip
    model = made("BartModel", options)
    (c,), _ = recorded(model, {"input_ids": ids(1, 9), "decoder_input_ids": ids(1, 6, seed=3)})
    source, write = c["cross"].layer(1), c["cross"].stream.writes[1]
    handed = np.einsum("hjd,hdm->hjm", to_float32(source.values), to_float32(write.output))
    each = c.weights(1, kind="cross")[..., None] * handed[:, None]
    np.testing.assert_allclose(norm_weighted(c, 1, kind="cross"), np.linalg.norm(each, axis=-1), atol=1e-5)
    joint = np.linalg.norm(each.sum(axis=0), axis=-1)
    np.testing.assert_allclose(norm_weighted(c, 1, joint=True, kind="cross"), joint, atol=1e-5)
    with pytest.raises(InputError, match="belongs to no key"):
        norm_weighted(c, 1, joint=True, residual=True, kind="cross")
    with pytest.raises(InputError, match="different"):
        alti(c, kind="cross")
    assert alti(c, kind="encoder").shape == (2, 9, 9)


def test_padded_texts_give_what_they_give_alone():
    model = made("BertModel", SMALL)
    inputs = padded()
    captures, _ = recorded(model, inputs)
    (alone,), _ = recorded(model, {"input_ids": inputs["input_ids"][1:, :8]})
    np.testing.assert_allclose(alti(captures[1]), alti(alone), atol=1e-5)
    np.testing.assert_allclose(norm_weighted(captures[1], 2), norm_weighted(alone, 2), atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision(dtype):
    model = made("LlamaForCausalLM", GROUPED).to(dtype)
    (c,), _ = recorded(model, {"input_ids": ids(1, 9)})
    found = logit_attribution(c, 8)
    assert found.total == pytest.approx(found.logit, abs=0.02 * abs(found.logit))
    np.testing.assert_allclose(alti(c).sum(axis=-1), 1, atol=1e-4)


def test_a_recording_leaves_no_hooks():
    model = made("GPT2LMHeadModel", GPT2)
    with pytest.raises(RuntimeError, match="stop"), record(model, values=True):
        raise RuntimeError("stop")
    recorded(model, {"input_ids": ids(1, 9)})
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
