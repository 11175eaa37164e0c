"""What is measured on every head, kept with its capture: several questions of the page rest on the same few passes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from attnscope.analysis.fused import LONG, needs_no_weights
from attnscope.analysis.head_table import measures_of
from attnscope.analysis.roles import role_measures
from attnscope.analysis.rows import head_sums

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy as np

    from attnscope.analysis.measures import Measure
    from attnscope.attention.capture import Capture


@dataclass(frozen=True, eq=False)
class Known:
    """One measure of every head.

    Parameters
    ----------
    mean, chance
        float32 [layers, most heads]: its mean over the rows that count, and that of uniform attention.
    rows
        int64 [layers, most heads]: the rows that count.
    """

    mean: np.ndarray
    chance: np.ndarray
    rows: np.ndarray


def known(capture: Capture, kind: str, measures: Iterable[Measure]) -> dict[Measure, Known]:
    """Give measures of every head.

    What one pass over the weights gives is taken together the first time any of it is asked for: measures that need
    each weight, those that do not, or both; for long texts these are two passes, as the second needs no weights.
    """
    measures = list(measures)
    every = dict.fromkeys([*measures_of(capture, kind).values(), *role_measures(capture[kind]).values(), *measures])
    wanted = {needs_no_weights(measure) for measure in measures}
    is_long = len(capture[kind].queries) >= LONG
    found: dict[Measure, Known] = {}
    for lights in [{light} for light in wanted] if is_long else [wanted] if wanted else []:
        together = {str(at): it for at, it in enumerate(every) if needs_no_weights(it) in lights}
        sums = head_sums(capture, together, kind)
        uniform = head_sums(capture, together, kind, chance=True)
        found |= {it: Known(sums[at].mean, uniform[at].mean, sums[at].count) for at, it in together.items()}
    return {measure: found[measure] for measure in measures}
