"""PyTorch's own attention modules, in every form they can be called in, against the weights they return themselves."""

from __future__ import annotations

import copy
import math
import threading

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from attnscope import load, record
from attnscope.errors import InputError, InputTypeError, ModelError, NoAttentionError
from tests.models import written
from tests.models.test_pytorch import EXACT, recorded

N, M, BATCH, WIDTH, HEADS = 5, 6, 2, 16, 4


def numbers(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def hidden(*shape, seed=5):
    """A bool mask, True where hidden, with the first key always seen."""
    mask = torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) < 0.4
    mask[..., 0] = False
    return mask


MODULES = {
    "plain": {},
    "without bias": {"bias": False},
    "other widths": {"kdim": 12, "vdim": 10},
    "bias of keys": {"add_bias_kv": True},
    "zero attention": {"add_zero_attn": True},
    "both": {"add_bias_kv": True, "add_zero_attn": True},
    "widths and bias": {"kdim": 12, "vdim": 10, "add_bias_kv": True},
}
MASKS = {
    "none": {},
    "2D bool": {"attn_mask": hidden(N, M)},
    "3D bool": {"attn_mask": hidden(BATCH * HEADS, N, M)},
    "2D float": {"attn_mask": numbers(N, M)},
    "3D float": {"attn_mask": numbers(BATCH * HEADS, N, M)},
    "padding": {"key_padding_mask": hidden(BATCH, M, seed=6)},
    "float padding": {"key_padding_mask": numbers(BATCH, M)},
    "mask and padding": {"attn_mask": hidden(N, M), "key_padding_mask": hidden(BATCH, M, seed=6)},
}


def module(**options):
    made = written.seeded(lambda: nn.MultiheadAttention(WIDTH, HEADS, **options))
    if made.in_proj_bias is not None:
        nn.init.normal_(made.in_proj_bias, generator=torch.Generator().manual_seed(9))
    return made


def own_weights(attention, *args, **options):
    with torch.no_grad():
        return attention(*args, **options | {"need_weights": True, "average_attn_weights": False})[1]


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("mask", MASKS)
def test_multihead_attention(batch_first, name, mask):
    options = MODULES[name]
    attention = module(batch_first=batch_first, **options)
    args = numbers(BATCH, N, WIDTH), numbers(BATCH, M, options.get("kdim", WIDTH), seed=1), numbers(
        BATCH, M, options.get("vdim", WIDTH), seed=2
    )  # fmt: skip
    if not batch_first:
        args = [tensor.transpose(0, 1) for tensor in args]
    expected = own_weights(attention, *args, **MASKS[mask])
    for need, average in ((False, True), (True, True), (True, False)):
        with record(attention) as recording, torch.no_grad():
            attention(*args, need_weights=need, average_attn_weights=average, **MASKS[mask])
        found = recording.captures()
        assert len(found) == BATCH
        for item, one in enumerate(found):
            weights = expected[item]
            if "key_padding_mask" in MASKS[mask] and MASKS[mask]["key_padding_mask"].dtype == torch.bool:
                seen = ~MASKS[mask]["key_padding_mask"][item]
                weights = weights[:, :, F.pad(seen, (0, weights.shape[-1] - M), value=True)]
            np.testing.assert_allclose(one.weights(0), weights, atol=EXACT, rtol=0)
            assert one.kinds == ("cross",)
            assert one["cross"].how == {0: "multihead"}
            assert one["cross"].check[0] < 1e-5


@pytest.mark.parametrize("name", [name for name, options in MODULES.items() if "kdim" not in options])
def test_self_attention_of_one_input(name):
    attention = module(**MODULES[name])
    x, mask = numbers(N, WIDTH), torch.ones(N, N).triu(1).bool()
    expected = own_weights(attention, x, x, x, attn_mask=mask)
    found = recorded(attention, x, x, x, attn_mask=mask, need_weights=False).capture(list("abcde"))
    added = {"bias of keys": ["<bias>"], "zero attention": ["<zero>"], "both": ["<bias>", "<zero>"]}.get(name, [])
    assert found.kinds == ("self",)
    assert (found.tokens, found.key_tokens) == (list("abcde"), list("abcde") + added)
    assert found["self"].keys.special.tolist() == [False] * 5 + [True] * len(added)
    np.testing.assert_allclose(found.weights(0), expected, atol=EXACT, rtol=0)


def test_added_keys_are_saved_and_kept_when_padding_is_cut(tmp_path):
    attention = module(add_bias_kv=True, batch_first=True)
    layer = written.seeded(lambda: nn.TransformerEncoderLayer(WIDTH, HEADS, 32, batch_first=True))
    layer.self_attn = attention
    padding = torch.tensor([[False] * 5, [False] * 3 + [True] * 2])
    found = recorded(layer, numbers(2, 5, WIDTH), src_key_padding_mask=padding).captures()[1]
    assert found.key_tokens == ["0", "1", "2", "<bias>"]
    found.save(tmp_path / "added")
    np.testing.assert_array_equal(load(tmp_path / "added").weights(0), found.weights(0))
    np.testing.assert_allclose(found.weights(0).sum(-1), 1, atol=1e-6)


class Weights:
    """The weights of every ``nn.MultiheadAttention`` of a model, by running it again."""

    def __init__(self, model):
        self.found = {}
        for path, part in model.named_modules():
            if isinstance(part, nn.MultiheadAttention):
                part.forward = self.asking(path, part, part.forward)

    def asking(self, path, part, forward):
        def run(*args, **options):
            asked = options | {"need_weights": True, "average_attn_weights": False}
            output, self.found[path] = forward(*args, **asked)
            return output, None

        return run


def own_weights_of(model, *args, **options):
    again = copy.deepcopy(model)
    weights = Weights(again)
    enabled = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad():
            again(*args, **options)
    finally:
        torch.backends.mha.set_fastpath_enabled(enabled)
    return weights.found


@pytest.mark.parametrize("norm_first", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
def test_an_encoder_on_its_fast_path(norm_first, batch_first):
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 32, batch_first=batch_first, norm_first=norm_first)
    model = written.seeded(lambda: nn.TransformerEncoder(layer, 3, enable_nested_tensor=batch_first and not norm_first))
    x = numbers(BATCH, N, WIDTH)
    padding = torch.tensor([[False] * 5, [False] * 3 + [True] * 2])
    src = x if batch_first else x.transpose(0, 1)
    expected = own_weights_of(model, src, src_key_padding_mask=padding)
    found = recorded(model, src, src_key_padding_mask=padding).captures([list("abcde"), list("uvwxy")])
    assert [one.tokens for one in found] == [list("abcde"), list("uvw")]
    assert found[0]["self"].modules == {number: f"layers.{number}.self_attn" for number in range(3)}
    for number in range(3):
        for item, n in enumerate((5, 3)):
            weights = expected[f"layers.{number}.self_attn"][item, :, :n, :n]
            np.testing.assert_allclose(found[item].weights(number), weights, atol=EXACT, rtol=0)


def test_a_whole_transformer():
    model = written.seeded(lambda: nn.Transformer(WIDTH, HEADS, 2, 3, 32, batch_first=True))
    src, tgt = numbers(BATCH, M, WIDTH), numbers(BATCH, N, WIDTH, seed=1)
    options = {
        "tgt_mask": model.generate_square_subsequent_mask(N), "tgt_is_causal": True,
        "src_key_padding_mask": hidden(BATCH, M), "memory_key_padding_mask": hidden(BATCH, M),
    }  # fmt: skip
    expected = own_weights_of(model, src, tgt, **options)
    found = recorded(model, src, tgt, **options).captures([list("abcde")] * 2, key_tokens=[list("uvwxyz")] * 2)
    places = {"encoder": "encoder.layers.{}.self_attn", "decoder": "decoder.layers.{}.self_attn",
              "cross": "decoder.layers.{}.multihead_attn"}  # fmt: skip
    for item, one in enumerate(found):
        kept = ~options["src_key_padding_mask"][item]
        assert one.kinds == ("encoder", "decoder", "cross")
        assert [one[kind].n_layers for kind in one.kinds] == [2, 3, 3]
        assert one["decoder"].is_causal
        assert list(one["cross"].keys.text) == [t for t, k in zip("uvwxyz", kept, strict=True) if k]
        for kind, path in places.items():
            for number in one[kind].layers:
                assert one[kind].modules[number] == path.format(number)
                weights = expected[path.format(number)][item]
                weights = weights[:, kept] if kind == "encoder" else weights
                weights = weights if kind == "decoder" else weights[:, :, kept]
                np.testing.assert_allclose(one.weights(number, kind=kind), weights, atol=EXACT, rtol=0)


def test_a_decoder_alone():
    layer = nn.TransformerDecoderLayer(WIDTH, HEADS, 32, batch_first=True)
    model = written.seeded(lambda: nn.TransformerDecoder(layer, 2))
    tgt, memory = numbers(1, N, WIDTH), numbers(1, N, WIDTH, seed=1)
    expected = own_weights_of(model, tgt, memory)
    found = recorded(model, tgt, memory).capture(list("abcde"), key_tokens=list("vwxyz"))
    assert set(found.kinds) == {"self", "cross"}
    assert list(found["cross"].keys.text) == list("vwxyz")
    assert list(found["self"].keys.text) == list("abcde")
    for kind, name in (("self", "self_attn"), ("cross", "multihead_attn")):
        for number in range(2):
            np.testing.assert_allclose(
                found.weights(number, kind=kind), expected[f"layers.{number}.{name}"][0], atol=EXACT, rtol=0
            )


def encoder(**options):
    layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 32, batch_first=True, **options)
    return written.seeded(lambda: nn.TransformerEncoder(layer, 2))


def states(model):
    """Everything a recording must leave as it was."""
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_forward_hooks_always_called", "_forward_hooks_with_kwargs",
             "_forward_pre_hooks_with_kwargs")  # fmt: skip
    return {
        "hooks": [[list(getattr(part, name)) for name in hooks] for part in model.modules()],
        "attributes": [sorted(vars(part)) for part in model.modules()],
        "mode": [part.training for part in model.modules()],
        "weights": [(weight.data_ptr(), weight._version, weight.grad) for weight in model.parameters()],
        "fast path": torch.backends.mha.get_fastpath_enabled(),
        "stance": str(torch._dynamo.eval_frame._stance),
        "random": torch.get_rng_state().tolist(),
        "modes": torch.overrides._get_current_function_mode_stack(),
    }


class TestTheModelIsLeftAsItWas:
    @pytest.mark.parametrize("enabled", [True, False])
    def test_after_a_recording(self, enabled):
        torch.backends.mha.set_fastpath_enabled(enabled)
        try:
            model, x = encoder(), numbers(1, N, WIDTH)
            with torch.no_grad():
                plain = model(x)
                before = states(model)
                with record(model) as recording:
                    assert not torch.backends.mha.get_fastpath_enabled()
                    seen = model(x)
                assert states(model) == before
                assert torch.equal(model(x), plain)
            torch.testing.assert_close(seen, plain, atol=1e-5, rtol=0)
            assert recording.capture().n_layers == 2
        finally:
            torch.backends.mha.set_fastpath_enabled(True)

    @pytest.mark.parametrize("error", [RuntimeError("no"), KeyboardInterrupt()], ids=["error", "interrupt"])
    def test_after_an_error_inside(self, error):
        model, x = encoder(), numbers(1, N, WIDTH)
        before = states(model)

        def fail(*_):
            raise error

        handle = model.layers[1].linear1.register_forward_hook(fail)
        with pytest.raises(type(error)), record(model):
            model(x)
        handle.remove()
        assert states(model) == before
        assert recorded(model, x).capture().n_layers == 2

    def test_recordings_inside_one_another_and_side_by_side(self):
        model, other, x = encoder(), written.seeded(lambda: written.Written(written.Manual)), numbers(1, N, WIDTH)
        before = states(model)
        with record(model) as outer:
            with record(other) as inner:
                other(written.ids())
            assert not torch.backends.mha.get_fastpath_enabled()
            model(x)
        assert states(model) == before
        assert inner.capture().n_layers == 3
        assert outer.capture().n_layers == 2

        first, second = record(model), record(other)
        first.__enter__()
        found = []
        thread = threading.Thread(target=lambda: found.append(recorded(other, written.ids()).capture().n_layers))
        thread.start()
        thread.join()
        assert not torch.backends.mha.get_fastpath_enabled()
        model(x)
        first.__exit__(None, None, None)
        assert (found, first.capture().n_layers, second._open) == ([3], 2, None)
        assert states(model) == before

    def test_gradients_are_the_same(self):
        def gradients(watched):
            model = written.seeded(lambda: written.Written(written.ManyHeads))
            if watched:
                with record(model) as recording:
                    model(written.ids())[0].sum().backward()
                assert recording.capture().n_layers == 3
            else:
                model(written.ids())[0].sum().backward()
            return [weight.grad for weight in model.parameters()]

        for mine, its in zip(gradients(True), gradients(False), strict=True):
            assert torch.equal(mine, its)

    def test_checkpointed_layers_run_again_are_counted_once(self):
        from torch.utils.checkpoint import checkpoint

        class Saving(written.Written):
            def forward(self, idx):
                x = self.wte(idx)
                for block in self.blocks:
                    x = checkpoint(block, x, use_reentrant=False)
                return x

        for attention in (written.Fused, written.Manual):
            model = written.seeded(lambda attention=attention: Saving(attention))
            with record(model) as recording:
                model(written.ids()).sum().backward()
            assert recording.capture()["self"].layers == (0, 1, 2)


class TestRefusals:
    @pytest.mark.filterwarnings("ignore::DeprecationWarning")
    def test_scripted(self):
        model = written.seeded(lambda: written.Written(written.Fused))
        model.mlp = torch.jit.script(nn.Sequential(nn.Linear(2, 2)))
        with pytest.raises(
            ModelError, match=r"mlp of Written is a scripted model.*Use the module it was scripted from"
        ):
            record(model)
        with pytest.raises(ModelError, match="scripted model"):
            record(torch.jit.trace(nn.Linear(2, 2), torch.ones(2)))

    @pytest.mark.parametrize("model", [None, "gpt", torch.ones(2), nn.Linear], ids=["none", "name", "tensor", "class"])
    def test_not_a_model(self, model):
        with pytest.raises(InputTypeError, match=r"Expected a PyTorch model.*any torch.nn.Module"):
            record(model)

    def test_training_mode_with_dropout(self):
        for model, where in (
            (written.Written(written.Manual), r"blocks\.0\.attn\.drop"),
            (nn.MultiheadAttention(WIDTH, HEADS, dropout=0.1), r"\(\)"),
            (nn.TransformerEncoderLayer(WIDTH, HEADS), "self_attn"),
        ):
            with pytest.raises(ModelError, match=rf"training mode, where dropout \(?{where}.*model\.eval\(\) first"):
                record(model)

    def test_training_mode_without_dropout(self):
        model = written.seeded(lambda: written.Written(written.Fused)).train()
        assert recorded(model, written.ids()).capture().n_layers == 3
        assert model.training

    def test_dropout_that_ignores_the_mode(self):
        model = written.seeded(lambda: written.Written(lambda: written.Manual(soft=lambda s: F.dropout(s.softmax(-1)))))
        with pytest.raises(ModelError, match=r"blocks\.0\.attn drops out .*p=0\.5.*training=self\.training"):
            recorded(model, written.ids())
        model = written.seeded(
            lambda: written.Written(lambda: written.Manual(soft=lambda s: F.dropout(s.softmax(-1), 0.5, False)))
        )
        assert recorded(model, written.ids()).capture().n_layers == 3

    def test_another_thread(self):
        model = written.seeded(lambda: written.Written(written.Fused))
        with record(model) as recording:
            thread = threading.Thread(target=model, args=(written.ids(),))
            thread.start()
            thread.join()
        with pytest.raises(NoAttentionError, match=r"did not run where .* another thread .*DataParallel.* thread that"):
            recording.capture()

    def test_a_part_run_by_itself(self):
        model = written.seeded(lambda: written.Written(written.Fused))
        with record(model) as recording:
            model.blocks[0](numbers(1, N, WIDTH))
        with pytest.raises(NoAttentionError, match="Written did not run"):
            recording.capture()

    def test_several_passes(self):
        model = written.seeded(lambda: written.Written(written.Fused))
        with record(model) as recording:
            model(written.ids())
            model(written.ids())
        with pytest.raises(InputError, match=r"2 forward passes of Written.*one pass over the whole sequence"):
            recording.capture()

    def test_live(self):
        with pytest.raises(
            InputError, match="live=True follows the cache of a transformers model, and Written is none"
        ):
            record(written.seeded(lambda: written.Written(written.Fused)), live=True)

    @pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
    def test_nested_tensors(self):
        class Nested(nn.Module):
            def __init__(self):
                super().__init__()
                self.qkv = nn.Linear(16, 48)

            def forward(self, x):
                q, k, v = (part.unflatten(-1, [4, 4]).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
                return F.scaled_dot_product_attention(q, k, v)

        x = torch.nested.nested_tensor([torch.randn(3, 16), torch.randn(5, 16)], layout=torch.jagged)
        with pytest.raises(ModelError, match=r"attends over nested tensors.*Pass padded tensors with a mask"):
            recorded(written.seeded(Nested), x)
        x = torch.nested.nested_tensor([torch.randn(3, 16), torch.randn(5, 16)])
        with pytest.raises(ModelError, match=r"layers.0.self_attn attends over nested tensors"):
            recorded(encoder(), x)

    def test_vmap(self):
        model = written.seeded(lambda: written.Written(written.Fused))
        with pytest.raises(ModelError, match=r"Written runs under torch\.vmap.*Pass them as one batch"), record(model):
            torch.vmap(model)(written.ids(3)[:, None])

    def test_tokens_that_do_not_match(self):
        recording = recorded(written.seeded(lambda: written.Written(written.Fused)), written.ids())
        with pytest.raises(InputError, match="6 tokens were given, and the attention is over 7 positions"):
            recording.capture(list("abcdef"))

    def test_a_softmax_over_another_axis(self):
        model = written.seeded(
            lambda: written.Written(lambda: written.Manual(soft=lambda s: s.exp() / s.exp().sum(-1, keepdim=True)))
        )
        with pytest.raises(NoAttentionError, match=r"though Written ran.*blocks\.0\.attn.*from_attentions"):
            recorded(model, written.ids()).capture()

    def test_numbers_that_are_none(self):
        model = written.seeded(lambda: written.Written(written.Fused))
        with torch.no_grad():
            model.blocks[1].attn.c_attn.weight[0, 0] = math.nan
        with pytest.raises(ModelError, match=r"Layer 1 \(blocks\.1\.attn\).*NaN or infinite"):
            recorded(model, written.ids()).capture()


class TestCompiled:
    @pytest.mark.parametrize("backend", ["eager", "aot_eager"])
    def test_compiled_models(self, backend):
        model = written.seeded(lambda: written.Written(written.Fused))
        expected = recorded(model, written.ids()).capture()
        compiled = torch.compile(model, backend=backend)
        with torch.no_grad():
            compiled(written.ids())
        found = recorded(compiled, written.ids()).capture()
        assert found.model_name == "Written"
        for number in range(3):
            np.testing.assert_array_equal(found.weights(number), expected.weights(number))

    def test_compiled_in_place(self):
        model = written.seeded(lambda: written.Written(written.Manual))
        for block in model.blocks:
            block.compile(backend="eager")
        with torch.no_grad():
            model(written.ids())
        assert recorded(model, written.ids()).capture()["self"].layers == (0, 1, 2)


def test_wrapped_for_parallel_training():
    model = written.seeded(lambda: written.Written(written.Fused))
    found = recorded(nn.DataParallel(model), written.ids()).capture()
    assert found["self"].modules[0] == "blocks.0.attn"
