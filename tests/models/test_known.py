"""Every known family: exact, by its true layer and head numbers, or refused with the reason."""

import dataclasses
from functools import cache

import pytest
import torch

from attnscope.attention.rounding import UNIT
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


HALVES = {torch.bfloat16: 1e-2, torch.float16: 1e-3}
"""What each precision reaches with scores of a unit's spread."""

every_half = pytest.mark.parametrize("dtype", HALVES, ids=["bfloat16", "float16"])


@every_half
@pytest.mark.parametrize("spread", [0.45, 1.0], ids=["unit scores", "wide scores"])
@pytest.mark.parametrize("known", [known for known in FAMILIES if known.own and not known.refused], ids=str)
def test_half_precision(known, dtype, spread):
    # The eager code itself is recorded, so that both attend with the same queries and keys.
    outcome = measure(dataclasses.replace(known, gain=known.gain * spread), dtype, "eager")
    if known.name == "LongT5 (local encoder)" and dtype == torch.float16:
        assert "computes with NaN or infinite numbers" in outcome.refused  # it hides keys by -1e10, beyond float16
        return
    assert outcome.refused == ""
    assert set(outcome.errors) == set(known.own)
    # Weights that a module keeps are those before it rounds them, by at most half of the dtype's unit.
    kept = any("softmax" in tier for tier in outcome.tiers.values())
    assert outcome.beyond <= (UNIT[dtype_name(dtype)] / 2 if kept else 1e-6)
    if spread < 1:
        assert max(outcome.errors.values()) <= HALVES[dtype]


@every_half
@pytest.mark.parametrize(
    "name",
    ["BERT", "GPT-J", "BLOOM (ALiBi)", "Falcon (rotary, multi-query)", "DeBERTa-v2, v3", "T5 (position bias)", "BART",
     "ViT", "Llama (grouped heads)", "DeepSeek-V3 (latent)", "Gemma 2 (soft cap)", "CLIP"],
)  # fmt: skip
def test_half_precision_as_loaded(name, dtype):
    # Fused and eager code give outputs that differ by their rounding, and so do the hidden states of later layers.
    known = next(known for known in FAMILIES if known.name == name)
    outcome = measure(dataclasses.replace(known, gain=known.gain * 0.45), dtype)
    assert outcome.refused == ""
    assert max(outcome.first.values()) <= HALVES[dtype]


def dtype_name(dtype):
    return str(dtype).removeprefix("torch.")


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
