"""Tests of a model's attention, on weights that were planted."""

from __future__ import annotations

import numpy as np
import pytest

from attnscope.analysis import assert_attends
from attnscope.errors import InputError, NotFoundError
from tests.unit.analysis import maps

N = 5


@pytest.fixture
def c():
    even = np.full((1, N, N), 1 / N, np.float32)
    return maps.given(
        np.concatenate([even, maps.shifted(N, -1)]), np.concatenate([even, 0.5 * even + 0.5 * maps.shifted(N, 1)])
    )


@pytest.mark.parametrize(
    ("query", "key", "at_least", "where"),
    [
        ("t3", "t2", 1, {}),
        (3, 2, 1.0, {"layer": 0}),
        (3, 2, 0.9, {"head": 1}),
        ("t3", "t4", 0.59, {"layer": 1, "head": 1}),
        (-1, "t0", 0.19, {"head": 0}),
    ],
)
def test_what_holds(c, query, key, at_least, where):
    assert_attends(c, query, key, at_least=at_least, **where)


@pytest.mark.parametrize(
    ("key", "at_least", "where", "found", "which"),
    [
        ("t4", 0.61, {}, "0.6", "any head"),
        ("t2", 0.2, {"layer": 1, "head": 1}, "0.1", "layer 1 head 1"),
        ("t2", 0.21, {"layer": 1}, "0.2", "some head of layer 1"),
        ("t2", 0.21, {"head": 0}, "0.2", "head 0 of any layer"),
    ],
)
def test_what_does_not(c, key, at_least, where, found, which):
    with pytest.raises(AssertionError) as failure:
        assert_attends(c, "t3", key, at_least=at_least, **where)
    said = str(failure.value)
    assert f"Expected {which} to attend from 't3' (3) to {key!r} ({key[1]})" in said
    assert f"at least {at_least:g}; the largest of" in said
    assert f"is {found}." in said


def test_a_failure_names_the_best_heads_and_what_the_best_attends_to_instead(c):
    with pytest.raises(AssertionError) as failure:
        assert_attends(c, "t3", "t2", at_least=0.5, layer=1)
    lines = str(failure.value).splitlines()
    assert lines[1:] == [
        "Best heads:",
        "  layer 1 head 0: 0.2 (rank 1 among its keys)",
        "  layer 1 head 1: 0.1 (rank 2 among its keys)",
        "Layer 1 head 0 attends most to 't0' (0), with 0.2.",
    ]


def test_what_cannot_be_asked(c):
    for wrong in (0, 1.01, -1, True, "0.5", float("nan")):
        with pytest.raises(InputError, match="at_least is a weight"):
            assert_attends(c, 0, 1, at_least=wrong)
    for where in ({"layer": 2}, {"head": 2}, {"layer": 0, "head": 2}):
        with pytest.raises(NotFoundError):
            assert_attends(c, 0, 1, at_least=0.1, **where)
    with pytest.raises(NotFoundError):
        assert_attends(c, "t9", 1, at_least=0.1)
    with pytest.raises(InputError, match="the mask hides the key"):
        assert_attends(maps.uniform(4, causal=True), 0, 1, at_least=0.1)


def test_a_weight_no_head_may_exceed(c):
    assert_attends(c, "t3", "t4", at_most=0.61)
    assert_attends(c, "t3", "t4", at_least=0.59, at_most=0.61)
    with pytest.raises(AssertionError, match=r"Expected every head to attend .* at most 0\.5; the largest of"):
        assert_attends(c, "t3", "t4", at_most=0.5)
    with pytest.raises(AssertionError, match="Expected every head of layer 1"):
        assert_attends(c, "t3", "t4", at_most=0.5, layer=1)
    for wrong in (1, -0.1, True, "0.5", float("nan")):
        with pytest.raises(InputError, match="at_most is a weight"):
            assert_attends(c, 0, 1, at_most=wrong)
    with pytest.raises(InputError, match="Say what is expected"):
        assert_attends(c, 0, 1)
