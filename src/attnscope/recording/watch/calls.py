"""One attention call, however it was seen."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from attnscope.recording.watch.running import Frame


@dataclass(frozen=True, eq=False)
class AttentionCall:
    """One call of an attention function, as the model made it.

    Parameters
    ----------
    module
        The module that called.
    path
        Its path in the model; empty for the model itself.
    tier
        The road by which it was seen: ``"interface"``, ``"sdpa"`` or ``"multihead"``.
    implementation
        Name of the attention function: ``"sdpa"``, ``"eager"``, ``"flex_attention"`` …
    queries, keys, values
        [batch, heads, tokens, width], after rotary positions; keys and values before grouped heads are repeated.
    mask
        What the model passed: None, bool or additive and broadcastable to [batch, 1 or heads, queries, keys], or a flex
        ``BlockMask``.
    output
        [batch, queries, heads, value width], the function's own result; or what ``project`` gives of it.
    options
        The other keyword arguments: ``scaling``, ``dropout``, ``is_causal``, ``softcap``, ``s_aux`` …
    project
        Maps rows of joined heads [rows, heads × value width] to the rows ``output`` holds; None for the identity.
    frames
        The running modules, from the model down to ``module``.
    weights
        What may be the function's own weights: what it returned beside the output, and its softmaxes.
    """

    module: torch.nn.Module
    path: str
    tier: str
    implementation: str
    queries: torch.Tensor
    keys: torch.Tensor
    values: torch.Tensor
    mask: Any
    output: torch.Tensor
    options: dict[str, Any] = field(default_factory=dict)
    project: Callable[[torch.Tensor], torch.Tensor] | None = None
    frames: tuple[Frame, ...] = ()
    weights: tuple[torch.Tensor, ...] = ()

    def detached(self) -> AttentionCall:
        """The same call without its gradients' history, to be kept."""
        project = self.project
        return replace(
            self,
            queries=self.queries.detach(),
            keys=self.keys.detach(),
            values=self.values.detach(),
            output=self.output.detach(),
            project=None if project is None else lambda rows: project(rows).detach(),
            weights=tuple(weights.detach() for weights in self.weights),
        )


@dataclass(frozen=True, eq=False)
class SoftmaxCall:
    """A softmax inside a module none of whose attention was seen otherwise.

    Parameters
    ----------
    module, path
        The innermost module that was running.
    args, kwargs
        What that module was called with, so that it can be run again.
    index
        Which of the module's softmaxes it is, from zero.
    weights
        The result, [batch, heads, queries, keys] or [batch × heads, queries, keys].
    frames
        The running modules, from the model down to ``module``.
    """

    module: torch.nn.Module
    path: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    index: int
    weights: torch.Tensor
    frames: tuple[Frame, ...] = ()
