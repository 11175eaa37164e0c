"""logprobs(): a causal language model and a text in, the log-probability of each token out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attnscope.attention.logprobs import Alternative, TokenLogprobs
from attnscope.errors import InputError, InputTypeError, ModelError
from attnscope.recording import models
from attnscope.recording.encode import encode, given_inputs, text_tokenizer, tokens_of_ids
from attnscope.recording.failure import explained
from attnscope.recording.forward import arguments
from attnscope.recording.tail import logits_of

if TYPE_CHECKING:
    from attnscope.attention.tokens import Tokens

_PROBE = 8
"""Tokens by which it is seen whether a model looks ahead."""
_NOISE = 1e-3
"""Largest difference that is none, in parts of the largest logit."""


def logprobs(model: Any, tokenizer: Any, text: Any, *, top: int = 5) -> TokenLogprobs | list[TokenLogprobs]:
    """Ask a causal language model how likely it finds each token of a text, and what it would have said instead.

    The model runs once per text and is left exactly as it was, also after an error. The numbers are those of
    ``torch.log_softmax`` over its logits in float32, block by block: a long text never takes tokens × vocabulary of
    memory.

    Parameters
    ----------
    model
        A transformers model with a language-model head (``AutoModelForCausalLM``), in eval mode.
    tokenizer
        Its tokenizer; may be None when ``text`` is already encoded.
    text
        A text; several texts, for one answer each; or encoded inputs, a mapping with ``input_ids`` of one text, such
        as what ``apply_chat_template`` or ``generate`` gives.
    top
        How many of the likeliest tokens to keep at each place.

    Returns
    -------
    TokenLogprobs or list of TokenLogprobs
        A list where several texts were given. The first token of a text has no log-probability: nothing is before it.

    Raises
    ------
    InputError
        For a text of fewer than two tokens, or one longer than the model takes.
    InputTypeError
        For a model, tokenizer or text of a kind that cannot be used.
    ModelError
        When the model sees the tokens it is asked about, as masked language models do, or has no language-model head.

    Examples
    --------
    >>> found = logprobs(model, tokenizer, text)
    >>> found
    TokenLogprobs(attnscope small, 17 tokens, 10.47 bits per token, perplexity 1422)
    >>> found.surprisal[1:4].round(1)
    array([15.4, 28.6, 23.4])
    """
    models.require_recordable(model)
    _require_head(model)
    if isinstance(top, bool) or not isinstance(top, int) or top < 0:
        raise InputError(f"top is a whole number from 0, got {top!r}.")
    tokenizer = text_tokenizer(tokenizer)
    if isinstance(text, Mapping):
        inputs = _given(text)
        return _logprobs(model, tokenizer, inputs, tokens_of_ids(inputs["input_ids"][0].tolist(), tokenizer), top)
    texts = [text] if isinstance(text, str) else list(text) if isinstance(text, Sequence) else []
    if not texts or not all(isinstance(each, str) for each in texts):
        raise InputTypeError(
            f"A text is a string, several are a list of strings, got {type(text).__name__} {str(text)[:40]!r}. For "
            "token ids, pass a mapping: {'input_ids': tensor}."
        )
    if tokenizer is None:
        raise InputTypeError("A text needs a tokenizer: logprobs(model, tokenizer, text).")
    found = []
    for each in texts:
        encoded = encode(tokenizer, [each], None)
        found.append(_logprobs(model, tokenizer, encoded.inputs, encoded.tokens[0], top))
    return found[0] if isinstance(text, str) else found


def _given(text: Mapping[str, Any]) -> dict[str, Any]:
    inputs = given_inputs(text)
    ids, mask = inputs.get("input_ids"), inputs.get("attention_mask")
    if ids is None or len(ids) != 1:
        raise InputError(
            f"Encoded inputs are those of one text, with input_ids of shape [tokens] or [1, tokens]; got "
            f"{'none' if ids is None else tuple(ids.shape)}. Give the texts of a batch one by one."
        )
    if isinstance(mask, torch.Tensor) and not bool(mask.all()):
        raise InputError("The encoded text is padded. Give it without: tokenizer(text, return_tensors='pt').")
    return inputs


def _logprobs(model: Any, tokenizer: Any, inputs: Mapping[str, Any], tokens: Tokens, top: int) -> TokenLogprobs:
    ids = inputs["input_ids"]
    models.require_known(model, ids)
    if len(tokens) < 2:
        raise InputError(
            f"The text is one token, {tokens[0]!r}, and a token's log-probability is given what stands before it. Give "
            "a text of at least two."
        )
    _require_causal(model, ids)
    columns = _Columns()
    wanted, at = ids[0, 1:], 0
    for logits in logits_of(model, inputs):
        here = wanted[at : at + len(logits)].to(logits.device)
        if len(here):
            columns.add(logits[: len(here)], here, top)
        at += len(logits)
    return columns.of(tokens, tokenizer, models.display_name(model))


@dataclass
class _Columns:
    """What is kept of the logits, block after block."""

    logprobs: list[np.ndarray] = field(default_factory=list)
    ranks: list[np.ndarray] = field(default_factory=list)
    entropies: list[np.ndarray] = field(default_factory=list)
    best: list[np.ndarray] = field(default_factory=list)
    best_ids: list[np.ndarray] = field(default_factory=list)

    def add(self, logits: torch.Tensor, wanted: torch.Tensor, top: int) -> None:
        """Read one block.

        Parameters
        ----------
        logits
            [positions, vocabulary].
        wanted
            int [positions]: the token that follows each.
        top
            How many alternatives to keep.
        """
        every = logits.float().log_softmax(-1)
        if bool(every.isnan().any()):
            raise ModelError(
                "The model's logits hold NaN or infinity, so no token has a probability. Load it in float32 or "
                "bfloat16: from_pretrained(…, dtype=…)."
            )
        mine = every.gather(-1, wanted[:, None])
        best = every.topk(min(top, every.shape[-1]), dim=-1)
        self.logprobs.append(_numpy(mine[:, 0]))
        self.ranks.append(_numpy((every > mine).sum(-1) + 1))
        self.entropies.append(_numpy(torch.special.entr(every.exp()).sum(-1) / math.log(2)))
        self.best.append(_numpy(best.values))
        self.best_ids.append(_numpy(best.indices))

    def of(self, tokens: Tokens, tokenizer: Any, model_name: str) -> TokenLogprobs:
        """Give all of it; the first token has none."""
        best, ids = np.concatenate(self.best), np.concatenate(self.best_ids)
        names = _names(np.unique(ids).tolist(), tokenizer)
        alternatives = [
            tuple(Alternative(names[i], float(value)) for i, value in zip(row, values, strict=True))
            for row, values in zip(ids.tolist(), best.tolist(), strict=True)
        ]
        return TokenLogprobs(
            tokens,
            np.concatenate([[np.nan], *self.logprobs]).astype(np.float64),
            ((), *alternatives),
            np.concatenate([[0], *self.ranks]).astype(np.int64),
            np.concatenate([[np.nan], *self.entropies]).astype(np.float64),
            model_name,
        )


def _names(ids: list[int], tokenizer: Any) -> dict[int, str]:
    """Name token ids; those a tokenizer has no token for are shown as numbers."""
    size = math.inf if tokenizer is None else len(tokenizer)
    known = [i for i in ids if i < size]
    return {i: f"<{i}>" for i in ids} | dict(zip(known, tokens_of_ids(known, tokenizer).text, strict=True))


def _numpy(values: torch.Tensor) -> np.ndarray:
    return values.cpu().numpy()


def _require_head(model: Any) -> None:
    """Refuse models that do not give logits over a vocabulary for the text they read."""
    plain, name = models.unwrapped(model), type(models.unwrapped(model)).__name__
    if models.is_encoder_decoder(model):
        raise ModelError(
            f"{name} reads one text and writes another, so a text's tokens have no log-probability given those before "
            "them. Load a decoder: AutoModelForCausalLM.from_pretrained(…)."
        )
    head = getattr(plain, "get_output_embeddings", None)
    if not callable(head) or head() is None:
        raise ModelError(
            f"{name} has no language-model head, so it gives no probabilities of tokens. Load the model with one: "
            "AutoModelForCausalLM.from_pretrained(…)."
        )


def _require_causal(model: Any, ids: torch.Tensor) -> None:
    """Refuse models that look ahead: in these, another last token changes what is said before it.

    Raises
    ------
    ModelError
        With what to load instead.
    """
    plain = models.unwrapped(model)
    probe = ids[:, :_PROBE].repeat(2, 1)
    last = int(probe[0, -1])
    probe[1, -1] = next((i for i in ids[0].tolist() if i != last), last - 1 if last else 1)
    given = arguments(plain, {"input_ids": probe, "attention_mask": torch.ones_like(probe)}, return_dict=True)
    with torch.no_grad(), explained(plain, given):
        one, other = plain(**given).logits[:, :-1].float()
    scale = float(one[one.isfinite()].abs().max().clamp(min=1)) if bool(one.isfinite().any()) else 1.0
    if not torch.allclose(one, other, rtol=0, atol=_NOISE * scale, equal_nan=True):
        raise ModelError(
            f"{type(plain).__name__} sees the tokens that follow, as masked language models do: what it says of a "
            "token is not its probability given those before it. Load a causal model: "
            "AutoModelForCausalLM.from_pretrained(…); for BERT's kind, with is_decoder=True."
        )
