"""The model whose heads are profiled, where it runs."""

from __future__ import annotations

import hashlib
import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any

import torch

from attnscope.errors import InputTypeError
from attnscope.recording import models
from attnscope.recording.encode import text_tokenizer

if TYPE_CHECKING:
    from collections.abc import Iterator

_SAMPLED = 16
"""Numbers of each parameter that go into a model's fingerprint."""


@dataclass
class Subject:
    """A model with its tokenizer, as it is carried to where texts are run.

    Parameters
    ----------
    model
        The model, or a function without arguments that loads it: then it is loaded once by each process that runs
        texts, and no weights travel.
    tokenizer
        Its tokenizer or processor.
    """

    model: Any
    tokenizer: Any
    _loaded: Loaded | None = field(default=None, repr=False, compare=False)

    def load(self) -> Loaded:
        """Give the model, loaded the first time.

        Raises
        ------
        InputTypeError
            When the function gives no model, or the tokenizer is none.
        ModelError
            When the model cannot be recorded.
        """
        if self._loaded is None:
            given = isinstance(self.model, torch.nn.Module)
            model = self.model if given or not callable(self.model) else self.model()
            if isinstance(model, tuple):
                raise InputTypeError("The function that loads the model gave a tuple; it gives the model alone.")
            models.require_recordable(model)
            tokenizer = text_tokenizer(self.tokenizer)
            if tokenizer is None:
                raise InputTypeError("Texts need a tokenizer: profile(model, tokenizer, texts).")
            self._loaded = Loaded(model, tokenizer)
        return self._loaded

    def __getstate__(self) -> dict[str, Any]:
        return {"model": self.model, "tokenizer": self.tokenizer, "_loaded": None}


class Loaded:
    """A model ready to run, one text or batch at a time."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self.model, self.tokenizer = model, tokenizer
        self.lock = Lock()
        self.most_tokens = models.learned_positions(model)
        self.name = models.display_name(model)
        self.fingerprint = _fingerprint(model, tokenizer)
        self.can_pad = getattr(tokenizer, "pad_token_id", None) is not None


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Let torch compute with so many threads, and with as many as before afterwards."""
    before = torch.get_num_threads()
    if before == count:
        yield
        return
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _fingerprint(model: Any, tokenizer: Any) -> str:
    """Tell models and tokenizers apart: by their shapes, and by a few numbers of each parameter."""
    model = models.unwrapped(model)
    found = hashlib.sha256(type(model).__name__.encode())
    for name, parameter in model.named_parameters():
        found.update(f"{name} {tuple(parameter.shape)} {parameter.dtype}".encode())
        if parameter.numel() and parameter.device.type != "meta":
            some = torch.linspace(0, parameter.numel() - 1, _SAMPLED, dtype=torch.float64).long().to(parameter.device)
            found.update(parameter.detach().flatten()[some].float().cpu().numpy().tobytes())
    found.update(f"{len(tokenizer)} {_rules(tokenizer)}".encode())
    return found.hexdigest()


def _rules(tokenizer: Any) -> str:
    """Give what a tokenizer does to a text, without how it was last asked to pad and cut."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return type(tokenizer).__name__
    described = json.loads(backend.to_str())
    return json.dumps({name: part for name, part in described.items() if name not in ("padding", "truncation")})
