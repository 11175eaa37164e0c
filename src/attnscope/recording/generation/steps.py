"""Live steps of generation: query rows and key columns of each pass joined to one square of attention."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch

from attnscope.attention.layers import QueriesKeys
from attnscope.errors import InputError, ModelError
from attnscope.recording.collect.collector import Collector
from attnscope.recording.generation.rows import Growing, Rows, copied, emptied, joined, kept, same_past, spread

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from attnscope.attention.capture import Capture
    from attnscope.attention.mask import Mask
    from attnscope.recording.collect.keeping import Keeping
    from attnscope.recording.collect.kinds import Place
    from attnscope.recording.collect.recorded import Recorded
    from attnscope.recording.watch.calls import AttentionCall, SoftmaxCall

_APART = ("vision", "audio", "qformer")
_ELSE = "Record without live=True: then one pass over the finished text is captured."


@dataclass(frozen=True, eq=False)
class Step:
    """One pass of a generation, handed to ``on_step`` when it is over.

    Parameters
    ----------
    number
        Which pass, from zero; the first reads the prompt.
    ids
        The token ids this pass read, one list per input: the prompt at first, then each new token. None where the
        model was given vectors.
    capture
        Makes the capture of all rows so far, as :meth:`Recording.capture` does; ``capture(tokenizer=tokenizer)``.
    expected
        Most passes there will be, where ``generate()`` was told how many new tokens to write.
    """

    number: int
    ids: list[list[int]] | None
    capture: Callable[..., Capture]
    expected: int | None = None


class Steps:
    """Joins the passes of one generation.

    Parameters
    ----------
    wanted
        Numbers of the layers to keep; None for all.
    values
        Whether to keep value vectors.
    encoder_decoder
        Whether the model is one, so that its encoder runs once and is looked at by every row.
    keeping
        In which dtype and where what is recorded is kept.
    """

    def __init__(
        self, wanted: set[int] | None, *, values: bool, encoder_decoder: bool, keeping: Keeping | None = None
    ) -> None:
        self._wanted, self._values, self._keeping = wanted, values, keeping
        self._encoder_decoder = encoder_decoder
        self._growing: dict[tuple[Place, int], Growing] = {}
        self._past = 0
        self._until: int | None = None
        self._pass: Collector | None = None
        self.whole = Collector(wanted, values=values, keeping=keeping)
        self.total = 0
        self.restarts = 0
        self.fed: torch.Tensor | None = None
        self.ids: torch.Tensor | None = None
        self.mask: torch.Tensor | None = None

    def begin(self, inputs: Mapping[str, Any], batch: int | None) -> None:
        """Begin a pass, called with these inputs."""
        self._past = past_length(inputs.get("past_key_values"))
        if self._past > self.total:
            raise InputError(
                f"The cache already held {self._past} tokens and this recording saw {self.total} of them, so the rows "
                f"of the others are missing. Let the whole text run inside the block, with an empty cache. {_ELSE}"
            )
        self.restarts += self._past == 0 and self.total > 0
        self._pass = Collector(self._wanted, values=self._values, keeping=self._keeping)
        self._pass.batch = batch
        self._read(inputs)

    def end(self) -> None:
        """End a pass."""
        if self._pass is not None:
            self._pass.close()
            self.whole.odd |= self._pass.odd
            for place, numbers in self._pass.numbers.items():
                self.whole.numbers.setdefault(place, numbers)
        self._pass = None
        self.total = max((layer.items[0][-1].stop for layer in self._growing.values()), default=0)

    def take(self, call: AttentionCall) -> None:
        """Take a call at once: the cache's storage is used again on the next pass."""
        collector = self.whole if self._pass is None else self._pass
        before = len(collector.recorded)
        collector.take(call)
        self._sort(collector, before)

    def take_softmax(self, call: SoftmaxCall) -> bool:
        """Take a softmax where it stands alone; of what grows, weights alone are refused."""
        collector = self.whole if self._pass is None else self._pass
        before = len(collector.recorded)
        taken = collector.take_softmax(call)
        self._sort(collector, before)
        return taken

    def recorded(self, total: int | None = None) -> list[Recorded]:
        """Give the layers as one pass over the first ``total`` tokens would have shown them; all rows for None."""
        masks: dict[bytes, Mask] = {}
        total = total or self._until or self.total
        grown = [joined(layer, total, masks) for layer in self._growing.values() if total]
        batch = max((len(layer.items) for layer in grown), default=1)
        return [spread(layer, batch) for layer in self.whole.recorded] + grown

    def inputs(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """What one pass over all tokens so far would have been called with; ``given``: with what else."""
        names = self._names()
        mask = self.mask if self.mask is not None and self.mask.shape[-1] == self.total else None
        prompt = given.get(names[1])
        if mask is None and isinstance(prompt, torch.Tensor) and prompt.ndim == 2 and prompt.shape[1] <= self.total:
            mask = torch.cat([prompt, prompt.new_ones(len(prompt), self.total - prompt.shape[1])], dim=1)
        return {**given, names[0]: self.ids, names[1]: mask}

    def finished_inputs(self, whole: Mapping[str, Any]) -> dict[str, Any]:
        """Check the passes against all that was written, whose last token was not read.

        Parameters
        ----------
        whole
            The inputs of one pass over all that was read and written.

        Raises
        ------
        InputError
            When the passes read something else, as they do when beams change places.
        """
        names = self._names()
        text = whole.get(names[0], whole.get("inputs_embeds"))
        self._until = text.shape[1] - 1 if isinstance(text, torch.Tensor) else self.total
        fits = self.total >= self._until > 0
        if fits and self.ids is not None and names[0] in whole:
            fits = torch.equal(self.ids[:, : self._until], text[:, : self._until].cpu())
        if not fits:
            raise InputError(
                "The live steps did not read the text that generate() gave back: it chose among several on the way. "
                f"{_ELSE}"
            )
        cut = {name: whole[name][:, : self._until] for name in (*names, "inputs_embeds") if name in whole}
        return {**whole, **cut}

    def _names(self) -> tuple[str, str]:
        if self._encoder_decoder:
            return "decoder_input_ids", "decoder_attention_mask"
        return "input_ids", "attention_mask"

    def _sort(self, collector: Collector, before: int) -> None:
        """Put what was just recorded to the rows that grow, or to what is whole after one pass."""
        new = collector.recorded[before:]
        del collector.recorded[before:]
        for recorded in new:
            if not self._stands_alone(recorded.place):
                self._add(recorded)
            elif not any((r.place, r.number) == (recorded.place, recorded.number) for r in self.whole.recorded):
                self.whole.recorded.append(recorded)

    def _stands_alone(self, place: Place) -> bool:
        return not place.cross and (place.part in _APART or (self._encoder_decoder and place.part == "encoder"))

    def _read(self, inputs: Mapping[str, Any]) -> None:
        ids, mask = (inputs.get(name) for name in self._names())
        self.mask = mask if isinstance(mask, torch.Tensor) and mask.ndim == 2 else None
        self.fed = ids.detach().cpu().clone() if isinstance(ids, torch.Tensor) and ids.ndim == 2 else None
        if self.fed is None or self._past == 0:
            self.ids = self.fed
        elif self.ids is not None:
            self.ids = torch.cat([self.ids[:, : self._past], self.fed], dim=1)

    def _add(self, recorded: Recorded) -> None:
        layers = [item for item in recorded.items if isinstance(item, QueriesKeys)]
        if len(layers) < len(recorded.items):
            raise ModelError(
                f"{recorded.path} computes its attention in a way that shows weights only, and live steps join queries "
                f"and keys. {_ELSE}"
            )
        key = (recorded.place, recorded.number)
        if key not in self._growing:
            own = kept if recorded.place.cross else emptied
            self._growing[key] = Growing(
                replace(recorded, items=[]), [own(layer) for layer in layers], [[] for _ in layers]
            )
        layer = self._growing[key]
        if len(layer.items) != len(layers):
            raise InputError(f"The number of sequences changed from {len(layer.items)} to {len(layers)}. {_ELSE}")
        layer.figures.append(recorded.check)
        for rows, new in zip(layer.items, layers, strict=True):
            while rows and rows[-1].stop > self._past:  # a pass that takes tokens back
                last = rows.pop()
                if last.first < self._past:
                    rows.append(last.until(self._past))
            rows.append(self._rows(new, rows, recorded))

    def _rows(self, new: QueriesKeys, rows: list[Rows], recorded: Recorded) -> Rows:
        if recorded.place.cross:
            return Rows(self._past, copied(new.queries), new.mask, 0, copied(new.bias), None, None, new.error)
        total = self._past + new.n_queries
        offset = max(0, total - new.n_keys)  # a window's cache gives the last keys only
        columns = slice(self._past - offset, total - offset)
        if rows and not same_past(new.keys, rows, offset):
            raise ModelError(
                f"The keys in the cache of {recorded.path} are not those that were put there: beams change places, and "
                f"a quantised cache rounds them. Rows and columns of different passes do not fit together. {_ELSE}"
            )
        return Rows(
            self._past,
            copied(new.queries),
            new.mask,
            offset,
            copied(new.bias),
            copied(new.keys[:, columns]),
            None if new.values is None else copied(new.values[:, columns]),
            new.error,
        )


def past_length(cache: Any) -> int:
    """How many tokens a cache holds."""
    if cache is None:
        return 0
    if hasattr(cache, "get_seq_length"):
        return int(cache.get_seq_length() or 0)
    try:
        return int(cache[0][0].shape[-2])
    except (TypeError, IndexError, AttributeError, KeyError):
        return 0
