"""Reading what a norm does off a call of it, whatever class it is of."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from attnscope.attention.stream import Norm
from attnscope.recording.parameters import tensor_of

if TYPE_CHECKING:
    import torch
    from torch import nn

_EPS = ("eps", "variance_epsilon", "epsilon", "layer_norm_eps", "norm_eps")
_NAME = re.compile(r"norm|^ln", re.IGNORECASE)
_OTHER = re.compile(r"batch|group|instance", re.IGNORECASE)


def is_norm(module: nn.Module) -> bool:
    """Whether a module by its class is a layer norm or a root-mean-square norm."""
    name = type(module).__name__
    return bool(_NAME.search(name)) and not _OTHER.search(name) and not any(True for _ in module.children())


def read_norm(module: nn.Module, given: torch.Tensor, gave: torch.Tensor, tolerance: float) -> Norm | None:
    """Find the norm that maps some rows to what the module made of them; None where there is none.

    Parameters
    ----------
    given, gave
        float32 [rows, width], on the CPU: some rows, before and after.
    tolerance
        Largest difference, relative to the largest number.
    """
    weight, bias = (_parameter(module, name, given.shape[-1]) for name in ("weight", "bias"))
    eps = next((float(getattr(module, name)) for name in _EPS if isinstance(getattr(module, name, None), float)), 0.0)
    gains = [weight] if weight is None else [weight, 1 + weight]
    for centred in (False, True):
        rows = given - given.mean(dim=-1, keepdim=True) if centred else given
        unit = rows / (rows.square().mean(dim=-1, keepdim=True) + eps).sqrt()
        for gain in gains:
            made = unit if gain is None else unit * gain
            made = made if bias is None else made + bias
            if bool((made - gave).abs().max() <= tolerance * gave.abs().max()):
                return Norm(gain, bias, eps, centred)
    return None


def _parameter(module: nn.Module, name: str, width: int) -> torch.Tensor | None:
    """A copy of a vector of the module, on the CPU."""
    found = tensor_of(module, name)
    return None if found is None or tuple(found.shape) != (width,) else found.cpu().float().clone()
