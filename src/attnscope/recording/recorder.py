"""record(): the context manager round a forward pass, and the captures made of it."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attnscope.attention.tokens import Tokens
from attnscope.errors import InputError, InputTypeError
from attnscope.recording import finish, models
from attnscope.recording.assemble import Naming, make_capture
from attnscope.recording.collect import Collector
from attnscope.recording.functions import FunctionWatch
from attnscope.recording.interface import is_watching, watching
from attnscope.recording.patches import Media
from attnscope.recording.running import Running

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from attnscope.attention.capture import Capture
    from attnscope.attention.given import TokenTexts
    from attnscope.recording.calls import AttentionCall, SoftmaxCall


class Recording:
    """What one forward pass showed; made by :func:`record`."""

    def __init__(self, model: Any, layers: Iterable[int] | None, values: bool) -> None:
        models.require_recordable(model)
        self._model = models.unwrapped(model)
        self._wanted = _layer_numbers(layers)
        self._paths = models.module_paths(model)
        self._running = Running(self._paths, lambda: is_watching(self._on_call))
        self._collector = Collector(self._wanted, values=values)
        self._passes = 0
        self._inputs: dict[str, Any] = {}
        self._open: ExitStack | None = None

    def __enter__(self) -> Recording:
        with ExitStack() as stack:
            hook = self._model.register_forward_pre_hook(self._on_forward, with_kwargs=True)
            stack.callback(hook.remove)
            stack.enter_context(self._running)
            stack.enter_context(watching(self._on_call))
            stack.enter_context(FunctionWatch(self._running, self._on_call, self._on_softmax))
            self._open = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._open is not None
        self._open.close()
        self._open = None

    def capture(
        self, tokens: TokenTexts | None = None, *, tokenizer: Any = None, key_tokens: TokenTexts | None = None
    ) -> Capture:
        """Make the capture of a pass over one input.

        Parameters
        ----------
        tokens
            One string per token, padding included if there was any; None reads them from the input ids.
        tokenizer
            Names the input ids; without it they are shown as numbers.
        key_tokens
            One string per key, where those are other tokens.

        Raises
        ------
        InputError
            Before the block has ended, for several inputs at once, or for tokens that do not match.
        NoAttentionError, ModelError, UnverifiedError
            When nothing was recorded, layers are missing, or the self-check failed.
        """
        batch = self._finished()
        if batch != 1:
            raise InputError(f"The pass was over {batch} inputs; use .captures() for one capture of each.")
        return self._make(0, tokens, tokenizer, key_tokens)

    def captures(self, tokens: Sequence[TokenTexts] | None = None, *, tokenizer: Any = None) -> list[Capture]:
        """Make one capture of each input of a batch, padding cut away.

        Parameters
        ----------
        tokens
            One list of strings per input, as long as the padded input; None reads them from the input ids.
        tokenizer
            Names the input ids.
        """
        batch = self._finished()
        if tokens is not None and len(tokens) != batch:
            raise InputError(f"The pass was over {batch} inputs, but tokens of {len(tokens)} were given.")
        return [self._make(item, None if tokens is None else tokens[item], tokenizer, None) for item in range(batch)]

    def _on_forward(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if not is_watching(self._on_call):
            return  # a pass of another thread, or of a recording inside this one
        self._passes += 1
        bound = inspect.signature(module.forward).bind_partial(*args, **kwargs).arguments
        self._inputs = {**bound, **bound.get("kwargs", {})}
        if self._passes == 1:
            self._collector.batch = _batch_size(self._inputs)

    def _on_call(self, call: AttentionCall) -> None:
        path = self._paths.get(call.module)
        if path is None or self._passes > 1:
            return
        self._running.mark(call.module)
        self._collector.take(replace(call, path=path))

    def _on_softmax(self, call: SoftmaxCall) -> None:
        if self._passes <= 1 and self._collector.take_softmax(call):
            self._running.mark(call.module)

    def _finished(self) -> int:
        """Check that the block ended with one whole, verified pass; give the number of inputs."""
        if self._open is not None:
            raise InputError("The recording is still open; ask for the capture after the with block.")
        name = type(self._model).__name__
        finish.require_one_pass(self._passes, name)
        finish.require_attention(self._collector, self._wanted, self._running.unseen(), name)
        for layer in self._collector.recorded:
            finish.require_verified(layer)
        return len(self._collector.recorded[0].items)

    def _make(self, item: int, tokens: TokenTexts | None, tokenizer: Any, key_tokens: TokenTexts | None) -> Capture:
        pair = models.is_encoder_decoder(self._model)
        naming = Naming(
            self._inputs,
            item,
            tokenizer,
            None if tokens is None else Tokens.of(tokens),
            None if key_tokens is None else Tokens.of(key_tokens),
            encoder_decoder=pair,
            media=Media(self._model, self._inputs, tokenizer),
        )
        name = models.display_name(self._model)
        return make_capture(self._collector.recorded, item, naming, name, encoder_decoder=pair)


def record(model: Any, *, layers: Iterable[int] | None = None, values: bool = False) -> Recording:
    """Record the attention of a forward pass you run yourself.

    >>> with record(model) as recording:          # doctest: +SKIP
    ...     model(**inputs)
    >>> recording.capture(tokenizer=tokenizer)    # doctest: +SKIP

    The pass runs as it would without the recording, on the model's own implementation; parameters, config, mode,
    random state and hooks are as before once the block ends, also after an error.

    Parameters
    ----------
    model
        A transformers model, in eval mode.
    layers
        Numbers of the layers to record; None for all.
    values
        Whether to keep the value vectors too.

    Raises
    ------
    InputTypeError, ModelError
        When the model cannot be recorded, with the reason and the remedy.
    """
    return Recording(model, layers, values)


def _layer_numbers(layers: Iterable[int] | None) -> set[int] | None:
    """Check the layers asked for."""
    if layers is None:
        return None
    if isinstance(layers, str) or not isinstance(layers, Iterable):
        raise InputTypeError(f"layers is a list of layer numbers, got {layers!r}. For one layer, write layers=[0].")
    numbers = list(layers)
    wrong = [n for n in numbers if isinstance(n, bool) or not isinstance(n, int | np.integer)]
    if wrong:
        raise InputTypeError(f"A layer is a number, got {type(wrong[0]).__name__} {wrong[0]!r} in layers.")
    if not numbers:
        raise InputError("layers is empty: name at least one layer, or leave it None for all.")
    return {int(number) for number in numbers}


def _batch_size(inputs: dict[str, Any]) -> int | None:
    """Number of inputs of a pass: the first axis of its first tensor."""
    first = next((value for value in inputs.values() if isinstance(value, torch.Tensor) and value.ndim > 1), None)
    return None if first is None else int(first.shape[0])
