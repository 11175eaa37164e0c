"""One file per request of the page: a question in, numbers out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attnscope.wire.answers.cells import overview, weights
from attnscope.wire.answers.figure import figure
from attnscope.wire.answers.flow import evolution, flow
from attnscope.wire.answers.gallery import likeness, overviews, roles
from attnscope.wire.answers.heads import pair, statistic
from attnscope.wire.answers.judgement import ablate, findings, links
from attnscope.wire.answers.picture import picture
from attnscope.wire.answers.steps import steps, vectors
from attnscope.wire.tokens import tokens_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from attnscope.wire.question import Numbers, Question

ANSWERS: dict[str, Callable[[Question], Numbers]] = {
    "weights": weights,
    "overview": overview,
    "pair": pair,
    "statistic": statistic,
    "steps": steps,
    "flow": flow,
    "evolution": evolution,
    "picture": picture,
    "figure": figure,
    "vectors": vectors,
    "overviews": overviews,
    "likeness": likeness,
    "roles": roles,
    "findings": findings,
    "links": links,
    "ablate": ablate,
    "tokens": tokens_of,
}
"""By the type of the request."""
