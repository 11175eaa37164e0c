"""The stated rounding of half precision: nothing where there is none, and no less than what rounding does."""

import dataclasses

import numpy as np
import pytest
import torch

from attnscope.attention.blocks import Blocks
from attnscope.attention.capture import Attention, Capture
from attnscope.attention.layers import QueriesKeys
from attnscope.attention.mask import Mask
from attnscope.attention.rounding import UNIT, rounded_rows, rounding
from attnscope.attention.tokens import Tokens


def layer_of(dtype, spread=1.0, n=40, **options):
    generator = torch.Generator().manual_seed(0)
    queries, keys = ((torch.randn(2, n, 16, generator=generator) * spread).to(dtype).contiguous() for _ in range(2))
    return QueriesKeys(queries, keys, 0.25, Mask.causal(n, n), **options)


def rounded_weights(layer):
    """What code that rounds every step gives."""
    scores = layer.queries @ layer.keys.transpose(1, 2) * layer.scale
    if layer.softcap is not None:
        scores = torch.tanh(scores / layer.softcap) * layer.softcap
    if layer.bias is not None:
        scores = scores + layer.bias
    scores = scores.masked_fill(~torch.from_numpy(layer.mask.allowed(slice(None))), -torch.inf)
    if layer.sinks is not None:
        scores = torch.cat([scores, layer.sinks[:, None, None].expand(-1, layer.n_queries, 1)], -1)
        scores = scores - scores.max(-1, keepdim=True).values
    weights = scores.softmax(-1, dtype=torch.float32).to(layer.queries.dtype).float().numpy()
    return weights[..., : layer.n_keys]


def rounded_of(layer, queries=slice(None)):
    return np.stack([rounded_rows(layer, head, queries) for head in range(layer.n_heads)])


def bias_of(dtype):
    return torch.randn(1, 40, 40, generator=torch.Generator().manual_seed(1)).to(dtype) * 4


every_half = pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])


@every_half
@pytest.mark.parametrize("spread", [0.1, 1.0, 3.0])
@pytest.mark.parametrize("more", ["plain", "softcap", "bias"])
def test_no_less_than_what_rounding_does(dtype, spread, more):
    options = {"plain": {}, "softcap": {"softcap": 5.0}, "bias": {"bias": bias_of(dtype)}}[more]
    layer = layer_of(dtype, spread, **options)
    exact = np.stack([layer.weight_rows(head, slice(None)) for head in range(2)])
    real = abs(rounded_weights(layer) - exact).max()
    stated = rounding(layer)
    assert 0 < real <= stated
    # A bound so far off that it said nothing would hold too.
    assert stated < 12 * real


def test_wide_scores_are_rounded_more():
    assert rounding(layer_of(torch.bfloat16, 0.1)) < rounding(layer_of(torch.bfloat16, 1.5))


def test_uniform_weights_are_rounded_as_numbers_only():
    layer = layer_of(torch.bfloat16, 0.0)
    assert rounding(layer) == pytest.approx(UNIT["bfloat16"])  # the first token's weight of 1


def test_float32_does_not_show():
    assert rounding(layer_of(torch.float32)) == 0


def test_of_windows_the_worst():
    narrow, wide = layer_of(torch.float16, 0.1), layer_of(torch.float16, 2.0)
    both = Blocks([narrow, wide], [np.arange(40), np.arange(40, 80)], 80)
    assert rounding(both) == rounding(wide) > rounding(narrow)


def test_sinks_are_in_it():
    layer = layer_of(torch.bfloat16)
    with_sinks = dataclasses.replace(layer, sinks=torch.full((2,), 8.0, dtype=torch.bfloat16))
    scaled = rounding(with_sinks) / max(float(with_sinks.weight_rows(0, slice(None)).max()), 1e-9)
    assert scaled > rounding(layer) / float(layer.weight_rows(0, slice(None)).max())


@every_half
@pytest.mark.parametrize("more", ["plain", "softcap", "bias", "wider bias", "sinks", "all"])
def test_rounded_weights_are_what_rounding_code_gives(dtype, more):
    bias = {"bias": bias_of(dtype)}
    sinks = {"sinks": torch.tensor([3.1, -1.7], dtype=dtype)}
    wide = {"bias": bias_of(torch.float32) + 1e-3}
    options = {"plain": {}, "softcap": {"softcap": 5.0}, "bias": bias, "wider bias": wide, "sinks": sinks,
               "all": {"softcap": 30.0} | bias | sinks}  # fmt: skip
    layer = layer_of(dtype, 3.0, **options[more])
    expected = rounded_weights(layer)
    exact = np.stack([layer.weight_rows(head, slice(None)) for head in range(2)])
    difference = abs(rounded_of(layer) - expected)
    # A sum added up in another order may round to the neighbour; all else is the same number.
    assert np.mean(difference > 0) < 2e-3
    assert difference.max() < 0.5 * abs(exact - expected).max()


def test_rounded_weights_without_torch():
    layer = layer_of(torch.float16, 3.0, softcap=20.0)
    arrays = dataclasses.replace(layer, queries=layer.queries.numpy(), keys=layer.keys.numpy())
    np.testing.assert_allclose(rounded_of(arrays), rounded_of(layer), atol=UNIT["float16"])
    assert np.mean(rounded_of(arrays) != rounded_of(layer)) < 2e-3


def test_nothing_is_rounded_in_float32():
    layer = layer_of(torch.float32, 3.0)
    np.testing.assert_array_equal(rounded_rows(layer, 1, slice(3, 9)), layer.weight_rows(1, slice(3, 9)))


def test_rows_that_see_no_key_stay_zero():
    layer = layer_of(torch.bfloat16)
    blind = dataclasses.replace(layer, mask=Mask.of(np.tri(40, 40, -1, bool)))
    assert not rounded_of(blind)[:, 0].any()
    assert np.isfinite(rounded_of(blind)).all()


def test_rounded_windows_stand_at_their_places():
    narrow, wide = layer_of(torch.float16, 0.1), layer_of(torch.float16, 2.0)
    both = Blocks([narrow, wide], [np.arange(40, 80), np.arange(40)], 80)
    rows = rounded_of(both, np.array([3, 44]))
    np.testing.assert_array_equal(rows[:, 0, :40], rounded_of(wide, slice(3, 4))[:, 0])
    np.testing.assert_array_equal(rows[:, 1, 40:], rounded_of(narrow, slice(4, 5))[:, 0])
    assert not rows[:, 0, 40:].any()


def test_a_capture_gives_them_beside_the_exact_ones():
    layer = layer_of(torch.bfloat16, 2.0)
    tokens = Tokens.of([str(i) for i in range(40)])
    found = Capture({"self": Attention("self", {2: layer}, tokens, tokens)})
    rounded = found.weights(2, 1, queries=slice(5, 30), keys=[0, 3], rounded=True)
    np.testing.assert_array_equal(rounded, rounded_of(layer)[1, 5:30, [0, 3]].T)
    exact = found.weights(2, 1, queries=slice(5, 30), keys=[0, 3])
    assert 0 < abs(rounded - exact).max() <= found["self"].rounding(2)
