"""A context in which chosen attention layers of one model do something else; nothing of the model itself is changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from attnscope.errors import ModelError
from attnscope.recording import models
from attnscope.recording.intervene.change import Change
from attnscope.recording.intervene.explicit import step_by_step
from attnscope.recording.intervene.functions import FunctionChange
from attnscope.recording.watch import functions, interface
from attnscope.recording.watch.running import Running
from attnscope.recording.watch.softmaxes import by_head

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    import torch

    from attnscope.recording.intervene.functions import Again
    from attnscope.recording.watch.calls import AttentionCall
    from attnscope.recording.watch.running import Frame


@dataclass(frozen=True)
class Site:
    """Where a model computes attention: a module, and which of its calls within one pass.

    ``road`` is ``"function"`` for a call of a whole attention function, ``"softmax"`` for a softmax in the module's own
    code.
    """

    path: str
    occurrence: int = 0
    road: str = "function"


Changed = Callable[[Site, tuple[int, ...]], Change | None]
"""Says what the attention at a site is to do differently, given its heads, queries and keys; None leaves it alone."""


@contextmanager
def changing(model: Any, changed: Changed) -> Iterator[None]:
    """Ask ``changed`` what each attention call of this model is to do differently.

    Only calls of this model in this context are changed: by the attention interface, by PyTorch's own function, by
    ``nn.MultiheadAttention``, or by a softmax whose module computes attention itself. When the block ends, also with an
    error, nothing is left of it.
    """
    paths = models.module_paths(model)
    calls: Counter[tuple[str, str]] = Counter()

    def ask(path: str, road: str, shape: tuple[int, ...]) -> Change | None:
        site = Site(path, calls[path, road], road)
        calls[path, road] += 1
        return changed(site, shape)

    def changer(call: AttentionCall) -> torch.Tensor:
        path = paths.get(call.module)
        if path is None or running.innermost is None:
            return call.output
        change = ask(path, "function", (*call.queries.shape[1:3], call.keys.shape[2]))
        if change is None:
            return call.output
        by_steps = change.needs_steps or call.project is not None
        heads = step_by_step(replace(call, path=path), change) if by_steps else call.output
        if change.outputs is not None:
            heads = change.outputs(heads)
        return heads if call.project is None else call.project(heads.flatten(-2).to(call.output))

    def softener(frame: Frame, weights: torch.Tensor, again: Again, scores: torch.Tensor) -> torch.Tensor:
        batch = functions.n_inputs(frame, weights.shape[-2]) or 1
        if weights.ndim not in (3, 4) or len(weights) % batch or (weights.ndim == 4 and len(weights) != batch):
            return weights
        found = by_head(weights, batch)
        change = ask(frame.path, "softmax", tuple(found.shape[1:]))
        if change is None:
            return weights
        if change.scores is not None:
            found = by_head(again(change.scores(by_head(scores, batch)).reshape(scores.shape)), batch)
        if change.weights is not None:
            found = change.weights(found)
        if change.outputs is not None:
            if change.of_vectors:
                raise ModelError(
                    f"{type(frame.module).__name__} ({frame.path}) mixes values in code of its own, so given means "
                    "cannot be put in a head's place there. Use how='zero' or how='mean'."
                )
            # what is done to rows of weights, linear and the same for all keys, is done to the values they mix
            found = change.outputs(found.transpose(1, 2)).transpose(1, 2)
        return found.reshape(weights.shape)

    running = Running(paths, lambda: interface.is_changing(changer))
    running.on_pass_end = calls.clear
    with ExitStack() as stack:
        stack.enter_context(running)
        stack.enter_context(interface.changing(changer))
        stack.enter_context(FunctionChange(running, changer, softener))
        yield
