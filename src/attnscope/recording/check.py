"""The self-check: recomputed weights · values against the model's real output, always on."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from attnscope.attention import compute

if TYPE_CHECKING:
    from collections.abc import Callable

    from attnscope.attention.layers import QueriesKeys

SAMPLED_ROWS = 4
TOLERANCE = {"float64": 1e-4, "float32": 1e-4, "float16": 5e-3, "bfloat16": 2e-2}
"""Largest accepted difference, relative to the largest output; what rounding alone leaves is 10 to 100 times less."""


def deviation(
    layer: QueriesKeys,
    values: torch.Tensor,
    output: torch.Tensor,
    project: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> float:
    """Compare a few recomputed rows with the layer's real output.

    Parameters
    ----------
    layer
        Queries, keys and mask of one input.
    values
        [key heads, keys, value width].
    output
        [queries, heads, value width], the attention function's own result; or [queries, …], what ``project`` makes of
        the heads joined.

    Returns
    -------
    float
        Largest absolute difference over the sampled rows and all heads, divided by the largest absolute output.
        Rows that see no key are left out; NaN where no row is left, infinity where a number is not finite.
    """
    seeing = np.flatnonzero(layer.mask.counts() > 0)
    if not seeing.size:
        return float("nan")
    rows = np.unique(seeing[np.linspace(0, seeing.size - 1, SAMPLED_ROWS).round().astype(int)])
    real = output[rows].to(layer.queries.device).float()
    values = values.to(layer.queries.device).float()
    largest = float(real.abs().max())
    heads = [compute.weight_rows(layer, head, rows) @ values[head // layer.group_size] for head in range(layer.n_heads)]
    if project is None:
        again = torch.stack(heads, dim=1)
    else:
        again = project(torch.cat(heads, dim=1).to(output)).to(real)
    worst = float((again - real).abs().max())
    largest = float(real.abs().max())
    worst = 0.0
    for head in range(layer.n_heads):
        again = compute.weight_rows(layer, head, rows) @ values[head // layer.group_size]
        off = float((again - real[:, head]).abs().max())
        if not math.isfinite(off):
            return math.inf
        worst = max(worst, off)
    return worst / largest if largest > 0 else worst
