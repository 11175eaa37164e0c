"""The self-check: recomputed weights · values against the model's real output, always on."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from attnscope.attention import compute
from attnscope.attention.arrays import to_float32
from attnscope.attention.mask import Mask

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from attnscope.attention.layers import QueriesKeys
    from attnscope.recording.watch.calls import AttentionCall

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
    rows = sampled_rows(layer, values, output, project)
    return math.nan if rows is None else relative(*rows)


def sampled_rows(
    layer: QueriesKeys,
    values: torch.Tensor,
    output: torch.Tensor,
    project: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Recompute the few rows that :func:`deviation` compares: those and the real ones; None where none sees a key."""
    seeing = np.flatnonzero(layer.mask.counts() > 0)
    if not seeing.size:
        return None
    rows = np.unique(_spread(seeing))
    real = output[rows].cpu().float()
    few = _sampled(layer, rows)
    weights = np.asarray(compute.weight_rows(few, None, slice(None)))
    shared = weights.reshape(few.n_key_heads, -1, few.n_keys) @ to_float32(values)
    heads = torch.from_numpy(shared.reshape(few.n_heads, len(rows), -1)).transpose(0, 1)
    again = heads if project is None else project(heads.flatten(1).to(output)).to(real)
    return again, real


def deviations(layers: Sequence[QueriesKeys], call: AttentionCall) -> list[float]:
    """Compare each input of a call with its real output: all of them at once, as if their heads were those of one.

    Parameters
    ----------
    layers
        The layer of each input.
    call
        What they were read from.

    Returns
    -------
    list of float
        As :func:`deviation` gives for each input.
    """
    if len(layers) == 1:
        return [deviation(layers[0], call.values[0], call.output[0], call.project)]
    first, n_items, n_keys = layers[0], len(layers), layers[0].n_keys
    seeing = {id(layer.mask): np.flatnonzero(layer.mask.counts() > 0) for layer in layers}
    spread = {key: _spread(some) if some.size else np.zeros(SAMPLED_ROWS, int) for key, some in seeing.items()}
    rows = np.stack([spread[id(layer.mask)] for layer in layers])
    items = np.arange(n_items)[:, None]
    queries = to_float32(call.queries.transpose(1, 2)[items, rows]).swapaxes(1, 2)
    keys, values = (to_float32(array)[:, :, :n_keys] for array in (call.keys, call.values))
    joined = replace(
        first,
        queries=queries.reshape(-1, SAMPLED_ROWS, first.width),
        keys=keys.reshape(-1, n_keys, first.width),
        mask=Mask.full(SAMPLED_ROWS, n_keys),
        bias=_biases(layers, rows),
        sinks=None if first.sinks is None else np.tile(to_float32(first.sinks), n_items),
        values=None,
    )
    weights = np.asarray(compute.weight_rows(joined, None, slice(None)))
    again = weights.reshape(n_items, first.n_key_heads, -1, n_keys) @ values
    again = again.reshape(n_items, first.n_heads, SAMPLED_ROWS, -1).swapaxes(1, 2)
    if call.project is not None:
        heads = torch.from_numpy(again.reshape(n_items * SAMPLED_ROWS, -1))
        again = to_float32(call.project(heads.to(call.output)))
    real = to_float32(call.output[items, rows]).reshape(n_items, -1)
    largest = np.abs(real).max(axis=1)
    worst = np.abs(again.reshape(n_items, -1) - real).max(axis=1)
    worst = np.where(np.isfinite(worst), worst / np.where(largest > 0, largest, 1), np.inf)
    return [float(off) if seeing[id(layer.mask)].size else math.nan for off, layer in zip(worst, layers, strict=True)]


def _biases(layers: Sequence[QueriesKeys], rows: np.ndarray) -> np.ndarray | None:
    """What is added to the scores of some rows of each input, minus infinity where they see no key.

    Returns
    -------
    numpy.ndarray or None
        float32 [inputs × heads, rows, keys]; None where nothing is added.
    """
    if all(layer.mask.is_full and layer.bias is None for layer in layers):
        return None
    found = np.zeros((len(layers), layers[0].n_heads, SAMPLED_ROWS, layers[0].n_keys), np.float32)
    for each, layer, some in zip(found, layers, rows, strict=True):
        if layer.bias is not None:
            each += to_float32(layer.bias[:, some])
        each[:, ~layer.mask.allowed(some)] = -np.inf
    return found.reshape(-1, *found.shape[2:])


def _spread(seeing: np.ndarray) -> np.ndarray:
    """Pick a few rows from the first to the last, the same one several times where there are fewer."""
    return seeing[np.linspace(0, seeing.size - 1, SAMPLED_ROWS).round().astype(int)]


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
    return relative(again.transpose(0, 1), output[rows].float())


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


def relative(again: torch.Tensor, real: torch.Tensor) -> float:
    """Give the largest difference over the largest real number; infinity where one is not finite."""
    worst, largest = float((again - real).abs().max()), float(real.abs().max())
    if not math.isfinite(worst):
        return math.inf
    return worst / largest if largest > 0 else worst
