"""Generated text: what generate() was called with and gave back, and the inputs of one pass over the whole sequence."""

from __future__ import annotations

import inspect
import threading
import warnings
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial, wraps
from typing import TYPE_CHECKING, Any

import torch

from attnscope.errors import AttnscopeWarning, InputError
from attnscope.recording import models

if TYPE_CHECKING:
    from collections.abc import Iterator

    Around = Callable[[Callable[[], Any], dict[str, Any]], Any]

_around: ContextVar[tuple[Any, Around] | None] = ContextVar("attnscope_around_generate", default=None)
_lock = threading.Lock()
_installed: dict[int, tuple[int, Any]] = {}

_RUN_OPTIONS = {
    "past_key_values", "use_cache", "output_attentions", "output_hidden_states", "return_dict", "logits_to_keep",
    "cache_position", "labels", "decoder_input_ids", "decoder_inputs_embeds", "decoder_attention_mask",
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Generated:
    """One call of generate().

    Parameters
    ----------
    arguments
        What it was called with, by name.
    output
        What it gave back.
    first
        What the model was called with on the first pass inside.
    """

    arguments: Mapping[str, Any]
    output: Any
    first: dict[str, Any]

    def option(self, model: Any, name: str) -> Any:
        """A setting of this call: its own argument, its generation config's, or the model's."""
        if self.arguments.get(name) is not None:
            return self.arguments[name]
        for config in (self.arguments.get("generation_config"), getattr(model, "generation_config", None)):
            if getattr(config, name, None) is not None:
                return getattr(config, name)
        return None

    def sequences(self) -> torch.Tensor:
        """The token ids it gave back, [sequences, tokens].

        Raises
        ------
        InputError
            When there are none to be found.
        """
        output = self.output
        if isinstance(output, Mapping):
            output = output.get("sequences", output)
        found = getattr(output, "sequences", output)
        if not isinstance(found, torch.Tensor) or found.ndim != 2 or found.is_floating_point() or not found.numel():
            form = f"shape {tuple(found.shape)}" if isinstance(found, torch.Tensor) else type(found).__name__
            raise InputError(
                f"generate() gave {form}, and attnscope looks for token ids [sequences, tokens] there or under "
                "'sequences'. Record one pass over the text it wrote instead: model(output_ids)."
            )
        return found


@contextmanager
def watching_generate(model: Any, around: Around) -> Iterator[None]:
    """Let ``around(run, arguments)`` run every call of ``model.generate`` in this context; leave no trace of it."""
    if not callable(getattr(model, "generate", None)):
        yield
        return
    _install(model)
    token = _around.set((model, around))
    try:
        yield
    finally:
        _around.reset(token)
        _uninstall(model)


def is_around(around: Around) -> bool:
    """Whether calls of generate() in this context go to ``around``."""
    current = _around.get()
    return current is not None and current[1] == around


def final_inputs(model: Any, call: Generated) -> dict[str, Any]:
    """Make the inputs of one pass over everything generate() read and wrote.

    Raises
    ------
    InputError
        When what it gave back cannot be joined to what it was given.
    """
    sequences = call.sequences()
    accepted = inspect.signature(model.forward).parameters
    inputs = {
        name: value
        for name, value in call.arguments.items()
        if name in accepted and name not in _RUN_OPTIONS and value is not None
    }
    pair = models.is_encoder_decoder(model)
    main = _main_name(model, pair=pair)
    if call.arguments.get("inputs") is not None:
        inputs[main] = call.arguments["inputs"]
    if str(call.option(model, "cache_implementation")) == "quantized" or _is_quantized(call):
        warnings.warn(
            "generate() used a quantised cache. The capture is of one pass over the final text without it, so it shows "
            "the model's attention, not what the rounded keys made of it while generating.",
            AttnscopeWarning,
            stacklevel=2,
        )
    return _of_decoder(model, call, inputs, sequences) if pair else _of_text(model, call, inputs, sequences)


def _of_text(model: Any, call: Generated, inputs: dict[str, Any], sequences: torch.Tensor) -> dict[str, Any]:
    prompt, vectors = inputs.pop("input_ids", None), inputs.pop("inputs_embeds", None)
    if prompt is None and vectors is None:
        prompt = sequences[:, :1]  # generate() put the start token itself
    inputs = _repeated(inputs, prompt if vectors is None else vectors, sequences)
    given: torch.Tensor = _repeat(prompt if vectors is None else vectors, sequences)
    width = given.shape[1]
    begins = prompt is not None and _begins(sequences, _repeat(prompt, sequences))
    new = sequences[:, width:] if begins else sequences
    if vectors is not None:
        with torch.no_grad():
            inputs["inputs_embeds"] = torch.cat([given, model.get_input_embeddings()(new).to(given.dtype)], dim=1)
    else:
        inputs["input_ids"] = torch.cat([given, new], dim=1)
    mask = inputs.get("attention_mask")
    if not isinstance(mask, torch.Tensor) or mask.ndim != 2 or mask.shape[1] != width:
        mask = _mask_of(model, call, given)
    inputs["attention_mask"] = torch.cat([mask.to(new), _written(model, call, new)], dim=1)
    return _lengthened(inputs, width, width + new.shape[1])


def _of_decoder(model: Any, call: Generated, inputs: dict[str, Any], sequences: torch.Tensor) -> dict[str, Any]:
    main = inputs.get(_main_name(model, pair=True), inputs.get("inputs_embeds"))
    if isinstance(main, torch.Tensor) and main.ndim == 2 and not main.is_floating_point():
        inputs.setdefault("attention_mask", _mask_of(model, call, main))
    inputs = _repeated(inputs, main, sequences)
    start = call.first.get("decoder_input_ids")
    if not isinstance(start, torch.Tensor) or start.ndim != 2:
        start = sequences[:, :1]
    start = start[torch.arange(len(sequences), device=start.device) * len(start) // len(sequences)]  # one of each beam
    if not _begins(sequences, start):
        sequences = torch.cat([start.to(sequences), sequences], dim=1)  # some give back only what is new
    width = start.shape[1]
    mask = call.arguments.get("decoder_attention_mask")
    fits = isinstance(mask, torch.Tensor) and mask.ndim == 2 and mask.shape[1] == width
    read = _repeat(mask, sequences).to(sequences) if fits else torch.ones_like(sequences[:, :width])
    kept = torch.cat([read, _written(model, call, sequences[:, width:])], dim=1)
    inputs["decoder_input_ids"] = sequences
    if not bool(kept.all()):
        inputs["decoder_attention_mask"] = kept
    return inputs


def _written(model: Any, call: Generated, new: torch.Tensor) -> torch.Tensor:
    """Mark with 1 what was really written: each row up to its end token, without the padding after it."""
    ends, pad = call.option(model, "eos_token_id"), call.option(model, "pad_token_id")
    ends = torch.as_tensor([] if ends is None else ends).reshape(-1).to(new)
    ended = torch.isin(new, ends).long()
    padding = ended.cumsum(-1) - ended > 0
    if pad is not None and len(new) > 1:
        trailing = (new != pad).flip(-1).long().cumsum(-1).flip(-1) == 0
        padding |= trailing & (ended.sum(-1, keepdim=True) == 0)
    return (~padding).to(new)


def _is_quantized(call: Generated) -> bool:
    return "Quantized" in type(call.arguments.get("past_key_values")).__name__


def _main_name(model: Any, *, pair: bool) -> str:
    """Name of what ``inputs`` stands for."""
    side = model.get_encoder() if pair and hasattr(model, "get_encoder") else model
    return str(getattr(side, "main_input_name", "input_ids")) if pair else "input_ids"


def _mask_of(model: Any, call: Generated, read: torch.Tensor) -> torch.Tensor:
    """The attention mask generate() takes where none is given: padding is hidden if it can be told from an end."""
    ones = torch.ones(read.shape[:2], dtype=torch.long, device=read.device)
    pad, ends = call.option(model, "pad_token_id"), call.option(model, "eos_token_id")
    ends = [] if ends is None else torch.as_tensor(ends).reshape(-1).tolist()
    if pad is None or read.ndim != 2 or pad in ends or not bool((read == pad).any()):
        return ones
    return (read != pad).long()


def _begins(sequences: torch.Tensor, prompt: torch.Tensor) -> bool:
    width = prompt.shape[1]
    return sequences.shape[1] >= width and bool((sequences[:, :width] == prompt.to(sequences)).all())


def _repeated(inputs: dict[str, Any], main: Any, sequences: torch.Tensor) -> dict[str, Any]:
    """Repeat inputs for several sequences each."""
    batch = len(main) if isinstance(main, torch.Tensor) else len(sequences)
    return {
        name: _repeat(value, sequences)
        if isinstance(value, torch.Tensor) and value.ndim and len(value) == batch
        else value
        for name, value in inputs.items()
    }


def _repeat(value: Any, sequences: torch.Tensor) -> torch.Tensor:
    """Repeat one entry per input to one per sequence."""
    if len(sequences) % len(value):
        raise InputError(
            f"generate() gave {len(sequences)} sequences for {len(value)} inputs, and it cannot be told which belongs "
            "to which. Record one pass over the sequences instead: model(output_ids)."
        )
    return value.to(sequences.device).repeat_interleave(len(sequences) // len(value), dim=0)


def _lengthened(inputs: dict[str, Any], width: int, total: int) -> dict[str, Any]:
    """Lengthen what has one entry per token of the prompt, as generate() does step by step."""
    for name, value in inputs.items():
        if not isinstance(value, torch.Tensor) or value.ndim < 2 or value.shape[-1] != width or total == width:
            continue
        last = value[..., -1:].expand(*value.shape[:-1], total - width)
        if name == "position_ids":
            more = last + torch.arange(1, total - width + 1, device=value.device)
        elif name == "token_type_ids":
            more = last
        elif name.endswith("token_type_ids"):
            more = torch.zeros_like(last)
        else:
            continue
        inputs[name] = torch.cat([value, more], dim=-1)
    return inputs


def _install(model: Any) -> None:
    """Put a method before the class's own on the model itself, once for all open recordings of it."""
    with _lock:
        count, own = _installed.get(id(model), (0, model.__dict__.get("generate")))
        _installed[id(model)] = (count + 1, own)
        if count == 0:
            model.__dict__["generate"] = _watched(model, model.generate)


def _uninstall(model: Any) -> None:
    with _lock:
        count, own = _installed.pop(id(model))
        if count > 1:
            _installed[id(model)] = (count - 1, own)
            return
        del model.__dict__["generate"]
        if own is not None:
            model.__dict__["generate"] = own


def _watched(model: Any, generate: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(generate)
    def generate_watched(*args: Any, **kwargs: Any) -> Any:
        current = _around.get()
        if current is None or current[0] is not model:
            return generate(*args, **kwargs)
        return current[1](partial(generate, *args, **kwargs), _arguments(generate, args, kwargs))

    return generate_watched


def _arguments(generate: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """What a call was given, by name; nothing where it does not fit, which the call itself will say."""
    signature = inspect.signature(generate)
    try:
        bound = dict(signature.bind_partial(*args, **kwargs).arguments)
    except TypeError:
        return dict(kwargs)
    for name, parameter in signature.parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            bound |= bound.pop(name, {})
    return bound
