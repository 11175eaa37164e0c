"""Which module of a model is running, and what it was called with."""

from __future__ import annotations

import re
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from torch import nn

_ATTENTION = re.compile(r"attn|attention")
_NO_SOFTMAX = re.compile(r"linear_att|attentionstructure|norm")


@dataclass(eq=False)
class Frame:
    """One running module; ``serial`` tells its runs apart.

    ``seen`` says that an attention function ran in it, so that its softmaxes are not needed; ``shown`` that its
    attention was taken, from whichever of them.
    """

    module: nn.Module
    path: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    softmaxes: int = 0
    seen: bool = False
    shown: bool = False
    serial: int = field(default_factory=count().__next__)


class Running:
    """Follows a model's modules as they start and end, through hooks that are removed on exit.

    Modules that run by themselves, outside a pass of the whole model, are followed only ``with_parts``, as generate()
    runs an encoder. ``on_start`` is called when a module starts, ``on_pass_end`` when a pass of the whole model ends.

    Parameters
    ----------
    paths
        The modules to follow, by path.
    is_ours
        Whether the code running now belongs to the recording.
    """

    def __init__(self, paths: Mapping[nn.Module, str], is_ours: Callable[[], bool]) -> None:
        self._paths = paths
        self._is_ours = is_ours
        self._frames: list[Frame] = []
        self._hooks = ExitStack()
        self._ended: dict[str, bool] = {}
        self.with_parts = False
        self.on_pass_end: Callable[[], None] | None = None
        self.on_start: Callable[[Frame], None] | None = None

    @property
    def innermost(self) -> Frame | None:
        """The module that is running, if any."""
        return self._frames[-1] if self._frames else None

    def __enter__(self) -> Running:
        with self._hooks as stack:
            for module in self._paths:
                stack.callback(module.register_forward_pre_hook(self._on_start, with_kwargs=True).remove)
                stack.callback(module.register_forward_hook(self._on_end, always_call=True).remove)
            self._hooks = stack.pop_all()
        return self

    def __exit__(self, *error: object) -> None:
        self._hooks.close()
        self._frames.clear()

    def attending(self) -> Frame | None:
        """The innermost running module that is more than a plain function such as a softmax or dropout layer."""
        return next((frame for frame in reversed(self._frames) if not is_plain(frame.module)), self.innermost)

    def frames_to(self, module: nn.Module) -> tuple[Frame, ...]:
        """The running modules from the model down to one of them; empty where that one is not running."""
        last = max((i for i, frame in enumerate(self._frames) if frame.module is module), default=-1)
        return tuple(self._frames[: last + 1])

    def mark(self, module: nn.Module, *, softmax: bool = False) -> None:
        """Note that attention was taken from a module, from one of its softmaxes or from a whole function."""
        for frame in self._frames:
            if frame.module is module:
                frame.shown = True
                frame.seen = frame.seen or not softmax
        if self._paths[module] in self._ended:  # what its softmax gave was used after it had ended
            self._ended[self._paths[module]] = True

    def unseen(self) -> list[str]:
        """Paths of modules named after attention that ran, though no attention was seen in or beside them."""
        shown = [path for path, was_seen in self._ended.items() if was_seen]
        return [
            path
            for path in self._ended
            if not any(f"{other}.".startswith(_layer_of(path)) or path.startswith(f"{other}.") for other in shown)
        ]

    def _on_start(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self._is_ours() and (self._frames or self.with_parts or not self._paths[module]):
            self._frames.append(Frame(module, self._paths[module], args, kwargs))
            if self.on_start is not None:
                self.on_start(self._frames[-1])

    def _on_end(self, module: nn.Module, _args: Any, _output: Any) -> None:
        if self._is_ours() and any(frame.module is module for frame in self._frames):
            if not self._paths[module] and self.on_pass_end is not None:
                self.on_pass_end()
            while (frame := self._frames.pop()).module is not module:
                pass
            shown = self._ended.get(frame.path, False) or frame.seen or frame.shown
            if shown or _is_attention(frame):
                self._ended[frame.path] = shown


def is_plain(module: nn.Module) -> bool:
    """Whether a module has neither parameters nor parts, and so does nothing of its own to attention."""
    return not any(True for _ in module.children()) and not any(True for _ in module.parameters())


def _is_attention(frame: Frame) -> bool:
    """Whether a module by its name computes attention, not a part of it or a kind without a softmax."""
    name = f"{frame.path.rsplit('.', maxsplit=1)[-1]} {type(frame.module).__name__}".lower()
    return bool(_ATTENTION.search(name)) and not _NO_SOFTMAX.search(name) and any(True for _ in frame.module.children())


def _layer_of(path: str) -> str:
    """The path up to its last number: the layer a module belongs to."""
    parts = path.split(".")
    last = max((i for i, part in enumerate(parts) if part.isdigit()), default=len(parts) - 1)
    return ".".join(parts[: last + 1]) + ("." if last < len(parts) - 1 else "")
