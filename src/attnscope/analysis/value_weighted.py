"""How much does each key hand on, once the length of what it hands on is counted?"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attnscope.analysis.rows import attention_of
from attnscope.attention.arrays import to_float32
from attnscope.attention.layers import LazyWeights, QueriesKeys
from attnscope.attention.memory import require_memory
from attnscope.errors import InputError

if TYPE_CHECKING:
    from attnscope.attention.capture import Attention, Capture
    from attnscope.attention.layers import Layer

EVERY = slice(None)


def value_weighted(
    c: Capture,
    layer: int,
    head: int | None = None,
    *,
    queries: slice = EVERY,
    share: bool = False,
    kind: str | None = None,
) -> np.ndarray:
    """Weigh each weight by the length of the value vector behind it: ``weight_ij · ‖v_j‖``.

    The output of a head is ``Σ_j weight_ij v_j``, so a large weight on a short vector hands on little; sinks are often
    such. See :func:`norm_weighted` for the vectors after the output projection (Kobayashi et al. 2020).

    Parameters
    ----------
    layer, head
        Layer and head; None for all heads of the layer.
    queries
        Which rows.
    share
        Scale each row to sum 1.

    Returns
    -------
    numpy.ndarray
        float32 [heads, queries, keys], or [queries, keys] with a head.

    Raises
    ------
    InputError
        When the capture holds no values.

    Examples
    --------
    >>> analysis.value_weighted(c, 1, 0).shape
    (17, 17)
    >>> analysis.value_weighted(c, 1, 0, share=True)[7, :8].round(2)
    array([0.01, 0.01, 0.  , 0.14, 0.  , 0.  , 0.  , 0.84], dtype=float32)
    """
    attention = attention_of(c, kind)
    return by_norms(attention, layer, head, queries, value_norms(attention, layer), share=share)


def by_norms(
    attention: Attention, layer: int, head: int | None, queries: slice, norms: np.ndarray, *, share: bool
) -> np.ndarray:
    """Weights times a number per head and key: float32 [heads, queries, keys], or [queries, keys] with a head."""
    source = attention.layer(layer)
    heads = list(range(source.n_heads)) if head is None else [attention.head(layer, head)]
    found = weighted(source, heads, queries, norms, share=share)
    return found if head is None else found[0]


def value_norms(attention: Attention, layer: int) -> np.ndarray:
    """Length of every value vector: float32 [heads, keys]."""
    source, values = with_values(attention, layer)
    norms: np.ndarray = np.linalg.norm(values, axis=-1)
    return np.repeat(norms, source.n_heads // len(norms), axis=0)


def with_values(attention: Attention, layer: int) -> tuple[QueriesKeys, np.ndarray]:
    """Give a layer and its value vectors, float32 [key heads, keys, width].

    Raises
    ------
    InputError
        When there are none, with how to get them.
    """
    source = attention.layer(layer)
    if isinstance(source, QueriesKeys) and source.values is not None:
        return source, to_float32(source.values)
    if isinstance(source, QueriesKeys):
        raise InputError(
            f"This capture holds no value vectors in layer {layer}, and what a key hands on cannot be told without "
            "them. Capture again with them: capture(model, tokenizer, text, values=True), or give values= to "
            "from_queries_keys()."
        )
    raise InputError(
        f"Layer {layer} was recorded as weights ({attention.how.get(layer, 'given')}), without the value vectors they "
        "weigh, so what a key hands on cannot be told. It can where queries and keys are recorded, with values=True."
    )


def weighted(
    source: Layer, heads: list[int], queries: slice | np.ndarray, norms: np.ndarray, *, share: bool = False
) -> np.ndarray:
    """Weights times a number per head and key: float32 [heads, queries, keys]."""
    if isinstance(source, LazyWeights):
        source = source.stored()
    n_rows = len(np.arange(source.n_queries)[queries])
    require_memory(4 * len(heads) * n_rows * source.n_keys, "These rows", "Ask for one head, or for some queries")
    found = np.empty((len(heads), n_rows, source.n_keys), np.float32)
    for i, head in enumerate(heads):
        np.multiply(source.weight_rows(head, queries), norms[head], out=found[i])
    return shares(found) if share else found


def shares(found: np.ndarray) -> np.ndarray:
    """Scale rows to sum 1; rows of zeros stay zeros."""
    total = found.sum(axis=-1, keepdims=True)
    return np.divide(found, total, out=np.zeros_like(found), where=total > 0)
