"""Which numbers can be shown between each query and key, and what are they?"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from attnscope.analysis.norm_weighted import head_norms
from attnscope.analysis.rollout import Mixing
from attnscope.analysis.rows import is_one_sequence
from attnscope.analysis.value_weighted import value_norms, weighted
from attnscope.attention.arrays import to_float32
from attnscope.attention.kept import kept, once
from attnscope.attention.layers import QueriesKeys
from attnscope.errors import InputError

if TYPE_CHECKING:
    from attnscope.attention.capture import Attention, Capture


def measures_available(attention: Attention) -> list[str]:
    """Name the measures a capture has the numbers for, weights first.

    Returns
    -------
    list of str
        Of ``"weights"``, ``"scores"``, ``"value_weighted"``, ``"norm_weighted"``, ``"rollout"``, and those the
        capture carries ready made, such as ``"gradient"``; only what every layer has.
    """
    layers = attention.stored.values()
    names = ["weights"]
    if attention.has_scores:
        names.append("scores")
    if all(isinstance(layer, QueriesKeys) and layer.values is not None for layer in layers):
        names.append("value_weighted")
        if attention.stream is not None and set(attention.stream.writes) >= set(attention.layers):
            names.append("norm_weighted")
    if is_one_sequence(attention):
        names.append("rollout")
    return names + [name for name, given in attention.extra.items() if set(given) >= set(attention.layers)]


def lengths(attention: Attention, layer: int) -> dict[str, np.ndarray]:
    """Give what each weight of a layer is multiplied by in measures that are no more than that.

    Returns
    -------
    dict of numpy.ndarray
        By measure, of those available: float32 [heads, keys], the length of what a head hands on of a key.
    """
    ways = {"value_weighted": value_norms, "norm_weighted": head_norms}
    available = measures_available(attention)
    return {
        name: once(attention, (name, "lengths", layer), partial(way, attention, layer))
        for name, way in ways.items()
        if name in available
    }


def measure_rows(
    c: Capture, kind: str | None, measure: str, layer: int, head: int, queries: slice | np.ndarray = slice(None)
) -> np.ndarray:
    """Give some rows of a measure.

    Parameters
    ----------
    measure
        One of :func:`measures_available`. Value- and norm-weighted rows are shares, scaled to sum 1. The rollout is of
        all heads together, up to and including the layer, whichever head is asked for.
    layer, head
        The head.
    queries
        Which rows, as a slice or positions.

    Returns
    -------
    numpy.ndarray
        float32 [queries, keys].

    Raises
    ------
    InputError
        For a measure there are no numbers for.
    """
    attention = c[c.kinds[0] if kind is None else kind]
    source, head = attention.layer(layer), attention.head(layer, head)
    if measure in attention.extra and layer in attention.extra[measure]:
        return to_float32(attention.extra[measure][layer][head])[queries]
    if measure == "weights":
        return source.weight_rows(head, queries)
    if measure == "scores":
        return source.score_rows(head, queries)
    if measure == "value_weighted":
        return weighted(source, [head], queries, value_norms(attention, layer), share=True)[0]
    if measure == "norm_weighted":
        return weighted(source, [head], queries, head_norms(attention, layer), share=True)[0]
    if measure == "rollout":
        return _rollout_rows(attention, layer, queries)
    raise InputError(
        f"There are no numbers for the measure {measure!r} here; there are {', '.join(measures_available(attention))}."
    )


def _rollout_rows(attention: Attention, layer: int, queries: slice | np.ndarray) -> np.ndarray:
    """Roll out up to a layer; all rows are kept where there is room, so that asking block by block costs once."""
    mixing, n = Mixing(attention), len(attention.queries)
    row = attention.layers.index(layer)
    if 4 * n * n * attention.n_layers <= kept(attention).most // 2:
        return once(attention, ("rollout",), mixing.every_row)[row, queries]
    positions = np.arange(n)[queries]
    shares = np.zeros((len(positions), n), np.float32)
    shares[np.arange(len(positions)), positions] = 1
    for below in reversed(range(row + 1)):
        shares = mixing.down(shares, below)
    return shares
