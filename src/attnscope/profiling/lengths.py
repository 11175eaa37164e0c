"""Texts longer than the model takes: refused, cut short, or parted where a word begins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attnscope.errors import InputError, InputTypeError

if TYPE_CHECKING:
    from collections.abc import Iterator


def token_count(tokenizer: Any, text: str) -> int:
    """Count the tokens of a text, special ones included."""
    return len(tokenizer(text, verbose=False)["input_ids"])


def fitting(tokenizer: Any, text: str, most: int | None, too_long: str) -> list[str]:
    """Give a text as the pieces that are run: itself where it is short enough.

    Parameters
    ----------
    most
        Tokens a piece may have, special ones included; None for any number.
    too_long
        ``"refuse"`` raises, ``"truncate"`` gives the first piece, ``"split"`` all of them.

    Raises
    ------
    InputError
        For a text that is too long, or cannot be cut small enough.
    """
    n_tokens = token_count(tokenizer, text) if most is not None else 0
    if most is None or n_tokens <= most:
        return [text]
    if too_long == "refuse":
        raise InputError(
            f"it has {n_tokens} tokens, of at most {most}. too_long='truncate' takes its beginning, too_long='split' "
            "takes it in pieces"
        )
    pieces = _pieces(tokenizer, text, most)
    return [next(pieces)] if too_long == "truncate" else list(pieces)


def _pieces(tokenizer: Any, text: str, most: int) -> Iterator[str]:
    """Part a text into pieces of at most so many tokens, at the start of a word where there is one half-way back."""
    if not getattr(tokenizer, "is_fast", False):
        raise InputTypeError(
            f"Cutting a text takes a tokenizer that knows where its tokens stand; {type(tokenizer).__name__} does not. "
            "Load the fast one (use_fast=True), or cut the texts yourself."
        )
    room = most - tokenizer.num_special_tokens_to_add()
    spans = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)["offset_mapping"]
    starts = [start for start, stop in spans if stop > start]
    first, begin = 0, 0
    while begin < len(text) and first < len(starts):
        last, end, over = first + room, len(text), 0
        while True:
            if last >= len(starts):
                end = len(text)
            else:
                last = _word_start(text, starts, first, last)
                end = starts[last] if last > first else begin
            if end <= begin:
                raise InputError(f"it cannot be cut into pieces of at most {most} tokens")
            over = token_count(tokenizer, text[begin:end]) - most
            if over <= 0:
                break
            last = min(last, len(starts)) - over
        if text[begin:end].strip():
            yield text[begin:end]
        first, begin = last, end


def _word_start(text: str, starts: list[int], first: int, last: int) -> int:
    """Find the last token up to ``last`` that begins a word, or a character where no word begins in the second half."""
    for place in range(last, first + (last - first) // 2, -1):
        at = starts[place]
        if text[at].isspace() or text[at - 1].isspace():
            return place
    while last > first and starts[last] == starts[last - 1]:
        last -= 1
    return last
