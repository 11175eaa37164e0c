"""Rows of many heads at once are those of one head after the other."""

import tracemalloc

import numpy as np
import pytest
import torch

from attnscope import capture, from_attentions, from_queries_keys
from attnscope.analysis.blocks import walk
from attnscope.analysis.statistics import STATISTICS
from attnscope.attention.capture import Attention
from attnscope.attention.layers import QueriesKeys
from attnscope.attention.mask import Mask
from attnscope.profiling import stacked as room
from attnscope.profiling.counting import count
from attnscope.profiling.measures import MEASURES
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


@pytest.mark.parametrize("variant", ["full", "causal", "sinks"])
@pytest.mark.parametrize("content", [False, True])
def test_few_rows_at_a_time_and_keys_that_no_query_sees_left_out(monkeypatch, variant, content):
    monkeypatch.setattr(room, "CELLS", 4 * 13 * 3)
    monkeypatch.setattr(room, "ROWS", 2)
    monkeypatch.setattr(room, "_WORTH_CUTTING", 1)
    made = attention(**VARIANTS[variant])
    held = [stack.rows.weights.shape for stack in room.stacks(made, content=content)]
    assert len(held) > 3
    assert max(np.prod(shape) for shape in held) <= 4 * 13 * 3
    assert (min(shape[2] for shape in held) < 13) == (variant != "full" or content)
    stacked, walked = measured(made, content)
    np.testing.assert_allclose(stacked, walked, rtol=3e-5, atol=3e-6, equal_nan=True)


def test_counts_do_not_depend_on_the_blocks(monkeypatch):
    """Hits too, also of patterns beyond the keys a block was cut to."""
    made = attention(causal=True)
    whole = [tally.as_text() for tally in count(made, tuple(MEASURES), content=False)]
    monkeypatch.setattr(room, "CELLS", 4 * 13 * 3)
    monkeypatch.setattr(room, "ROWS", 2)
    monkeypatch.setattr(room, "_WORTH_CUTTING", 1)
    for tally, again in zip(whole, count(made, tuple(MEASURES), content=False), strict=True):
        assert np.array_equal(tally.rows, again.rows)
        np.testing.assert_allclose(again.total.value, tally.total.value, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(again.squares.value, tally.squares.value, rtol=1e-5, atol=1e-5)


def test_memory_of_a_long_text_is_that_of_a_block():
    n = 2048
    random = np.random.default_rng(0)
    queries = random.normal(size=(1, 2, n, 4)).astype(np.float32)
    made = from_queries_keys(list(queries), list(queries), [str(i % 50) for i in range(n)], causal=True)["self"]
    tracemalloc.start()
    try:
        count(made, ("entropy", "gini", "induction_hit", "mean_distance"), content=False)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * n * n * 4 * 0.75


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
    np.testing.assert_allclose(stacked, walked, rtol=3e-5, atol=1e-5, equal_nan=True)
