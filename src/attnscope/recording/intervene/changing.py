"""A context in which chosen attention layers of one model do something else; nothing of the model itself is changed."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from attnscope.recording import models
from attnscope.recording.intervene.explicit import step_by_step
from attnscope.recording.intervene.functions import FunctionChange
from attnscope.recording.watch import interface
from attnscope.recording.watch.running import Running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    import torch

    from attnscope.recording.intervene.change import Change
    from attnscope.recording.watch.calls import AttentionCall


@dataclass(frozen=True)
class Site:
    """Where a model computes attention: a module, and which of its calls within one pass."""

    path: str
    occurrence: int = 0


@contextmanager
def changing(model: Any, changed: Callable[[Site, AttentionCall], Change | None]) -> Iterator[None]:
    """Ask ``changed`` what each attention call of this model is to do differently; None leaves it alone.

    Only calls of this model in this context are changed, by the attention interface, by PyTorch's own function or by
    ``nn.MultiheadAttention``. When the block ends, also with an error, nothing is left of it.
    """
    paths = models.module_paths(model)
    calls: Counter[str] = Counter()

    def changer(call: AttentionCall) -> torch.Tensor:
        path = paths.get(call.module)
        if path is None or running.innermost is None:
            return call.output
        site = Site(path, calls[path])
        calls[path] += 1
        change = changed(site, call)
        if change is None:
            return call.output
        by_steps = change.needs_steps or call.project is not None
        heads = step_by_step(replace(call, path=path), change) if by_steps else call.output
        if change.outputs is not None:
            heads = change.outputs(heads)
        return heads if call.project is None else call.project(heads.flatten(-2).to(call.output))

    running = Running(paths, lambda: interface.is_changing(changer))
    running.on_pass_end = calls.clear
    with ExitStack() as stack:
        stack.enter_context(running)
        stack.enter_context(interface.changing(changer))
        stack.enter_context(FunctionChange(running, changer))
        yield
