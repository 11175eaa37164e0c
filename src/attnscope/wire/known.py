"""What is measured on every head, kept with its capture: several questions of the page rest on the same few passes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from attnscope.analysis.fused import needs_no_weights
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


_known: WeakKeyDictionary[Capture, dict[str, dict[Measure, Known]]] = WeakKeyDictionary()


def known(capture: Capture, kind: str, measures: Iterable[Measure]) -> dict[Measure, Known]:
    """Give measures of every head.

    Those of one pass are taken together, the first time one of them is asked for: those that need each weight, or
    those that do not.
    """
    kept = _known.setdefault(capture, {}).setdefault(kind, {})
    for light in {needs_no_weights(measure) for measure in measures if measure not in kept}:
        every = dict.fromkeys([*measures_of(capture, kind).values(), *role_measures(capture[kind]).values(), *measures])
        together = {str(at): it for at, it in enumerate(every) if needs_no_weights(it) == light and it not in kept}
        sums = head_sums(capture, together, kind)
        uniform = head_sums(capture, together, kind, chance=True)
        kept |= {it: Known(sums[at].mean, uniform[at].mean, sums[at].count) for at, it in together.items()}
    return {measure: kept[measure] for measure in measures}
