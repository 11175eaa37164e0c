"""Rows of many heads at once are those of one head after the other."""

import numpy as np
import pytest
import torch

from attnscope import capture, from_attentions, from_queries_keys
from attnscope.analysis import stacks as room
from attnscope.analysis.blocks import walk
from attnscope.analysis.statistics import STATISTICS
from attnscope.attention.capture import Attention
from attnscope.attention.layers import QueriesKeys
from attnscope.attention.mask import Mask
from tests.models.words import SENTENCES, wordpiece


def attention(n=13, n_layers=3, heads=4, key_heads=2, *, torch_arrays=False, **more):
    random = np.random.default_rng(5)
    queries = random.normal(size=(n_layers, heads, n, 8)).astype(np.float32)
    keys = random.normal(size=(n_layers, key_heads, n, 8)).astype(np.float32)
    tokens = ["[CLS]", *(random.choice(["a", "b", "c", "."], n - 2).tolist()), "[SEP]"]
    made = from_queries_keys(list(queries), list(keys), tokens, causal=more.pop("causal", False))["self"]
    mask = next(iter(made.stored.values())).mask
    as_array = torch.tensor if torch_arrays else np.asarray
    stored = {
        number: QueriesKeys(as_array(queries[number]), as_array(keys[number]), 0.4, mask, **more)
        for number in range(n_layers)
    }
    return Attention("self", stored, made.queries, made.queries)


VARIANTS = {
    "full": {},
    "causal": {"causal": True},
    "torch": {"torch_arrays": True, "causal": True},
    "one key head": {"key_heads": 1},
    "no groups": {"key_heads": 4},
    "soft cap": {"softcap": 2.0},
    "bias of every head": {"bias": np.random.default_rng(1).normal(size=(4, 13, 13)).astype(np.float32)},
    "one bias": {"bias": np.random.default_rng(1).normal(size=(1, 13, 13)).astype(np.float32)},
    "sinks": {"sinks": np.array([0.1, 2.0, -1.0, 0.5], np.float32), "causal": True},
}


def measured(attention, content):
    """Every statistic of every row, by stacks and by walking."""
    shape = (len(STATISTICS), attention.n_layers, attention.n_heads, len(attention.queries))
    stacked, walked = np.full(shape, -7.0), np.full(shape, -7.0)
    for stack in room.stacks(attention, content=content):
        for i, known in enumerate(STATISTICS.values()):
            values = known.measure(stack.rows)
            for place, (layer, head) in enumerate(zip(stack.layers, stack.heads, strict=True)):
                assert (stacked[i, layer, head, stack.rows.positions] == -7).all(), "a row came twice"
                stacked[i, layer, head, stack.rows.positions] = values[place]
    for layer, head, rows in walk(attention, content=content):
        for i, known in enumerate(STATISTICS.values()):
            walked[i, layer, head, rows.positions] = known.measure(rows)
    return stacked, walked


@pytest.mark.parametrize("content", [False, True])
@pytest.mark.parametrize("variant", VARIANTS)
def test_the_same_numbers(variant, content):
    stacked, walked = measured(attention(**VARIANTS[variant]), content)
    np.testing.assert_allclose(stacked, walked, rtol=3e-5, atol=3e-6, equal_nan=True)


def test_rows_in_blocks_and_layers_one_by_one(monkeypatch):
    monkeypatch.setattr("attnscope.attention.compute.BLOCK_CELLS", 4 * 4 * 13 * 3)
    monkeypatch.setattr(room, "ROWS", 2)
    held = [stack.rows.weights.shape for stack in room.stacks(attention())]
    assert len(held) > 3
    assert max(np.prod(shape) for shape in held) <= 4 * 13 * 3
    stacked, walked = measured(attention(), content=False)
    np.testing.assert_allclose(stacked, walked, rtol=3e-5, atol=3e-6, equal_nan=True)


def test_layers_of_different_numbers_of_heads():
    random = np.random.default_rng(2)
    weights = [random.dirichlet(np.ones(6), size=(heads, 6)).astype(np.float32) for heads in (2, 5, 3)]
    stacked, walked = measured(from_attentions(weights, list("abcabc"))["self"], content=False)
    assert (stacked[:, 0, 2:] == -7).all()
    np.testing.assert_allclose(stacked, walked, rtol=3e-5, atol=3e-6, equal_nan=True)


def test_queries_that_see_nothing_are_left_out():
    allowed = np.tril(np.ones((5, 5), bool))
    allowed[2] = False
    keys = np.ones((1, 5, 2), np.float32)
    tokens = from_queries_keys([keys], [keys], list("abcde"))["self"].queries
    made = Attention("self", {0: QueriesKeys(keys, keys, 1.0, Mask.of(allowed))}, tokens, tokens)
    [stack] = room.stacks(made)
    assert stack.rows.positions.tolist() == [0, 1, 3, 4]


def test_of_a_real_model():
    from transformers import GPT2Config, GPT2Model

    torch.manual_seed(0)
    model = GPT2Model(GPT2Config(vocab_size=200, n_embd=32, n_layer=2, n_head=4, n_positions=64)).eval()
    stacked, walked = measured(capture(model, wordpiece(), SENTENCES[0])["self"], content=False)
    np.testing.assert_allclose(stacked, walked, rtol=3e-5, atol=3e-6, equal_nan=True)
