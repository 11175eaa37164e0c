"""One file per request of the page: a question in, numbers out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnscope.wire.answers.cells import overview, weights
from attnscope.wire.answers.heads import pair, statistic

if TYPE_CHECKING:
    from collections.abc import Callable

    from attnscope.wire.question import Numbers, Question

ANSWERS: dict[str, Callable[[Question], Numbers]] = {
    "weights": weights,
    "overview": overview,
    "pair": pair,
    "statistic": statistic,
}
"""By the type of the request."""
