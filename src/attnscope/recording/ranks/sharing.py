"""A recording that several ranks make together: agreed on before the pass, gathered after it."""

from __future__ import annotations

import zlib
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

import torch

from attnscope.errors import InputError, ModelError
from attnscope.recording.ranks import exchange
from attnscope.recording.ranks.gather import described, gathered
from attnscope.recording.ranks.shards import ranks_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from attnscope.recording.collect.recorded import Recorded
    from attnscope.recording.watch.calls import SoftmaxCall


class Sharing:
    """Keeps the ranks of one recording in step; of a model that this process runs alone, it does nothing.

    What fails in one rank's recording is held until all have ended the pass, as the model itself makes them wait for
    each other; then all raise.
    """

    def __init__(self, model: Any) -> None:
        self.ranks = ranks_of(model)
        self.failed: Exception | None = None
        self._name = type(model).__name__
        self._is_due = False

    def require_possible(self, *, live: bool, to_file: bool) -> None:
        """Refuse what needs all heads before the block ends, when they are gathered.

        Raises
        ------
        ModelError
            With what to do.
        """
        if self.ranks is None or not (live or to_file):
            return
        wanted, remedy = "cannot be written as they come", "Leave path out, and save() the capture in one rank"
        if live:
            wanted, remedy = "cannot be shown step by step", "Record without live=True: one pass over the final text"
        raise ModelError(
            f"The heads of {self._name} are split over {self.ranks.size} ranks and gathered when the pass is over, so "
            f"they {wanted}. {remedy}."
        )

    @contextmanager
    def agreed(self, inputs: Mapping[str, Any], **asked: Any) -> Iterator[None]:
        """Begin a pass: what a rank refuses within the block, all do; so they do where ranks were asked other things.

        Raises
        ------
        InputError
            Where they were given other inputs, or are to record other layers.
        ModelError
            Where another rank refused.
        """
        if self.ranks is None:
            yield
            return
        refused: Exception | None = None
        try:
            yield
        except Exception as error:  # noqa: BLE001 - raised again once the others know
            refused = error
        notes = self._told({"asked": asked, "inputs": _digest(inputs)}, refused)
        for number, note in enumerate(notes):
            other = next((part for part in ("inputs", "asked") if note[part] != notes[0][part]), None)
            if other is not None:
                names = [name for name in notes[0][other] if note[other].get(name) != notes[0][other][name]]
                raise InputError(
                    f"Rank {number} was given other {names[0] if names else other} than rank 0. A model that ranks run "
                    "together takes the same inputs in each, and is recorded with the same arguments; for sampled "
                    "text, set the same seed."
                )
        self._is_due = True

    def require_whole(self, call: SoftmaxCall) -> None:
        """Refuse a softmax of which it cannot be told whose heads it is of."""
        if self.ranks is not None:
            self.ranks.require_whole(call)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold what fails within the block until the pass has ended in all ranks."""
        try:
            yield
        except Exception as error:
            if self.ranks is None:
                raise
            self.failed = self.failed or error

    @contextmanager
    def ending(self, error: BaseException | None, has_ended: Callable[[], bool]) -> Iterator[None]:
        """End a recording; of an error within, or of the one it ends with, the others learn.

        Parameters
        ----------
        has_ended
            Says whether the pass came to its end; else the others wait in it, where they cannot be told.
        """
        try:
            yield
        except Exception as own:
            error = own
            raise
        finally:
            if isinstance(error, Exception) and self._is_due and has_ended():
                self._is_due = False
                with suppress(Exception):  # what is raised is this rank's own
                    self._told({"layers": []}, error)

    def gathered(self, recorded: Sequence[Recorded]) -> Sequence[Recorded]:
        """Give the layers with the heads of all ranks, in every rank.

        Raises
        ------
        ModelError
            Where another rank stopped, or recorded other layers.
        """
        if self.ranks is None or not self._is_due:
            return recorded
        self._is_due = False
        layers: list[dict[str, Any]] = []
        with self.held():
            layers = described(recorded)
        notes = self._told({"layers": layers}, self.failed)
        return gathered(self.ranks, recorded, [note["layers"] for note in notes])

    def _told(self, note: dict[str, Any], error: Exception | None) -> list[dict[str, Any]]:
        """Exchange a note; raise where any rank's bears an error."""
        assert self.ranks is not None
        notes = exchange.told(self.ranks, {**note, "error": None if error is None else str(error)})
        if error is not None:
            raise error
        for number, one in enumerate(notes):
            if one["error"] is not None:
                raise ModelError(
                    f"Rank {number} could not record its part of {self._name}, so no rank has the whole. It said: "
                    f"{one['error']}"
                )
        return notes


def _digest(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """What tells other inputs from the same: dtype, shape and a checksum of each tensor."""
    return {
        name: [str(value.dtype), list(value.shape), _checksum(value)]
        for name, value in inputs.items()
        if isinstance(value, torch.Tensor)
    }


def _checksum(tensor: torch.Tensor) -> int:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return zlib.crc32(flat.view(torch.uint8).numpy().tobytes())
