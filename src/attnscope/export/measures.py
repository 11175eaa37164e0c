"""How the numbers of a measure behave, and what they are called; js/src/attention/measure.ts has the same."""

from __future__ import annotations

from typing import Literal

Form = Literal["share", "score", "signed"]
"""Shares are 0 or more and a row sums to 1, or less; softmax turns scores into shares; effects have a sign."""

_FORMS: dict[str, Form] = {"scores": "score", "gradient": "signed"}
_LABELS = {
    "weights": "weights", "scores": "scores", "value_weighted": "value-weighted", "norm_weighted": "norm-weighted",
    "rollout": "rollout", "gradient": "gradient × weights",
}  # fmt: skip
_NOUNS = {"weights": "weight", "scores": "score"}


def form_of(measure: str) -> Form:
    """Say how the numbers of a measure behave."""
    return _FORMS.get(measure, "share")


def label_of(measure: str) -> str:
    """Name a measure."""
    return _LABELS.get(measure, measure.replace("_", " "))


def noun_of(measure: str) -> str:
    """Name one number of a measure."""
    return _NOUNS.get(measure, label_of(measure))
