"""How far weights move when queries and keys are kept in a narrower dtype than the model computes in."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from array_api_compat import array_namespace

from attnscope.attention.arrays import Array, dtype_name, float32_like
from attnscope.attention.layers import QueriesKeys, StoredWeights

if TYPE_CHECKING:
    from attnscope.attention.layers import Layer

_LOST = 1e-17
"""More than what squares too small for float32 can add to the length of a vector."""
_SUMMED = 1 + 1e-5
"""More than what float32 sums lose of a length."""


def storing_error(given: QueriesKeys, stored: QueriesKeys) -> float:
    """Bound the difference between the weights of a layer and those of what is stored of it.

    With ``δq`` and ``δk`` what storing changed and ``k'`` the stored key, a score moves by
    ``scale · (δq · k' + q · δk)``. By Cauchy and Schwarz no score of a row moves by more than::

        ε = |scale| · (‖δq‖ · max_keys ‖k' − m‖ + ‖q‖ · max_keys ‖δk‖)

    up to one number for the whole row, ``δq · m``, which softmax does not see; ``m`` is the mean key. (``m`` is 0 where
    softmax does see it: under a soft cap, whose slope is at most 1, and beside a learned sink, whose score does not
    move.) If no score moves by more than ``ε``, the odds ``w / (1 − w)`` of a weight change at most by the factor
    ``exp(2ε)``, and therefore ``|Δw| ≤ tanh(ε / 2)``, reached at a weight near one half.

    Parameters
    ----------
    given
        The layer as the model computes it.
    stored
        The same layer with its queries and keys as they are stored.

    Returns
    -------
    float
        Largest absolute difference of a weight over heads, queries and keys; 0 where storing changes nothing, 1 where
        something stored is not finite.
    """
    queries, keys = (_wide(array) for array in (given.queries, given.keys))
    new_queries, new_keys = (_wide(array, queries) for array in (stored.queries, stored.keys))
    xp = array_namespace(queries)
    off_queries, off_keys = _lengths(new_queries - queries), _lengths(new_keys - keys)
    largest = float(xp.max(off_queries)), float(xp.max(off_keys))
    if largest == (0.0, 0.0):
        return 0.0
    if given.softcap is None and given.sinks is None:
        new_keys = new_keys - xp.mean(new_keys, axis=1, keepdims=True)
    by_key_head = (given.n_key_heads, -1)
    moved = _longest(new_keys) * (xp.reshape(off_queries, by_key_head) + _LOST)
    moved = moved + (xp.reshape(_lengths(queries), by_key_head) + _LOST) * (_longest_of(off_keys) + _LOST)
    most = abs(given.scale) * float(xp.max(moved)) * _SUMMED
    return math.tanh(most / 2) if math.isfinite(most) else 1.0


def error_of(layer: Layer) -> float:
    """Give the largest error that storing adds to a weight of a layer, however it is kept; 0 where it adds none."""
    if isinstance(layer, QueriesKeys | StoredWeights):
        return layer.error
    return max((error_of(part) for part in getattr(layer, "parts", ())), default=0.0)


def _wide(array: Array, like: Array | None = None) -> Array:
    """Give an array in float32, or in float64 if it or the other is."""
    xp = array_namespace(array)
    wide = dtype_name(array if like is None else like) == "float64"
    return xp.astype(array, xp.float64) if wide else float32_like(array)


def _lengths(vectors: Array) -> Array:
    xp = array_namespace(vectors)
    return xp.sqrt(xp.sum(vectors * vectors, axis=-1))


def _longest(vectors: Array) -> Array:
    return _longest_of(_lengths(vectors))


def _longest_of(lengths: Array) -> Array:
    """Of each head, [heads, 1]."""
    return array_namespace(lengths).max(lengths, axis=1)[:, None]
