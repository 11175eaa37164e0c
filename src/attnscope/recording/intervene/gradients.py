"""Gradients of what a model says: with respect to attention weights, and to gates on heads."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from attnscope.attention.memory import free_bytes
from attnscope.errors import ModelError, TooLargeError
from attnscope.recording import models
from attnscope.recording.intervene.change import Change, scaled
from attnscope.recording.intervene.losses import loss_of, variants_of
from attnscope.recording.intervene.subject import with_gradients
from attnscope.recording.room import ASKED_BYTES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    import numpy as np

    from attnscope.recording.intervene.subject import Subject

    Place = tuple[str, int]

COPIES = 4
"""Arrays of queries × keys held per layer and head: scores, weights, the gradients of both."""


def weight_gradients(subject: Subject, of: str) -> tuple[float, dict[Place, tuple[np.ndarray, np.ndarray]]]:
    """Give a number the model says, and its gradient with respect to every attention weight.

    Parameters
    ----------
    of
        ``"logit"`` or ``"log probability"`` of the readout's target.

    Returns
    -------
    float, dict
        The number; per kind and layer the weights and the gradient, each [heads, queries, keys].
    """
    places = [(kind, layer) for kind in subject.capture.kinds for layer in subject.capture[kind].layers]
    _require_room(subject, places)
    weights: dict[Place, torch.Tensor] = {}

    def keep(place: Place) -> Change:
        def change(given: torch.Tensor) -> torch.Tensor:
            layer = subject.capture[place[0]].layer(place[1])
            if given.shape != (1, layer.n_heads, layer.n_queries, layer.n_keys):
                raise ModelError(
                    f"Layer {place[1]} ({place[0]}) attends in windows or groups, {list(given.shape)}; gradients are "
                    "taken of attention over whole texts only."
                )
            weights[place] = given if given.requires_grad else given.requires_grad_()
            return weights[place]

        return Change(weights=change)

    with with_gradients():
        output = subject.run({place: keep(place) for place in places})
        value = subject.readout.value(output, of)
        found = _gradients(subject, value.sum(), [weights[place] for place in places])
    arrays = {
        place: (_array(weights[place])[0], _array(gradient)[0]) for place, gradient in zip(places, found, strict=True)
    }
    return float(value.detach().sum()), arrays


def gate_gradients(
    subject: Subject, loss: Callable[[Any], torch.Tensor] | None = None, label: int | str | None = None
) -> tuple[float, dict[Place, np.ndarray]]:
    """Give a text's loss, and its gradient with respect to a gate on each head.

    A gate multiplies its head's output; at 1 nothing changes.

    Parameters
    ----------
    loss
        A function of the model's output; None for the model's own kind of loss, see :func:`loss_of`.
    label
        Class of the text, for classifiers.

    Returns
    -------
    float, dict
        The loss; per kind and layer float [heads].
    """
    places = [(kind, layer) for kind in subject.capture.kinds for layer in subject.capture[kind].layers]
    dtype = torch.float64 if getattr(subject.model, "dtype", None) == torch.float64 else torch.float32
    sums: dict[Place, np.ndarray] = {}
    total = 0.0
    for inputs, share in variants_of(subject) if loss is None else [(subject.inputs, 1.0)]:
        gates = {
            place: torch.ones(subject.capture[place[0]].layer(place[1]).n_heads, dtype=dtype, requires_grad=True)
            for place in places
        }
        with with_gradients():
            output = subject.run({place: Change(outputs=scaled(gate)) for place, gate in gates.items()}, inputs=inputs)
            one = share * (loss_of(subject, output, inputs, label) if loss is None else loss(output))
            found = _gradients(subject, one, [gates[place] for place in places])
        total += float(one.detach())
        for place, gradient in zip(places, found, strict=True):
            sums[place] = sums.get(place, 0) + _array(gradient)
    return total, sums


def _gradients(subject: Subject, value: torch.Tensor, by: Sequence[torch.Tensor]) -> tuple[torch.Tensor, ...]:
    """Take gradients without touching those of the model's parameters."""
    if not value.requires_grad:
        raise ModelError(
            f"No gradient reaches the attention of {type(models.unwrapped(subject.model)).__name__} from its output: "
            "something in between runs without gradients (torch.no_grad, quantised kernels)."
        )
    found = torch.autograd.grad(value, list(by), allow_unused=True)
    return tuple(torch.zeros_like(at) if g is None else g for g, at in zip(found, by, strict=True))


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy()


def _require_room(subject: Subject, places: Sequence[Place]) -> None:
    """Refuse gradients that would not fit in the memory that is free."""
    layers = [subject.capture[kind].layer(number) for kind, number in places]
    needed = sum(4 * COPIES * layer.n_heads * layer.n_queries * layer.n_keys for layer in layers)
    free = free_bytes()
    if free is not None and needed > ASKED_BYTES and needed > free:
        raise TooLargeError(
            f"Gradients of all weights would take {needed / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free: they are "
            "queries × keys for every layer and head. Shorten the text."
        )


def by_kind(arrays: Mapping[Place, np.ndarray]) -> dict[str, dict[int, np.ndarray]]:
    """Sort arrays by kind, then layer."""
    found: dict[str, dict[int, np.ndarray]] = {}
    for (kind, layer), array in arrays.items():
        found.setdefault(kind, {})[layer] = array
    return found
