"""Roles and shapes where no model is needed."""

from __future__ import annotations

import numpy as np
import pytest

from attnscope import from_attentions
from attnscope.analysis import head_roles, pattern_shapes
from attnscope.attention.capture import Attention, Capture
from attnscope.attention.layers import StoredWeights
from attnscope.attention.mask import Mask
from attnscope.attention.tokens import Tokens
from attnscope.errors import InputError
from tests.unit.analysis import maps


def test_cross_attention_has_the_roles_it_can_have():
    c = maps.given(maps.random_rows(2, 4, 4), key_tokens=["x", "y", ".", "</s>"], kind="cross")
    assert set(head_roles(c).role) == {"sink", "separator", "punctuation", "broad"}


def test_a_threshold_is_a_share():
    with pytest.raises(InputError, match="threshold"):
        head_roles(maps.uniform(4), threshold=0)
    strict, mild = (head_roles(maps.given(maps.random_rows(3, 9, 9)), threshold=t) for t in (1, 0.05))
    assert strict.fires.sum() < mild.fires.sum()


def test_few_rows_tell_nothing():
    short, long = (head_roles(maps.given(maps.shifted(n, -1))).set_index("role") for n in (3, 4))
    assert not short.fires["previous_token"]
    assert long.fires["previous_token"]


def test_content_takes_the_sink_away():
    weights = np.zeros((1, 8, 8), np.float32)
    weights[:, :, 0] = 0.9
    weights[0, np.arange(8), np.clip(np.arange(8) - 1, 0, 7)] += 0.1
    c = from_attentions([weights], ["[CLS]", *"abcdef", "[SEP]"])
    everything, content = (head_roles(c, content=value).set_index("role") for value in (False, True))
    assert everything.fires["sink"]
    assert not everything.fires["previous_token"]
    assert content.fires["previous_token"]
    assert "sink" not in content.index


def test_blocks_of_a_pair():
    n, segments = 6, np.array([0, 0, 0, 1, 1, 1], np.int32)
    own = (segments[:, None] == segments).astype(np.float32) / 3
    tokens = Tokens.of([f"t{i}" for i in range(n)])
    tokens = Tokens(tokens.text, tokens.special, tokens.words, segments)
    layer = StoredWeights(np.stack([own, np.full((n, n), 1 / n, np.float32)]), Mask.full(n, n))
    shapes = pattern_shapes(Capture({"self": Attention("self", {0: layer}, tokens, tokens)}))
    assert shapes.block.tolist() == pytest.approx([1, 0], abs=1e-6)
    assert shapes.vertical.tolist() == pytest.approx([0, 0], abs=1e-6)


def test_shapes_of_synthetic_pictures():
    n = 12
    stripes = np.zeros((n, n))
    stripes[:, [3, 7]] = 0.5
    shapes = pattern_shapes(maps.given(np.stack([stripes, maps.shifted(n, 1)[0]]).astype(np.float32)))
    assert shapes.vertical[0] == pytest.approx(1 - 2 / n)
    assert shapes.diagonal[1] == pytest.approx(1 - 1 / n)
    assert shapes.diagonal[0] < 0.2
    assert shapes.vertical[1] < 0.2
