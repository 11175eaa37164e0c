"""The stated error of a narrower dtype: no less than what storing does to weights, and not much more."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from attnscope import Tokens, load
from attnscope.analysis.health import health
from attnscope.attention.blocks import Blocks
from attnscope.attention.capture import Attention, Capture
from attnscope.attention.layers import QueriesKeys
from attnscope.attention.mask import Mask
from attnscope.attention.rounding import rounded_rows, rounding
from attnscope.attention.storing import error_of, storing_error
from attnscope.errors import FileError
from attnscope.wire.describe import describe

HALVES = {"bfloat16": torch.bfloat16, "float16": torch.float16}
LOOSE = 40
"""The bound is at most this many times what storing really does, where scores are as in trained models."""


def layer_of(n=48, width=16, heads=4, shared=1, size=1.0, offset=0.0, seed=0, causal=True, dtype=torch.float32, **more):
    generator = torch.Generator().manual_seed(seed)
    queries = torch.randn(heads, n, width, generator=generator, dtype=torch.float64)
    keys = torch.randn(heads // shared, n, width, generator=generator, dtype=torch.float64) * size
    keys[..., :2] += offset
    mask = Mask.causal(n, n) if causal else Mask.full(n, n)
    return QueriesKeys(queries.to(dtype), keys.to(dtype), width**-0.5, mask, **more)


def stored_of(layer, dtype):
    kept = replace(layer, queries=layer.queries.to(dtype), keys=layer.keys.to(dtype), computed_in="float32")
    return replace(kept, error=storing_error(layer, kept))


def weights_of(layer):
    """Weights in float64, so that only what was stored makes a difference."""
    keys = layer.keys.double().repeat_interleave(layer.group_size, dim=0)
    scores = layer.queries.double() @ keys.transpose(1, 2) * layer.scale
    if layer.softcap is not None:
        scores = torch.tanh(scores / layer.softcap) * layer.softcap
    scores = scores.masked_fill(~torch.from_numpy(layer.mask.allowed(slice(None))), -torch.inf)
    if layer.sinks is not None:
        scores = torch.cat([scores, layer.sinks.double()[:, None, None].expand(-1, layer.n_queries, 1)], dim=-1)
    return scores.softmax(-1)[..., : layer.n_keys]


def moved(layer, stored):
    return float((weights_of(layer) - weights_of(stored)).abs().max())


magnitudes = st.floats(-4, 4).map(lambda power: 10.0**power)


@settings(max_examples=150, deadline=None)
@given(
    dtype=st.sampled_from(sorted(HALVES)),
    seed=st.integers(0, 2**16),
    size=magnitudes,
    channel=st.tuples(st.integers(0, 7), magnitudes),
    offset=st.sampled_from([0.0, 1.0, 1000.0]),
    shared=st.sampled_from([1, 2, 4]),
    causal=st.booleans(),
    softcap=st.sampled_from([None, 0.5, 30.0]),
    sink=st.sampled_from([None, -5.0, 0.0, 50.0]),
    given_in=st.sampled_from([torch.float32, torch.float64]),
)
def test_storing_never_moves_a_weight_further(
    dtype, seed, size, channel, offset, shared, causal, softcap, sink, given_in
):
    sinks = None if sink is None else torch.full((4,), sink)
    options = {"n": 9, "width": 8, "shared": shared, "size": size, "offset": offset, "seed": seed, "causal": causal}
    layer = layer_of(**options, dtype=given_in, softcap=softcap, sinks=sinks)
    layer.queries[..., channel[0]] *= channel[1]
    if float(max(layer.queries.abs().max(), layer.keys.abs().max())) > torch.finfo(HALVES[dtype]).max:
        return  # capture() refuses these
    stored = stored_of(layer, HALVES[dtype])
    assert moved(layer, stored) <= stored.error
    assert stored.error <= 1


def test_the_worst_case_is_reached():
    """One score pushed up, the others down, at a weight of one half: tanh(ε / 2), but for the second factor's share."""
    unit = 2.0**-8
    queries, keys = torch.tensor([[[1.0]]]), torch.tensor([[[1 + unit * 0.99], [1 + unit * 1.01]]]) * 8
    layer = QueriesKeys(queries, keys, 1.0, Mask.full(1, 2))
    stored = stored_of(layer, torch.bfloat16)
    assert moved(layer, stored) > 0.98 * stored.error > 0


@pytest.mark.parametrize("option", [{"sinks": torch.tensor([8.0])}, {"softcap": 1.0}], ids=["sink", "soft cap"])
def test_what_all_keys_share_counts_where_softmax_sees_it(option):
    """Scores move by the part all keys share: against a sink, and where a soft cap flattened one of them."""
    queries, keys = torch.tensor([[[1 / 16 * (1 + 2.0**-9.1), 4.0]]]), torch.tensor([[[64.0, 1.0], [64.0, -1.0]]])
    layer = QueriesKeys(queries, keys, 1.0, Mask.full(1, 2), **option)
    stored = stored_of(layer, torch.bfloat16)
    assert 1e-4 < moved(layer, stored) <= stored.error
    assert storing_error(replace(layer, sinks=None, softcap=None), stored) < moved(layer, stored)


@pytest.mark.parametrize("dtype", HALVES)
@pytest.mark.parametrize("size", [0.3, 1.0, 3.0, 10.0])
@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_the_bound_says_something(dtype, size, offset):
    layer = layer_of(n=128, width=64, size=size, offset=offset)
    stored = stored_of(layer, HALVES[dtype])
    assert moved(layer, stored) <= stored.error < LOOSE * moved(layer, stored)


def test_nothing_is_stated_where_nothing_changes():
    layer = layer_of()
    exact = replace(layer, queries=layer.queries.bfloat16(), keys=layer.keys.bfloat16())
    assert storing_error(exact, replace(exact, queries=exact.queries.float(), keys=exact.keys.float())) == 0.0
    assert storing_error(layer, layer) == 0.0


def test_what_is_not_finite_may_be_anything():
    layer = layer_of()
    layer.queries[0, 0, 0] = 1e9
    assert storing_error(layer, replace(layer, queries=layer.queries.half(), keys=layer.keys.half())) == 1.0


@pytest.mark.parametrize("dtype", HALVES)
def test_rows_go_on_summing_to_one(dtype):
    stored = stored_of(layer_of(size=5.0), HALVES[dtype])
    sums = np.stack([stored.weight_rows(head, slice(None)).sum(axis=1) for head in range(4)])
    np.testing.assert_allclose(sums, 1, atol=1e-6)


def capture_of(layer):
    queries = Tokens.of([f" t{i}" for i in range(layer.n_queries)])
    return Capture({"self": Attention("self", {0: layer}, queries, queries)})


def test_a_file_keeps_dtype_and_error(tmp_path):
    stored = stored_of(layer_of(), torch.bfloat16)
    capture_of(stored).save(tmp_path / "c.safetensors")
    again = load(tmp_path / "c.safetensors")
    assert again["self"].error == {0: stored.error}
    layer = again["self"].layer(0)
    assert (layer.dtype, layer.computed_in) == ("bfloat16", "float32")
    np.testing.assert_array_equal(again.weights(0), capture_of(stored).weights(0))


def test_a_file_with_an_impossible_error_is_refused(tmp_path):
    capture_of(replace(layer_of(), error=2.0)).save(tmp_path / "c.safetensors")
    with pytest.raises(FileError, match="between 0 and 1"):
        load(tmp_path / "c.safetensors")


def test_groups_state_their_worst_also_in_a_file(tmp_path):
    parts = [stored_of(layer_of(n=8, seed=seed), torch.bfloat16) for seed in range(3)]
    blocks = Blocks(parts, list(np.arange(24).reshape(3, 8)), 24)
    assert error_of(blocks) == max(part.error for part in parts) > 0
    capture_of(blocks).save(tmp_path / "c.safetensors")
    assert load(tmp_path / "c.safetensors")["self"].error == {0: error_of(blocks)}


def test_taken_rows_keep_the_error():
    stored = stored_of(layer_of(), torch.bfloat16)
    some = stored.take(np.arange(5), np.arange(5))
    assert some.error == stored.error
    assert some.computed_in == "float32"


def test_rounding_is_that_of_the_dtype_the_model_computes_in():
    exact, half = layer_of(), layer_of(dtype=torch.bfloat16)
    stored = stored_of(exact, torch.bfloat16)
    assert rounding(stored) == 0
    np.testing.assert_array_equal(rounded_rows(stored, 0, slice(None)), stored.weight_rows(0, slice(None)))
    wide = replace(half, queries=half.queries.float(), keys=half.keys.float(), computed_in="bfloat16")
    assert rounding(wide) == rounding(half) > 0
    np.testing.assert_array_equal(rounded_rows(wide, 0, slice(None)), rounded_rows(half, 0, slice(None)))


def test_the_page_and_the_findings_are_told():
    stored = stored_of(layer_of(size=5.0), torch.bfloat16)
    notes = describe(capture_of(stored))["kinds"][0]["notes"]
    assert notes["kept"] == {"dtype": "bfloat16", "error": stored.error}
    assert notes["dtype"] == "float32"
    found = {finding.name: finding for finding in health(capture_of(stored))}["stored"]
    assert (found.severity, found.value) == ("warning", stored.error)
    said = float(found.message.split("at most ")[1].split()[0])
    assert stored.error <= said < 1.1 * stored.error
    exact = capture_of(layer_of())
    assert "kept" not in describe(exact)["kinds"][0]["notes"]
    assert "stored" not in {finding.name for finding in health(exact)}
