"""One layer of a pass, as it was recorded."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from attnscope.attention.layers import Layer
    from attnscope.recording.collect.kinds import Place
    from attnscope.recording.collect.written import Written


@dataclass(frozen=True, eq=False)
class Recorded:
    """One layer of a pass.

    Parameters
    ----------
    place
        The part of the model it is in.
    number
        Its layer number there.
    path
        Path of its module.
    tier
        How it was seen.
    items
        One layer per input of the batch.
    check
        The worst self-check over the inputs; NaN where there was nothing to check.
    allowed
        What the self-check may reach.
    unknown
        Options it was called with that are not understood.
    added
        Names of learned or zero keys after those of the tokens.
    joins
        Whether it is one more head of the layer before it.
    written
        What it writes into the residual stream, where that is followed.
    split
        Whether its heads are those of this process alone, of a model that several run together.
    """

    place: Place
    number: int
    path: str
    tier: str
    items: Sequence[Layer]
    check: float
    allowed: float
    unknown: Sequence[str] = field(default_factory=list)
    added: tuple[str, ...] = ()
    joins: bool = False
    written: Written | None = None
    split: bool = False
