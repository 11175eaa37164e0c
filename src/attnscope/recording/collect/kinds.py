"""Which kind of attention a module computes: self, cross, and of which part of the model."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from torch import nn

_CROSS = re.compile(
    r"cross|encoder_attn|encdec|enc_dec|co_attn|multihead_attn|attn2$|token_to_image|image_to_token|visual_attention\.att"
)
_PARTS = (
    ("qformer", re.compile(r"qformer|perceiver_resampler|resampler")),
    ("decoder", re.compile(r"decoder")),
    ("vision", re.compile(r"vision|visual|image|vit\b|\bvpm\b|visn|r_layers")),
    ("audio", re.compile(r"audio|speech")),
    ("encoder", re.compile(r"encoder")),
)
_OUTER = re.compile(r"language_model|text_model|text_decoder")


_GENERIC = ("self", "attention", "att", "attn")


class Place(NamedTuple):
    """Where a module stands: a part of the model, whether it looks at another part, and its place in the part.

    ``where`` is the module's path with every number left out, the same for all layers of a stack; ``stream`` counts the
    ways one module attends within one layer.
    """

    part: str
    cross: bool
    where: str = ""
    stream: int = 0


def place_of(module: nn.Module, path: str, stream: int = 0) -> Place:
    """Read a module's place off its own mark, its class and its path."""
    lowered = path.lower()
    names = lowered.split(".")
    named = max((i for i, name in enumerate(names) if name not in _GENERIC), default=0) + 1
    last = ".".join([*names[max(named - 2, 0) : named], *names[named:]][:3])
    marked = getattr(module, "is_cross_attention", None)
    cross = bool(marked) if marked is not None else False
    cross = cross or bool(_CROSS.search(last) or _CROSS.search(type(module).__name__.lower()))
    stack = _stack_of(lowered)
    part = next((name for name, pattern in _PARTS if pattern.search(stack)), "")
    if part in ("vision", "audio") and _OUTER.search(stack):
        part = ""
    return Place(part, cross, re.sub(r"\d+", "*", lowered), stream)


def kind_names(layers: Mapping[Place, Collection[int]], *, encoder_decoder: bool) -> dict[Place, str]:
    """Name the kinds of attention of one pass; the one to show first comes first.

    An encoder–decoder has ``encoder``, ``decoder`` and ``cross``. Otherwise the text's, or the only part's, attention
    is ``self``; other parts bear their names. Stacks that share a name and no layer number are one kind; where they
    share numbers, the later ones are named by their place in the model too.

    Parameters
    ----------
    layers
        The layer numbers found in each place.
    encoder_decoder
        Whether the model is one.
    """
    names: dict[Place, str] = {}
    members: dict[str, list[Place]] = {}
    for place, numbers in layers.items():
        base = _base_name(place, list(layers), encoder_decoder=encoder_decoder)
        label = base
        if base in members and any(set(numbers) & set(layers[other]) for other in members[base]):
            label = _distinct(base, place, members)
        members.setdefault(label, []).append(place)
        names[place] = label
    order = {"self": 0, "encoder": 1, "decoder": 2, "cross": 3}
    return dict(sorted(names.items(), key=lambda entry: order.get(entry[1], 4)))


def _base_name(place: Place, found: list[Place], *, encoder_decoder: bool) -> str:
    parts = {other.part for other in found}
    if encoder_decoder and place.part in ("encoder", "decoder"):
        return "cross" if place.cross else place.part
    if place.cross:
        crossing = {other.part for other in found if other.cross}
        return "cross" if len(crossing) == 1 else f"{place.part or 'text'} cross"
    if len(parts) == 1 or place.part in ("", "decoder", "encoder"):
        both = {"encoder", "decoder"} <= parts and "" not in parts
        return place.part if both and place.part == "encoder" else "self"
    return place.part


def _distinct(base: str, place: Place, members: Mapping[str, list[Place]]) -> str:
    """A name of its own for a place whose plain name is taken."""
    words = [word for word in place.where.split(".") if word != "*"]
    taken = {word for other in members[base] for word in other.where.split(".")}
    own = [word for word in words if word not in taken]
    label = f"{base} {'.'.join(own)}" if own else base
    label = f"{label} stream {place.stream + 1}" if place.stream else label
    number = 2
    while label in members:
        label, number = f"{base} {number}", number + 1
    return label


def _stack_of(path: str) -> str:
    """The path of the stack a module stands in: up to its last number, or without its own name."""
    parts = path.split(".")
    last = max((i for i, part in enumerate(parts) if part.isdigit()), default=max(len(parts) - 1, 0))
    return ".".join(parts[:last])
