"""In which families what layers write into the residual stream is found, and where it is said that it is not."""

from __future__ import annotations

import copy
import warnings

import pytest
import torch

from attnscope import record
from tests.models.known import FAMILIES
from tests.models.known.measure import build

UNPROJECTED = "something else than one linear map"
UNPLACED = "was not found"
NOT_FOUND = {
    "DiffLlama (two calls per layer)": UNPROJECTED,  # the difference of two attentions is projected
    "Qwen3-Next (hybrid)": UNPROJECTED,  # a gate comes first
    "Doge (real-valued masks)": UNPLACED,  # scales the residual dimension by dimension
    "Zamba2 (hybrid, one shared block)": UNPLACED,
    "DINOv2": UNPLACED,  # scales what it adds dimension by dimension
    "DINOv2 with registers": UNPLACED,
    "DINOv3": UNPLACED,
    "BEiT (position bias)": UNPLACED,
    "SAM (windows, both directions)": UNPLACED,
}
"""Families of which a layer is not taken apart, and words of the reason given."""
POOLING = "head.attention"
"""A last attention that adds to nothing: it pools the text or image."""


@pytest.mark.parametrize("known", [f for f in FAMILIES if f.attends and not f.refused], ids=str)
def test_found_or_said(known):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = build(known)
        generator = torch.Generator().manual_seed(7)
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.ndim == 1:  # so that no norm is plain
                    parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
            with record(model, values=True) as recording:
                model(**copy.deepcopy(known.inputs()))
    reasons = set()
    for kind, attention in recording.captures()[-1].attention.items():
        if attention.stream is None:
            seen_whole = [how in ("interface", "sdpa", "multihead") for how in attention.how.values()]
            windows = any(not hasattr(layer, "values") for layer in attention.stored.values())
            assert windows or not all(seen_whole)
            continue
        for number in attention.layers:
            write = attention.stream.writes.get(number)
            if write is not None and write.residual is not None:
                assert write.check < 1e-5
                assert write.residual.shape == (len(attention.queries), write.output.shape[2])
            elif POOLING not in kind:
                reasons.add(attention.stream.missing[number] if write is None else write.why)
    expected = NOT_FOUND.get(known.name)
    if expected is None:
        assert not reasons
    else:
        assert any(expected in reason for reason in reasons)
