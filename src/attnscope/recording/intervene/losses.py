"""The loss of a text, by what the model predicts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional as F

from attnscope.errors import InputError, ModelError
from attnscope.recording.encode import text_tokenizer
from attnscope.recording.intervene.readout import readout_of, said, tensor_of, wide
from attnscope.recording.intervene.subject import repeated

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from attnscope.recording.intervene.subject import Subject


def loss_of(subject: Subject, output: Any, inputs: Mapping[str, Any], label: int | str | None) -> torch.Tensor:
    """Mean negative log probability, in nats, of what the model should have said.

    That is each token but the first for models that write (of the decoder's text for encoder–decoders); each token
    that was masked for masked language models; the class for classifiers, the likeliest one without a label.

    Raises
    ------
    ModelError
        For a model that predicts nothing.
    """
    what = said(subject.model, subject.output, causal=subject.is_causal)
    if what in ("hidden state", "token class"):
        raise ModelError(
            f"The model gives {'hidden states' if what == 'hidden state' else 'each token a class'}, so its texts have "
            "no loss by themselves. Load it with the head it was trained with, or give loss=function, a function of "
            "its output that gives a number."
        )
    if what == "class":
        readout = readout_of(
            subject.model,
            subject.tokenizer,
            subject.attention.queries,
            subject.output,
            position=None,
            target=label,
            causal=False,
        )
        return -readout.value(output).mean()
    logits = wide(tensor_of(output, "logits"))
    if what == "next token":
        name = "decoder_input_ids" if "decoder" in subject.capture.kinds else "input_ids"
        ids = inputs[name].to(logits.device)
        if ids.shape[1] < 2:
            raise InputError("The text has one token, and nothing to foretell. Give a longer one.")
        return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    masked = inputs["input_ids"] == _mask_token(subject)
    wanted = subject.inputs["input_ids"].expand_as(masked)
    return F.cross_entropy(logits[masked], wanted[masked].to(logits.device))


def variants_of(subject: Subject, size: int = 16) -> Iterator[tuple[Mapping[str, Any], float]]:
    """What to run over for a text's loss, and the share of each in it: masked models see it with each token masked."""
    if said(subject.model, subject.output, causal=subject.is_causal) != "masked token":
        yield subject.inputs, 1.0
        return
    ids, special = subject.inputs["input_ids"], torch.as_tensor(subject.attention.queries.special)
    content = torch.arange(ids.shape[1])[~special]
    for some in torch.split(content, size):
        hidden = ids.repeat(len(some), 1)
        hidden[torch.arange(len(some)), some] = _mask_token(subject)
        yield {**repeated(subject.inputs, len(some)), "input_ids": hidden}, len(some) / len(content)


def _mask_token(subject: Subject) -> int:
    mask = getattr(text_tokenizer(subject.tokenizer), "mask_token_id", None)
    if mask is None:
        raise InputError("The model predicts masked tokens, and its tokenizer has no mask token. Give loss=function.")
    return int(mask)
