"""record_diffusion(): where an image pipeline looks in its prompt while it makes an image."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from attnscope.attention.capture import Attention, Capture
from attnscope.attention.layers import StoredWeights
from attnscope.attention.mask import Mask
from attnscope.attention.tokens import Tokens
from attnscope.errors import InputError, InputTypeError, ModelError, NoAttentionError
from attnscope.recording.diffusion.denoising import DenoiserWatch
from attnscope.recording.diffusion.maps import Average, chosen, on_grid, resized
from attnscope.recording.diffusion.prompts import PromptWatch, joined, positions_of
from attnscope.recording.media.patches import grid_tokens

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from attnscope.attention.layers import Layer
    from attnscope.recording.diffusion.maps import Chosen
    from attnscope.recording.diffusion.prompt_calls import PromptCall


class DiffusionRecording:
    """Where an image looked in its prompt; made by :func:`record_diffusion`."""

    def __init__(self, pipeline: Any, keep: str, tokens: Iterable[str] | Tokens | None) -> None:
        if keep not in ("average", "all"):
            raise InputError(f'keep is "average" or "all", got {keep!r}.')
        self._pipeline = pipeline
        self._all = keep == "all"
        self._given = None if tokens is None else Tokens.of(tokens)
        self._watch = DenoiserWatch(_denoiser(pipeline), self._guided, self._on_pass, self._on_call)
        self._prompt = PromptWatch(pipeline)
        self._steps: list[list[PromptCall]] = []
        self._n_steps = 0
        self._average = Average()
        self._joint = False
        self._checks: dict[str, float] = {}
        self._open: ExitStack | None = None
        self._named: Tokens | None = None

    def __enter__(self) -> DiffusionRecording:
        if self._n_steps:
            raise InputError("This recording has been used; make a new one with record_diffusion(pipeline).")
        with ExitStack() as stack:
            for remove in self._prompt.hooks():
                stack.callback(remove)
            stack.enter_context(self._watch)
            self._open = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._open is not None
        self._open.close()
        self._open = None

    def __repr__(self) -> str:
        return f"DiffusionRecording({self.n_steps} steps, {len(self.layers)} layers)"

    @property
    def tokens(self) -> Tokens:
        """The prompt's tokens as the denoiser sees them, start, end and padding included."""
        self._finished()
        if self._named is None:
            length = self._watch.prompt_length or 0
            if self._given is not None and len(self._given) != length:
                raise InputError(f"The denoiser sees {length} prompt tokens, but {len(self._given)} were named.")
            self._named = self._prompt.tokens(length) if self._given is None else self._given
        return self._named

    @property
    def n_steps(self) -> int:
        """How many times the denoiser looked at the prompt."""
        return self._n_steps

    @property
    def layers(self) -> tuple[str, ...]:
        """Paths of the modules that look from image to prompt, in the order they run."""
        return tuple(self._checks)

    @property
    def check(self) -> dict[str, float]:
        """Per layer, the worst figure of the self-check over all steps, relative to the largest output."""
        return dict(self._checks)

    def maps(
        self,
        word: str | Iterable[str] | None = None,
        *,
        occurrence: int | None = None,
        steps: Chosen = None,
        layers: Chosen = None,
        heads: Chosen = None,
        size: tuple[int, int] | None = None,
        normalize: bool = True,
    ) -> np.ndarray:
        """Give the share of its attention each place of the image gave to words of the prompt.

        Parameters
        ----------
        word
            A word, or several words that follow each other, their tokens summed; a list of words; None for every token.
        occurrence
            Which of several equal words, from zero; None sums them all.
        steps, layers, heads
            With ``keep="all"``: None averages over all, ``"all"`` or several numbers keep an axis, in this order before
            the others, and one number picks that one. Layers are numbered as in :attr:`layers`.
        size
            Height and width to give the maps, in pixels; None for the finest grid of the layers asked for. Pixels have
            the value of the place they lie in; nothing is smoothed.
        normalize
            Whether every place sums to 1 over the prompt's tokens. It always does in cross-attention. In joint
            attention the image looks at itself too; False gives the share of all its attention.

        Returns
        -------
        numpy.ndarray
            float32 [words or tokens, height, width], without the first axis for a single word. Heads are averaged in
            each layer, and steps and layers count alike.

        Raises
        ------
        NotFoundError
            For a word that is not in the prompt, with near matches.
        InputError
            For single steps, layers or heads where only the average was kept.
        """
        found = self._selected(steps, layers, heads)
        if normalize:
            found = found / np.maximum(found.sum(axis=-1, keepdims=True), np.finfo(np.float64).tiny)
        if word is None:
            found = np.moveaxis(found, -1, -3)
        elif isinstance(word, str):
            found = found[..., positions_of(self.tokens, word, occurrence)].sum(axis=-1)
        else:
            each = [found[..., positions_of(self.tokens, one, occurrence)].sum(axis=-1) for one in word]
            if not each:
                raise InputError("There is no word: the list is empty. Give at least one, or None for every token.")
            found = np.stack(each, axis=-3)
        return resized(found, size).astype(np.float32)

    def capture(self, *, step: int = -1, layers: Chosen = None) -> Capture:
        """Make a capture of one step, for the widget and the analyses.

        Queries are places of the image, keys the prompt's tokens; in joint attention both are both. Layers on other
        grids than the finest are kinds of their own, ``"cross 8×8"``. Where only the average was kept, the capture has
        one layer of one head: the average.

        Parameters
        ----------
        step
            Which step, with ``keep="all"``; -1 for the last.
        layers
            Numbers of the layers, as in :attr:`layers`; None for all.
        """
        name = type(self._pipeline).__name__
        if not self._all:
            if step != -1 or layers is not None:
                raise self._only_average()
            return Capture({"cross": self._averaged()}, name)
        self._finished()
        one = chosen(step, self._n_steps, "steps")[0][0]
        numbers = chosen(layers, len(self.layers), "layers")[0]
        kinds: dict[str, Attention] = {}
        calls = self._steps[one]
        for grid in sorted({calls[number].grid for number in numbers}, key=lambda grid: grid[2]):
            same = {number: calls[number] for number in numbers if calls[number].grid == grid}
            label = "joint" if self._joint else "cross"
            kinds[label if not kinds else f"{label} {grid[0]}×{grid[1]}"] = self._attention(label, same)
        return Capture({kind: _renamed(attention, kind) for kind, attention in kinds.items()}, name)

    def _on_pass(self) -> None:
        self._n_steps += 1
        if self._all:
            self._steps.append([])

    def _on_call(self, call: PromptCall) -> None:
        self._joint = self._joint or call.joint
        self._checks[call.path] = max(call.check, self._checks.get(call.path, 0.0))
        if self._all:
            self._steps[-1].append(call.kept())
        else:
            self._average.add(call)

    def _guided(self) -> bool | None:
        """Whether the pipeline says it runs an unconditional input beside the prompt."""
        try:
            said = getattr(self._pipeline, "do_classifier_free_guidance", None)
        except (AttributeError, TypeError):  # before the pipeline has set its guidance
            return None
        return None if said is None else bool(said)

    def _finished(self) -> None:
        """Check that the block has ended and showed the attention of every layer."""
        if self._open is not None:
            raise InputError("The recording is still open; ask for maps and captures after the with block.")
        if not self._n_steps:
            raise NoAttentionError(
                "No attention was recorded: the pipeline did not look at a prompt. Call pipeline(prompt, …) inside the "
                "with block, in the same thread; pipelines that take class labels have no words to map."
            )
        if self._watch.unseen:
            raise ModelError(
                f"{self._watch.unseen[0]} and {len(set(self._watch.unseen)) - 1} other modules compute attention "
                "outside PyTorch's own functions (xFormers, flash or another backend), where it cannot be seen. Go "
                "back to PyTorch's: pipeline.disable_xformers_memory_efficient_attention(), or "
                'pipeline.transformer.set_attention_backend("native").'
            )
        if not self._checks:
            raise NoAttentionError("The denoiser ran, but no layer of it looked from the image to the prompt.")

    def _selected(self, steps: Chosen, layers: Chosen, heads: Chosen) -> np.ndarray:
        """Average what was asked for: float64 [steps, layers, heads where kept, rows, columns, tokens]."""
        self._finished()
        if not self._all:
            if any(given is not None for given in (steps, layers, heads)):
                raise self._only_average()
            return self._average.over(*self._average.finest)
        step_numbers, keep_steps = chosen(steps, self._n_steps, "steps")
        layer_numbers, keep_layers = chosen(layers, len(self.layers), "layers")
        calls = [[self._steps[step][layer] for layer in layer_numbers] for step in step_numbers]
        counts = {call.layer.n_heads for call in calls[0]}
        if heads is not None and len(counts) > 1:
            raise InputError(
                f"The layers have {sorted(counts)} heads, which cannot stand side by side. Pick layers with equally "
                "many, or leave heads=None to average over them."
            )
        head_numbers, keep_heads = chosen(heads, min(counts), "heads")
        finest = min((call.grid for call in calls[0]), key=lambda grid: grid[2])
        groups = [[head] for head in head_numbers] if keep_heads else [None if heads is None else head_numbers]
        found: np.ndarray | None = None
        for i, row in enumerate(calls):
            for j, call in enumerate(row):
                for k, group in enumerate(groups):
                    spread = on_grid(call.mean(group), call.grid, finest)
                    if found is None:
                        axes = (len(calls) if keep_steps else 1, len(row) if keep_layers else 1, len(groups))
                        found = np.zeros((*axes, *spread.shape))
                    found[i if keep_steps else 0, j if keep_layers else 0, k] += spread
        assert found is not None
        found /= (1 if keep_steps else len(calls)) * (1 if keep_layers else len(calls[0]))
        dropped = tuple(axis for axis, kept in enumerate((keep_steps, keep_layers, keep_heads)) if not kept)
        return found.squeeze(axis=dropped)

    def _only_average(self) -> InputError:
        return InputError(
            "Only the average over steps, layers and heads was kept. Record all of them to take it apart: "
            'record_diffusion(pipeline, keep="all").'
        )

    def _averaged(self) -> Attention:
        """The average as attention of one layer with one head."""
        maps = np.moveaxis(self.maps(), 0, -1)
        rows, columns, n_tokens = maps.shape
        weights = np.ascontiguousarray(maps.reshape(1, rows * columns, n_tokens))
        layer = StoredWeights(weights, Mask.full(rows * columns, n_tokens))
        worst = {0: max(self._checks.values())}
        return Attention("cross", {0: layer}, grid_tokens(rows, columns), self.tokens, {0: "average"}, worst)

    def _attention(self, kind: str, calls: dict[int, PromptCall]) -> Attention:
        first = next(iter(calls.values()))
        image = grid_tokens(first.rows, first.columns)
        if first.joint:
            parts = [self.tokens, image]
            more = first.layer.n_queries - len(self.tokens) - len(image)
            if more:  # images to start from follow the one that is made
                parts.append(Tokens.of([f"reference {i}" for i in range(more)]))
            queries = keys = joined([*parts[1:], parts[0]] if first.image.start == 0 else parts)
        else:
            queries, keys = image, self.tokens
        stored: dict[int, Layer] = {number: call.layer for number, call in calls.items()}
        how = {n: "sdpa" if not isinstance(call.layer, StoredWeights) else "softmax" for n, call in calls.items()}
        return Attention(
            kind,
            stored,
            queries,
            keys,
            how,
            {number: call.check for number, call in calls.items()},
            {number: call.path for number, call in calls.items()},
        )


def record_diffusion(
    pipeline: Any,
    *,
    keep: Literal["average", "all"] = "average",
    tokens: Iterable[str] | Tokens | None = None,
) -> DiffusionRecording:
    """Record where an image pipeline of diffusers looks in its prompt.

    U-Nets (Stable Diffusion 1, 2, XL) and transformers with cross- or joint attention (PixArt, Stable Diffusion 3,
    Flux) run as they would without the recording; processors, config, random state and hooks are as before once the
    block ends, also after an error. With guidance, the pass over the prompt is recorded, the unconditional one is not.

    Parameters
    ----------
    pipeline
        A text-to-image pipeline, called inside the block with one prompt, for one image.
    keep
        ``"average"`` sums up weights while the pipeline runs and keeps no step; ``"all"`` keeps the queries and keys of
        every step and layer, from which any map can be computed.
    tokens
        One name per prompt token, where the prompt's embeddings are made outside the block.

    Raises
    ------
    InputTypeError
        When it is no pipeline with a U-Net or transformer.

    Examples
    --------
    >>> with record_diffusion(pipeline) as recording:
    ...     image = pipeline("a cat on a red chair", num_inference_steps=2).images[0]
    >>> recording.maps("cat").shape
    (8, 8)
    """
    return DiffusionRecording(pipeline, keep, tokens)


def _denoiser(pipeline: Any) -> torch.nn.Module:
    """Find the part of a pipeline that makes the image."""
    for name in ("unet", "transformer"):
        found = getattr(pipeline, name, None)
        found = getattr(found, "_orig_mod", found)
        if isinstance(found, torch.nn.Module):
            return found
    raise InputTypeError(
        f"Expected a text-to-image pipeline of diffusers with a unet or a transformer, got {type(pipeline).__name__}. "
        "Load one with diffusers.DiffusionPipeline.from_pretrained(...)."
    )


def _renamed(attention: Attention, kind: str) -> Attention:
    return Attention(
        kind, attention.stored, attention.queries, attention.keys, attention.how, attention.check, attention.modules
    )
