"""What ``head_view`` and ``model_view`` take, made into one capture per input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.attention.capture import Capture
from attnscope.attention.given import from_attentions
from attnscope.compat.bertviz.sentences import with_sentences
from attnscope.compat.one_kind import title_of
from attnscope.compat.showing import require_few
from attnscope.compat.tokens import read_tokens, require_match, tokens_by_input, without_padding
from attnscope.compat.weights import REMEDY, weights_by_input
from attnscope.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attnscope.attention.arrays import Array
    from attnscope.attention.capture import Attention
    from attnscope.attention.tokens import Tokens

KINDS = {
    "attention": ("self", "tokens", "tokens"),
    "encoder_attention": ("encoder", "encoder_tokens", "encoder_tokens"),
    "decoder_attention": ("decoder", "decoder_tokens", "decoder_tokens"),
    "cross_attention": ("cross", "decoder_tokens", "encoder_tokens"),
}
"""By argument: the kind of attention, and the arguments with the tokens of its queries and keys."""


@dataclass(frozen=True)
class Side:
    """The tokens of one side of one input, and what of them is kept."""

    tokens: Tokens
    kept: slice


def captures_of(
    *, sentence_b_start: Any, prettify_tokens: bool, include_layers: Sequence[int] | None, **given: Any
) -> list[Capture]:
    """Make one capture per input.

    Parameters
    ----------
    given
        The arguments with weights and with tokens, under their own names.

    Raises
    ------
    InputError
        Naming the arguments that do not fit together.
    """
    weights = _weights(given)
    inputs = {name: len(found) for name, found in weights.items()}
    count = max(inputs.values())
    if len(set(inputs.values())) > 1:
        raise InputError(f"The arguments hold different numbers of inputs: {inputs}. Give the same inputs to all.")
    require_few(count, next(iter(weights)))
    named = {side: name for name in weights for side in KINDS[name][1:]}
    tokens = {side: tokens_by_input(given[side], side, count, name) for side, name in named.items()}
    starts = _starts(sentence_b_start, count)
    if starts is not None and "tokens" not in tokens:
        raise InputError("sentence_b_start is for attention and tokens; an encoder–decoder has no sentence pair.")
    captures = []
    for number in range(count):
        layers = {name: found[number] for name, found in weights.items()}
        sides = _sides(layers, {side: found[number] for side, found in tokens.items()}, prettify_tokens, count > 1)
        kinds = _kinds(layers, sides, include_layers)
        if starts is not None:
            kinds = with_sentences(kinds["self"], starts[number] - sides["tokens"].kept.start)
        captures.append(Capture(kinds, title_of(number, count)))
    return captures


def _weights(given: dict[str, Any]) -> dict[str, list[list[Array | None]]]:
    """Read the arguments with weights."""
    named = [name for name in KINDS if given[name] is not None]
    if not named:
        raise InputError(
            "There is no attention: attention, encoder_attention, decoder_attention and cross_attention are all None, "
            f"as a model on its fast path (sdpa) gives them. {REMEDY}."
        )
    others = [name for name in given if name not in ("attention", "tokens") and given[name] is not None]
    if "attention" in named and others:
        raise InputError(
            f"attention is the self-attention of a model that is no encoder–decoder, and does not go with "
            f"{' and '.join(others)}. Give encoder_attention, decoder_attention and cross_attention instead."
        )
    if "attention" not in named and given["tokens"] is not None:
        raise InputError("tokens belong to attention; for an encoder–decoder give encoder_tokens and decoder_tokens.")
    return {name: weights_by_input(given[name], name) for name in named}


def _sides(
    layers: dict[str, list[Array | None]], tokens: dict[str, list[str]], prettify: bool, several: bool
) -> dict[str, Side]:
    """Check every side's tokens against the weights, and read them; of several inputs, without their padding."""
    for name, arrays in layers.items():
        for axis, side in enumerate(KINDS[name][1:], start=1):
            require_match(tokens[side], side, arrays, name, axis)
    sides = {}
    for side, texts in tokens.items():
        own = [layers[name] for name in layers if KINDS[name][1:] == (side, side)]
        kept = without_padding(texts, own[0]) if several and own else slice(0, len(texts))
        sides[side] = Side(read_tokens(texts[kept], prettify=prettify), kept)
    return sides


def _kinds(
    layers: dict[str, list[Array | None]], sides: dict[str, Side], include_layers: Sequence[int] | None
) -> dict[str, Attention]:
    """Make each kind of attention, of the layers that are kept."""
    included = _included(layers, include_layers)
    kinds = {}
    for name, arrays in layers.items():
        kind, *names = KINDS[name]
        queries, keys = (sides[side] for side in names)
        chosen = [
            None if array is None or number not in included else array[:, queries.kept, keys.kept]
            for number, array in enumerate(arrays)
        ]
        if all(array is None for array in chosen):
            raise InputError(
                f"include_layers={list(include_layers or [])} leaves no layer of {name}, which has {len(arrays)}. "
                "Leave the argument out, or include one of them."
            )
        given = from_attentions(chosen, queries.tokens, key_tokens=None if queries is keys else keys.tokens, kind=kind)
        kinds[kind] = given[kind]
    return kinds


def _included(layers: dict[str, list[Array | None]], include_layers: Sequence[int] | None) -> set[int]:
    """Give the numbers of the layers to keep; negative ones count from the end of the deepest kind."""
    deepest = max(map(len, layers.values()))
    if include_layers is None or len(include_layers) == 0:
        return set(range(deepest))
    wanted = [int(number) for number in include_layers]
    outside = [number for number in wanted if not -deepest <= number < deepest]
    if outside:
        raise InputError(f"include_layers names layer {', '.join(map(str, outside))}; layers are 0 to {deepest - 1}.")
    return {number % deepest for number in wanted}


def _starts(sentence_b_start: Any, count: int) -> list[int] | None:
    """Give the start of the second sentence per input."""
    if sentence_b_start is None:
        return None
    starts = np.atleast_1d(np.asarray(sentence_b_start)).tolist()
    if len(starts) == 1:
        starts = starts * count
    if len(starts) != count or not all(isinstance(start, int) and not isinstance(start, bool) for start in starts):
        raise InputError(
            f"sentence_b_start is the position of the second sentence's first token, or one per input ({count}); got "
            f"{sentence_b_start!r}."
        )
    return starts
