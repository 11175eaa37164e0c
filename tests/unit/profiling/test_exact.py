"""Sums in fixed point: exact, in any order."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from attnscope.errors import InputError
from attnscope.profiling.exact import BITS, Exact

NUMBERS = st.floats(-1e9, 1e9)


def fraction(exact):
    return Fraction(int(exact.whole)) + Fraction(int(exact.part), 1 << BITS)


@given(NUMBERS)
def test_a_number_is_off_by_half_a_place_at_most(number):
    exact = Exact.of(np.array(number))
    assert 0 <= int(exact.part) < 1 << BITS
    assert abs(fraction(exact) - Fraction(number)) <= Fraction(1, 1 << (BITS + 1))
    assert float(exact.value) == pytest.approx(number, abs=2.0**-BITS)


@given(st.lists(NUMBERS, min_size=1, max_size=30), st.randoms())
def test_any_order_gives_every_bit(numbers, random):
    parts = [Exact.of(np.array([number])) for number in numbers]
    forwards = sum(parts[1:], parts[0])
    random.shuffle(parts)
    while len(parts) > 1:  # a random tree of additions
        parts.append(parts.pop(random.randrange(len(parts))) + parts.pop(random.randrange(len(parts))))
    assert forwards.same(parts[0])
    expected = sum(fraction(Exact.of(np.array(number))) for number in numbers)
    assert Fraction(int(forwards.whole[0])) + Fraction(int(forwards.part[0]), 1 << BITS) == expected


def test_float_sums_would_not():
    numbers = [1e9, 1 / 3, -1e9, 1 / 7]
    assert sum(numbers) != sum(sorted(numbers))
    sums = [
        sum((Exact.of(np.array(n)) for n in order[1:]), Exact.of(np.array(order[0])))
        for order in (numbers, sorted(numbers))
    ]
    assert sums[0].same(sums[1])


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=20))
def test_order_compares_as_the_numbers_do(numbers):
    exact = Exact.of(np.array(numbers))
    assert np.array_equal(np.argsort(exact.order, kind="stable"), np.argsort(exact.value, kind="stable"))


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 1e19])
def test_numbers_that_cannot_be_summed(wrong):
    with pytest.raises(InputError, match="not finite, or too large"):
        Exact.of(np.array([0.0, wrong]))


def test_overflow_is_told():
    most = Exact(np.array([np.iinfo(np.int64).max]), np.array([0]))
    with pytest.raises(InputError, match="no longer fit"):
        most + Exact.of(np.array([1.0]))
