"""Which ranks share a model's heads, and whether an attention call is over all of them or over this rank's alone."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from attnscope.errors import ModelError
from attnscope.recording import models
from attnscope.recording.parameters import here, is_distributed, is_split, mesh_of

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
            for rows in filter(None, map(_split_inputs, linears)):
                if width in (rows.whole, rows.part):
                    return width == rows.part
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
    rows = next(filter(None, map(_split_inputs, _linears(models.unwrapped(model)))), None)
    if rows is None:
        return None
    mesh, axis = rows.mesh, rows.axis
    return Ranks(mesh.get_group(axis), mesh.get_local_rank(axis), mesh.size(axis), rows.device)


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


@dataclass(frozen=True, eq=False)
class _Rows:
    """A matrix whose inputs are split over an axis of a device mesh: how many there are, and how many of them here."""

    mesh: Any
    axis: int
    whole: int
    part: int
    device: torch.device


def _split_inputs(linear: nn.Linear) -> _Rows | None:
    """How a matrix's inputs are split; None where they are not."""
    weight: Any = linear.weight
    part = here(weight)
    mesh = mesh_of(linear)
    if is_distributed(weight):
        mesh = weight.device_mesh
        axis = next((number for number, placed in enumerate(weight.placements) if placed.is_shard(dim=1)), None)
        whole = linear.in_features
    else:
        axis = 0 if mesh is not None and "rowwise" in str(getattr(linear, "_hf_tp_plan", "")) else None
        whole = part.shape[-1] * (1 if mesh is None else mesh.size())
    if axis is None or mesh.size(axis) == 1:
        return None
    device = torch.device("cpu") if mesh.device_type == "cpu" else part.device
    return _Rows(mesh, axis, whole, part.shape[-1], device)


def _is_shared(module: nn.Module) -> bool:
    """Whether any of a module's own tensors is cut."""
    return any(
        is_split(one) or mesh_of(module, name) is not None for name, one in module.named_parameters(recurse=False)
    )
