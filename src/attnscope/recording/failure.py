"""What a user is told when the model itself stops: what it was given, what it may lack, what to do."""

from __future__ import annotations

import inspect
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from attnscope.errors import AttnscopeError, InputError, ModelError, TooLargeError
from attnscope.recording import models
from attnscope.recording.encode import MAIN_INPUTS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_TOWERS = ("text_model", "vision_model", "image_model", "audio_model")


@contextmanager
def explained(model: Any, given: Mapping[str, Any]) -> Iterator[None]:
    """Say of an exception from the model's own code what the model was given; the exception itself is its cause.

    Raises
    ------
    InputError
        When the model reads other inputs than it was given.
    TooLargeError
        When memory ran out.
    ModelError
        Otherwise.
    """
    try:
        yield
    except AttnscopeError:
        raise
    except (MemoryError, torch.OutOfMemoryError) as error:
        raise TooLargeError(
            f"{_stopped(model, error)} It was given {_text(given)}. Give a shorter text or fewer at once, record fewer "
            "layers (layers=[…]), or load the model in half precision."
        ) from error
    except Exception as error:
        lacking = _lacking(model, given)
        told = f"{_stopped(model, error)} It was given {_text(given)}"
        if lacking:
            raise InputError(f"{told}, not {_listed(lacking, 'or')}, which it reads too. {_remedy(model)}") from error
        raise ModelError(
            f"{told}. Without attnscope model(**inputs) should stop in the same way: see the error above, and load "
            "the tokenizer or processor from the same place as the model."
        ) from error


def _stopped(model: Any, error: Exception) -> str:
    said = str(error).strip().split("\n")[0].rstrip(".")
    return f"{type(models.unwrapped(model)).__name__} stopped: {type(error).__name__}{': ' if said else ''}{said}."


def _lacking(model: Any, given: Mapping[str, Any]) -> list[str]:
    """Names of what the model reads and was not given: text, images, sound, and what has no default."""
    taken = inspect.signature(models.unwrapped(model).forward).parameters.values()
    empty, several = inspect.Parameter.empty, (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [
        one.name
        for one in taken
        if one.kind not in several
        and (one.name in MAIN_INPUTS or (one.default is empty and one.annotation is not empty))
    ]
    embedded = given.get("inputs_embeds") is not None
    return [
        name
        for name in needed
        if given.get(name) is None and name != "inputs_embeds" and not (name == "input_ids" and embedded)
    ]


def _remedy(model: Any) -> str:
    plain = models.unwrapped(model)
    towers = [name for name in _TOWERS if isinstance(getattr(plain, name, None), torch.nn.Module)]
    both = 'Encode all it reads, as in processor(text=…, images=…, return_tensors="pt"), and capture the result'
    if len(towers) < 2:
        return f"{both}: capture(model, processor, inputs)."
    parts = _listed([f"model.{name}" for name in towers], "or")
    return f"{both}: capture(model, processor, inputs); or capture one of its towers: {parts} in place of model."


def _text(given: Mapping[str, Any]) -> str:
    shown = [
        f"{name} {str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
        for name, value in given.items()
        if isinstance(value, torch.Tensor)
    ]
    return _listed(shown, "and") if shown else "no tensor"


def _listed(names: list[str], word: str) -> str:
    return f" {word} ".join([part for part in (", ".join(names[:-1]), names[-1]) if part])
