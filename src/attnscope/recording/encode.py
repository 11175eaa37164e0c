"""Text in, the model's inputs and their tokens out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attnscope.attention.gaps import gaps_in
from attnscope.attention.pieces import looks_special, readable, words_of
from attnscope.attention.tokens import Tokens
from attnscope.errors import InputError, InputTypeError

if TYPE_CHECKING:
    from collections.abc import Mapping

MAIN_INPUTS = {
    "input_ids": 2, "inputs_embeds": 3, "pixel_values": 4, "pixel_values_videos": 5, "input_features": 3,
    "input_values": 2, "audio_values": 3,
}  # fmt: skip
"""What models read, and its axes with the batch's."""


@dataclass(frozen=True, eq=False)
class Encoded:
    """Inputs of one forward pass, and the tokens of each input with its padding."""

    inputs: dict[str, Any]
    tokens: list[Tokens]


def encode(tokenizer: Any, texts: list[str], pairs: list[str] | None) -> Encoded:
    """Tokenize texts, padded on the right to one length.

    Raises
    ------
    InputError
        When a text has no token of its own.
    """
    fast = bool(getattr(tokenizer, "is_fast", False))
    batch = tokenizer(
        texts,
        pairs,
        padding=len(texts) > 1,
        padding_side="right",
        return_tensors="pt",
        return_special_tokens_mask=True,
        return_offsets_mapping=fast,
    )
    special = batch.pop("special_tokens_mask").bool().numpy()
    offsets = batch.pop("offset_mapping", None)
    tokens = []
    for item, ids in enumerate(batch["input_ids"]):
        if special[item].all():
            raise InputError(
                f"The text {texts[item]!r} is empty: the tokenizer makes no token of it. Give a text "
                "with at least one word."
            )
        segments = words = None
        if fast:
            words = _words(batch.word_ids(item))
            if pairs is not None:
                segments = _segments(batch.sequence_ids(item))
        elif "token_type_ids" in batch:
            segments = batch["token_type_ids"][item].numpy().astype(np.int32)
        named = _named(
            ids.tolist(),
            tokenizer,
            special[item],
            words,
            segments,
            None if offsets is None else offsets[item].numpy().astype(np.int32),
        )
        sources = [texts[item], *([] if pairs is None else [pairs[item]])]
        tokens.append(replace(named, gaps=gaps_in(sources, named)))
    return Encoded(dict(batch), tokens)


def tokens_of_ids(ids: list[int], tokenizer: Any) -> Tokens:
    """Name token ids; without a tokenizer they are shown as numbers."""
    tokenizer = text_tokenizer(tokenizer)
    if tokenizer is None:
        return replace(Tokens.of([str(token) for token in ids]), ids=np.array(ids))
    special = np.isin(ids, sorted(set(tokenizer.all_special_ids)))
    return _named(ids, tokenizer, special)


def text_tokenizer(tokenizer: Any) -> Any:
    """Give the tokenizer inside a processor, or the tokenizer itself.

    Raises
    ------
    InputTypeError
        When it is neither.
    """
    if tokenizer is None:
        return None
    tokenizer = getattr(tokenizer, "tokenizer", tokenizer)
    if callable(tokenizer) and hasattr(tokenizer, "convert_ids_to_tokens"):
        return tokenizer
    if callable(tokenizer) and set(getattr(tokenizer, "model_input_names", ())) & set(MAIN_INPUTS):
        return None  # of images or sound alone
    raise InputTypeError(
        f"Expected a transformers tokenizer or processor, got {type(tokenizer).__name__}. "
        "Load it with AutoTokenizer.from_pretrained(...), as you loaded the model."
    )


def given_inputs(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Check inputs that were encoded beforehand, and give a single one its batch axis.

    Raises
    ------
    InputError
        When none of them is what a model reads, or it has the wrong shape.
    """
    name = next((name for name in MAIN_INPUTS if inputs.get(name) is not None), "input_ids")
    main, axes = inputs.get(name), MAIN_INPUTS[name]
    if not isinstance(main, torch.Tensor) or not axes - 1 <= main.ndim or (name == "input_ids" and main.ndim > axes):
        others = ", ".join(repr(other) for other in MAIN_INPUTS if other != "input_ids")
        raise InputError(
            f"Encoded inputs need 'input_ids' as a tensor [tokens] or [batch, tokens], or one of {others}; got {name} "
            f'of {_shape_text(main)}. Encode with tokenizer(text, return_tensors="pt").'
        )
    if main.numel() == 0:
        raise InputError(f"The encoded input is empty: '{name}' holds no token.")
    return {
        key: value[None] if main.ndim == axes - 1 and isinstance(value, torch.Tensor) else value
        for key, value in inputs.items()
    }


def _shape_text(ids: Any) -> str:
    if ids is None:
        return "none"
    return f"shape {tuple(ids.shape)}" if isinstance(ids, torch.Tensor) else type(ids).__name__


def _named(
    ids: list[int],
    tokenizer: Any,
    special: np.ndarray,
    words: np.ndarray | None = None,
    segments: np.ndarray | None = None,
    offsets: np.ndarray | None = None,
) -> Tokens:
    pieces = [str(piece) for piece in tokenizer.convert_ids_to_tokens(ids)]
    special = special | np.array([looks_special(p) and p in tokenizer.all_special_tokens for p in pieces], bool)
    text = tuple(readable(pieces, byte_level=_is_byte_level(tokenizer)))
    if words is None or len(set(words[~special].tolist())) < 2:
        words = words_of(text, special)
    return Tokens(text, special, np.where(special, -1, words).astype(np.int32), segments, np.array(ids), offsets)


def _words(numbers: list[int | None]) -> np.ndarray:
    """Number words across both texts of a pair, -1 where there is none."""
    words, count, last = [], -1, None
    for number in numbers:
        if number is not None and number != last:
            count += 1
        words.append(-1 if number is None else count)
        last = number
    return np.array(words, np.int32)


def _segments(numbers: list[int | None]) -> np.ndarray:
    """Give special tokens the text they stand after, the first one the text it stands before."""
    segments, last = [], 0
    for number in numbers:
        last = last if number is None else number
        segments.append(last)
    return np.array(segments, np.int32)


def _is_byte_level(tokenizer: Any) -> bool | None:
    """Whether a fast tokenizer's pieces are byte-level; None where it does not say."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return None
    parts = [part.__getstate__() for part in (backend.decoder, backend.pre_tokenizer) if part is not None]
    return any(b'"ByteLevel"' in part for part in parts)
