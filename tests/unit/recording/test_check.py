"""The self-check of several inputs at once is that of each of them."""

import math

import numpy as np
import pytest
import torch

from attnscope.attention.mask import Mask
from attnscope.recording.collect import check
from attnscope.recording.collect.kept import layer_of
from attnscope.recording.collect.masks import MaskReader
from attnscope.recording.watch.calls import AttentionCall

ITEMS, HEADS, KEY_HEADS, TOKENS, WIDTH = 3, 4, 2, 9, 5


def call(*, sinks=False, bias=False, project=False, padded=(0, 0, 0)):
    """A call of which weights · values give the output exactly."""
    torch.manual_seed(0)
    queries = torch.randn(ITEMS, TOKENS, HEADS, WIDTH).transpose(1, 2)
    keys, values = (torch.randn(ITEMS, KEY_HEADS, TOKENS, WIDTH) for _ in "kv")
    mask = torch.randn(ITEMS, 1, TOKENS, TOKENS) if bias else torch.zeros(ITEMS, 1, TOKENS, TOKENS)
    for item, count in enumerate(padded):
        mask[item, ..., TOKENS - count :] = torch.finfo(torch.float32).min
    options = {"sinks": torch.randn(HEADS)} if sinks else {}
    scores = queries @ keys.repeat_interleave(HEADS // KEY_HEADS, 1).mT * WIDTH**-0.5 + mask
    if sinks:
        scores = torch.cat([scores, options["sinks"][:, None, None].expand(ITEMS, HEADS, TOKENS, 1)], -1)
    weights = scores.softmax(-1)[..., :TOKENS]
    output = (weights @ values.repeat_interleave(HEADS // KEY_HEADS, 1)).transpose(1, 2)
    matrix = torch.randn(HEADS * WIDTH, 7)
    if project:
        output = output.flatten(2) @ matrix
    module = torch.nn.Identity()
    rest = {"options": options, "project": (lambda rows: rows @ matrix) if project else None}
    return AttentionCall(module, "", "interface", "sdpa", queries, keys, values, mask, output, **rest)


@pytest.mark.parametrize(
    "given", [{}, {"padded": (0, 2, 7)}, {"bias": True}, {"sinks": True, "padded": (1, 0, 0)}, {"project": True}]
)
def test_each_input_is_checked_as_if_alone(given):
    made = call(**given)
    masks = MaskReader()
    layers = [layer_of(made, item, masks) for item in range(ITEMS)]
    assert max(check.deviations(layers, made)) < 1e-5
    made.output[1] *= 1.5
    made.output[2, 0] += 0.01
    together = check.deviations(layers, made)
    alone = [check.deviation(layers[i], made.values[i], made.output[i], made.project) for i in range(ITEMS)]
    np.testing.assert_allclose(together, alone, rtol=1e-3, atol=1e-6)
    assert together[0] < 1e-5 < 1e-4 < together[2] < together[1]


def test_an_input_that_sees_nothing_and_one_that_is_not_finite():
    made = call(padded=(TOKENS, 0, 0))
    masks = MaskReader()
    layers = [layer_of(made, item, masks) for item in range(ITEMS)]
    assert not layers[0].mask.counts().any()
    assert isinstance(layers[0].mask, Mask)
    made.output[2, -1, 0, 0] = math.nan
    nothing, fine, broken = check.deviations(layers, made)
    assert math.isnan(nothing)
    assert fine < 1e-5
    assert math.isinf(broken)
