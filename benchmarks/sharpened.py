"""Give a model with random weights heads from broad to peaked, as a trained model has."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import attnscope

ROUNDS = 12
"""Corrections of the query projections, each of which also moves the layers above."""
BROAD, PEAKED = 0.97, 0.4
"""Normalised entropies of the first head of each layer and of its last."""


def sharpen(model: Any, queries: list[torch.Tensor], rounds: int = ROUNDS) -> None:
    """Multiply query projections, head by head, until the heads of each layer go from broad to peaked.

    Parameters
    ----------
    model
        The model, changed in place.
    queries
        For each layer, its query projection of shape [heads × width, hidden] or a view of it.
    rounds
        Number of corrections.
    """
    first = next(iter(queries))
    ids = torch.randint(0, model.config.vocab_size, (1, 128), generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if name.endswith(("output.dense.weight", "o_proj.weight", "down_proj.weight", "c_proj.weight")):
                weight.mul_(0.3)  # tokens stay apart through the layers
    for _ in range(rounds):
        with attnscope.record(model) as recording, torch.no_grad():
            model(ids)
        entropy = np.nan_to_num(attnscope.analysis.entropy(recording.capture()))
        gain = 8.0 ** (entropy - np.linspace(BROAD, PEAKED, entropy.shape[1]))
        width = first.shape[0] // entropy.shape[1]
        with torch.no_grad():
            for weight, gains in zip(queries, torch.from_numpy(gain), strict=True):
                weight.mul_(gains.repeat_interleave(width)[:, None].to(weight.dtype))
