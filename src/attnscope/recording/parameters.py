"""A module's own numbers wherever they are kept: on any device, offloaded between its calls, or split over ranks."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from torch import nn


def device_of(model: Any) -> torch.device | None:
    """Where a model's inputs go; None where it fetches them itself, as one that accelerate offloads does."""
    device = getattr(model, "device", None)
    return device if isinstance(device, torch.device) and device.type != "meta" else None


def tensor_of(module: nn.Module, name: str, *, split: bool = False) -> torch.Tensor | None:
    """Give a module's own tensor as a plain one, detached; None where it has none, or not all of it here.

    Parameters
    ----------
    module
        Where accelerate offloads it, the numbers are read from where they rest.
    name
        ``"weight"``, ``"bias"`` …
    split
        Whether the part that this process has will do, where several share it.
    """
    found = getattr(module, name, None)
    if not isinstance(found, torch.Tensor):
        return None
    if (is_split(found) or is_cut(module, name)) and not split:
        return None
    found = here(found)
    return _at_rest(module, name, found.detach()) if found.device.type == "meta" else found.detach()


def is_distributed(tensor: Any) -> bool:
    """Whether a tensor is torch.distributed's, kept in several processes at once."""
    distributed = sys.modules.get("torch.distributed.tensor")
    return distributed is not None and isinstance(tensor, distributed.DTensor)


def here(tensor: Any) -> torch.Tensor:
    """Give the part of a tensor that this process has, as a plain one."""
    part: torch.Tensor = tensor.to_local() if is_distributed(tensor) else tensor
    return part


def is_split(tensor: Any) -> bool:
    """Whether this process has but a part of a tensor."""
    return is_distributed(tensor) and not all(placement.is_replicate() for placement in tensor.placements)


def is_cut(module: nn.Module, name: str = "weight") -> bool:
    """Whether a plain tensor of a module is but a part, as transformers' earlier releases left it to each rank."""
    plan = str(getattr(module, "_hf_tp_plan", ""))
    if not ("colwise" in plan or ("rowwise" in plan and name == "weight")) or not torch.distributed.is_initialized():
        return False
    mesh: Any = getattr(module, "_hf_device_mesh", None)
    size = torch.distributed.get_world_size() if mesh is None else mesh.size()
    return size > 1 and not is_distributed(getattr(module, name))


def _at_rest(module: nn.Module, name: str, empty: torch.Tensor) -> torch.Tensor | None:
    """Read a tensor that accelerate's hook loads only while its module runs."""
    hook = getattr(module, "_hf_hook", None)
    kept = next((one.weights_map for one in getattr(hook, "hooks", [hook]) if getattr(one, "weights_map", None)), None)
    try:
        return None if kept is None else torch.as_tensor(kept[name]).detach().to(empty.dtype)
    except KeyError:
        return None
