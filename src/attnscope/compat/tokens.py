"""Tokens as the other packages' callers have them: for one input, or a list for each of several."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.attention.arrays import to_float32
from attnscope.attention.pieces import looks_special
from attnscope.attention.tokens import Tokens
from attnscope.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attnscope.attention.arrays import Array


def tokens_by_input(tokens: Any, name: str, inputs: int, attention_name: str) -> list[list[str]]:
    """Give each input its tokens.

    Parameters
    ----------
    tokens
        A list of strings, or one such list per input.
    name, attention_name
        What the caller calls the tokens and the weights.
    inputs
        How many inputs the weights are of.

    Raises
    ------
    InputError
        Where tokens are missing, or are of another number of inputs, naming both arguments.
    """
    if tokens is None:
        raise InputError(f"{name} is required with {attention_name}: one string per position, special tokens included.")
    several = not isinstance(tokens, str | Tokens) and any(isinstance(one, list | tuple | np.ndarray) for one in tokens)
    if not several:
        if inputs > 1:
            raise InputError(
                f"{attention_name} holds {inputs} inputs and {name} the tokens of one. Give a list of tokens for each: "
                f'[tokenizer.convert_ids_to_tokens(ids) for ids in inputs["input_ids"]]; or one input of '
                f"{attention_name}: [layer[:1] for layer in {attention_name}]."
            )
        return [tokens if isinstance(tokens, str) else list(tokens)]  # type: ignore[list-item]  # refused when read
    if len(tokens) != inputs:
        raise InputError(
            f"{name} holds the tokens of {len(tokens)} inputs and {attention_name} {inputs} of them. Give as many."
        )
    return [list(one) for one in tokens]


def require_match(
    tokens: Sequence[str], name: str, layers: Sequence[Array | None], attention_name: str, axis: int
) -> None:
    """Refuse tokens that are not one per position.

    Parameters
    ----------
    axis
        Which axis of [heads, queries, keys] the tokens are of.
    """
    side = {1: "queries", 2: "keys"}[axis]
    for number, layer in enumerate(layers):
        if layer is not None and layer.shape[axis] != len(tokens):
            raise InputError(
                f"{name} has {len(tokens)} tokens, but {attention_name} has {layer.shape[axis]} {side} "
                f"(layer {number}, [heads, queries, keys] is {tuple(layer.shape)}). Give one token per position, "
                "special tokens and padding included."
            )


def read_tokens(tokens: Sequence[str], *, prettify: bool = True) -> Tokens:
    """Read tokens: with their marks made readable, or as they are."""
    read = Tokens.of(tokens)
    return read if prettify else replace(read, text=tuple(tokens))


def without_padding(tokens: Sequence[str], layers: Sequence[Array | None]) -> slice:
    """Say what of an input is no padding: tokens named so at either end, which no other token looks at.

    Parameters
    ----------
    layers
        [heads, tokens, tokens] each.
    """
    is_padding = [looks_special(token) and "pad" in token.lower() for token in tokens]
    real = [at for at, padding in enumerate(is_padding) if not padding]
    if not real:
        return slice(0, len(tokens))
    kept = slice(real[0], real[-1] + 1)
    for layer in layers:
        if layer is None:
            continue
        rows = to_float32(layer)[:, kept]
        if np.any(rows[:, :, : kept.start]) or np.any(rows[:, :, kept.stop :]):
            return slice(0, len(tokens))
    return kept
