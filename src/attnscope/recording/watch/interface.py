"""Watching transformers' attention interface while a recording is open.

Every modelling file that uses the interface asks ``AttentionInterface.get_interface`` for its attention function on
each forward pass. That method is wrapped while at least one recording is open; the function it gives back runs the
model's own attention unchanged and then shows the call to the recording of the current context. The model, its config
and its choice of implementation are not touched, and code outside the recording's context is not recorded. Compiled
models run in Python meanwhile, where their calls can be seen.
"""

from __future__ import annotations

import sys
import threading
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import TYPE_CHECKING, Any

import torch

from attnscope.recording.watch.calls import AttentionCall

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Watcher = Callable[[AttentionCall], None]
    Changer = Callable[[AttentionCall], torch.Tensor]


_watcher: ContextVar[Watcher | None] = ContextVar("attnscope_watcher", default=None)
_changer: ContextVar[Changer | None] = ContextVar("attnscope_changer", default=None)
_inside: ContextVar[list[torch.Tensor] | None] = ContextVar("attnscope_inside_interface", default=None)
_lock = threading.Lock()
_open = 0
_undo = ExitStack()
_MARK = "_attnscope_watched"


@contextmanager
def watching(watcher: Watcher) -> Iterator[None]:
    """Show every attention call of this context to ``watcher``; the innermost of nested watchers sees them."""
    _install()
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)
        _uninstall()


@contextmanager
def changing(changer: Changer) -> Iterator[None]:
    """Let ``changer`` say what each attention call of this context gives back; the innermost of several does."""
    _install()
    token = _changer.set(changer)
    try:
        yield
    finally:
        _changer.reset(token)
        _uninstall()


def is_changing(changer: Changer) -> bool:
    """Whether attention calls of this context go to ``changer``."""
    return _changer.get() == changer


@contextmanager
def paused() -> Iterator[None]:
    """Show the attention calls of this context to nobody for a while."""
    token = _watcher.set(None)
    try:
        yield
    finally:
        _watcher.reset(token)


def is_watching(watcher: Watcher) -> bool:
    """Whether attention calls of this context are shown to ``watcher``."""
    return _watcher.get() == watcher


def inside_interface() -> bool:
    """Whether the code running now is an attention function the interface gave out."""
    return _inside.get() is not None


def note_softmax(weights: torch.Tensor) -> None:
    """Keep a softmax of the attention function that is running, for as long as it runs."""
    seen = _inside.get()
    if seen is not None:
        seen[:] = [weights]


def _install() -> None:
    """Change what is the whole process's, once for all open recordings.

    Compiled code is set aside, the fused forward of ``nn.TransformerEncoderLayer`` is switched off, and transformers'
    interface is wrapped where transformers was imported.
    """
    global _open, _undo
    with _lock, ExitStack() as stack:
        if _open == 0:
            fast = torch.backends.mha.get_fastpath_enabled()
            stack.callback(torch.backends.mha.set_fastpath_enabled, fast)
            torch.backends.mha.set_fastpath_enabled(False)
            if "torch._dynamo" in sys.modules:  # slow to import, and nothing is compiled without it
                stack.push(torch.compiler.set_stance("force_eager").__exit__)
        else:
            stack.push(_undo.pop_all())
        modeling = sys.modules.get("transformers.modeling_utils")
        if modeling is not None and not hasattr(modeling.AttentionInterface.get_interface, _MARK):
            original = modeling.AttentionInterface.get_interface
            stack.callback(setattr, modeling.AttentionInterface, "get_interface", original)
            modeling.AttentionInterface.get_interface = _watched(original)
        _undo = stack.pop_all()
        _open += 1


def _uninstall() -> None:
    global _open
    with _lock:
        _open -= 1
        if _open == 0:
            _undo.close()


def _watched(get_interface: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(get_interface)
    def get_watched(self: Any, attn_implementation: str | None, default: Callable[..., Any]) -> Callable[..., Any]:
        function: Callable[..., Any] = get_interface(self, attn_implementation, default)
        watcher, changer = _watcher.get(), _changer.get()
        if watcher is None and changer is None:
            return function

        @wraps(function)
        def attend(
            module: Any,
            query: Any,
            key: Any,
            value: Any,
            attention_mask: Any = None,
            *args: Any,
            **options: Any,
        ) -> Any:
            seen: list[torch.Tensor] = []
            token = _inside.set(seen)
            try:
                result = function(module, query, key, value, attention_mask, *args, **options)
                call = AttentionCall(
                    module,
                    "",
                    "interface",
                    attn_implementation or "eager",
                    query,
                    key,
                    value,
                    attention_mask,
                    result[0],
                    options,
                    weights=tuple(part for part in (*result[1:2], *seen) if isinstance(part, torch.Tensor)),
                )
                if watcher is not None:
                    watcher(call.detached())
            finally:
                _inside.reset(token)
            return result if changer is None else (changer(call), *result[1:])

        return attend

    setattr(get_watched, _MARK, True)
    return get_watched
