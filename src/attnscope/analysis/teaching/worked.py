"""Scaled dot-product attention, written out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import softmax

from attnscope.analysis.steps import require_temperature
from attnscope.attention.arrays import Array, is_torch, to_float32
from attnscope.errors import InputError


@dataclass(frozen=True, eq=False)
class WorkedAttention:
    """Every step of attention over whole arrays.

    Parameters
    ----------
    scores
        float64 [..., queries, keys]: q·k × scale, ``-inf`` where masked.
    weights
        float64 [..., queries, keys]: their softmax. A query that sees no key has weights 0.
    output
        float64 [..., queries, value width]: weights · values; None without values.

    Examples
    --------
    >>> worked = analysis.masked_attention(np.eye(2), np.eye(2), np.eye(2))
    >>> worked.output.round(2)
    array([[0.67, 0.33],
           [0.33, 0.67]])
    """

    scores: np.ndarray
    weights: np.ndarray
    output: np.ndarray | None


def masked_attention(
    queries: Any,
    keys: Any,
    values: Any = None,
    *,
    causal: bool = False,
    mask: Any = None,
    scale: float | None = None,
    temperature: float = 1.0,
) -> WorkedAttention:
    """Compute ``softmax(queries · keysᵀ · scale / temperature, masked) · values`` (Vaswani et al. 2017, eq. 1).

    A plain reference in float64, for teaching and for tests: it holds queries × keys.

    Parameters
    ----------
    queries, keys, values
        [..., queries, width], [..., keys, width] and [..., keys, value width], of numpy or any other library;
        leading axes are broadcast.
    causal
        Whether query ``i`` sees only the keys up to ``i``.
    mask
        bool, broadcast to [..., queries, keys], True where the key is visible; joins ``causal``.
    scale
        None for 1/√width; 1 leaves scores unscaled.
    temperature
        What scores are divided by: below 1 sharper, above 1 flatter.

    Examples
    --------
    >>> worked = analysis.masked_attention([[1.0, 0.0], [0.0, 2.0]], [[1.0, 0.0], [0.0, 1.0]], causal=True)
    >>> worked.weights.round(2)
    array([[1. , 0. ],
           [0.2, 0.8]])
    """
    require_temperature(temperature)
    q, k = _doubles(queries), _doubles(keys)
    if q.ndim < 2 or k.ndim < 2 or q.shape[-1] != k.shape[-1]:
        raise InputError(f"Queries and keys are [..., tokens, width] of one width; got {q.shape} and {k.shape}.")
    scores = q @ np.swapaxes(k, -1, -2) * (q.shape[-1] ** -0.5 if scale is None else scale)
    visible = np.tri(q.shape[-2], k.shape[-2], dtype=bool) if causal else np.ones((), bool)
    if mask is not None:
        given = np.asarray(mask)
        if given.dtype != bool:
            raise InputError(f"A mask is bool, True where the key is visible; got {given.dtype}.")
        visible = visible & given
    scores = np.where(visible, scores, -np.inf)
    blind = np.isneginf(scores).all(axis=-1, keepdims=True)
    weights = np.where(blind, 0, softmax(np.where(blind, 0, scores) / temperature, axis=-1))
    v = None if values is None else _doubles(values)
    if v is not None and (v.ndim < 2 or v.shape[-2] != k.shape[-2]):
        raise InputError(f"There is one value per key: got values {v.shape} for keys {k.shape}.")
    return WorkedAttention(scores, weights, None if v is None else weights @ v)


def _doubles(array: Array) -> np.ndarray:
    """Give the values as float64, without rounding any that are."""
    if is_torch(array):
        return np.asarray(array.detach().double().cpu().numpy())
    return array.astype(np.float64) if isinstance(array, np.ndarray) else to_float32(array).astype(np.float64)
