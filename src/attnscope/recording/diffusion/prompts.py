"""The prompt's tokens: seen as they enter the pipeline's text encoders, and found again by word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attnscope.attention.tokens import Tokens
from attnscope.errors import InputError
from attnscope.recording.encode import tokens_of_ids

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import nn

ENCODERS = ("text_encoder", "text_encoder_2", "text_encoder_3")


class PromptWatch:
    """Keeps the first input of each text encoder, which is the prompt; negative prompts follow it."""

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline
        self._seen: dict[str, torch.Tensor] = {}

    def hooks(self) -> Iterator[Callable[[], None]]:
        """Hook the text encoders; gives what takes each hook away again."""
        for name in ENCODERS:
            encoder = getattr(self._pipeline, name, None)
            if isinstance(encoder, torch.nn.Module):
                yield encoder.register_forward_pre_hook(self._keeper(name), with_kwargs=True).remove

    def tokens(self, length: int) -> Tokens:
        """Name the ``length`` tokens the denoiser sees.

        Raises
        ------
        InputError
            When the text encoders did not see as many.
        """
        names = self._order()
        if names is None or not all(name is None or name in self._seen for name in names):
            raise InputError(
                "The prompt's tokens are not known: no text encoder ran inside the block. Give the prompt as text, or "
                f"name the {length} tokens of the embeddings: record_diffusion(pipeline, tokens=[…])."
            )
        parts = [self._named(name) for name in names if name is not None]
        found = sum(len(part) for part in parts)
        if None in names and found < length:
            parts.append(_nothing(length - found))
        elif found != length:
            raise InputError(
                f"The denoiser sees {length} prompt tokens, but the text encoder was given {found}: the prompt was "
                "encoded in several pieces, or cut. Give a prompt that fits, or name the tokens yourself: "
                "record_diffusion(pipeline, tokens=[…])."
            )
        return joined(parts)

    def _keeper(self, name: str) -> Any:
        def keep(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            ids = kwargs.get("input_ids", args[0] if args else None)
            if isinstance(ids, torch.Tensor) and ids.ndim == 2:
                self._seen.setdefault(name, ids.detach().cpu())

        return keep

    def _order(self) -> list[str | None] | None:
        """The encoders whose tokens the denoiser looks at, in order; None stands for a missing one's zeros."""
        have = [name for name in ENCODERS if getattr(self._pipeline, name, None) is not None]
        if not have:
            return None
        if hasattr(self._pipeline, "text_encoder_3"):  # Stable Diffusion 3: CLIP's tokens, then T5's
            third = "text_encoder_3" if "text_encoder_3" in have else None
            return [have[0], third]
        if getattr(self._pipeline, "transformer", None) is not None:  # Flux: CLIP's are pooled, T5's looked at
            return [have[-1]]
        return [have[0]]  # SDXL: two encoders of the same tokens, side by side

    def _named(self, name: str) -> Tokens:
        ids = self._seen[name]
        if len(ids) != 1:
            raise InputError(
                f"{len(ids)} prompts were given, and a recording is of one image of one prompt. Record each by itself."
            )
        return tokens_of_ids(ids[0].tolist(), getattr(self._pipeline, name.replace("text_encoder", "tokenizer"), None))


def joined(parts: list[Tokens]) -> Tokens:
    """Put tokens one after another; words and segments count on."""
    if len(parts) == 1:
        return parts[0]
    words, first = [], 0
    for part in parts:
        words.append(np.where(part.words < 0, -1, part.words + first))
        first += int(part.words.max(initial=-1)) + 1
    patches = [np.full((len(p), 4), -1, np.int32) if p.patches is None else p.patches for p in parts]
    return Tokens(
        tuple(text for part in parts for text in part.text),
        np.concatenate([part.special for part in parts]),
        np.concatenate(words).astype(np.int32),
        np.repeat(np.arange(len(parts), dtype=np.int32), [len(part) for part in parts]),
        patches=np.concatenate(patches) if any(part.patches is not None for part in parts) else None,
    )


def positions_of(tokens: Tokens, word: str, occurrence: int | None) -> list[int]:
    """Positions of all tokens of a word or of several words that follow each other, once or each time they occur.

    Raises
    ------
    NotFoundError
        With near matches.
    """
    numbers = [int(number) for number in dict.fromkeys(tokens.words.tolist()) if number >= 0]
    texts = [tokens.word_text(number) for number in numbers]
    sought = word.split() if isinstance(word, str) else []
    for fold in (str, str.casefold):
        starts = [
            start
            for start in range(len(texts) - len(sought) + 1)
            if sought and [fold(text) for text in texts[start : start + len(sought)]] == [fold(part) for part in sought]
        ]
        if starts:
            break
    if not starts:
        position = tokens.find(word, 0 if occurrence is None else occurrence)
        same = [i for i, text in enumerate(tokens.text) if text.strip() == tokens.text[position].strip()]
        return same if occurrence is None else [position]
    if occurrence is not None:
        if not -len(starts) <= occurrence < len(starts):
            raise InputError(f"{word!r} occurs {len(starts)} times; there is no occurrence {occurrence}, from 0.")
        starts = [starts[occurrence]]
    chosen = {numbers[start + i] for start in starts for i in range(len(sought))}
    return [i for i, number in enumerate(tokens.words.tolist()) if number in chosen]


def _nothing(n: int) -> Tokens:
    """Positions that stand for no text."""
    return Tokens(("[none]",) * n, np.ones(n, bool), np.full(n, -1, np.int32))
