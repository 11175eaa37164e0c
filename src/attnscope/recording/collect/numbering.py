"""The true number of each layer, also where layers share a module or one layer attends several times."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnscope.recording import models
from attnscope.recording.collect.kinds import Place, place_of

if TYPE_CHECKING:
    from torch import nn

    from attnscope.recording.watch.running import Frame


class Numbers:
    """Numbers the layers of one pass, place by place."""

    def __init__(self) -> None:
        self.taken: dict[Place, list[int]] = {}
        self._streams: dict[tuple[nn.Module, int], list[int]] = {}

    def of(self, module: nn.Module, path: str, frames: tuple[Frame, ...]) -> tuple[Place, int]:
        """Give the place and number of the layer a call belongs to.

        A module that runs again within one run of the layer around it attends in another stream of the same layer;
        one that runs again in another layer (shared modules) is another layer.
        """
        layer = next((frame for frame in frames if _is_numbered(frame.path)), None)
        run = frames[-1].serial if frames else -1
        stream = 0
        if layer is not None:
            runs = self._streams.setdefault((module, layer.serial), [])
            if run not in runs or layer.module is module:
                runs.append(run)
            stream = len(runs) - 1
        place = place_of(module, path, stream)
        return place, self._number(place, module, path, layer)

    def _number(self, place: Place, module: nn.Module, path: str, layer: Frame | None) -> int:
        """Number a layer as the model does, by the layer around it, or by order where a number comes again."""
        taken = self.taken.setdefault(place, [])
        marked = getattr(module, "layer_idx", None)
        given: list[int | None] = [marked] if isinstance(marked, int) and marked >= 0 else []
        if layer is not None:
            given.append(next(int(part) for part in layer.path.split(".") if part.isdigit()))
        given.append(models.layer_number(module, path))
        number = next((n for n in given if n is not None and n >= 0 and n not in taken), None)
        if number is None:
            number = len(taken) if len(taken) not in taken else max(taken) + 1
        taken.append(number)
        return number


def _is_numbered(path: str) -> bool:
    return any(part.isdigit() for part in path.split("."))
