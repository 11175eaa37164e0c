"""What the positions of any PyTorch module's input are called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attnscope.errors import InputError
from attnscope.recording.assemble import Naming, positions
from attnscope.recording.encode import tokens_of_ids

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attnscope.attention.tokens import Tokens

_PADDING = {
    "decoder": ("tgt_key_padding_mask",),
    "encoder": ("src_key_padding_mask", "memory_key_padding_mask", "key_padding_mask"),
    "": ("src_key_padding_mask",),
}
"""Masks of PyTorch's own transformer modules by the part they hide padding of; True hides."""


class ModuleNaming(Naming):
    """Names positions by the tokens given, wherever there are as many; numbers the others.

    Parameters
    ----------
    inputs, item, tokenizer, tokens, key_tokens, encoder_decoder
        As for :class:`Naming`.
    batch
        Number of inputs of the pass.
    """

    def __init__(
        self,
        inputs: Mapping[str, Any],
        item: int,
        tokenizer: Any,
        tokens: Tokens | None,
        key_tokens: Tokens | None,
        *,
        encoder_decoder: bool,
        batch: int,
    ) -> None:
        super().__init__(inputs, item, tokenizer, tokens, key_tokens, encoder_decoder=encoder_decoder)
        self._tokens, self._batch = tokens, batch
        self._used: list[Tokens] = []
        self._sizes: list[int] = []

    def side(self, part: str, n: int, *, of_keys: bool = False) -> Tokens:
        """Name the ``n`` positions of one side."""
        self._sizes.append(n)
        if self._encoder_decoder and part in ("encoder", "decoder"):
            choices = [self._given[part == "decoder"]]
        else:
            choices = [self._key_tokens, self._tokens] if of_keys else [self._tokens, self._key_tokens]
        fits = next((tokens for tokens in choices if tokens is not None and len(tokens) == n), None)
        if fits is not None:
            self._used.append(fits)
            return fits
        key = (part, n)
        if key not in self._made:
            ids = self._ids(n) if self._tokenizer is not None and self._tokens is None else None
            self._made[key] = positions(n) if ids is None else tokens_of_ids(ids, self._tokenizer)
        return self._made[key]

    def kept(self, part: str, n: int) -> np.ndarray:
        """Positions that are not padding, by the masks that are known to say so."""
        keep = self._inputs.get("attention_mask")
        if _fits(keep, self._batch, n) and part != "decoder":
            return np.flatnonzero(keep[self._item].cpu().numpy() != 0)  # type: ignore[index]
        for name in _PADDING.get(part, ()):
            hidden = self._inputs.get(name)
            if _fits(hidden, self._batch, n) and hidden.dtype == torch.bool:  # type: ignore[union-attr]
                return np.flatnonzero(~hidden.reshape(-1, n)[self._item].cpu().numpy())  # type: ignore[union-attr]
        return np.arange(n)

    def require_used(self) -> None:
        """Refuse tokens that fit no side of any attention."""
        for given in (self._tokens, self._key_tokens):
            if given is not None and all(given is not used for used in self._used):
                sizes = ", ".join(map(str, dict.fromkeys(self._sizes)))
                raise InputError(
                    f"{len(given)} tokens were given, and the attention is over {sizes} positions. Give one token per "
                    "position, special tokens and padding included; where keys are other tokens, give key_tokens too."
                )

    def _ids(self, n: int) -> list[int] | None:
        """Token ids of this input: the first whole numbers the model was called with, one per position."""
        for value in self._inputs.values():
            if not isinstance(value, torch.Tensor) or value.is_floating_point() or value.dtype == torch.bool:
                continue
            if value.shape in ((n,), (self._batch, n)):
                return list(value.reshape(-1, n)[self._item].tolist())
            if value.shape == (n, self._batch):
                return list(value[:, self._item].tolist())
        return None


def _fits(mask: Any, batch: int, n: int) -> bool:
    shapes = ((batch, n), (n,)) if batch == 1 else ((batch, n),)
    return isinstance(mask, torch.Tensor) and tuple(mask.shape) in shapes and not mask.is_floating_point()
