"""A pack as it stands in a notebook or a page: compressed, and no larger than there is room."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from attnscope.wire.pack import pack
from attnscope.wire.plan import fitting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attnscope.attention.capture import Capture


@dataclass(frozen=True)
class Packed:
    """A compressed pack.

    Parameters
    ----------
    data
        A gzipped safetensors file.
    is_whole
        Whether all of the capture is in it.
    """

    data: bytes
    is_whole: bool


Embed = Literal["auto", "all", "selection", "none"]

SHRINKS = 1.5
"""How much larger than its compressed form a pack is taken to be at first; what does not fit then is planned anew."""


PATIENT = 1 << 36
"""Most multiplications spent on statistics of the heads for a page that somebody asked for: a minute or two."""


def compressed(capture: Capture, state: Mapping[str, Any], other: Capture | None = None) -> bytes:
    """Pack and compress all of a capture, and of the one it is compared with.

    Statistics, roles and findings of the heads are left out where they would take longer than :data:`PATIENT`.
    """
    return _gzip(pack(capture, state, other, judged=work(capture) <= PATIENT))


def compressed_within(
    capture: Capture,
    state: Mapping[str, Any],
    other: Capture | None = None,
    *,
    megabytes: float,
    embed: Embed = "auto",
    judged: bool = True,
) -> Packed | None:
    """Pack and compress what there is room for.

    Parameters
    ----------
    capture, other
        The capture, and the one it is compared with.
    state
        The public traits; what they select is stored first.
    megabytes
        Room, in units of 10⁶ characters of base64, as which it is stored.
    embed
        ``"auto"`` for all that fits, ``"selection"`` for what is selected alone.
    judged
        Whether to store statistics, roles and findings of the heads.

    Returns
    -------
    Packed or None
        None where there is no room for anything.
    """
    captures = [capture] if other is None else [capture, other]
    most = megabytes * 750_000
    room = most * SHRINKS / len(captures)
    while room >= 1:
        kinds = [state["kind"] if state["kind"] in one.kinds else one.kinds[0] for one in captures]
        plans = [
            fitting(one, kind, _existing(one, kind, state["heads"]), room, more=embed != "selection")
            for one, kind in zip(captures, kinds, strict=True)
        ]
        if not any(plans[0].heads.values()):
            return None
        data = _gzip(pack(capture, state, other, plans=plans, judged=judged))
        if len(data) <= most:
            is_whole = all(plan.is_whole(one) for plan, one in zip(plans, captures, strict=True))
            return Packed(data, is_whole)
        room *= min(0.8, 0.98 * most / len(data))
    return None


def compressed_as(embed: Embed, megabytes: float, capture: Capture, *given: Any, judged: bool = True) -> Packed | None:
    """Pack and compress what a policy asks for; takes what :func:`compressed_within` takes."""
    if embed == "none":
        return None
    if embed == "all":
        return Packed(compressed(capture, *given), is_whole=True)
    return compressed_within(capture, *given, megabytes=megabytes, embed=embed, judged=judged)


def work(capture: Capture) -> int:
    """Multiplications that one pass over all weights takes, by which to judge whether there is time for it."""
    return sum(
        sum(one.head_counts) * len(one.queries) * len(one.keys) * getattr(next(iter(one.stored.values())), "width", 1)
        for one in capture.attention.values()
    )


def _existing(capture: Capture, kind: str, heads: list[list[int]]) -> list[list[int]]:
    stored = capture[kind].stored
    return [[layer, head] for layer, head in heads if layer in stored and head < stored[layer].n_heads]


def _gzip(data: bytes) -> bytes:
    return gzip.compress(data, compresslevel=6, mtime=0)
