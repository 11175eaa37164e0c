"""What each key adds to what a layer writes, as vectors; norms and contributions are made of them.

``f_h(x_j) = v_j · output_h`` is what head ``h`` would hand on of key ``j`` alone, the bias of the values included. A
layer then writes ``Σ_j T_i(x_j) + bias`` with ``T_i(x_j) = Σ_h weight_ij^h f_h(x_j)``. With the residual, ``x_i`` joins
``T_i(x_i)``; a norm over the sum, its scale held at what it was, maps each ``T_i(x_j)`` linearly.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from attnscope.analysis.value_weighted import with_values
from attnscope.attention.arrays import to_float32
from attnscope.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from attnscope.attention.capture import Attention
    from attnscope.attention.layers import QueriesKeys
    from attnscope.attention.stream import Write

VECTOR_CELLS = 1 << 21
"""Most numbers of vectors held at once: 8 MiB."""


def write_of(attention: Attention, layer: int) -> Write:
    """What a layer writes.

    Raises
    ------
    InputError
        When it was not recorded, with the reason and the remedy.
    """
    attention.layer(layer)
    if attention.stream is None:
        raise InputError(
            "This capture does not hold what layers make of their heads. Capture again with it: capture(model, "
            "tokenizer, text, values=True); live recordings and weights computed elsewhere go without."
        )
    if layer not in attention.stream.writes:
        why = attention.stream.missing.get(layer, "it was not recorded")
        raise InputError(f"What layer {layer} hands on of each key is not known: {why}.")
    return attention.stream.writes[layer]


@dataclass(frozen=True, eq=False)
class Parts:
    """The pieces a layer's output is the sum of.

    Parameters
    ----------
    source
        The layer.
    handed
        float32 [heads, keys, model width]: ``f_h(x_j)``, through the norm's linear part where there is one.
    own
        float32 [queries, model width]: the residual, likewise; None without it.
    scale
        float32 [queries]: what the norm divides each row by.
    constant
        float32 [queries, model width]: biases, which belong to no key.
    """

    source: QueriesKeys
    handed: np.ndarray
    own: np.ndarray | None
    scale: np.ndarray
    constant: np.ndarray

    @cached_property
    def by_key(self) -> np.ndarray:
        """What is handed on, key by key: float32 [keys, heads, model width]."""
        return np.ascontiguousarray(self.handed.transpose(1, 0, 2))

    def blocks(self, rows: np.ndarray) -> Iterator[tuple[np.ndarray, slice, np.ndarray]]:
        """Give ``T_i(x_j)`` of some rows in turn, over the keys they may see: others get nothing.

        Yields
        ------
        numpy.ndarray, slice, numpy.ndarray
            Positions of some queries, the keys from the first to the last that any of them sees, and float32
            [keys, queries, model width].
        """
        source, mask = self.source, self.source.mask
        step = max(1, VECTOR_CELLS // (source.n_keys * self.handed.shape[2]))
        for first in range(0, len(rows), step):
            some = rows[first : first + step]
            keys = slice(int(min(mask.start[some].min(), some.min())), int(max(mask.stop[some].max(), some.max() + 1)))
            weights = np.stack([source.weight_rows(head, some)[:, keys] for head in range(source.n_heads)])
            found = np.ascontiguousarray(weights.transpose(2, 1, 0)) @ self.by_key[keys]
            if self.own is not None:
                found[some - keys.start, np.arange(len(some))] += self.own[some]
            found /= self.scale[some, None]
            yield some, keys, found

    def of(self, query: int) -> np.ndarray:
        """One row of ``T_i(x_j)``: float32 [keys, model width]."""
        whole = np.zeros((self.source.n_keys, self.handed.shape[2]), np.float32)
        for _, keys, found in self.blocks(np.array([query])):
            whole[keys] = found[:, 0]
        return whole


def handed_on(attention: Attention, layer: int, heads: list[int]) -> np.ndarray:
    """What heads would hand on of each key alone, ``v_j · output_h``: float32 [heads, keys, model width]."""
    source, values = with_values(attention, layer)
    output = to_float32(write_of(attention, layer).output)
    return np.stack([values[head // source.group_size] @ output[head] for head in heads])


def parts_of(attention: Attention, layer: int, *, residual: bool) -> Parts:
    """Take a layer apart.

    Parameters
    ----------
    residual
        Whether the residual and the norm over the sum belong to it.

    Raises
    ------
    InputError
        When the residual is asked for and was not found, or queries and keys are different tokens.
    """
    write = write_of(attention, layer)
    source, values = with_values(attention, layer)
    handed = handed_on(attention, layer, list(range(source.n_heads)))
    bias = np.zeros(handed.shape[-1], np.float32) if write.bias is None else to_float32(write.bias)
    constant = np.broadcast_to(bias, (source.n_queries, len(bias)))
    scale = np.ones((source.n_queries, 1), np.float32)
    if write.inner is not None:
        scale = write.inner.scale(heads_output(source, values, write) + bias)
        handed, constant = write.inner.linear(handed), write.inner.linear(constant) / scale + write.inner.added()
    handed, constant = handed * write.factor, constant * write.factor
    if not residual:
        return Parts(source, handed, None, scale[:, 0], constant)
    if write.residual is None:
        raise InputError(f"The residual of layer {layer} is not known: {write.why}. Ask with residual=False.")
    if source.n_queries != source.n_keys:
        raise InputError(f"In {attention.kind} attention the residual belongs to no key. Ask with residual=False.")
    own = to_float32(write.residual) * scale
    if write.norm is None:
        return Parts(source, handed, own, scale[:, 0], constant)
    total = heads_output(source, values, write) + bias if write.inner is None else None
    if total is None:
        raise InputError(f"Layer {layer} norms twice, which is not taken apart. Ask with residual=False.")
    outer = write.norm.scale(own + write.factor * total)
    constant = write.norm.linear(constant) / outer + write.norm.added()
    return Parts(source, write.norm.linear(handed), write.norm.linear(own), outer[:, 0], constant)


def heads_output(source: QueriesKeys, values: np.ndarray, write: Write, rows: slice = slice(None)) -> np.ndarray:
    """What all heads write together, without the bias: float32 [queries, model width]."""
    output = to_float32(write.output)
    found = 0.0
    for head in range(source.n_heads):
        mixed = [source.weight_rows(head, block) @ values[head // source.group_size] for block in _blocks(source, rows)]
        found = found + np.concatenate(mixed) @ output[head]
    return np.asarray(found, np.float32)


def _blocks(source: QueriesKeys, rows: slice) -> list[slice]:
    start, stop, _ = rows.indices(source.n_queries)
    step = max(1, (1 << 22) // max(source.n_keys, 1))
    return [slice(first, min(first + step, stop)) for first in range(start, stop, step)]
