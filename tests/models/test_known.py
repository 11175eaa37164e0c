"""Every known family: exact, by its true layer and head numbers, or refused with the reason."""

import dataclasses
from functools import cache

import pytest
import torch

from attnscope.attention.rounding import UNIT
from tests.models import table
from tests.models.known import FAMILIES
from tests.models.known.measure import Outcome, measure

every_family = pytest.mark.parametrize("known", FAMILIES, ids=str)


@cache
def outcome_of(known):
    return measure(known)


@every_family
def test_family(known):
    outcome = outcome_of(known)
    if known.refused:
        assert known.refused in outcome.refused
        return
    assert outcome.refused == ""
    assert set(outcome.errors) == set(known.own)
    assert max(outcome.errors.values(), default=0) <= table.TOLERANCE
    for kind, numbers in outcome.layers.items():
        assert numbers == known.layers.get(kind, tuple(range(len(numbers)))), kind
    assert set(known.layers) <= set(outcome.layers)
    # Recomputed weights reproduce the output, or the rows of a module's softmax sum to 1.
    assert max(outcome.checks.values()) <= 1e-5
    if "sinks" not in known.name:
        assert outcome.sums <= 1e-5
    assert bool(outcome.left_out) == bool(known.left_out)
    assert known.left_out in outcome.left_out


HALVES = {torch.bfloat16: 1e-2, torch.float16: 1e-3}
"""What the exact weights reach in each precision with scores of a unit's spread."""
ROUNDED = 1e-2
"""What the rounded weights reach with any."""

every_half = pytest.mark.parametrize("dtype", HALVES, ids=["bfloat16", "float16"])
COMPARABLE = [known for known in FAMILIES if known.own and not known.refused]
every_comparable = pytest.mark.parametrize("known", COMPARABLE, ids=str)


@every_half
@pytest.mark.parametrize("spread", [0.45, 1.0], ids=["unit scores", "wide scores"])
@every_comparable
def test_half_precision(known, dtype, spread):
    # The eager code itself is recorded, so that both attend with the same queries and keys.
    outcome = half_of(known, dtype, spread)
    if overflows(known, dtype):
        assert "computes with NaN or infinite numbers" in outcome.refused
        return
    assert outcome.refused == ""
    assert set(outcome.errors) == set(known.own)
    # Weights that a module keeps are those before it rounds them, by at most half of the dtype's unit.
    kept = any("softmax" in tier for tier in outcome.tiers.values())
    assert outcome.beyond <= (UNIT[dtype_name(dtype)] / 2 if kept else 1e-6)
    assert max(outcome.rounded.values()) <= ROUNDED
    if spread < 1:
        assert max(outcome.errors.values()) <= HALVES[dtype]


@every_half
@every_comparable
def test_half_precision_as_loaded(known, dtype):
    # Fused and eager code give outputs that differ by their rounding, and so do the hidden states of later layers: the
    # eager code is given those of the model as it was loaded.
    outcome = measure(known, dtype, same_states=True)
    if overflows(known, dtype):
        assert "computes with NaN or infinite numbers" in outcome.refused
        return
    assert outcome.refused == ""
    assert set(outcome.rounded) == set(known.own)
    assert max(outcome.rounded.values()) <= ROUNDED
    assert outcome.beyond <= UNIT[dtype_name(dtype)] / 2


@cache
def half_of(known, dtype, spread):
    return measure(dataclasses.replace(known, gain=known.gain * spread), dtype, "eager")


def overflows(known, dtype):
    """Whether the model hides keys by -1e10, which is beyond float16."""
    return known.name == "LongT5 (local encoder)" and dtype == torch.float16


def dtype_name(dtype):
    return str(dtype).removeprefix("torch.")


def test_names_are_unique():
    assert len({known.name for known in FAMILIES}) == len(FAMILIES) >= 80


def test_nearly_all_families_are_exact():
    attending = [known for known in FAMILIES if known.attends]
    exact = [known for known in attending if table.is_exact(outcome_of(known))]
    assert len(exact) >= 0.95 * len(attending)


def test_the_table_is_current():
    half = {known: half_of(known, torch.bfloat16, 1.0) for known in COMPARABLE}
    outcomes = [(known, outcome_of(known), half.get(known, Outcome())) for known in FAMILIES]
    assert table.table(outcomes) == table.PATH.read_text(encoding="utf-8"), (
        "FAMILIES.md is not what the code does: run python -m tests.models.table"
    )
