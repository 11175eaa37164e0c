"""What must hold before a recording becomes a capture."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from attnscope.errors import AttnscopeWarning, InputError, ModelError, NoAttentionError, NotFoundError, UnverifiedError
from attnscope.recording.called_with import batch_size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from attnscope.recording.collect.collector import Collector
    from attnscope.recording.collect.recorded import Recorded


@dataclass
class Counts:
    """What ran inside the block.

    Parameters
    ----------
    live
        Whether the passes of generate() are recorded one by one.
    passes, ended
        Recorded passes that began, and that ended without an error.
    plain
        Those of them that the block itself ran, outside generate().
    generations, generated
        Calls of generate() that began, and that gave something back.
    """

    live: bool
    passes: int = 0
    ended: int = 0
    plain: int = 0
    generations: int = 0
    generated: int = 0

    def began(self, *, by_itself: bool) -> None:
        """Count a pass that begins: by itself, or as a part of generating."""
        self.passes += 1
        self.plain += by_itself

    @property
    def is_one_generation(self) -> bool:
        """Whether nothing ran but one whole call of generate()."""
        return self.generations == self.generated == 1 and self.plain == 0


def require_one_pass(counts: Counts, name: str, restarts: int) -> None:
    """Refuse a recording of no pass, of several, or of one that did not come to its end."""
    passes = counts.passes if not counts.live else restarts + min(counts.plain, 1)
    if counts.generations > 1 or (counts.generations and counts.plain):
        others = f" and {counts.plain} forward passes" if counts.plain else ""
        raise InputError(
            f"{counts.generations} calls of generate(){others} ran inside the block, and a capture is of one text. "
            "Open a block for each."
        )
    if counts.generations > counts.generated:
        raise InputError("generate() did not come to its end, so there is no whole text to show. Run it again.")
    if not counts.generations and passes > 1:
        raise InputError(
            f"{passes} forward passes ran inside the block, and a capture is of one. Open a block for each. For "
            "generated text, call model.generate(**inputs) in the block; round a loop of your own that goes on with "
            "past_key_values, use record(model, live=True)."
        )
    if counts.generated and not counts.passes:
        raise InputError("The block ended with an error after generate(), before its text was captured. Run it again.")
    if counts.passes == 0:
        raise NoAttentionError(
            f"No attention was recorded: {name} did not run. Call model(**inputs) or model.generate(**inputs) inside "
            "the with block, in the same thread."
        )
    if counts.passes > counts.ended:
        raise InputError(
            "The forward pass inside the block raised an error, so it was not recorded whole. Run it again."
        )


def require_one_whole_input(inputs: Mapping[str, Any]) -> None:
    """Refuse what a file that is written while the model runs has no place for: several inputs, and padding."""
    batch = batch_size(dict(inputs)) or 1
    if batch > 1:
        raise one_file_each(batch)
    for name in ("attention_mask", "decoder_attention_mask"):
        mask: Any = inputs.get(name)
        hidden = int((mask == 0).sum()) if getattr(mask, "ndim", 0) == 2 else 0
        if hidden:
            raise InputError(
                f"{hidden} of the input's tokens are padding by its {name}, and path= writes each layer as it runs, "
                "padding too. Give the input without padding, or leave path out and save the capture with save(path)."
            )


def one_file_each(batch: int) -> InputError:
    """Say that a file holds one capture."""
    return InputError(
        f"A file holds the capture of one input, and there are {batch}. Give each a path of its own and run them one "
        "by one, or leave path out and save each capture with save(path)."
    )


def require_one_beam(beams: int | None) -> None:
    """Refuse beams in a live recording."""
    if beams is not None and beams > 1:
        raise InputError(
            f"Live steps cannot follow {beams} beams, which change places on the way. Record without live=True: then "
            "one pass over the winning text is captured. Or generate with num_beams=1."
        )


def require_attention(collector: Collector, wanted: set[int] | None, unseen: Sequence[str], name: str) -> None:
    """Refuse a pass that showed no attention, not all of it, or not what was asked for."""
    numbers = sorted({number for taken in collector.numbers.values() for number in taken})
    collector.close()
    if collector.odd and not collector.recorded and not (wanted and numbers):
        path, why = next(iter(collector.odd.items()))
        raise ModelError(f"The attention of {name} cannot be shown: in {path}, {why.rstrip('.')}.")
    if collector.odd:
        paths = list(collector.odd)
        shown = ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")
        warnings.warn(
            f"Left out of the capture of {name}: {shown}, because {collector.odd[paths[0]].rstrip('.')}.",
            AttnscopeWarning,
            stacklevel=4,
        )
    if not numbers:
        seen = f" The modules {', '.join(unseen[:3])} ran, but not with a softmax over all keys." if unseen else ""
        raise NoAttentionError(
            f"No attention was recorded, though {name} ran. Either it has no attention (state-space and recurrent "
            f"models), or it computes something else under that name.{seen} If you know its code to "
            "compute weights, read them there and show them with from_attentions(weights, tokens)."
        )
    if wanted is not None:
        missing = sorted(wanted - set(numbers))
        if missing:
            raise NotFoundError(f"{name} has no attention in layer {missing[0]}; its layers are {numbers}.")
    elif unseen:
        raise ModelError(
            f"{name} computes attention in ways attnscope cannot read in {len(unseen)} of its modules, first in "
            f"{unseen[0]}. What it does elsewhere can be recorded by naming those layers: layers={numbers}."
        )


def require_verified(layer: Recorded) -> None:
    """Refuse a layer whose recomputed weights do not reproduce the model's own output."""
    if layer.tier in ("softmax", "replay"):
        if layer.check > layer.allowed:
            raise UnverifiedError(
                f"Layer {layer.number} ({layer.path}): the rows of its softmax sum to 1 only within {layer.check:.2g}, "
                "so they are no weights. Give the model's own weights to attnscope.from_attentions(...)."
            )
        return
    if math.isnan(layer.check):
        raise InputError(
            f"No token sees any other in layer {layer.number}: the attention mask hides everything. Pass a mask with 1 "
            "for the tokens to read and 0 for padding."
        )
    if math.isinf(layer.check):
        raise UnverifiedError(
            f"Layer {layer.number} ({layer.path}) computes with NaN or infinite numbers, so there are no weights to "
            "show. Check that the model's weights were loaded whole, or load it in a wider dtype: dtype=torch.float32."
        )
    if layer.check > layer.allowed:
        unknown = (
            f" It was called with {', '.join(layer.unknown)}, which attnscope does not know." if layer.unknown else ""
        )
        raise UnverifiedError(
            f"Layer {layer.number} ({layer.path}): weights recomputed from its queries and keys do not reproduce its "
            f"output (off by {layer.check:.2g}, at most {layer.allowed:.0e} expected).{unknown} The weights would be "
            "wrong, so they are not shown. Give the model's own weights to attnscope.from_attentions(...)."
        )
