"""Snapshots of head statistics, and what is said where they moved."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from attnscope import analysis, capture, from_attentions
from attnscope.analysis import assert_no_drift, snapshot
from attnscope.errors import InputError
from tests.models import handbuilt
from tests.unit.analysis import maps

N = 8


def planted(offset=-1, **options):
    even = np.full((1, N, N), 1 / N, np.float32)
    return maps.given(np.concatenate([even, maps.shifted(N, offset)]), even, **options)


def kept(c):
    """A snapshot that went through a file."""
    return json.loads(json.dumps(snapshot(c), allow_nan=False))


def test_a_snapshot_holds_every_statistic_of_every_head():
    found = kept(planted())
    table = analysis.head_table(planted())
    assert found["heads"] == [[0, 2], [1, 1]]
    assert found["queries"] == found["keys"] == [f"t{i}" for i in range(N)]
    assert found["versions"].keys() >= {"attnscope", "torch"}
    received = {f"received {at}-{at}" for at in range(N)}
    assert set(found["statistics"]) - received == {name for name in table.columns if f"{name}_chance" in table.columns}
    assert received < set(found["statistics"])
    assert found["statistics"]["previous_token"] == [
        [pytest.approx(1 / N, abs=1e-6), 1.0],
        [pytest.approx(1 / N, abs=1e-6)],
    ]


def test_nothing_moved():
    assert_no_drift(planted(), kept(planted()), tolerance=1e-6)


def test_the_head_that_moved_is_named():
    with pytest.raises(AssertionError) as failure:
        assert_no_drift(planted(1), kept(planted(-1)))
    said = str(failure.value)
    assert "1 of 3 heads moved by more than 0.02" in said
    assert "layer 0 head 1 previous_token: 1 → 0" in said
    assert "layer 1" not in said


def test_the_farthest_come_first_and_the_tolerance_decides():
    then = kept(planted())
    then["statistics"]["self_share"][0][0] += 0.1
    then["statistics"]["gini"][1][0] += 0.3
    with pytest.raises(AssertionError) as failure:
        assert_no_drift(planted(), then, tolerance=0.05)
    lines = str(failure.value).splitlines()
    assert len(lines) == 3
    assert lines[1].startswith("  layer 1 head 0 gini: 0.3 → ")
    assert lines[2] == "  layer 0 head 0 self_share: 0.225 → 0.125"
    assert_no_drift(planted(), then, tolerance=0.31)


def test_what_counts_tokens_is_a_share_of_the_keys():
    then = kept(planted())
    then["statistics"]["mean_distance"][0][0] += 0.5
    assert_no_drift(planted(), then, tolerance=0.5 / N + 1e-4)
    with pytest.raises(AssertionError, match="mean_distance"):
        assert_no_drift(planted(), then, tolerance=0.5 / N - 1e-4)


def test_a_statistic_that_came_or_went():
    then = kept(planted())
    then["statistics"]["gini"][0][0] = None
    with pytest.raises(AssertionError, match="gini: nan → "):
        assert_no_drift(planted(), then, tolerance=1e9)
    causal = maps.uniform(N, causal=True)
    both_ways = maps.uniform(N)
    with pytest.raises(AssertionError, match=r"no row can show any more: next_token\."):
        assert_no_drift(causal, kept(both_ways))


def test_other_tokens_and_other_heads():
    with pytest.raises(
        AssertionError, match=r"other tokens, 8 then and 8 now; from position 7: \['t7'\] then, \['x'\]"
    ):
        assert_no_drift(planted(tokens=[*(f"t{i}" for i in range(7)), "x"]), kept(planted()))
    with pytest.raises(AssertionError, match="The heads are other ones"):
        assert_no_drift(maps.given(maps.shifted(N, -1)), kept(planted()))


def test_other_packages_are_said():
    then = kept(planted(1))
    then["versions"]["torch"] = "1.0"
    with pytest.raises(AssertionError, match=r"Packages: torch 1\.0 → "):
        assert_no_drift(planted(), then)


@pytest.mark.parametrize("wrong", [None, 3, [], {}, {"format": 1}, {"format": 2}, "snapshot"])
def test_no_snapshot(wrong):
    with pytest.raises(InputError, match="no snapshot"):
        assert_no_drift(planted(), wrong)


@pytest.mark.parametrize("wrong", [-1, True, "a", float("nan")])
def test_no_tolerance(wrong):
    with pytest.raises(InputError, match="tolerance"):
        assert_no_drift(planted(), kept(planted()), tolerance=wrong)


def test_a_model_set_by_hand_that_loses_a_head():
    from copy import deepcopy

    model, tokenizer, text = handbuilt.gpt2(), handbuilt.tokenizer(), handbuilt.repeated()
    then = kept(capture(model, tokenizer, text))
    assert_no_drift(capture(model, tokenizer, text), then, tolerance=1e-5)
    other = deepcopy(model)
    layer, head = handbuilt.SELF
    width = handbuilt.HEAD_WIDTH
    with torch.no_grad():
        other.transformer.h[layer].attn.c_attn.weight[:, head * width : (head + 1) * width] = 0
    with pytest.raises(AssertionError) as failure:
        assert_no_drift(capture(other, tokenizer, text), then)
    assert "1 of 12 heads" in str(failure.value)
    assert f"layer {layer} head {head} self_share: 1 → " in str(failure.value)


def test_weight_that_moves_to_another_word_is_seen_where_no_other_statistic_moves():
    """Two words trade places as what every token looks at: entropy, inequality and all are the same."""
    one = np.full((1, 1, 5, 5), 0.1, "f4")
    two = one.copy()
    one[..., 1], two[..., 3] = 0.6, 0.6
    then, now = (from_attentions(list(each), ["q"] * 5, key_tokens=[*"abcde"]) for each in (one, two))
    kept = snapshot(then)
    only = {name: values for name, values in kept["statistics"].items() if not name.startswith("received")}
    assert {"entropy", "max_weight", "gini"} <= set(only)
    assert_no_drift(now, kept | {"statistics": only}, tolerance=1e-5)
    with pytest.raises(AssertionError, match=r"received [13]-[13]: 0\.[16] → 0\.[61]"):
        assert_no_drift(now, kept)


def test_a_long_text_keeps_sixteen_stretches():
    c = from_attentions([np.full((2, 40, 40), 1 / 40, "f4")], [f"t{i}" for i in range(40)])
    received = [name for name in snapshot(c)["statistics"] if name.startswith("received")]
    assert len(received) == 16
    assert received[-1].endswith("-39")
