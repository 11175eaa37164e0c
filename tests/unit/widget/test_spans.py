from __future__ import annotations

import numpy as np
import pytest
from traitlets import TraitError

from attnscope import AttentionWidget, AttnscopeError, from_queries_keys


def make(n_keys=None, kind="self"):
    rng = np.random.default_rng(1)
    tokens = ["a", " b", " c", " d"]
    keys = None if n_keys is None else [f"k{i}" for i in range(n_keys)]
    n = 4 if n_keys is None else n_keys
    return from_queries_keys(
        [rng.normal(size=(1, 4, 8)).astype("f4")], [rng.normal(size=(1, n, 8)).astype("f4")], tokens,
        key_tokens=keys, kind=kind,
    )  # fmt: skip


def test_passages_are_kept_with_a_name():
    widget = AttentionWidget(make(), spans=[{"from": 0, "to": 2, "label": "x"}, {"from": 3, "to": 4}])
    assert widget.spans == [{"from": 0, "to": 2, "label": "x"}, {"from": 3, "to": 4, "label": "tokens 3–3"}]
    assert "spans=[" in widget.snippet()


@pytest.mark.parametrize(
    ("span", "said"),
    [
        ({"from": 0}, "is {"),
        ("0-2", "is {"),
        ({"from": 0, "to": 2, "colour": "red"}, "is {"),
        ({"from": 2, "to": 2}, "0 ≤ from < to ≤ 4"),
        ({"from": 0, "to": 5}, "0 ≤ from < to ≤ 4"),
        ({"from": True, "to": 2}, "0 ≤ from < to ≤ 4"),
        ({"from": 0, "to": 2, "side": "value"}, "'query' or 'key'"),
    ],
)
def test_what_is_no_passage_is_refused_and_nothing_changes(span, said):
    widget = AttentionWidget(make())
    with pytest.raises(AttnscopeError, match=said) as caught:
        widget.spans = [span]
    assert isinstance(caught.value, TraitError)
    assert widget.spans == []


def test_passages_of_two_texts_are_of_the_keys_unless_it_is_said():
    widget = AttentionWidget(make(n_keys=7, kind="cross"), spans=[{"from": 5, "to": 7}])
    with pytest.raises(AttnscopeError, match="≤ 4"):
        widget.spans = [{"from": 5, "to": 7, "side": "query"}]
