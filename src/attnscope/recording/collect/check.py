"""The self-check: recomputed weights · values against the model's real output, always on."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from attnscope.attention import compute
from attnscope.attention.arrays import to_float32

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
    real = output[rows].cpu().float()
    few = _sampled(layer, rows)
    weights = np.asarray(compute.weight_rows(few, None, slice(None)))
    shared = weights.reshape(few.n_key_heads, -1, few.n_keys) @ to_float32(values)
    heads = torch.from_numpy(shared.reshape(few.n_heads, len(rows), -1)).transpose(0, 1)
    again = heads if project is None else project(heads.flatten(1).to(output)).to(real)
    return _relative(again, real)


def weights_deviation(weights: torch.Tensor, values: torch.Tensor, output: torch.Tensor) -> float:
    """Compare a few rows of given weights · values with the layer's real output.

    Parameters
    ----------
    weights
        [heads, queries, keys].
    values
        [key heads, keys, value width].
    output
        [queries, heads, value width].

    Returns
    -------
    float
        As :func:`deviation` gives; infinity where the shapes do not fit.
    """
    n_heads, n_queries, n_keys = weights.shape
    if tuple(output.shape[:2]) != (n_queries, n_heads) or values.shape[1] != n_keys or n_heads % values.shape[0]:
        return math.inf
    rows = np.unique(np.linspace(0, n_queries - 1, SAMPLED_ROWS).round().astype(int))
    shared = values.float().repeat_interleave(n_heads // values.shape[0], dim=0)
    again = weights[:, rows].float() @ shared
    return _relative(again.transpose(0, 1), output[rows].float())


def _sampled(layer: QueriesKeys, rows: np.ndarray) -> QueriesKeys:
    """Some rows of a layer as numpy arrays, whose small sums cost less than tensors'."""
    return replace(
        layer,
        queries=to_float32(layer.queries[:, rows]),
        keys=to_float32(layer.keys),
        mask=layer.mask.take(rows, np.arange(layer.n_keys)),
        bias=None if layer.bias is None else to_float32(layer.bias[:, rows]),
        sinks=None if layer.sinks is None else to_float32(layer.sinks),
        values=None,
    )


def _relative(again: torch.Tensor, real: torch.Tensor) -> float:
    """Largest difference over the largest real number; infinity where one is not finite."""
    worst, largest = float((again - real).abs().max()), float(real.abs().max())
    if not math.isfinite(worst):
        return math.inf
    return worst / largest if largest > 0 else worst
