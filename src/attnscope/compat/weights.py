"""Weights as the other packages' callers have them: one input or several, and often none at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from attnscope.attention.given import layer_arrays
from attnscope.errors import InputError

if TYPE_CHECKING:
    from attnscope.attention.arrays import Array

REMEDY = (
    "attnscope.AttentionWidget(attnscope.capture(model, tokenizer, text)) shows the model as it is loaded; to hand in "
    'weights, load it with attn_implementation="eager", call it with output_attentions=True and take '
    "outputs.attentions"
)
"""What to do where a model gave no weights."""


def weights_by_input(attention: Any, name: str) -> list[list[Array | None]]:
    """Part what was handed in by input and layer.

    Parameters
    ----------
    attention
        One array per layer, [heads, queries, keys] or [inputs, heads, queries, keys], None for a layer without
        attention; or whatever else :func:`attnscope.from_attentions` reads.
    name
        What the caller calls it.

    Returns
    -------
    list of list
        For each input, one array [heads, queries, keys] per layer, or None.

    Raises
    ------
    InputError
        Where there are no weights, or what was handed in is something else, with what it looks like.
    """
    if attention is None:
        raise InputError(f"{name} is None: the model ran on a fast path (sdpa) and gave no weights. {REMEDY}.")
    if hasattr(attention, "shape"):
        attention = _layers_of_array(attention, name)
    elif isinstance(attention, Sequence) and len(attention) == 0:
        raise _none(attention, name)
    layers = layer_arrays(attention)
    if all(layer is None for layer in layers):
        raise _none(layers, name)
    counts = {number: _inputs(layer, name, number) for number, layer in enumerate(layers) if layer is not None}
    if len(set(counts.values())) > 1:
        raise InputError(f"{name} holds different numbers of inputs in its layers: {counts}. Give the same in all.")
    return [[_of_input(layer, number) for layer in layers] for number in range(max(counts.values()))]


def _none(found: Sequence[Any], name: str) -> InputError:
    return InputError(
        f"{name} holds no weights ({found!r:.40}): the model ran on a fast path (sdpa), or this is another field of "
        f"its output; outputs[-1] is not the attention in every version of transformers. {REMEDY}."
    )


def _layers_of_array(array: Array, name: str) -> Any:
    """Read one array as layers where there is only one way to read it."""
    shape = tuple(array.shape)
    if len(shape) == 5:
        return list(array)
    if len(shape) == 4 and shape[0] == 1:
        return [array]
    if len(shape) == 4:
        raise InputError(
            f"{name} is one array of shape {shape}, whose first axis may count layers or inputs. Give list({name}) "
            f"for layers, [{name}] for one layer of several inputs."
        )
    raise InputError(
        f"{name} is one array of shape {shape}; expected one [1, heads, queries, keys] per layer. This looks like "
        "another field of the model's output, hidden states perhaps: outputs[-1] is not the attention in every version "
        f"of transformers. {REMEDY}."
    )


def _inputs(layer: Any, name: str, number: int) -> int:
    if isinstance(layer, tuple | list) and layer and len(getattr(layer[0], "shape", ())) == 4:
        raise InputError(
            f"{name}[{number}] is itself one array per layer, as generate() gives for each step. Record the "
            "generation instead: with attnscope.record(model) as recording: model.generate(...), then "
            "attnscope.AttentionWidget(recording.capture(tokenizer=tokenizer))."
        )
    shape = tuple(getattr(layer, "shape", ()))
    if len(shape) == 3:
        return 1
    if len(shape) != 4:
        raise InputError(
            f"{name}[{number}] has shape {shape}; expected [1, heads, queries, keys], or [heads, queries, keys]. "
            f"{REMEDY}."
        )
    if shape[0] == 0:
        raise InputError(f"{name}[{number}] holds no input: its shape is {shape}.")
    return shape[0]


def _of_input(layer: Array | None, number: int) -> Array | None:
    return layer[number] if layer is not None and len(layer.shape) == 4 else layer
