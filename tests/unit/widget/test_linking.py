"""Two widgets that follow each other in Python."""

from __future__ import annotations

import numpy as np
import pytest
import traitlets

from attnscope import AttentionWidget, from_queries_keys


@pytest.fixture
def two():
    rng = np.random.default_rng(0)
    vectors = [rng.normal(size=(4, 6, 8)).astype("f4") for _ in range(3)]
    capture = from_queries_keys(vectors, vectors, [f" t{i}" for i in range(6)])
    widgets = AttentionWidget(capture), AttentionWidget(capture)
    yield widgets
    for widget in widgets:
        widget.close()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("view", "text"), ("layer", 2), ("heads", [[1, 3], [2, 0]]), ("query", 4), ("key", 1), ("more_queries", [2]),
        ("measure", "scores"), ("aggregate", "max"), ("threshold", 0.3), ("whole_words", True), ("theme", "dark"),
        ("spans", [{"from": 0, "to": 2, "label": "x"}]), ("group_by", "sentence"), ("visible_spaces", True),
    ],
)  # fmt: skip
def test_linked_traits_follow_each_other_both_ways(two, name, value):
    one, other = two
    before = getattr(one, name)
    link = traitlets.link((one, name), (other, name))
    setattr(one, name, value)
    assert getattr(other, name) == value
    setattr(other, name, before)
    assert getattr(one, name) == before
    link.unlink()
    setattr(one, name, value)
    assert getattr(other, name) == before


def test_a_query_linked_by_its_name_arrives_as_its_position(two):
    one, other = two
    traitlets.link((one, "query"), (other, "query"))
    one.query = "t3"
    assert (one.query, other.query) == (3, 3)


def test_a_refused_value_reaches_neither(two):
    one, other = two
    traitlets.link((one, "query"), (other, "query"))
    with pytest.raises(traitlets.TraitError):
        one.query = 99
    assert (one.query, other.query) == (None, None)
