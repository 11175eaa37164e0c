"""One layer's attention: queries and keys, or weights that were computed elsewhere."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
from array_api_compat import array_namespace

from attnscope.attention import compute
from attnscope.attention.arrays import Array, byte_count, dtype_name, moved_like, to_float32
from attnscope.attention.overview import pooled_weights
from attnscope.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from attnscope.attention.mask import Mask


class Layer(Protocol):
    """What a capture asks of a layer, however its weights are kept."""

    @property
    def mask(self) -> Mask:
        """Which keys each query sees."""
        ...

    @property
    def n_heads(self) -> int:
        """Number of heads."""
        ...

    @property
    def n_queries(self) -> int:
        """Number of queries, the tokens that attend."""
        ...

    @property
    def n_keys(self) -> int:
        """Number of keys, the tokens attended to."""
        ...

    @property
    def dtype(self) -> str:
        """Name of the dtype the numbers are kept in."""
        ...

    @property
    def nbytes(self) -> int:
        """Bytes the layer takes, without its mask."""
        ...

    def weight_rows(self, head: int, queries: slice | np.ndarray) -> np.ndarray:
        """Weights of some queries over every key: float32 [queries, keys]."""
        ...

    def score_rows(self, head: int, queries: slice | np.ndarray) -> np.ndarray:
        """Scores of some queries against every key: float32 [queries, keys], masked cells ``-inf``."""
        ...

    def overview(self, head: int, size: int) -> np.ndarray:
        """Largest weight of each cell of a coarse grid: float32 [≤ size, ≤ size]."""
        ...

    def take(self, queries: np.ndarray, keys: np.ndarray, masks: dict[Mask, Mask] | None = None) -> Layer:
        """Keep some queries and some keys, both as increasing positions.

        Layers taken with the same ``masks`` that shared a mask share the one made of it.
        """
        ...


@dataclass(frozen=True, eq=False)
class QueriesKeys:
    """Queries and keys of one layer; weights are computed from them when they are asked for.

    Parameters
    ----------
    queries
        [heads, queries, width], after rotary positions and normalisation, in the dtype the model ran in or another.
    keys
        [key heads, keys, width]; with grouped heads, head ``h`` reads key head ``h // (heads / key heads)``.
    scale
        What the dot products are multiplied by.
    mask
        Which keys each query sees.
    softcap, bias, sinks, values
        The soft cap of the scores; what is added to them, [1 or heads, queries, keys]; a learned sink logit per
        head, [heads]; the value vectors, [key heads, keys, value width]. Each may be None.
    error
        Largest error of a weight that comes of storing queries and keys in another dtype than the model's.
    computed_in
        Name of the dtype the model computes in, where that is another one than theirs.
    """

    queries: Array
    keys: Array
    scale: float
    mask: Mask
    softcap: float | None = None
    bias: Array | None = None
    sinks: Array | None = None
    values: Array | None = None
    error: float = 0.0
    computed_in: str | None = None

    def __post_init__(self) -> None:
        q, k = tuple(self.queries.shape), tuple(self.keys.shape)
        if len(q) != 3 or len(k) != 3:
            raise InputError(f"Queries and keys are [heads, tokens, width], got shapes {q} and {k}.")
        if q[0] == 0:
            raise InputError(f"Queries of shape {q} hold no head.")
        if q[2] != k[2]:
            raise InputError(f"Queries are {q[2]} wide and keys {k[2]}; they must be equally wide.")
        if k[0] == 0 or q[0] % k[0]:
            raise InputError(f"{q[0]} heads cannot share {k[0]} key heads evenly; got shapes {q} and {k}.")
        values = k if self.values is None else tuple(self.values.shape)
        if len(values) != 3 or values[:2] != k[:2]:
            raise InputError(
                f"Values have shape {values}, but there are {k[0]} key heads and {k[1]} keys; they are "
                "[key heads, keys, width]."
            )
        if self.bias is not None and tuple(self.bias.shape) not in ((1, q[1], k[1]), (q[0], q[1], k[1])):
            raise InputError(
                f"A bias has shape {tuple(self.bias.shape)}; expected [1 or {q[0]} heads, {q[1]} queries, {k[1]} keys]."
            )
        if self.sinks is not None and tuple(self.sinks.shape) != q[:1]:
            raise InputError(f"Sinks have shape {tuple(self.sinks.shape)}; expected one per head, {q[:1]}.")
        if not math.isfinite(self.scale) or not (self.softcap is None or 0 < self.softcap < math.inf):
            raise InputError(f"Scores cannot be scaled by {self.scale} and capped at {self.softcap}.")
        if (self.mask.n_queries, self.mask.n_keys) != (q[1], k[1]):
            raise InputError(
                f"The mask is for {self.mask.n_queries} queries and {self.mask.n_keys} keys, "
                f"but there are {q[1]} queries and {k[1]} keys."
            )

    @property
    def n_heads(self) -> int:
        """Number of heads."""
        return int(self.queries.shape[0])

    @property
    def n_key_heads(self) -> int:
        """Number of key heads; fewer than heads where heads are grouped."""
        return int(self.keys.shape[0])

    @property
    def group_size(self) -> int:
        """Heads that share one key head."""
        return self.n_heads // self.n_key_heads

    @property
    def n_queries(self) -> int:
        """Number of queries."""
        return int(self.queries.shape[1])

    @property
    def n_keys(self) -> int:
        """Number of keys."""
        return int(self.keys.shape[1])

    @property
    def width(self) -> int:
        """Length of a query vector."""
        return int(self.queries.shape[2])

    @property
    def dtype(self) -> str:
        """Name of the dtype queries and keys are kept in."""
        return dtype_name(self.queries)

    @property
    def nbytes(self) -> int:
        """Bytes of every array kept, without the mask."""
        kept = (self.queries, self.keys, self.bias, self.sinks, self.values)
        return sum(byte_count(array) for array in kept if array is not None)

    def weight_rows(self, head: int, queries: slice | np.ndarray) -> np.ndarray:
        """Weights of some queries over every key: float32 [queries, keys]."""
        return to_float32(compute.weight_rows(self, head, queries))

    def score_rows(self, head: int, queries: slice | np.ndarray) -> np.ndarray:
        """Scores of some queries against every key: float32 [queries, keys], masked cells ``-inf``."""
        return to_float32(compute.score_rows(self, head, queries))

    def overview(self, head: int, size: int) -> np.ndarray:
        """Largest weight of each cell of a coarse grid: float32 [≤ size, ≤ size]."""
        return pooled_weights(self, head, size)

    def take(self, queries: np.ndarray, keys: np.ndarray, masks: dict[Mask, Mask] | None = None) -> QueriesKeys:
        """Keep some queries and some keys, both as increasing positions, as copies.

        Layers taken with the same ``masks`` that shared a mask share the one made of it.
        """
        q, k = moved_like(queries, self.queries), moved_like(keys, self.keys)
        return replace(
            self,
            queries=_copied(self.queries, queries),
            keys=_copied(self.keys, keys),
            mask=_taken(self.mask, queries, keys, masks),
            bias=None if self.bias is None else self.bias[:, q][:, :, k],
            values=None if self.values is None else _copied(self.values, keys),
        )


def skipping_rows(layer: Layer) -> int | None:
    """Most rows to read of a layer at once; None where none would be saved by reading fewer."""
    return compute.SKIPPING_ROWS if isinstance(layer, QueriesKeys) and not layer.mask.is_full else None


@dataclass(frozen=True, eq=False)
class StoredWeights:
    """Weights of one layer that were computed elsewhere.

    Parameters
    ----------
    weights
        [heads, queries, keys], rows are queries.
    mask
        Which keys each query sees.
    error
        Largest error of a weight that comes of how its queries and keys were stored.
    """

    weights: Array
    mask: Mask
    error: float = 0.0

    def __post_init__(self) -> None:
        shape = tuple(self.weights.shape)
        if len(shape) != 3:
            raise InputError(f"A layer's weights are [heads, queries, keys], got shape {shape}.")
        if shape[0] == 0:
            raise InputError(f"Weights of shape {shape} hold no head.")
        if (self.mask.n_queries, self.mask.n_keys) != shape[1:]:
            raise InputError(
                f"The mask is for {self.mask.n_queries} queries and {self.mask.n_keys} keys, "
                f"but the weights have shape {shape}."
            )

    @property
    def n_heads(self) -> int:
        """Number of heads."""
        return int(self.weights.shape[0])

    @property
    def n_queries(self) -> int:
        """Number of queries."""
        return int(self.weights.shape[1])

    @property
    def n_keys(self) -> int:
        """Number of keys."""
        return int(self.weights.shape[2])

    @property
    def dtype(self) -> str:
        """Name of the dtype the weights are kept in."""
        return dtype_name(self.weights)

    @property
    def nbytes(self) -> int:
        """Bytes of the weights, without the mask."""
        return byte_count(self.weights)

    def weight_rows(self, head: int, queries: slice | np.ndarray) -> np.ndarray:
        """Weights of some queries over every key: float32 [queries, keys]."""
        return to_float32(self.weights[head][queries])

    def score_rows(self, head: int, queries: slice | np.ndarray) -> np.ndarray:  # noqa: ARG002
        """Refuse: weights alone do not give scores back."""
        raise InputError(
            "This capture holds weights only, and scores cannot be computed back from them. "
            "Use from_queries_keys() or capture() to keep queries and keys, or ask for weights."
        )

    def take(self, queries: np.ndarray, keys: np.ndarray, masks: dict[Mask, Mask] | None = None) -> StoredWeights:
        """Keep some queries and some keys, both as increasing positions; see :meth:`QueriesKeys.take`."""
        q, k = moved_like(queries, self.weights), moved_like(keys, self.weights)
        return replace(self, weights=self.weights[:, q][:, :, k], mask=_taken(self.mask, queries, keys, masks))

    def overview(self, head: int, size: int) -> np.ndarray:
        """Largest weight of each cell of a coarse grid: float32 [≤ size, ≤ size]."""
        tall, wide = compute.cell_span(self.n_queries, size), compute.cell_span(self.n_keys, size)
        pooled = np.maximum.reduceat(to_float32(self.weights[head]), np.arange(0, self.n_queries, tall), axis=0)
        return np.maximum.reduceat(pooled, np.arange(0, self.n_keys, wide), axis=1)


@dataclass(frozen=True, eq=False)
class LazyWeights:
    """Weights of one layer that are computed anew, all at once, when they are looked at.

    Parameters
    ----------
    compute
        Gives the weights, float32 [heads, queries, keys].
    n_heads
        Number of heads.
    mask
        Which keys each query sees.
    dtype
        Name of the dtype the model computes them in.
    """

    compute: Callable[[], np.ndarray]
    n_heads: int
    mask: Mask
    dtype: str = "float32"

    @property
    def n_queries(self) -> int:
        """Number of queries."""
        return self.mask.n_queries

    @property
    def n_keys(self) -> int:
        """Number of keys."""
        return self.mask.n_keys

    @property
    def nbytes(self) -> int:
        """Nothing is kept."""
        return 0

    def stored(self) -> StoredWeights:
        """Compute the weights and keep them."""
        return StoredWeights(self.compute(), self.mask)

    def take(self, queries: np.ndarray, keys: np.ndarray, masks: dict[Mask, Mask] | None = None) -> LazyWeights:
        """Keep some queries and some keys, both as increasing positions; see :meth:`QueriesKeys.take`."""
        whole = self.compute

        def compute_some() -> np.ndarray:
            return np.ascontiguousarray(whole()[:, queries][:, :, keys])

        return replace(self, compute=compute_some, mask=_taken(self.mask, queries, keys, masks))

    def weight_rows(self, head: int, queries: slice | np.ndarray) -> np.ndarray:
        """Weights of some queries over every key: float32 [queries, keys]."""
        return self.stored().weight_rows(head, queries)

    def score_rows(self, head: int, queries: slice | np.ndarray) -> np.ndarray:
        """Refuse: weights alone do not give scores back."""
        return self.stored().score_rows(head, queries)

    def overview(self, head: int, size: int) -> np.ndarray:
        """Largest weight of each cell of a coarse grid: float32 [≤ size, ≤ size]."""
        return self.stored().overview(head, size)


def _copied(array: Array, positions: np.ndarray) -> Array:
    """Copy the vectors of some tokens, [heads, tokens, width]: at once where they follow each other."""
    n = len(positions)
    if n and positions[-1] - positions[0] == n - 1:
        xp = array_namespace(array)
        return xp.asarray(array[:, int(positions[0]) : int(positions[0]) + n], copy=True)
    return array[:, moved_like(positions, array)]


def _taken(mask: Mask, queries: np.ndarray, keys: np.ndarray, masks: dict[Mask, Mask] | None) -> Mask:
    """Keep some queries and keys of a mask, once for all layers that share it."""
    if masks is None:
        return mask.take(queries, keys)
    if mask not in masks:
        masks[mask] = mask.take(queries, keys)
    return masks[mask]
