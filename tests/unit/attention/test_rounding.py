"""The stated rounding of half precision: nothing where there is none, and no less than what rounding does."""

import dataclasses

import numpy as np
import pytest
import torch

from attnscope.attention.blocks import Blocks
from attnscope.attention.layers import QueriesKeys
from attnscope.attention.mask import Mask
from attnscope.attention.rounding import UNIT, rounding


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
    return scores.softmax(-1, dtype=torch.float32).to(scores.dtype).float().numpy()


def bias_of(dtype):
    return torch.randn(1, 40, 40, generator=torch.Generator().manual_seed(1)).to(dtype) * 4


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
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
