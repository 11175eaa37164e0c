"""What a profile measures on every row: the statistics of the analysis room, and how often a head hits a pattern."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from attnscope.analysis.measures import Measure, Share
from attnscope.analysis.statistics import STATISTICS

if TYPE_CHECKING:
    from attnscope.analysis.blocks import Target
    from attnscope.attention.capture import Attention
    from attnscope.profiling.stack_rows import StackRows

HIT = "_hit"
INSIDE_ONE_TEXT = (
    "previous_token", "self_share", "next_token", "local_share", "mean_distance", "mean_offset", "duplicate_token",
    "induction",
)  # fmt: skip
"""Statistics that compare positions of queries and keys."""
ROLES = {
    "previous_token": "previous_token",
    "self": "self_share",
    "next_token": "next_token",
    "local": "local_share",
    "duplicate_token": "duplicate_token",
    "induction": "induction",
    "sink": "sink_share",
    "separator": "separator_share",
    "punctuation": "punctuation_share",
}
"""The statistic that is the score of each role a head can have."""


@dataclass(frozen=True)
class Hit:
    """Whether each row's strongest key is one of a pattern's, 1 or 0; NaN where the row sees none of them."""

    target: Target

    def __call__(self, rows: StackRows) -> np.ndarray:
        """Measure each row."""
        _, sees = rows.block.marked(self.target)
        return np.where(sees & np.isfinite(rows.total), rows.hit(self.target), np.float32(np.nan))


_SHARES = {name: known.measure.target for name, known in STATISTICS.items() if isinstance(known.measure, Share)}
MEASURES: dict[str, Measure] = {
    **{name: known.measure for name, known in STATISTICS.items()},
    **{name + HIT: Hit(target) for name, target in _SHARES.items()},
}
"""Every statistic of a profile by name."""


def applying(attention: Attention, names: tuple[str, ...]) -> dict[int, Measure]:
    """Pick the statistics, by their number, that some row of an attention can show."""
    asked = dict.fromkeys(name.removesuffix(HIT) for name in names)
    if attention.queries is not attention.keys:
        asked = {name: None for name in asked if name not in INSIDE_ONE_TEXT}
    shown = {name for name in asked if STATISTICS[name].applies(attention)}
    return {number: MEASURES[name] for number, name in enumerate(names) if name.removesuffix(HIT) in shown}


def chance_of(measure: Measure) -> Measure:
    """What to measure on uniform attention for the chance level.

    Of hits that is the share of the keys a row sees: how often a key drawn from them is one of the pattern.
    """
    return Share(measure.target) if isinstance(measure, Hit) else measure
