"""What CircuitsVis's views of attention take, made into one capture per input."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.attention.arrays import is_torch, to_float32
from attnscope.attention.layers import StoredWeights
from attnscope.attention.mask import Mask
from attnscope.compat.one_kind import self_attention, title_of
from attnscope.compat.showing import require_few
from attnscope.compat.tokens import tokens_by_input
from attnscope.compat.weights import REMEDY
from attnscope.errors import AttnscopeWarning, InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attnscope.attention.capture import Capture

UNUSED = {
    "min_value": "",
    "negative_color": "",
    "max_value": 'max_value: colours already run to a picture\'s largest weight; color_scale="log" shows small ones.',
    "positive_color": "positive_color: the colours here are told apart in light and dark, and are not changed.",
    "show_axis_labels": "show_axis_labels=False: tokens always stand beside the matrix.",
}
"""What to say of arguments that change nothing; weights have no negative values, so that some go without saying."""


def note_unused(**given: Any) -> None:
    """Warn of arguments that are taken and change nothing."""
    said = [
        UNUSED[name]
        for name, value in given.items()
        if UNUSED[name] and value is not None and not (name == "show_axis_labels" and value)
    ]
    if said:
        warnings.warn(f"Without effect here: {' '.join(said)}", AttnscopeWarning, stacklevel=3)


def captures_of(
    attention: Any, tokens: Any, *, heads: bool, mask_upper_tri: bool | None, names: Sequence[Any] | None = None
) -> list[Capture]:
    """Make one capture per input.

    Parameters
    ----------
    attention
        Weights, [heads, queries, keys] or [inputs, heads, queries, keys]; of one head [queries, keys].
    heads
        Whether several heads are meant, or one.
    mask_upper_tri
        True to mask what lies ahead of a query, False for no mask, None to see it from the weights.
    names
        One name per head; those that stand twice get their head's number.
    """
    weights = _weights(attention, heads=heads)
    inputs = len(weights)
    require_few(inputs, "attention")
    texts = tokens_by_input(tokens, "tokens", inputs, "attention")
    captures = [
        self_attention([weights[number]], texts[number], "attention", title_of(number, inputs), padded=inputs > 1)
        for number in range(inputs)
    ]
    return [_masked(_named(capture, names), mask_upper_tri) for capture in captures]


def _named(capture: Capture, names: Sequence[Any] | None) -> Capture:
    """Give heads names of their own."""
    if names is None or len(names) == 0:
        return capture
    given = list(map(str, names))
    if len(given) != capture.n_heads:
        raise InputError(f"attention_head_names has {len(given)} names, but attention has {capture.n_heads} heads.")
    told = [
        name if name.strip() and given.count(name) == 1 else f"{name} ({head})".strip()
        for head, name in enumerate(given)
    ]
    return replace(capture, attention={"self": replace(capture["self"], head_names={0: told})})


def _weights(attention: Any, *, heads: bool) -> np.ndarray:
    """Read the weights as float32 [inputs, heads, queries, keys]."""
    if attention is None or (not hasattr(attention, "shape") and len(attention) == 0):
        raise InputError(f"attention is {attention!r}: there are no weights. {REMEDY}.")
    found = _array(attention)
    if found.size == 0:
        raise InputError(f"attention is empty: its shape is {found.shape}. Give at least one head and one token.")
    expected = "[heads, queries, keys]" if heads else "[queries, keys]"
    if not heads:
        while found.ndim > 2 and len(found) == 1:
            found = found[0]
        if found.ndim > 2:
            raise InputError(
                f"attention_pattern shows one head, [queries, keys]; attention has shape {found.shape}. Select one, "
                "or give them all to attention_heads."
            )
        found = found[None] if found.ndim == 2 else found
    found = found[None] if found.ndim == 3 else found
    if found.ndim != 4:
        more = " Of several layers, use attnscope.compat.bertviz.model_view." if found.ndim > 4 else ""
        raise InputError(f"attention is {expected}, got shape {found.shape}.{more}")
    if found.min() < -1e-3 or found.max() > 1 + 1e-2:
        raise InputError(
            f"attention has values from {found.min():.3g} to {found.max():.3g}; weights are between 0 and 1. For "
            "scores, take their softmax over the last axis. Other numbers, such as attributions, are coloured by "
            "CircuitsVis itself: circuitsvis.attention."
        )
    return found


def _array(attention: Any) -> np.ndarray:
    """Read an array, or a list of arrays of equal shape, as float32."""
    if hasattr(attention, "shape") or not any(hasattr(one, "shape") or is_torch(one) for one in attention):
        return to_float32(attention)
    arrays = [to_float32(one) for one in attention]
    shapes = {array.shape for array in arrays}
    if len(shapes) > 1:
        raise InputError(f"The entries of attention have different shapes: {sorted(shapes)}. Give heads of one text.")
    return np.stack(arrays)


def _masked(capture: Capture, mask_upper_tri: bool | None) -> Capture:
    """Give the mask that was asked for; None keeps the one seen from the weights."""
    if mask_upper_tri is None:
        return capture
    given, weights = capture["self"], capture.weights(0)
    n_queries, n_keys = weights.shape[1:]
    mask = Mask.causal(n_queries, n_keys) if mask_upper_tri else Mask.full(n_queries, n_keys)
    shown = np.tril(weights) if mask_upper_tri else weights
    lost = 1 - shown.sum(dtype=np.float64) / max(weights.sum(dtype=np.float64), 1e-30)
    if lost > 1e-6:
        warnings.warn(
            f"mask_upper_tri=True hides {lost:.1%} of the weight: these heads look ahead. Leave it out, or give False, "
            "for attention that is not causal.",
            AttnscopeWarning,
            stacklevel=5,
        )
    return replace(capture, attention={"self": replace(given, stored={0: StoredWeights(shown, mask)})})
