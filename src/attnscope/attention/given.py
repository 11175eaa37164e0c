"""Captures from attention that was computed elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from array_api_compat import array_namespace

from attnscope.attention.arrays import Array, is_torch, to_float32
from attnscope.attention.capture import Attention, Capture
from attnscope.attention.layers import Layer, QueriesKeys, StoredWeights
from attnscope.attention.mask import Mask
from attnscope.attention.tokens import Tokens
from attnscope.errors import InputError, InputTypeError

TokenTexts = Iterable[str] | Tokens
"""Tokens as strings, or already read."""


def from_attentions(
    attentions: Any, tokens: TokenTexts, *, key_tokens: TokenTexts | None = None, kind: str = "self"
) -> Capture:
    """Make a capture of weights that were computed elsewhere.

    Parameters
    ----------
    attentions
        One array per layer, [heads, queries, keys] or [1, heads, queries, keys], of numpy, torch (any float dtype),
        JAX, or anything numpy can read through ``__array__`` or DLPack; None for a layer without attention. Or a
        transformers output object, whose ``attentions`` are taken; or a cache of TransformerLens or another mapping
        with names such as ``blocks.0.attn.hook_pattern`` or ``("pattern", 0)``. Rows are queries; layers may differ in
        their number of heads.
    tokens
        One string per query.
    key_tokens
        One string per key, where they are other tokens than the queries.
    kind
        What to call this attention.

    Raises
    ------
    InputError
        For empty attentions, wrong shapes, several inputs at once, weights outside 0 to 1, or NaN.

    Examples
    --------
    >>> weights = np.array([[[1.0, 0.0], [0.3, 0.7]]])
    >>> c = from_attentions([weights], ["hello", "world"])
    >>> c.weights(0, 0)
    array([[1. , 0. ],
           [0.3, 0.7]], dtype=float32)
    """
    queries = Tokens.of(tokens)
    keys = queries if key_tokens is None else Tokens.of(key_tokens)
    layers = {
        number: _one_input(array, number) for number, array in enumerate(layer_arrays(attentions)) if array is not None
    }
    if not layers:
        raise InputError(
            "There is no layer with attention: every entry of attentions is None. Give at least one array."
        )
    mask = _visible(list(layers.values()))
    stored: dict[int, Layer] = {number: StoredWeights(weights, mask) for number, weights in layers.items()}
    return Capture({kind: Attention(kind, stored, queries, keys, how=dict.fromkeys(stored, "given"))})


def from_queries_keys(
    queries: Sequence[Array],
    keys: Sequence[Array],
    tokens: TokenTexts,
    *,
    key_tokens: TokenTexts | None = None,
    causal: bool = False,
    scale: float | None = None,
    mask: Array | None = None,
    values: Sequence[Array] | None = None,
    kind: str = "self",
) -> Capture:
    """Make a capture of queries and keys that were computed elsewhere.

    Parameters
    ----------
    queries
        One array per layer, [heads, queries, width] or [1, heads, queries, width], after rotary positions.
    keys, values
        Likewise, [key heads, keys, width]; with grouped heads the number of heads is a multiple of theirs.
    tokens, key_tokens, kind
        As in :func:`from_attentions`.
    causal
        Whether each query sees only the keys up to its own position.
    scale
        What dot products are multiplied by; None for 1 / √width.
    mask
        bool [queries, keys], True where the key is visible; joins ``causal``.

    Examples
    --------
    >>> queries = keys = np.eye(3)[None]
    >>> c = from_queries_keys([queries], [keys], ["a", "b", "c"], causal=True)
    >>> c.weights(0, 0).round(2)
    array([[1.  , 0.  , 0.  ],
           [0.36, 0.64, 0.  ],
           [0.26, 0.26, 0.47]], dtype=float32)
    """
    names, key_names = Tokens.of(tokens), None if key_tokens is None else Tokens.of(key_tokens)
    if len(queries) != len(keys) or (values is not None and len(values) != len(keys)):
        raise InputError(
            f"Give queries, keys and values for the same layers: got {len(queries)} layers of queries, {len(keys)} of "
            f"keys{'' if values is None else f' and {len(values)} of values'}."
        )
    if scale is not None and (
        isinstance(scale, bool) or not isinstance(scale, int | float | np.number) or not np.isfinite(scale)
    ):
        raise InputError(f"scale is a number, or None for 1 / √width; got {scale!r}.")
    stored: dict[int, Layer] = {}
    masks: dict[tuple[int, int], Mask] = {}
    for number, (q, k) in enumerate(zip(queries, keys, strict=True)):
        q, k = _finite(q, number, "Queries"), _finite(k, number, "Keys")
        v = None if values is None else _usable(_without_batch(values[number], number))
        if type(q) is not type(k):
            q, k = to_float32(q), to_float32(k)
        shape = (q.shape[1], k.shape[1])
        if shape not in masks:
            masks[shape] = _given_mask(mask, shape, causal=causal)
        visible = masks[shape]
        stored[number] = QueriesKeys(q, k, float(q.shape[2] ** -0.5 if scale is None else scale), visible, values=v)
    attention = Attention(kind, stored, names, key_names or names, how=dict.fromkeys(stored, "given"))
    return Capture({kind: attention})


def _given_mask(mask: Array | None, shape: tuple[int, int], *, causal: bool) -> Mask:
    """Read the mask all layers of one shape share."""
    visible = Mask.causal(*shape) if causal else Mask.full(*shape)
    if mask is None:
        return visible
    given = np.asarray(mask.detach().cpu() if is_torch(mask) else mask)
    if given.dtype != bool or given.shape != shape:
        raise InputError(
            f"A mask is bool [queries, keys] = {shape}, True where the key is visible; got {given.dtype} {given.shape}."
        )
    return Mask.of(given & visible.allowed(slice(None)))


def layer_arrays(attentions: Any) -> Sequence[Array | None]:
    """Take the per-layer arrays out of whatever holds them."""
    if hasattr(attentions, "attentions") or hasattr(attentions, "encoder_attentions"):
        found = getattr(attentions, "attentions", None)
        kinds = ("encoder_attentions", "decoder_attentions", "cross_attentions")
        several = [name for name in kinds if getattr(attentions, name, None)]
        if not found and several:
            raise InputError(
                f"This {type(attentions).__name__} holds several kinds of attention, and a capture of given weights is "
                f"of one. Give one of {', '.join(f'output.{name}' for name in several)}; cross-attention needs "
                "key_tokens."
            )
        if not found:
            raise InputError(
                f"This {type(attentions).__name__} has no attention weights. The model ran on a fast path that does "
                "not return them (sdpa). Use attnscope.capture(model, tokenizer, text), which needs no reload, or load "
                'the model with attn_implementation="eager" and call it with output_attentions=True.'
            )
        attentions = found
    names = _names(attentions)
    if names is not None:
        return _by_name(attentions, names)
    if (
        callable(getattr(attentions, "keys", None))
        or isinstance(attentions, str)
        or not isinstance(attentions, Iterable)
    ):
        raise InputTypeError(
            f"Expected one array per layer or a transformers output object, got {type(attentions).__name__}. Of a "
            "mapping, names such as blocks.0.attn.hook_pattern are read (TransformerLens); for others give "
            "[mapping[name] for name in …], one per layer."
        )
    layers: Sequence[Array | None] = list(attentions)
    if not layers:
        raise InputError(
            "attentions is empty. A model on its fast path (sdpa) returns an empty tuple: use attnscope.capture(), or "
            'load the model with attn_implementation="eager" and call it with output_attentions=True.'
        )
    return layers


def _names(cache: Any) -> dict[int, list[Any]] | None:
    """Names of the weights in a mapping of activations, by layer; None for what is no such mapping."""
    if isinstance(cache, str) or not callable(getattr(cache, "keys", None)) or not hasattr(cache, "__getitem__"):
        return None
    found: dict[int, list[Any]] = {}
    for name in cache.keys():  # noqa: SIM118 - a cache of TransformerLens is no dict
        number = re.search(r"\.(\d+)\..*\.?hook_pattern$", name) if isinstance(name, str) else None
        if number is not None:
            found.setdefault(int(number[1]), []).append(name)
        elif isinstance(name, tuple) and len(name) > 1 and name[0] in ("pattern", "attn") and _is_number(name[1]):
            found.setdefault(int(name[1]), []).append(name)
    return found or None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _by_name(cache: Any, names: dict[int, list[Any]]) -> list[Array | None]:
    """Take the weights out of a mapping, None for layers it has none of."""
    double = next((found for found in names.values() if len(found) > 1), None)
    if double is not None:
        raise InputError(
            f"This {type(cache).__name__} holds several kinds of attention in one layer "
            f"({', '.join(map(str, double))}), and a capture of given weights is of one. Give those of one kind: "
            '{name: cache[name] for name in cache.keys() if "cross" not in name}.'
        )
    return [cache[names[number][0]] if number in names else None for number in range(max(names) + 1)]


def _usable(array: Array) -> Array:
    """Give an array that weights can be computed of: torch or numpy, in a dtype both can compare.

    Other libraries' arrays, and numpy's of dtypes that are not its own, become float32 unless they are float16.
    """
    if is_torch(array):
        array = array.detach()
        return array.float() if array.dtype.itemsize == 1 else array
    if not isinstance(array, np.ndarray):
        half = str(getattr(array, "dtype", "")).endswith("float16") and hasattr(array, "__array__")
        array = np.asarray(array) if half else to_float32(array)
    return array if array.dtype.kind == "f" else to_float32(array)


def _without_batch(array: Array, number: int) -> Array:
    """Drop a batch axis of one, and refuse several inputs at once."""
    shape = tuple(getattr(array, "shape", ()))
    if not shape:
        array = to_float32(array)
        shape = array.shape
    if len(shape) == 4 and shape[0] == 1:
        return array[0]
    if len(shape) == 4:
        raise InputError(
            f"Layer {number} holds {shape[0]} inputs at once (shape {shape}); a capture is of one input. "
            "Select one: [a[i:i+1] for a in attentions]."
        )
    if len(shape) != 3:
        raise InputError(f"Layer {number} has shape {shape}; expected [heads, tokens, …] or [1, heads, tokens, …].")
    return array


def _finite(array: Array, number: int, name: str) -> Array:
    array = _usable(_without_batch(array, number))
    xp = array_namespace(array)
    if not bool(xp.all(xp.isfinite(array))):
        raise InputError(
            f"{name} of layer {number} hold NaN or infinity, and their weights would too. Look for the step that made "
            "them, or hide those positions with mask= and set them to 0."
        )
    return array


def _one_input(array: Array, number: int) -> np.ndarray:
    weights = to_float32(_without_batch(array, number))
    if weights.size == 0:
        raise InputError(f"Layer {number} is empty: shape {weights.shape}. Give at least one head and one token.")
    if not np.isfinite(weights).all():
        raise InputError(
            f"Layer {number} holds NaN or infinity; weights are between 0 and 1. "
            "A row that sees no key often comes out as NaN: set it to 0, or drop the padding."
        )
    if weights.min() < -1e-3 or weights.max() > 1 + 1e-2:
        raise InputError(
            f"Layer {number} has values from {weights.min():.3g} to {weights.max():.3g}; weights are between 0 and 1. "
            "If these are scores, take their softmax over the last axis first."
        )
    return weights


def _visible(layers: list[np.ndarray]) -> Mask:
    """Guess the mask weights were made with: causal if no query of any head looks ahead."""
    shapes = {weights.shape[1:] for weights in layers}
    if len(shapes) > 1:
        raise InputError(
            f"Layers differ in their numbers of queries and keys: {sorted(shapes)}. "
            "Give layers of one kind of attention; make one capture per kind."
        )
    n_queries, n_keys = shapes.pop()
    if n_queries == n_keys > 1 and not any(np.triu(weights, 1).any() for weights in layers):
        return Mask.causal(n_queries, n_keys)
    return Mask.full(n_queries, n_keys)
