"""Every known family: exact, by its true layer and head numbers, or refused with the reason."""

from functools import cache

import pytest

from tests.models import table
from tests.models.known import FAMILIES
from tests.models.known.measure import measure

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


def test_names_are_unique():
    assert len({known.name for known in FAMILIES}) == len(FAMILIES) >= 80


def test_nearly_all_families_are_exact():
    attending = [known for known in FAMILIES if known.attends]
    exact = [known for known in attending if table.is_exact(outcome_of(known))]
    assert len(exact) >= 0.95 * len(attending)


def test_the_table_is_current():
    assert table.table([(known, outcome_of(known)) for known in FAMILIES]) == table.PATH.read_text(encoding="utf-8"), (
        "FAMILIES.md is not what the code does: run python -m tests.models.table"
    )
