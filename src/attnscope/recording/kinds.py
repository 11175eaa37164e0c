"""Which kind of attention a module computes: self, cross, and of which part of the model."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import nn

_CROSS = re.compile(r"cross|encoder_attn|encdec|enc_dec|co_attn|multihead_attn|attn2$")
_PARTS = (
    ("vision", re.compile(r"vision|visual|image|vit\b")),
    ("audio", re.compile(r"audio|speech")),
    ("qformer", re.compile(r"qformer|perceiver_resampler|resampler")),
    ("decoder", re.compile(r"decoder")),
    ("encoder", re.compile(r"encoder")),
)


class Place(NamedTuple):
    """Where a module stands: a part of the model, and whether it looks at another part."""

    part: str
    cross: bool


def place_of(module: nn.Module, path: str) -> Place:
    """Read a module's place off its own mark, its class and its path."""
    lowered = path.lower()
    last = ".".join(lowered.split(".")[-2:])
    marked = getattr(module, "is_cross_attention", None)
    cross = bool(marked) if marked is not None else False
    cross = cross or bool(_CROSS.search(last) or _CROSS.search(type(module).__name__.lower()))
    part = next((name for name, pattern in _PARTS if pattern.search(lowered)), "")
    return Place(part, cross)


def kind_names(places: Iterable[Place], *, encoder_decoder: bool) -> dict[Place, str]:
    """Name the kinds of attention of one pass; the one to show first comes first.

    An encoder–decoder has ``encoder``, ``decoder`` and ``cross``. Otherwise the text's, or the only part's, attention is
    ``self``; other parts bear their names.
    """
    found = list(dict.fromkeys(places))
    parts = {place.part for place in found}
    names: dict[Place, str] = {}
    for place in found:
        if encoder_decoder and place.part in ("encoder", "decoder"):
            names[place] = "cross" if place.cross else place.part
        elif place.cross:
            names[place] = "cross" if sum(other.cross for other in found) == 1 else f"{place.part or 'text'} cross"
        elif len(parts) == 1 or place.part in ("", "decoder", "encoder"):
            names[place] = "self"
        else:
            names[place] = place.part
    order = {"self": 0, "encoder": 1, "decoder": 2, "cross": 3}
    return dict(sorted(names.items(), key=lambda entry: order.get(entry[1], 4)))
