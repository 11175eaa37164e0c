"""record(): the context manager round a forward pass, and the captures made of it."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from attnscope.attention.storage import complete
from attnscope.attention.tokens import Tokens
from attnscope.errors import InputError
from attnscope.recording import finish, models
from attnscope.recording.assemble import Naming, make_capture
from attnscope.recording.called_with import batch_size, by_name, layer_numbers, media_count, require_live, token_counts
from attnscope.recording.collect import packs
from attnscope.recording.collect.any_module import (
    ModuleCollector,
    batch_sizes,
    require_one_module_pass,
    require_seen_here,
)
from attnscope.recording.collect.collector import Collector
from attnscope.recording.collect.keeping import Keeping
from attnscope.recording.collect.readout import Readouts
from attnscope.recording.collect.written import Writes
from attnscope.recording.forward import run_once
from attnscope.recording.generation.steps import Step, Steps
from attnscope.recording.generation.watch import Generated, final_inputs, is_around, watching_generate
from attnscope.recording.media.patches import Media
from attnscope.recording.module_names import ModuleNaming
from attnscope.recording.ranks.sharing import Sharing
from attnscope.recording.watch.functions import FunctionWatch
from attnscope.recording.watch.interface import is_watching, paused, watching
from attnscope.recording.watch.running import Running

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Sequence
    from types import TracebackType

    import torch

    from attnscope.attention.capture import Capture
    from attnscope.attention.given import TokenTexts
    from attnscope.recording.collect.recorded import Recorded
    from attnscope.recording.watch.calls import AttentionCall, SoftmaxCall


class Recording:
    """What one forward pass showed, or one call of generate(); made by :func:`record`."""

    def __init__(
        self,
        model: Any,
        layers: Iterable[int] | None,
        values: bool,
        live: bool,
        on_step: Callable[[Step], object] | None,
        keeping: Keeping,
    ) -> None:
        models.require_recordable(model)
        self._model = models.unwrapped(model)
        self._pair = models.is_encoder_decoder(self._model)
        self._wanted = layer_numbers(layers)
        self._paths = models.module_paths(model)
        self._running = Running(self._paths, lambda: is_watching(self._on_call))
        self._known = models.is_transformers(self._model)
        require_live(live, on_step, type(self._model).__name__ if not self._known else None, keeping.file)
        self._collector = (Collector if self._known else ModuleCollector)(self._wanted, values=values, keeping=keeping)
        self._keeping = keeping
        self._sharing = Sharing(self._model)
        self._sharing.require_possible(live=live, to_file=keeping.file is not None)
        self._collector.ranks = self._sharing.ranks
        self._writes = None if live or not values else Writes(self._paths, lambda: self._is_first_pass, keeping)
        self._collector.writes = self._writes
        self._readouts = None if self._writes is None else Readouts(self._model, self._writes)
        self._elsewhere = 0
        self._steps: Steps | None = None
        if live:
            self._steps = Steps(self._wanted, values=values, encoder_decoder=self._pair, keeping=keeping)
        self._on_step = on_step
        self._counts = finish.Counts(live=live)
        self._inputs: dict[str, Any] = {}
        self._recorded: Sequence[Recorded] = self._collector.recorded
        self._generated: Generated | None = None
        self._generating: Generated | None = None
        self._open: ExitStack | None = None

    def __enter__(self) -> Recording:
        with ExitStack() as stack:
            stack.callback(self._model.register_forward_pre_hook(self._on_forward, with_kwargs=True).remove)
            stack.callback(self._model.register_forward_hook(self._on_forward_end).remove)
            for part in models.decoders(self._model) if self._pair else []:
                stack.callback(part.register_forward_pre_hook(self._on_decoder, with_kwargs=True).remove)
            stack.enter_context(self._running)
            if self._writes is not None:
                stack.enter_context(self._writes)
            stack.enter_context(watching(self._on_call))
            if self._known:
                stack.enter_context(watching_generate(self._model, self._around_generate))
            watch = FunctionWatch(self._running, self._on_call, self._on_softmax, follow=not self._known)
            stack.enter_context(watch)
            self._open = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._open is not None
        whole = False
        try:
            with self._sharing.ending(error, lambda: self._counts.ended == self._counts.passes):
                self._close(kind)
            if kind is None:
                self._recorded = self._sharing.gathered(self._recorded)
            whole = kind is None
        finally:
            self._open.close()
            self._open = None
            if not whole and self._keeping.file is not None:
                self._keeping.file.discard()

    def _close(self, kind: type[BaseException] | None) -> None:
        """End what is recorded: after generate(), with one pass over all that it wrote."""
        if kind is None and self._generated is not None and self._counts.is_one_generation:
            inputs = final_inputs(self._model, self._generated)
            if self._steps is None:
                self._generating = self._generated  # the pass is a part of generating
                run_once(self._model, inputs)
            else:
                self._inputs = self._steps.finished_inputs(inputs)
        elif self._steps is not None:
            self._inputs = self._steps.inputs(self._inputs)
        if self._steps is not None:
            self._recorded = self._steps.recorded()
        self._collector.close()
        if self._writes is not None and self._readouts is not None:
            self._readouts.close(self._writes.close())

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

    def captures(
        self,
        tokens: Sequence[TokenTexts] | None = None,
        *,
        tokenizer: Any = None,
        key_tokens: Sequence[TokenTexts] | None = None,
    ) -> list[Capture]:
        """Make one capture of each input of a batch, padding cut away.

        Parameters
        ----------
        tokens
            One list of strings per input, as long as the padded input; None reads them from the input ids.
        tokenizer
            Names the input ids.
        key_tokens
            One list of strings per input for the keys, where those are other tokens.
        """
        batch = self._finished()
        for given in (tokens, key_tokens):
            if given is not None and len(given) != batch:
                raise InputError(f"The pass was over {batch} inputs, but tokens of {len(given)} were given.")
        sides = [[None] * batch if given is None else given for given in (tokens, key_tokens)]
        return [self._make(item, sides[0][item], tokenizer, sides[1][item]) for item in range(batch)]

    def _around_generate(self, run: Callable[[], Any], arguments: dict[str, Any]) -> Any:
        """Run generate(): its passes are steps of a live recording; else one over all it wrote follows at the end."""
        if self._generating is not None or not is_watching(self._on_call):
            with paused():  # the model drafts for itself, or the call is another recording's
                return run()
        self._generating = call = Generated(arguments, None, {})
        self._counts.generations += 1
        try:
            if self._steps is None:
                with paused():
                    output = run()
            else:
                finish.require_one_beam(call.option(self._model, "num_beams"))
                self._running.with_parts = True
                output = run()
        finally:
            self._generating = None
            self._running.with_parts = False
        self._generated = replace(call, output=output)
        self._counts.generated += 1
        return output

    def _on_forward(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        watched = is_watching(self._on_call)
        inside = self._generating is not None and is_around(self._around_generate)
        unseen = inside and self._generating is not None and not self._generating.first
        if not watched and not unseen:
            self._elsewhere += not inside  # a pass of another thread, or of a recording inside this one
            return
        inputs = by_name(module, args, kwargs)
        if self._generating is not None and unseen:
            self._generating.first.update(inputs)
        if not watched:
            return
        self._inputs = inputs
        self._counts.began(by_itself=self._generating is None)
        if self._steps is not None:
            self._steps.begin(inputs, batch_size(inputs))
        elif self._counts.passes == 1:
            if self._keeping.file is not None and self._known:
                finish.require_one_whole_input(inputs)
            self._collector.batch, self._collector.media = batch_size(inputs), media_count(inputs)
            if isinstance(self._collector, ModuleCollector):
                self._collector.batches = batch_sizes(inputs)
            with self._sharing.agreed(inputs, layers=sorted(self._wanted or ()), values=self._writes is not None):
                self._collector.expect(self._model, token_counts(inputs))
            self._collector.packed = packs.patches_by_text(self._model, inputs)

    def _on_forward_end(self, *_: Any) -> None:
        if not is_watching(self._on_call):
            return
        self._counts.ended += 1
        if self._steps is None:
            return
        self._steps.end()
        if self._on_step is not None:
            with paused():
                self._on_step(self._step(self._steps))

    def _on_decoder(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Note what the decoder reads where the model makes that itself, of labels or of the text."""
        if is_watching(self._on_call) and self._counts.passes > self._counts.ended:
            bound = by_name(module, args, kwargs)
            for name, value in (("decoder_input_ids", "input_ids"), ("decoder_attention_mask", "attention_mask")):
                if self._inputs.get(name) is None:
                    self._inputs[name] = bound.get(value)

    @property
    def _is_taking(self) -> bool:
        """Whether what is running is to be recorded."""
        first = self._steps is not None or self._counts.passes <= 1
        return is_watching(self._on_call) and first and self._sharing.failed is None

    @property
    def _is_first_pass(self) -> bool:
        return is_watching(self._on_call) and self._counts.passes == 1 and self._counts.ended == 0

    def _on_call(self, call: AttentionCall) -> None:
        path = self._paths.get(call.module)
        if path is None or self._running.innermost is None or not self._is_taking:
            return
        self._running.mark(call.module)
        call = replace(call, path=path, frames=self._running.frames_to(call.module))
        with self._sharing.held():
            (self._collector if self._steps is None else self._steps).take(call)

    def _on_softmax(self, call: SoftmaxCall) -> None:
        if not self._is_taking:
            return
        call = replace(call, frames=call.frames or self._running.frames_to(call.module))
        with self._sharing.held():
            if (self._collector if self._steps is None else self._steps).take_softmax(call):
                self._running.mark(call.module, softmax=True)
                self._sharing.require_whole(call)

    def _step(self, steps: Steps) -> Step:
        """Hand over what was recorded up to now."""
        total, given = steps.total, {} if self._generating is None else self._generating.arguments
        inputs = steps.inputs({**self._inputs, **given})

        def capture(tokens: TokenTexts | None = None, *, tokenizer: Any = None, item: int = 0) -> Capture:
            return self._make(item, tokens, tokenizer, None, steps.recorded(total), inputs)

        expected = None if self._generating is None else self._generating.option(self._model, "max_new_tokens")
        return Step(self._counts.ended - 1, None if steps.fed is None else steps.fed.tolist(), capture, expected)

    def _finished(self) -> int:
        """Check that the block ended with one whole, verified pass; give the number of inputs."""
        if self._open is not None:
            raise InputError("The recording is still open; ask for the capture after the with block.")
        name = type(self._model).__name__
        require_seen_here(self._counts.passes, self._elsewhere, name)
        if not self._known:
            require_one_module_pass(self._counts.passes, name)
        restarts = 0 if self._steps is None else self._steps.restarts
        finish.require_one_pass(self._counts, name, restarts)
        seen = self._collector if self._steps is None else self._steps.whole
        finish.require_attention(seen, self._wanted, self._running.unseen(), name)
        for layer in self._recorded:
            finish.require_verified(layer)
        batch = len(self._recorded[0].items)
        if self._keeping.file is not None and batch > 1:
            raise finish.one_file_each(batch)
        return batch

    def _make(
        self,
        item: int,
        tokens: TokenTexts | None,
        tokenizer: Any,
        key_tokens: TokenTexts | None,
        recorded: Sequence[Recorded] | None = None,
        inputs: dict[str, Any] | None = None,
    ) -> Capture:
        inputs = self._inputs if inputs is None else inputs
        recorded = self._recorded if recorded is None else recorded
        named = (None if tokens is None else Tokens.of(tokens), None if key_tokens is None else Tokens.of(key_tokens))
        naming: Naming
        if self._known:
            media = Media(self._model, packs.of_text(self._model, inputs, item), tokenizer)
            naming = Naming(inputs, item, tokenizer, *named, encoder_decoder=self._pair, media=media)
        else:
            batch = len(recorded[0].items)
            naming = ModuleNaming(inputs, item, tokenizer, *named, encoder_decoder=self._pair, batch=batch)
        name = models.display_name(self._model)
        made = make_capture(recorded, item, naming, name, encoder_decoder=self._pair)
        naming.require_used()
        file = self._keeping.file
        if file is not None and not file.is_finished:
            complete(made, file)
        return made


def record(
    model: Any,
    *,
    layers: Iterable[int] | None = None,
    values: bool = False,
    dtype: str | torch.dtype | None = None,
    device: str | torch.device | None = None,
    path: str | os.PathLike[str] | None = None,
    live: bool = False,
    on_step: Callable[[Step], object] | None = None,
) -> Recording:
    """Record the attention of a forward pass you run yourself, or of a text the model writes.

    The pass runs as it would without the recording, on the model's own implementation; parameters, config, mode,
    random state and hooks are as before once the block ends, also after an error.

    After ``generate()``, one more pass over prompt and new tokens together is captured when the block ends. It is the
    attention each token was written with, however it was decoded: greedily, by sampling, beams or with an assistant;
    ``captures()`` gives one capture of each sequence that came back.

    Parameters
    ----------
    model
        A transformers model or any other PyTorch module, in eval mode. Of modules nothing is known of, attention is
        what calls ``scaled_dot_product_attention`` or ``nn.MultiheadAttention``, and every softmax over the last axis
        whose result is multiplied with values; layers are named after their modules in ``capture[kind].modules``.
    layers
        Numbers of the layers to record; None for all.
    values
        Whether to keep the value vectors too.
    dtype, device, path
        What queries, keys and values are kept in, and where; see :func:`attnscope.capture`. A file is complete once
        :meth:`Recording.capture` was called, and until then stands beside its path under another name. Not for live
        steps.
    live
        Whether to record the passes of ``generate()``, or of a loop of your own that goes on with
        ``past_key_values``, as they run. The last token written is not read any more, so it has no row then. Not for
        beams.
    on_step
        Called with a :class:`Step` after each pass of a live recording.

    Raises
    ------
    InputTypeError, ModelError
        When the model cannot be recorded, with the reason and the remedy.
    WriteError
        When nothing can be written to ``path``, or the disk is full.

    Examples
    --------
    >>> inputs = tokenizer("the cat saw a small red bird . the", return_tensors="pt")
    >>> with record(model) as recording:
    ...     written = model.generate(input_ids=inputs["input_ids"], max_new_tokens=3)
    >>> recording.capture(tokenizer=tokenizer).tokens[-3:]
    ['cat', 'saw', 'a']
    """
    return Recording(model, layers, values, live, on_step, Keeping.of(dtype, device, path))
