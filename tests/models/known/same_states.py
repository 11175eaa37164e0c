"""One model's hidden states in place of another's, so that their attention alone is compared."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    States = dict[str, list[list[torch.Tensor]]]


@contextmanager
def kept(model: Any, paths: Sequence[str]) -> Iterator[States]:
    """Keep the hidden states that some modules are called with: by path, for each call."""
    states: States = {path: [] for path in paths}

    def keep(path: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        states[path].append([value for value in (*args, *kwargs.values()) if _is_state(value)])

    with ExitStack() as stack:
        for path in paths:
            hook = model.get_submodule(path).register_forward_pre_hook(
                lambda _, args, kwargs, path=path: keep(path, args, kwargs), with_kwargs=True
            )
            stack.callback(hook.remove)
        yield states


@contextmanager
def given(model: Any, states: States) -> Iterator[None]:
    """Call those modules with the states that were kept, whatever the model passes them."""
    left = {path: list(calls) for path, calls in states.items()}

    def give(path: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        mine = iter(left[path].pop(0))
        args = tuple(next(mine) if _is_state(value) else value for value in args)
        return args, {name: next(mine) if _is_state(value) else value for name, value in kwargs.items()}

    with ExitStack() as stack:
        for path in states:
            hook = model.get_submodule(path).register_forward_pre_hook(
                lambda _, args, kwargs, path=path: give(path, args, kwargs), with_kwargs=True
            )
            stack.callback(hook.remove)
        yield
    assert not any(left.values())


def _is_state(value: Any) -> bool:
    """Whether an argument is hidden states, [batch, tokens, width] or [tokens, width]; masks have four axes."""
    return isinstance(value, torch.Tensor) and value.is_floating_point() and value.ndim in (2, 3)
