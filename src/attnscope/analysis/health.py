"""Is anything wrong with this attention?"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from attnscope.analysis.blocks import blocks
from attnscope.analysis.divergence import bits, jensen_shannon, scaled
from attnscope.analysis.measures import normalized_entropy
from attnscope.analysis.rows import attention_of
from attnscope.attention.layers import LazyWeights, QueriesKeys

if TYPE_CHECKING:
    from collections.abc import Iterator, Sized

    from attnscope.attention.capture import Attention, Capture
    from attnscope.attention.layers import Layer

EVEN, ONE_KEY = 0.98, 0.02
"""Normalised entropy of a layer above which its heads are even, below which they look at one key."""
ALIKE = 0.01
"""Divergence below which heads are alike, or a layer like the one before.

These are set between what was measured: untrained models have 1.000 and 0.0002, trained ones 0.39 to 0.56 and 0.09 up.
"""
SUMS = {"float16": 2e-3, "bfloat16": 2e-2}
"""How far sums of stored rows may be from 1; 1e-5 for other dtypes."""
STORED = 0.01
"""How far a narrow dtype may move a weight without a warning."""
SAMPLED, FEWEST, CELLS = 128, 8, 1 << 22
"""Queries at which heads and layers are compared, evenly spaced: that many, fewer where all heads' rows would be more
than so many weights."""

_ORDER = ("error", "warning", "info")


@dataclass(frozen=True)
class Finding:
    """Something to know about a capture before believing what it shows.

    Parameters
    ----------
    name
        What kind of finding: ``"nan"``, ``"row_sums"``, ``"uniform"``, ``"one_hot"``, ``"alike"``, ``"no_change"``,
        ``"masked_rows"``, ``"stored"``, ``"unverified"``.
    severity
        ``"error"``: numbers are wrong. ``"warning"``: probably something is. ``"info"``: good to know.
    message
        What was found, what it may come from, what to do.
    value, threshold
        The number it rests on, and the one it was held to.
    heads
        The heads concerned, as (layer, head).

    Examples
    --------
    >>> even = from_queries_keys([np.zeros((1, 40, 4))], [np.zeros((1, 40, 4))], ["a"] * 40)
    >>> [(finding.name, finding.severity) for finding in analysis.health(even)]
    [('uniform', 'warning'), ('unverified', 'info')]
    """

    name: str
    severity: str
    message: str
    value: float
    threshold: float
    heads: tuple[tuple[int, int], ...] = field(default=(), repr=False)


def health(c: Capture, *, kind: str | None = None) -> list[Finding]:
    """Look for signs that something is wrong with a model or a capture.

    Found are: weights that are no numbers; rows that do not sum to 1, with the legitimate reasons; layers whose heads
    are all even (as in a model that was not trained) or all on one key; heads that are all alike; layers that repeat
    the one before; queries that see no key; layers that were not checked against the model's own output.

    Returns
    -------
    list of Finding
        Gravest first; empty for a capture without findings.

    Examples
    --------
    >>> analysis.health(c)
    []
    >>> even = from_queries_keys([np.zeros((1, 40, 4))], [np.zeros((1, 40, 4))], ["a"] * 40)
    >>> [finding.name for finding in analysis.health(even)]
    ['uniform', 'unverified']
    """
    attention = attention_of(c, kind)
    seen = _look(attention)
    found = [
        *_not_numbers(seen),
        *_row_sums(attention, seen),
        *_spread(seen),
        *_alike(attention),
        *_masked_rows(attention),
        *_stored(attention),
        *_unverified(attention),
    ]
    return sorted(found, key=lambda finding: _ORDER.index(finding.severity))


@dataclass
class _Seen:
    """What one pass over a head's rows gives."""

    nan: int = 0
    rows: int = 0
    least: float = np.inf
    most: float = -np.inf
    sums: float = 0.0
    entropy: float = 0.0
    counted: int = 0


def _look(attention: Attention) -> dict[tuple[int, int], _Seen]:
    numbers = attention.layers
    seen: dict[tuple[int, int], _Seen] = {}
    for members, block in blocks(attention):
        for row, layer in members:
            for head in range(layer.n_heads):
                rows, it = block.of(layer, head), seen.setdefault((numbers[row], head), _Seen())
                sums = rows.weights.sum(axis=1, dtype=np.float64)
                good = np.isfinite(sums)
                it.nan += int((~good).sum())
                it.rows += int(good.sum())
                it.sums += float(sums[good].sum())
                it.least = min(it.least, float(sums[good].min(initial=np.inf)))
                it.most = max(it.most, float(sums[good].max(initial=-np.inf)))
                entropy = normalized_entropy(rows)[good]
                entropy = entropy[~np.isnan(entropy)]
                it.entropy += float(entropy.sum())
                it.counted += entropy.size
    return seen


def _not_numbers(seen: dict[tuple[int, int], _Seen]) -> Iterator[Finding]:
    heads = tuple(place for place, it in seen.items() if it.nan)
    if heads:
        count = sum(it.nan for it in seen.values())
        yield Finding(
            "nan",
            "error",
            f"{count} rows of weights in {_heads(heads)} are no numbers. The model's activations overflowed or were no "
            "numbers before attention; the usual cause is float16. Load the model in bfloat16 or float32, and look at "
            "the first layer concerned.",
            float(count),
            0.0,
            heads,
        )


def _row_sums(attention: Attention, seen: dict[tuple[int, int], _Seen]) -> Iterator[Finding]:
    sinks: list[tuple[tuple[int, int], float, float]] = []
    others: list[tuple[tuple[int, int], float, float]] = []
    for place, it in seen.items():
        layer = attention.stored[place[0]]
        limit = SUMS.get(layer.dtype, 1e-5) if not isinstance(layer, QueriesKeys) else 1e-5
        off = max(1 - it.least, it.most - 1) if it.rows else 0.0
        if off > limit:
            learned = isinstance(layer, QueriesKeys) and layer.sinks is not None
            (sinks if learned else others).append((place, off, limit))
    if sinks:
        heads = tuple(place for place, _, _ in sinks)
        mass = 1 - np.mean([seen[place].sums / seen[place].rows for place in heads])
        yield Finding(
            "row_sums",
            "info",
            f"Rows sum to less than 1 in {_heads(heads)}: this model has learned sinks, which take {mass:.0%} of the "
            "weight on average. It is given to no token. Entropies are of the rest.",
            float(mass),
            1e-5,
            heads,
        )
    if others:
        heads, off = tuple(place for place, _, _ in others), max(off for _, off, _ in others)
        yield Finding(
            "row_sums",
            "warning",
            f"Rows do not sum to 1 in {_heads(heads)}: they are off by up to {off:.2g}. Legitimate reasons are dropout "
            "(the model is in training mode: call model.eval()), a learned sink whose column was cut off, attention by "
            "sigmoid, and weights that were sliced, pruned to the largest, or rounded before they were stored. "
            "Otherwise these are no attention weights.",
            float(off),
            min(limit for _, _, limit in others),
            heads,
        )


def _spread(seen: dict[tuple[int, int], _Seen]) -> Iterator[Finding]:
    layers: dict[int, list[float]] = {}
    for (layer, _), it in seen.items():
        if it.counted:
            layers.setdefault(layer, []).append(it.entropy / it.counted)
    means = {layer: float(np.mean(values)) for layer, values in layers.items()}
    even = [layer for layer, mean in means.items() if mean > EVEN]
    if even:
        yield Finding(
            "uniform",
            "warning",
            f"Every head of {_layers(even, means)} spreads its weight evenly: the normalised entropy is "
            f"{np.mean([means[layer] for layer in even]):.4f} (trained models: 0.4 to 0.6). The model may be "
            "untrained, or its weights were not loaded: look for a message about newly initialised weights.",
            float(np.mean([means[layer] for layer in even])),
            EVEN,
            tuple(place for place in seen if place[0] in even),
        )
    single = [layer for layer, mean in means.items() if mean < ONE_KEY]
    if single:
        yield Finding(
            "one_hot",
            "warning",
            f"Every head of {_layers(single, means)} puts all its weight on one key: the normalised entropy is "
            f"{np.mean([means[layer] for layer in single]):.4f} (trained models: 0.4 to 0.6). Scores may have grown "
            "without bound in training, or lack their scale; or these are hard-coded patterns.",
            float(np.mean([means[layer] for layer in single])),
            ONE_KEY,
            tuple(place for place in seen if place[0] in single),
        )


def _alike(attention: Attention) -> Iterator[Finding]:
    """Compare heads inside each layer, and each layer's mean with the one before, at some queries."""
    within: dict[int, float] = {}
    change: dict[int, float] = {}
    before: np.ndarray | None = None
    for number, layer in attention.stored.items():
        rows = _sample(layer)
        if not rows.size:
            continue
        if layer.n_heads > 1:
            own = bits(rows)
            pairs = [
                bits((rows[a] + rows[a + 1 :]) / 2) - (own[a] + own[a + 1 :]) / 2 for a in range(layer.n_heads - 1)
            ]
            within[number] = float(np.nanmean(np.concatenate(pairs)))
        mean = np.nanmean(rows, axis=0)
        if before is not None and before.shape == mean.shape:
            change[number] = float(np.nanmean(jensen_shannon(before, mean)))
        before = mean
    same = [number for number, value in within.items() if value < ALIKE]
    if same:
        value = float(np.mean([within[number] for number in same]))
        yield Finding(
            "alike",
            "warning",
            f"The heads of {_layers(same, within)} all look alike: their mean divergence is {value:.2g} of 1 (trained "
            "models: 0.3 to 0.6). The model may be untrained, or its heads do the same.",
            value,
            ALIKE,
            tuple((number, head) for number in same for head in range(attention.stored[number].n_heads)),
        )
    if change and float(np.mean(list(change.values()))) < ALIKE:
        value = float(np.mean(list(change.values())))
        yield Finding(
            "no_change",
            "warning",
            f"Attention does not change over depth: the mean divergence between layers that follow each other is "
            f"{value:.2g} of 1 (trained models: from 0.1 on). The model may be untrained, or its layers share weights.",
            value,
            ALIKE,
            tuple((number, head) for number in change for head in range(attention.stored[number].n_heads)),
        )


def _sample(layer: Layer) -> np.ndarray:
    """Rows of all heads at evenly spaced queries that see two keys or more: [heads, rows, keys]."""
    choosing = np.flatnonzero(layer.mask.counts() > 1)
    if not choosing.size:
        return np.zeros((layer.n_heads, 0, layer.n_keys))
    count = min(SAMPLED, max(FEWEST, CELLS // (layer.n_heads * layer.n_keys)))
    some = np.unique(choosing[np.linspace(0, choosing.size - 1, count).round().astype(int)])
    source = layer.stored() if isinstance(layer, LazyWeights) else layer
    return scaled(np.stack([source.weight_rows(head, some) for head in range(layer.n_heads)]))


def _masked_rows(attention: Attention) -> Iterator[Finding]:
    blind = {number: int((layer.mask.counts() == 0).sum()) for number, layer in attention.stored.items()}
    most = max(blind.values())
    if most:
        heads = tuple((n, h) for n, count in blind.items() if count for h in range(attention.stored[n].n_heads))
        yield Finding(
            "masked_rows",
            "info",
            f"{most} of {len(attention.queries)} queries see no key, mostly padding. They are left out of every "
            "statistic; a model's own weights there are even over all keys and mean nothing.",
            float(most),
            0.0,
            heads,
        )


def _stored(attention: Attention) -> Iterator[Finding]:
    layer, most = max(attention.error.items(), key=lambda entry: entry[1])
    if most:
        yield Finding(
            "stored",
            "warning" if most > STORED else "info",
            f"Queries and keys are kept in {attention.stored[layer].dtype}, which moves weights by at most "
            f"{_at_most(most)} (layer {layer}). Capture with dtype=None to keep them as the model computes them.",
            most,
            STORED,
            tuple(
                (number, head)
                for number, error in attention.error.items()
                if error > STORED
                for head in range(attention.stored[number].n_heads)
            ),
        )


def _at_most(value: float) -> str:
    """Write a bound in two digits, rounded up."""
    unit = 10.0 ** (np.floor(np.log10(value)) - 1)
    return f"{np.ceil(value / unit - 1e-9) * unit:.2g}"


def _unverified(attention: Attention) -> Iterator[Finding]:
    unchecked = [number for number in attention.layers if number not in attention.check]
    if unchecked:
        given = all(attention.how.get(number) == "given" for number in unchecked)
        reason = (
            "these weights, or queries and keys, were given from outside"
            if given
            else "there was no output of the model's to hold them to"
        )
        yield Finding(
            "unverified",
            "info" if given else "warning",
            f"{_layers(unchecked, attention.stored).capitalize()} could not be checked against the model's own output: "
            f"{reason}. What capture() and record() record is checked.",
            float(len(unchecked)),
            0.0,
            tuple((number, head) for number in unchecked for head in range(attention.stored[number].n_heads)),
        )


def _layers(some: list[int], of_all: Sized) -> str:
    """Name layers shortly."""
    if len(some) == 1:
        return f"layer {some[0]}"
    if len(some) == len(of_all):
        return "every layer"
    return f"layers {', '.join(map(str, some[:6]))}{' …' if len(some) > 6 else ''}"


def _heads(places: tuple[tuple[int, int], ...]) -> str:
    shown = ", ".join(f"L{layer}H{head}" for layer, head in places[:4])
    return f"{len(places)} head{'' if len(places) == 1 else 's'} ({shown}{' …' if len(places) > 4 else ''})"
