"""Watching the denoiser of an image pipeline: where each place of the image looks in the prompt.

Hooks follow the denoiser's attention modules, and a ``TorchFunctionMode`` sees the attention functions they call, so no
attention processor is replaced. In cross-attention the queries are the image and the keys the prompt; in joint
attention both are in one sequence, whose order is read off what the module takes to be the image's part of the output.
"""

from __future__ import annotations

import inspect
import threading
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from attnscope.errors import InputError, ModelError
from attnscope.recording.diffusion.canvas import Canvas, canvas_of
from attnscope.recording.diffusion.prompt_calls import PromptCall, of_queries, of_weights
from attnscope.recording.watch.functions import sdpa_arguments

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from attnscope.attention.layers import QueriesKeys, StoredWeights

_SOFTMAXES = {torch.softmax, F.softmax, torch.Tensor.softmax, torch.special.softmax}


@dataclass(eq=False)
class _Frame:
    """One running attention module."""

    module: nn.Module
    path: str
    prompt: torch.Tensor | None
    call: dict[str, Any] | None = None
    softmaxes: list[torch.Tensor] = field(default_factory=list)
    projected: torch.Tensor | None = None


class DenoiserWatch(TorchFunctionMode):
    """Shows the attention of a denoiser from image to prompt, pass after pass.

    Parameters
    ----------
    denoiser
        The U-Net or transformer of the pipeline.
    guided
        Whether the pipeline says it runs an unconditional input beside the prompt; None where it does not say.
    on_pass
        Called as a pass over the prompt begins.
    on_call
        Takes each attention call from image to prompt.
    """

    def __init__(
        self,
        denoiser: nn.Module,
        guided: Callable[[], bool | None],
        on_pass: Callable[[], None],
        on_call: Callable[[PromptCall], None],
    ) -> None:
        super().__init__()
        self._denoiser = denoiser
        self._guided = guided
        self._on_pass, self._on_call = on_pass, on_call
        self._thread = threading.get_ident()
        self._frames: list[_Frame] = []
        self._hooks = ExitStack()
        self._embeddings: torch.Tensor | None = None
        self._canvas: Canvas | None = None
        self._item = 0
        self._image_first: bool | None = None
        self.prompt_length: int | None = None
        self.unseen: list[str] = []

    def __enter__(self) -> DenoiserWatch:
        with self._hooks as stack:
            stack.enter_context(torch.compiler.set_stance("force_eager"))
            stack.callback(self._denoiser.register_forward_pre_hook(self._on_start, with_kwargs=True).remove)
            stack.callback(self._denoiser.register_forward_hook(self._on_end, always_call=True).remove)
            for path, module in self._denoiser.named_modules():
                if not hasattr(module, "heads") or not hasattr(module, "processor"):
                    continue
                start = self._starter(path)
                stack.callback(module.register_forward_pre_hook(start, with_kwargs=True).remove)
                stack.callback(module.register_forward_hook(self._on_attention_end, always_call=True).remove)
                out = getattr(module, "to_out", None)
                first = out[0] if isinstance(out, torch.nn.ModuleList | torch.nn.Sequential) and len(out) else out
                if isinstance(first, torch.nn.Module):
                    stack.callback(first.register_forward_pre_hook(self._on_projection).remove)
            super().__enter__()  # type: ignore[no-untyped-call]
            self._hooks = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        self._hooks.close()
        self._frames.clear()

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Run the function as it is, and note it if it is attention."""
        result = func(*args, **(kwargs or {}))
        if self._frames and func is F.scaled_dot_product_attention:
            given = sdpa_arguments(*args, **(kwargs or {}))
            self._frames[-1].call = given | {"output": result}
        elif self._frames and func in _SOFTMAXES and isinstance(result, torch.Tensor) and result.ndim == 3:
            self._frames[-1].softmaxes.append(result)
        return result

    def _is_ours(self) -> bool:
        return threading.get_ident() == self._thread

    def _on_start(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Look at what the denoiser is called with: the prompt, its place in the batch, the size of the image."""
        if not self._is_ours():
            return
        given = inspect.signature(module.forward).bind_partial(*args, **kwargs).arguments
        embeddings = given.get("encoder_hidden_states")
        self._canvas = None
        if not isinstance(embeddings, torch.Tensor):
            return
        item = self._conditional(embeddings)
        prompt = embeddings[item].detach()
        if self._embeddings is None:
            self._embeddings, self.prompt_length = prompt, int(prompt.shape[0])
        elif prompt.shape != self._embeddings.shape or not torch.equal(prompt, self._embeddings):
            return  # the negative prompt, where it runs by itself
        self._item, self._canvas = item, canvas_of(module, given)
        self._on_pass()

    def _on_end(self, *_: Any) -> None:
        if self._is_ours():
            self._canvas = None
            self._frames.clear()

    def _conditional(self, embeddings: torch.Tensor) -> int:
        """Which input of the batch has the prompt: the only one, or the second of two where there is guidance."""
        inputs = embeddings.shape[0]
        if inputs == 1:
            return 0
        guided = self._guided()
        if guided is None:
            guided = not torch.equal(embeddings[0], embeddings[-1])
        if inputs == 2 and guided:
            return 1
        raise InputError(
            f"The pipeline makes several images at once ({inputs} inputs in a batch), and a recording is of one image "
            "of one prompt. Give one prompt with num_images_per_prompt=1; record each image by itself."
        )

    def _starter(self, path: str) -> Any:
        def start(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            if not self._is_ours() or self._canvas is None:
                return
            prompt = kwargs.get("encoder_hidden_states", args[1] if len(args) > 1 else None)
            self._frames.append(_Frame(module, path, prompt))

        return start

    def _on_projection(self, _module: nn.Module, args: tuple[Any, ...]) -> None:
        if self._is_ours() and self._frames and self._frames[-1].projected is None and args:
            self._frames[-1].projected = args[0]

    def _on_attention_end(self, module: nn.Module, _args: Any, output: Any) -> None:
        if not self._is_ours() or not self._frames or self._frames[-1].module is not module:
            return
        frame = self._frames.pop()
        if output is not None:
            with torch.no_grad():
                self._take(frame)

    def _take(self, frame: _Frame) -> None:
        """Make a call of an attention module that has ended, if it looks at the prompt."""
        assert self._canvas is not None
        if frame.call is None and not frame.softmaxes:
            self.unseen.append(frame.path)
            return
        n_queries, n_keys = self._sizes(frame)
        if frame.prompt is None:
            length = self.prompt_length or 0
            if self._image_first is None or n_queries != n_keys or n_keys != self._canvas.tokens + length:
                return  # the image looks at itself
            n_prompt, joint = length, True
        else:
            if not isinstance(frame.prompt, torch.Tensor) or frame.prompt.shape[1] != self.prompt_length:
                raise ModelError(
                    f"{frame.path} looks at more than the prompt's {self.prompt_length} tokens (an image prompt or a "
                    "second text), which attnscope cannot tell apart. Run the pipeline with a text prompt only."
                )
            n_prompt = int(frame.prompt.shape[1])
            joint = n_keys == n_queries == n_prompt + self._canvas.tokens
            if not joint and n_keys != n_prompt:
                raise ModelError(
                    f"{frame.path} has {n_queries} queries and {n_keys} keys for {n_prompt} prompt tokens, a layout "
                    "attnscope does not know."
                )
        if joint and frame.prompt is not None:
            self._image_first = self._reads_image_first(frame, n_prompt)
        first = bool(self._image_first) if joint else True
        n_image = n_queries - n_prompt if joint else n_queries
        image = slice(0, n_image) if first else slice(n_prompt, n_queries)
        prompt = (slice(n_image, n_keys) if first else slice(0, n_prompt)) if joint else slice(0, n_keys)
        rows, columns, step = self._canvas.grid(n_image, frame.path)
        image = slice(image.start, image.start + rows * columns)
        layer, off = self._layer(frame)
        self._on_call(PromptCall(frame.path, layer, image, prompt, rows, columns, step, joint, off))

    def _sizes(self, frame: _Frame) -> tuple[int, int]:
        if frame.call is not None:
            return int(frame.call["query"].shape[-2]), int(frame.call["key"].shape[-2])
        return int(frame.softmaxes[0].shape[-2]), int(frame.softmaxes[0].shape[-1])

    def _reads_image_first(self, frame: _Frame, n_prompt: int) -> bool:
        """Read off the module's output projection which end of a joint sequence is the image's."""
        if frame.call is not None and frame.projected is not None:
            whole = frame.call["output"][0].transpose(0, 1).flatten(1)
            image = frame.projected[0]
            if image.shape == whole[n_prompt:].shape:
                if torch.equal(image, whole[: len(whole) - n_prompt].to(image)):
                    return True
                if torch.equal(image, whole[n_prompt:].to(image)):
                    return False
        raise ModelError(
            f"{frame.path} joins image and prompt in an order attnscope cannot tell. Use the model's default attention "
            "processors."
        )

    def _layer(self, frame: _Frame) -> tuple[QueriesKeys | StoredWeights, float]:
        """Make the layer of the input that has the prompt, with the figure of its self-check."""
        if frame.call is None:
            rows, heads = torch.cat(frame.softmaxes), int(frame.module.heads)  # type: ignore[arg-type]
            batch, rest = divmod(rows.shape[0], heads)
            if rest or batch <= self._item:
                raise ModelError(f"{frame.path} computes its softmax in pieces attnscope cannot put together.")
            return of_weights(frame.path, rows.reshape(batch, heads, *rows.shape[1:])[self._item].detach())
        given = frame.call
        if given["is_causal"] or given["dropout_p"]:
            raise ModelError(
                f"{frame.path} attends causally or with dropout, which image attention does not. Put the "
                f"{type(self._denoiser).__name__} into eval mode first: .eval()."
            )
        mask = given["attn_mask"]
        if mask is not None:
            mask = mask[(None,) * (4 - mask.ndim)]
            mask = mask[self._item if mask.shape[0] > 1 else 0].detach()
        queries, keys, values, output = (
            given[name][self._item].detach() for name in ("query", "key", "value", "output")
        )
        return of_queries(frame.path, queries, keys, values, output, mask, given["scale"])
