"""Any PyTorch model can be recorded, with no adapter: what was recorded is what the model computed."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from attnscope import record
from attnscope.errors import InputError, ModelError, NoAttentionError, UnverifiedError
from attnscope.recording.watch import softmaxes
from tests.models import handwritten, words, written

EXACT = 1e-6


def recorded(model, *args, **kwargs):
    with record(model) as recording, torch.no_grad():
        model(*args, **kwargs)
    return recording


def assert_same(found, expected, kind=None):
    """All layers of a capture against weights [batch of 1, heads, queries, keys] per layer."""
    layers = found[kind or found.kinds[0]].layers
    assert len(layers) == len(expected)
    for number, weights in zip(layers, expected, strict=True):
        np.testing.assert_allclose(found.weights(number, kind=kind), weights.numpy(), atol=EXACT, rtol=0)


ATTENTIONS = {
    "fused": (written.Fused, "sdpa", "blocks.{}.attn"),
    "manual": (written.Manual, "softmax", "blocks.{}.attn"),
    "heads": (written.ManyHeads, "softmax", "blocks.{}.attn.heads"),
    "fused heads": (lambda: written.ManyHeads(fused=True), "sdpa", "blocks.{}.attn.heads"),
}


class TestLanguageModels:
    @pytest.mark.parametrize("name", ATTENTIONS)
    def test_weights_and_layers(self, name):
        attention, tier, path = ATTENTIONS[name]
        model = written.seeded(lambda: written.Written(attention))
        found = recorded(model, written.ids()).capture(list("abcdefg"))
        assert found.kinds == ("self",)
        assert found.tokens == list("abcdefg")
        assert (found.n_layers, found.n_heads) == (3, written.HEADS)
        assert found["self"].how == dict.fromkeys(range(3), tier)
        assert found["self"].modules == {number: path.format(number) for number in range(3)}
        assert found["self"].is_causal
        assert max(found["self"].check.values()) < 1e-5
        assert_same(found, [block.attn.seen[0][0] for block in model.blocks])

    @pytest.mark.parametrize("name", ATTENTIONS)
    def test_a_batch(self, name):
        model = written.seeded(lambda: written.Written(ATTENTIONS[name][0]))
        found = recorded(model, written.ids(3)).captures()
        assert len(found) == 3
        assert found[1].tokens == list("0123456")
        for item, one in enumerate(found):
            assert_same(one, [block.attn.seen[0][item] for block in model.blocks])

    def test_some_layers(self):
        model = written.seeded(lambda: written.Written(written.ManyHeads))
        with record(model, layers=[1], values=True) as recording:
            model(written.ids())
        found = recording.capture()
        assert found["self"].layers == (1,)
        assert_same(found, [model.blocks[1].attn.seen[0][0]])

    def test_values_are_kept_head_by_head(self):
        model = written.seeded(lambda: written.Written(lambda: written.ManyHeads(fused=True)))
        with record(model, values=True) as recording:
            model(written.ids())
        assert recording.capture()["self"].layer(2).values.shape == (written.HEADS, 7, 4)

    def test_a_tokenizer_names_the_ids(self):
        tokenizer = words.wordpiece()
        model = written.seeded(lambda: written.Written(written.Fused))
        ids = written.ids()
        found = recorded(model, ids).capture(tokenizer=tokenizer)
        assert found["self"].queries.ids.tolist() == ids[0].tolist()
        pieces = tokenizer.convert_ids_to_tokens(ids[0].tolist())
        assert [token.strip() for token in found.tokens] == pieces

    def test_weights_too_many_to_keep_are_computed_again(self, monkeypatch):
        monkeypatch.setattr(softmaxes, "KEPT_BYTES", 0)
        for attention in (written.Manual, written.ManyHeads):
            model = written.seeded(lambda attention=attention: written.Written(attention))
            found = recorded(model, written.ids()).capture()
            expected = [block.attn.seen[0][0] for block in model.blocks]
            assert set(found["self"].how.values()) == {"replay"}
            assert found.nbytes < 4 * 3 * written.HEADS * 7 * 7
            assert_same(found, expected)

    def test_layers_that_share_a_module(self):
        shared = written.seeded(written.Fused)
        model = written.seeded(lambda: written.Written(lambda: shared))
        found = recorded(model, written.ids()).capture()
        assert found["self"].layers == (0, 1, 2)
        assert_same(found, [weights[0] for weights in shared.seen])

    def test_an_attention_in_the_model_itself(self):
        class Whole(written.Keeps):
            def __init__(self):
                super().__init__()
                self.qkv = nn.ModuleList([nn.Linear(16, 48) for _ in range(2)])

            def forward(self, x):
                for layer in self.qkv:
                    q, k, v = layer(x).chunk(3, -1)
                    weights = torch.softmax(q @ k.mT / 4, -1)
                    self.keep(weights[:, None])
                    x = x + weights @ v
                return x

        model = written.seeded(Whole)
        found = recorded(model, torch.randn(1, 5, 16)).capture()
        assert found["self"].layers == (0, 1)
        assert found["self"].modules == {0: "", 1: ""}
        assert_same(found, [weights[0] for weights in model.seen])


WAYS = {
    "torch.softmax": lambda scores: torch.softmax(scores, 3),
    "tensor.softmax": lambda scores: scores.softmax(-1),
    "dim=3": lambda scores: F.softmax(scores, dim=3),
    "dtype": lambda scores: F.softmax(scores, -1, dtype=torch.float64).to(scores.dtype),
    "nan_to_num": lambda scores: scores.softmax(-1).nan_to_num(0.0),
    "special": lambda scores: torch.special.softmax(scores, -1),
}
PRODUCTS = {
    "@": lambda w, v: w @ v,
    "method": lambda w, v: w.matmul(v),
    "einsum": lambda w, v: torch.einsum("bhqk,bhkd->bhqd", w, v),
    "ellipsis": lambda w, v: torch.einsum("...qk,...kd->...qd", w, v),
    "list": lambda w, v: torch.einsum("bhij,bhjd->bhid", [w, v]),
    "bmm": lambda w, v: torch.bmm(w.flatten(0, 1), v.flatten(0, 1)).unflatten(0, w.shape[:2]),
    "transposed": lambda w, v: (v.mT @ w.mT).mT,
    "sum": lambda w, v: (w[..., None] * v[:, :, None]).sum(-2),
}


class TestWaysOfWriting:
    @pytest.mark.parametrize("way", WAYS)
    def test_softmaxes(self, way):
        model = written.seeded(lambda: written.Written(lambda: written.Manual(soft=WAYS[way])))
        found = recorded(model, written.ids()).capture()
        assert_same(found, [block.attn.seen[0][0] for block in model.blocks])

    @pytest.mark.parametrize("way", PRODUCTS)
    @pytest.mark.parametrize("batch", [1, 2])
    def test_products(self, way, batch):
        model = written.seeded(lambda: written.Written(lambda: written.Manual(weigh=PRODUCTS[way])))
        for item, found in enumerate(recorded(model, written.ids(batch)).captures()):
            assert_same(found, [block.attn.seen[0][item] for block in model.blocks])

    def test_a_softmax_module(self):
        model = written.seeded(lambda: written.Written(lambda: written.Manual(soft=nn.Softmax(dim=-1))))
        found = recorded(model, written.ids()).capture()
        assert found["self"].modules[2] == "blocks.2.attn"
        assert_same(found, [block.attn.seen[0][0] for block in model.blocks])

    def test_a_function_in_a_module_without_parts(self):
        class Dot(nn.Module):
            def forward(self, q, k, v):
                return F.scaled_dot_product_attention(q, k, v)

        q, k, v = torch.randn(3, 2, 4, 5, 8).unbind()
        found = recorded(Dot().eval(), q, k, v).captures()
        assert_same(found[1], [written.dense(q, k)[1]])

    def test_einsum_with_queries_before_heads(self):
        class Mixed(nn.Module):
            def __init__(self):
                super().__init__()
                self.qkv = nn.Linear(16, 48)

            def forward(self, x):
                q, k, v = self.qkv(x).unflatten(-1, (3, 4, 4)).unbind(2)
                weights = torch.einsum("bqhd,bkhd->bqhk", q, k).softmax(-1)
                self.seen = weights.permute(0, 2, 1, 3)
                return torch.einsum("bqhk,bkhd->bqhd", weights, v)

        model = written.seeded(Mixed)
        found = recorded(model, torch.randn(1, 5, 16)).capture()
        assert_same(found, [model.seen[0].detach()])

    def test_what_values_were_multiplied_with_is_what_is_kept(self):
        """Weights masked after their softmax do not sum to 1: refused, not shown as they were before."""
        model = written.seeded(
            lambda: written.Written(lambda: written.Manual(soft=lambda s: s.softmax(-1) * torch.linspace(0.2, 1, 7)))
        )
        with pytest.raises(UnverifiedError, match=r"Layer 0 \(blocks.0.attn\): the rows of its softmax sum to 1 only"):
            recorded(model, written.ids()).capture()
        again = written.seeded(
            lambda: written.Written(
                lambda: written.Manual(soft=lambda s: F.normalize(s.softmax(-1) * torch.linspace(0.2, 1, 7), 1, dim=-1))
            )
        )
        found = recorded(again, written.ids()).capture()
        assert_same(found, [block.attn.seen[0][0] for block in again.blocks])

    def test_softmaxes_that_do_not_attend(self):
        class Choosing(nn.Module):
            def __init__(self):
                super().__init__()
                self.attn, self.router = written.Fused(), written.Router()
                self.head = nn.Linear(16, 16)

            def forward(self, x):
                x = self.router(self.attn(x))
                logits = self.head(x)
                soft = F.softmax(logits, dim=-1)
                pooled = (F.softmax(x.sum(-1), dim=-1)[:, None] @ x)[:, 0]
                return soft @ self.head.weight, logits.log_softmax(-1), soft.topk(2), pooled.softmax(-1)

        model = written.seeded(Choosing)
        found = recorded(model, torch.randn(2, 7, 16)).captures()[1]
        assert found["self"].modules == {0: "attn"}
        assert_same(found, [model.attn.seen[0][1]])

    def test_nothing_but_such_softmaxes(self):
        with pytest.raises(NoAttentionError, match=r"No attention was recorded, though Router ran"):
            recorded(written.seeded(written.Router), torch.randn(2, 7, 16)).captures()


def masks(n, m):
    """Masks of every form, [batch 2, heads 4, n, m] once broadcast."""
    generator = torch.Generator().manual_seed(3)
    hidden = torch.rand(2, 4, n, m, generator=generator) < 0.4
    hidden[..., 0] = False
    bias = torch.randn(2, 4, n, m, generator=generator)
    return {
        "none": None,
        "2D bool": ~hidden[0, 0],
        "3D bool": ~hidden[0],
        "4D bool": ~hidden,
        "one per input": ~hidden[:, :1],
        "keys": ~hidden[:, :1, :1],
        "2D float": bias[0, 0],
        "3D float": bias[0],
        "4D float": bias,
        "float with -inf": bias.masked_fill(hidden, -math.inf),
    }


class Calls(nn.Module):
    """Calls the function with whatever it is given."""

    def __init__(self, **options):
        super().__init__()
        self.options = options
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, q, k, v):
        return F.scaled_dot_product_attention(q, k, v, **self.options)


def expected(q, k, mask=None, scale=None):
    bool_mask = mask if mask is not None and mask.dtype == torch.bool else None
    return written.dense(q, k, bool_mask, None if mask is None or bool_mask is not None else mask.double(), scale)


def tensors(*shapes, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(*shape, generator=generator).to(dtype) for shape in shapes]


class TestTheFunction:
    @pytest.mark.parametrize("name", masks(5, 5))
    @pytest.mark.parametrize("n_keys", [5, 6])
    def test_masks(self, name, n_keys):
        q, k, v = tensors((2, 4, 5, 8), (2, 4, n_keys, 8), (2, 4, n_keys, 3))
        mask = masks(5, n_keys)[name]
        for item, found in enumerate(recorded(Calls(attn_mask=mask), q, k, v).captures()):
            assert found.kinds == (("cross",) if n_keys == 6 else ("self",))
            assert_same(found, [expected(q, k, mask)[item]])

    @pytest.mark.parametrize("n_keys", [1, 5, 7])
    def test_causal(self, n_keys):
        for n in (1, 5):
            q, k, v = tensors((1, 2, n, 8), (1, 2, n_keys, 8), (1, 2, n_keys, 8))
            found = recorded(Calls(is_causal=True), q, k, v).capture()
            assert_same(found, [expected(q, k, torch.ones(n, n_keys).tril().bool())[0]])

    def test_causal_masks_that_are_no_tensors(self):
        from torch.nn.attention.bias import causal_lower_right, causal_upper_left

        q, k, v = tensors((1, 2, 4, 8), (1, 2, 6, 8), (1, 2, 6, 8))
        for make, shift in ((causal_upper_left, 0), (causal_lower_right, 2)):
            found = recorded(Calls(attn_mask=make(4, 6)), q, k, v).capture()
            assert_same(found, [expected(q, k, torch.ones(4, 6).tril(shift).bool())[0]])

    def test_a_scale(self):
        q, k, v = tensors(*[(1, 2, 5, 8)] * 3)
        assert_same(recorded(Calls(scale=0.7), q, k, v).capture(), [expected(q, k, scale=0.7)[0]])

    @pytest.mark.parametrize("key_heads", [1, 2, 4])
    def test_grouped_heads(self, key_heads):
        q, k, v = tensors((2, 4, 5, 8), (2, key_heads, 5, 8), (2, key_heads, 5, 8))
        found = recorded(Calls(enable_gqa=True), q, k, v).captures()[1]
        assert found["self"].layer(0).n_key_heads == key_heads
        assert_same(found, [expected(q, k.repeat_interleave(4 // key_heads, 1))[1]])

    def test_keys_broadcast_over_heads_and_inputs(self):
        q, k, v = tensors((2, 4, 5, 8), (1, 1, 5, 8), (1, 4, 5, 8))
        assert_same(recorded(Calls(), q, k, v).captures()[1], [expected(q, k)[1]])

    def test_one_input_without_a_batch_axis(self):
        for module in (written.seeded(written.Fused), written.seeded(written.Manual)):
            x = torch.randn(5, 16)
            found = recorded(module, x).capture(list("abcde"))
            assert found.n_heads == 4
            assert_same(found, [module.seen[0].reshape(4, 5, 5)])

    @pytest.mark.parametrize("mask", [None, "2D bool", "3D bool", "3D float"])
    def test_one_head_of_several_inputs(self, mask):
        q, k, v = tensors((4, 5, 8), (4, 5, 8), (4, 5, 8))
        mask = masks(5, 5).get(mask)
        found = recorded(Calls(attn_mask=mask), q, k, v).captures()
        assert len(found) == 4
        for item in range(4):
            assert_same(found[item], [expected(q, k, mask)[item][None]])

    @pytest.mark.parametrize(
        ("dtype", "within"), [(torch.float64, 1e-6), (torch.float16, 2e-3), (torch.bfloat16, 2e-2)]
    )
    def test_dtypes(self, dtype, within):
        q, k, v = tensors(*[(1, 2, 9, 8)] * 3, dtype=dtype)
        found = recorded(Calls(is_causal=True), q, k, v).capture()
        np.testing.assert_allclose(found.weights(0), expected(q, k, torch.ones(9, 9).tril().bool())[0], atol=within)
        assert found["self"].layer(0).dtype == str(dtype).split(".")[-1]

    def test_under_autocast(self):
        model = written.seeded(lambda: written.Written(written.Fused))
        with torch.autocast("cpu", torch.bfloat16):
            found = recorded(model, written.ids()).capture()
        np.testing.assert_allclose(found.weights(2), model.blocks[2].attn.seen[0][0], atol=2e-2)

    def test_two_sets_of_tokens(self):
        q, k, v = tensors((1, 2, 3, 8), (1, 2, 5, 8), (1, 2, 5, 8))
        recording = recorded(Calls(), q, k, v)
        found = recording.capture(list("abc"), key_tokens=list("vwxyz"))
        assert (found.tokens, found.key_tokens) == (list("abc"), list("vwxyz"))
        assert recording.capture(list("abc")).key_tokens == list("01234")
        with pytest.raises(InputError, match="4 tokens were given, and the attention is over 3, 5 positions"):
            recording.capture(list("abcd"))

    def test_dropout_in_the_call(self):
        q, k, v = tensors(*[(1, 2, 5, 8)] * 3)
        with pytest.raises(ModelError, match=r"Calls drops out weights.*dropout_p is 0\.1.*model\.eval\(\)"):
            recorded(Calls(dropout_p=0.1).eval(), q, k, v)

    def test_windows_are_left_out_by_name(self):
        class Windows(nn.Module):
            def __init__(self):
                super().__init__()
                self.attn = written.Fused()

            def forward(self, x):
                return self.attn(x.unflatten(1, (2, 4)).flatten(0, 1))

        with pytest.raises(
            ModelError, match=r"attn, its attention is over 6 groups of tokens \(windows.*3 inputs.*from_attentions"
        ):
            recorded(Windows().eval(), torch.randn(3, 8, 16)).captures()


def test_a_vision_transformer():
    model = written.seeded(written.Image)
    for item, found in enumerate(recorded(model, torch.randn(2, 3, 16, 12)).captures()):
        assert found.tokens == [str(i) for i in range(13)]
        assert_same(found, [block.attn.seen[0][item] for block in model.blocks])


@pytest.mark.parametrize("own_softmax", [False, True])
@pytest.mark.parametrize("batch", [1, 3])
def test_experts_beside_attention(own_softmax, batch):
    """Routers choose among experts with a softmax in the very block that attends."""
    model = written.seeded(lambda: handwritten.Decoder(own_softmax=own_softmax))
    found = recorded(model, written.ids(batch)).captures()
    assert found[0]["self"].how == dict.fromkeys(range(3), "softmax" if own_softmax else "sdpa")
    for item in range(batch):
        assert_same(found[item], [block.attn.weights[item] for block in model.blocks])


def test_experts_in_a_vision_transformer():
    model = written.seeded(handwritten.Vision)
    found = recorded(model, torch.randn(2, 3, 24, 16)).captures()[1]
    assert found["self"].modules == {0: "blocks.0.attn", 1: "blocks.1.attn"}
    assert_same(found, [block.attn.weights[1] for block in model.blocks])


def test_tokens_first():
    """[tokens, batch, width], as PyTorch's own modules have it."""

    class First(nn.Module):
        def __init__(self):
            super().__init__()
            self.attn = written.Fused()

        def forward(self, x):
            return self.attn(x.transpose(0, 1)).transpose(0, 1)

    model = written.seeded(First)
    found = recorded(model, torch.randn(5, 2, 16)).captures()
    assert len(found) == 2
    assert_same(found[1], [model.attn.seen[0][1]])
