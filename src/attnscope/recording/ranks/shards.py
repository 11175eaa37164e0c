"""Which ranks share a model's heads, and whether an attention call is over all of them or over this rank's alone."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from attnscope.errors import ModelError
from attnscope.recording import models
from attnscope.recording.parameters import here, is_cut, is_distributed, is_split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attnscope.recording.watch.calls import AttentionCall, SoftmaxCall
    from attnscope.recording.watch.running import Frame


@dataclass(frozen=True, eq=False)
class Ranks:
    """The processes that run one model together.

    Parameters
    ----------
    group
        Their process group, the user's.
    rank, size
        This process's number among them, and how many there are.
    device
        Where tensors lie that the group exchanges.
    """

    group: Any
    rank: int
    size: int
    device: torch.device

    def splits(self, call: AttentionCall) -> bool:
        """Whether a call is over this rank's heads alone.

        Told by the matrix that reads the heads' joined output: it is split along its inputs, and the output is as wide
        as this rank's part of it, not as the whole.

        Raises
        ------
        ModelError
            Where neither is so.
        """
        width = call.output.shape[-1] * (call.output.shape[-2] if call.project is None else 1)
        for frame in reversed(call.frames):
            linears = _linears(frame.module)
            if linears and not any(_is_shared(linear) for linear in linears):
                return False
            for linear in linears:
                part = here(linear.weight).shape[-1]
                if _input_axis(linear) is not None and width in (part, part * self.size):
                    return width == part
        raise ModelError(
            f"{call.path} is split over {self.size} ranks in a way attnscope does not know: nothing that reads its "
            f"{width} outputs tells which heads they are of. Load the model without tensor parallel to capture it."
        )

    def require_whole(self, call: SoftmaxCall) -> None:
        """Refuse weights that a split module computes itself, of which it cannot be told whose heads they are."""
        frames: Sequence[Frame] = call.frames[-1:]
        if any(_is_shared(part) for frame in frames for part in frame.module.modules()):
            raise ModelError(
                f"{call.path} is split over {self.size} ranks and shows its attention by a softmax alone, which does "
                "not tell which heads are whose. Load the model without tensor parallel to capture it."
            )


def ranks_of(model: Any) -> Ranks | None:
    """Find the ranks that a model's heads may be split over; None for a model that this process runs alone."""
    if "torch.distributed.tensor" not in sys.modules or not torch.distributed.is_initialized():
        return None
    plain = models.unwrapped(model)
    linear = next((one for one in _linears(plain) if _input_axis(one) is not None), None)
    if linear is None:
        return None
    axis = _input_axis(linear)
    mesh: Any = getattr(linear, "_hf_device_mesh", None) or getattr(plain, "_device_mesh", None)
    if is_distributed(linear.weight):
        mesh = getattr(linear.weight, "device_mesh", None)
    if mesh is None:
        raise ModelError(
            f"{type(plain).__name__} is split over several ranks that it does not name, so its heads cannot be "
            "gathered. Load the model without tensor parallel to capture it."
        )
    device = torch.device("cpu") if mesh.device_type == "cpu" else here(linear.weight).device
    return Ranks(mesh.get_group(axis), mesh.get_local_rank(axis), mesh.size(axis), device)


def require_one_process(model: Any) -> None:
    """Refuse to change heads of a model that several processes run together.

    Raises
    ------
    ModelError
        With what to do.
    """
    ranks = ranks_of(model)
    if ranks is not None:
        raise ModelError(
            f"{type(models.unwrapped(model)).__name__} is split over {ranks.size} ranks, each with some of its heads, "
            "so what heads do cannot be changed by their numbers. capture() gathers them; to change them, load the "
            "model without tensor parallel."
        )


def _linears(module: nn.Module) -> list[nn.Linear]:
    return [part for part in module.modules() if isinstance(part, nn.Linear)]


def _input_axis(linear: nn.Linear) -> int | None:
    """The axis of the device mesh over which a matrix's inputs are split; None where they are not."""
    weight: Any = linear.weight
    if is_distributed(weight):
        meant = enumerate(weight.placements)
        return next((n for n, placed in meant if placed.is_shard(dim=1) and weight.device_mesh.size(n) > 1), None)
    return 0 if is_cut(linear) and "rowwise" in str(getattr(linear, "_hf_tp_plan", "")) else None


def _is_shared(module: nn.Module) -> bool:
    """Whether any of a module's own tensors is cut."""
    return any(is_split(one) or is_cut(module, name) for name, one in module.named_parameters(recurse=False))
