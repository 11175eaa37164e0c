"""Every known family: exact, by its true layer and head numbers, or refused with the reason."""

import dataclasses
from functools import cache

import pytest
import torch

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


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=["float16", "bfloat16"])
@pytest.mark.parametrize(
    "name",
    ["BERT", "GPT-J", "BLOOM (ALiBi)", "Falcon (rotary, multi-query)", "DeBERTa-v2, v3", "T5 (position bias)", "BART",
     "ViT", "Swin (shifted windows)", "DeepSeek-V3 (latent)", "Gemma 2 (soft cap)", "CLIP"],
)  # fmt: skip
def test_half_precision(name, dtype):
    # Scores of a unit's spread and one layer's depth of rounding: eager code rounds scores and outputs on its way.
    known = next(known for known in FAMILIES if known.name == name)
    outcome = measure(dataclasses.replace(known, gain=known.gain * 0.45), dtype)
    assert outcome.refused == ""
    assert set(outcome.errors) == set(known.own)
    assert max(outcome.errors.values(), default=0) <= 1e-2
    assert outcome.sums <= 1e-2


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
