"""What a change of the model did to one prediction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.analysis.causal.subject import running

if TYPE_CHECKING:
    from attnscope.recording.intervene import Reading, Subject

SHOWN = 5
"""Likeliest tokens or classes that are named."""


@dataclass(frozen=True, eq=False)
class Effect:
    """What a change did to one prediction.

    Parameters
    ----------
    changed
        What was changed, in words.
    read
        What was looked at, in words: ``next token after 'small' (position 14)``.
    target
        The token or class whose probability is followed; empty where the model predicts nothing.
    before, after
        Its log probability in nats, without and with the change; None where the model predicts nothing. With a target
        function, what that gave.
    top_before, top_after
        The likeliest tokens or classes and their probabilities; empty where there are none.
    total_variation
        Half the summed difference of the two distributions, 0 (no effect) to 1; None where there are none.
    distance
        Cosine distance of the hidden states without and with the change, 0 to 2, for models without a head; else None.

    Examples
    --------
    >>> effect = analysis.ablate_heads(model, tokenizer, prompt, [(0, 2), (0, 3)])
    >>> effect.target, round(effect.change, 1), round(effect.total_variation, 2)
    ('red', -5.9, 1.0)
    """

    changed: str
    read: str
    target: str = ""
    before: float | None = None
    after: float | None = None
    top_before: tuple[tuple[str, float], ...] = ()
    top_after: tuple[tuple[str, float], ...] = ()
    total_variation: float | None = None
    distance: float | None = None

    @property
    def change(self) -> float | None:
        """``after - before``: below 0 where the target became less likely."""
        return None if self.before is None or self.after is None else self.after - self.before

    @property
    def size(self) -> float:
        """How large the effect is: total variation; the cosine distance without a head; else the absolute change."""
        given = (self.total_variation, self.distance)
        return next((size for size in given if size is not None), abs(self.change or 0.0))

    def lines(self) -> list[str]:
        """Say it in lines of text."""
        if self.distance is not None:
            return [
                self.changed,
                f"{self.read} moves by a cosine distance of {self.distance:.3f} (the model has no head, so there is no "
                "prediction to follow)",
            ]
        lines = [self.changed]
        if self.total_variation is None:
            return [*lines, f"{self.read}: {self.before:.4g} → {self.after:.4g}"]
        assert self.before is not None
        assert self.after is not None
        lines.append(f"{self.read}: p({self.target!r}) {_percent(self.before)} → {_percent(self.after)}")
        for name, top in (("before", self.top_before), ("after", self.top_after)):
            lines.append(f"{name}: " + ", ".join(f"{token!r} {p:.1%}" for token, p in top))
        return [*lines, f"total variation {self.total_variation:.3f}"]

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain numbers, strings and lists, and ``"lines"`` of text."""
        return {
            "lines": self.lines(),
            "changed": self.changed,
            "read": self.read,
            "target": self.target,
            "before": self.before,
            "after": self.after,
            "change": self.change,
            "top_before": [list(entry) for entry in self.top_before],
            "top_after": [list(entry) for entry in self.top_after],
            "total_variation": self.total_variation,
            "distance": self.distance,
        }

    def __repr__(self) -> str:
        return "Effect(" + "\n       ".join(self.lines()) + ")"


def effect(subject: Subject, reading: Reading, changed: str) -> Effect:
    """Compare a run with the one without changes."""
    before = running().unchanged(subject)
    read, target = describe(subject)
    if reading.states is not None:
        return Effect(changed, read, distance=cosine_distance(before.states, reading.states))
    if reading.log_probs is None:
        return Effect(changed, read, target, before.value, reading.value)
    return Effect(
        changed,
        read,
        target,
        before.value,
        reading.value,
        _top(subject, before.log_probs),
        _top(subject, reading.log_probs),
        total_variation(before.log_probs, reading.log_probs),
    )


def describe(subject: Subject) -> tuple[str, str]:
    """Say what is read, and name the target."""
    readout = subject.readout
    if readout.score is not None:
        return "the target function", getattr(readout.score, "__name__", "target")
    if readout.what == "hidden state" and readout.position is None:
        return "the mean of the hidden states", ""
    target = named(subject, [readout.target])[0] if readout.target is not None else ""
    if readout.position is None:
        return "class of the text", target
    capture = subject.capture
    tokens = capture["decoder" if "decoder" in capture.kinds else capture.kinds[0]].queries
    link = {"next token": " after", "masked token": " at"}.get(readout.what, " of")
    return f"{readout.what}{link} {tokens.text[readout.position].strip()!r} (position {readout.position})", target


def named(subject: Subject, numbers: list[Any]) -> list[str]:
    """Name predicted tokens or classes."""
    return running().names(subject.model, subject.tokenizer, subject.readout.what, [int(number) for number in numbers])


def total_variation(before: Any, after: Any) -> float:
    """Half the summed difference of two distributions given by their log probabilities."""
    return float(np.abs(np.exp(before.astype(np.float64)) - np.exp(after.astype(np.float64))).sum() / 2)


def cosine_distance(before: Any, after: Any) -> float:
    """One minus the cosine of the angle between two vectors; 1 where one of them is zero."""
    a, b = before.astype(np.float64), after.astype(np.float64)
    length = float(np.linalg.norm(a) * np.linalg.norm(b))
    return 1 - float(a @ b) / length if length else 1.0


def _top(subject: Subject, log_probs: Any) -> tuple[tuple[str, float], ...]:
    best = np.argsort(-log_probs, kind="stable")[:SHOWN]
    return tuple(zip(named(subject, list(best)), np.exp(log_probs[best]).astype(float).tolist(), strict=True))


def _percent(log_probability: float) -> str:
    p = float(np.exp(log_probability))
    return f"{p:.1%}" if p >= 0.001 else f"{p:.1g}"
