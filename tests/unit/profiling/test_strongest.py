"""The strongest texts of many, whichever order they come in."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from attnscope.profiling.strongest import NONE, Strongest

KEEP = 3


def of(numbered):
    """Strongest of (text, value) pairs; a value of None does not count."""
    values = np.array([0 if value is None else value for _, value in numbered], np.int64)
    counts = np.array([value is not None for _, value in numbered], bool)
    return Strongest.of(values[:, None], np.array([text for text, _ in numbered], np.int64), counts[:, None], KEEP)


VALUES = st.lists(st.one_of(st.none(), st.integers(-3, 3)), max_size=20)


@given(VALUES, st.randoms())
def test_the_same_as_sorting_them_all(values, random):
    numbered = list(enumerate(values))
    best = sorted((-value, text) for text, value in numbered if value is not None)[:KEEP]
    expected = [(text, -value) for value, text in best]
    random.shuffle(numbered)
    cuts = sorted(random.randrange(len(numbered) + 1) for _ in range(3))
    edges = zip([0, *cuts], [*cuts, len(numbered)], strict=True)
    parts = [of(numbered[start:stop]) for start, stop in edges]
    while len(parts) > 1:
        parts.append(parts.pop(random.randrange(len(parts))).merge(parts.pop(random.randrange(len(parts)))))
    found = [(int(text), int(value)) for text, value in zip(parts[0].texts[0], parts[0].order[0], strict=True)]
    assert found == expected + [(-1, NONE)] * (KEEP - len(expected))


def test_equal_values_keep_the_earlier_text():
    assert of([(7, 1), (2, 1), (9, 1), (4, 1)]).texts.tolist() == [[2, 4, 7]]


def test_none_kept():
    nothing = Strongest.of(np.zeros((2, 1), np.int64), np.arange(2), np.ones((2, 1), bool), 0)
    assert nothing.merge(nothing).texts.shape == (1, 0)
