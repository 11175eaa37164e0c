"""Running a subject's variants, several at once where that is safe, and reading each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from attnscope.recording.intervene.change import Change, cut, replaced
from attnscope.recording.intervene.subject import repeated, without_gradients

if TYPE_CHECKING:
    from attnscope.recording.intervene.change import Changes
    from attnscope.recording.intervene.subject import Subject

VARIANTS = 16
"""Most variants in one batch."""
CELLS = 1 << 27
"""Most numbers of one batch's logits or scores: 512 MiB of float32."""

Head = tuple[str, int, int]
"""Kind of attention, layer, head."""
Means = Mapping[tuple[str, int], np.ndarray]
"""Per kind and layer, what each head gives on average: float32 [heads, value width]."""


@dataclass(frozen=True, eq=False)
class Reading:
    """What was read off one output.

    Parameters
    ----------
    value
        The number followed: the target's log probability, or the score; None for hidden states.
    log_probs
        float32 [possible]: log probability of each token or class; None where there are none.
    states
        float32 [width]: the hidden state; None where there are log probabilities.
    """

    value: float | None
    log_probs: np.ndarray | None
    states: np.ndarray | None


def unchanged(subject: Subject) -> Reading:
    """Read the output of the run without changes."""
    return _read(subject, subject.output)[0]


def with_heads(subject: Subject, sets: Sequence[Sequence[Head]], by: str | Means) -> Iterator[Reading]:
    """Run the subject once for each set of heads, those heads' outputs replaced.

    Parameters
    ----------
    by
        ``"zero"``, ``"mean"`` (over the text's positions), or what to put there.
    """
    for some in _chunks(subject, sets):
        rows: dict[tuple[str, int], torch.Tensor] = {}
        for variant, heads in enumerate(some):
            for kind, layer, head in heads:
                n_heads = subject.capture[kind].layer(layer).n_heads
                rows.setdefault((kind, layer), torch.zeros(len(some), n_heads, dtype=torch.bool))[variant, head] = True
        changes = {
            place: Change(
                outputs=replaced(chosen, by if isinstance(by, str) else torch.as_tensor(by[place])),
                of_vectors=not isinstance(by, str),
            )
            for place, chosen in rows.items()
        }
        yield from _run(subject, changes, len(some))


def with_links_cut(subject: Subject, links: Mapping[tuple[str, int], np.ndarray]) -> Reading:
    """Run the subject with links cut: per kind and layer, bool [heads, queries, keys], True where there is no link."""
    changes = {place: Change(scores=cut(torch.as_tensor(hidden)[None])) for place, hidden in links.items()}
    return _run(subject, changes, 1)[0]


def with_keys_hidden(subject: Subject, sets: Sequence[np.ndarray], kinds: Sequence[str]) -> Iterator[Reading]:
    """Run the subject once for each set of tokens that no other token sees, in every layer of some kinds.

    Parameters
    ----------
    sets
        Positions of the hidden tokens.
    kinds
        The kinds of attention whose keys they are.
    """
    for some in _chunks(subject, sets):
        changes = {}
        for kind in kinds:
            attention = subject.capture[kind]
            hidden = torch.zeros(len(some), 1, len(attention.queries), len(attention.keys), dtype=torch.bool)
            for variant, positions in enumerate(some):
                hidden[variant, :, :, positions] = True
            if attention.queries is attention.keys:  # each token goes on seeing itself
                hidden &= ~torch.eye(len(attention.keys), dtype=torch.bool)
            changes.update({(kind, layer): Change(scores=cut(hidden)) for layer in attention.layers})
        yield from _run(subject, changes, len(some))


def with_inputs(subject: Subject, variants: Sequence[Mapping[str, np.ndarray]]) -> Iterator[Reading]:
    """Run the model once for each variant of the inputs: arrays [tokens] that take the place of the subject's.

    All of them are equally long.
    """
    for some in _chunks(subject, variants):
        changed = {name: torch.as_tensor(np.stack([variant[name] for variant in some])) for name in some[0]}
        with without_gradients():
            output = subject.run({}, inputs={**repeated(subject.inputs, len(some)), **changed})
        yield from _read(subject, output)


def mean_outputs(subjects: Sequence[Subject]) -> Means:
    """Average what each head gives, over the positions of all the texts."""
    sums: dict[tuple[str, int], torch.Tensor] = {}
    count: dict[tuple[str, int], int] = {}

    def watch(place: tuple[str, int], outputs: torch.Tensor) -> torch.Tensor:
        total = outputs.detach().double().sum((0, 1)).cpu()
        sums[place] = total + sums[place] if place in sums else total
        count[place] = count.get(place, 0) + outputs.shape[0] * outputs.shape[1]
        return outputs

    for subject in subjects:
        changes = {
            place: Change(outputs=lambda outputs, place=place: watch(place, outputs), of_vectors=True)  # type: ignore[misc]
            for place in subject.sites.values()
        }
        with without_gradients():
            subject.run(changes)
    return {place: (total / count[place]).float().numpy() for place, total in sums.items()}


def _run(subject: Subject, changes: Changes, variants: int) -> list[Reading]:
    with without_gradients():
        return _read(subject, subject.run(changes, variants=variants))


def _chunks(subject: Subject, sets: Sequence[Any]) -> Iterator[Sequence[Any]]:
    size = VARIANTS if subject.takes_variants else 1
    logits = subject.readout.logits(subject.output)
    if logits is not None:
        size = max(1, min(size, CELLS // (logits.shape[-1] * max(subject.readout.logits_to_keep, 1))))
    for first in range(0, len(sets), size):
        yield sets[first : first + size]


def _read(subject: Subject, output: Any) -> list[Reading]:
    readout = subject.readout
    with without_gradients():
        states = log_probs = values = None
        if readout.score is not None:
            values = readout.value(output)
        elif readout.what == "hidden state":
            states = readout.states(output)
        else:
            log_probs = readout.log_probs(output)
            values = readout.value(output)
    parts = [None if part is None else part.detach().cpu().numpy() for part in (values, log_probs, states)]
    n = next(len(part) for part in parts if part is not None)
    return [
        Reading(
            None if parts[0] is None else float(parts[0][item]),
            *(None if part is None else part[item] for part in parts[1:]),
        )
        for item in range(n)
    ]
