"""Attention followed through layers and checkpoints."""

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from attnscope import AttnscopeError, capture, from_attentions
from attnscope.analysis import checkpoint_evolution, compare, entropy, layer_evolution, previous_token


def maps(*shape, seed=0):
    weights = np.random.default_rng(seed).random(shape).astype(np.float32)
    return weights / weights.sum(-1, keepdims=True)


def divergence(p, q):
    return np.mean([jensenshannon(a, b, base=2) ** 2 for a, b in zip(p, q, strict=True)])


def test_one_head_s_rows_in_every_layer():
    given = maps(3, 2, 4, 4)
    c = from_attentions(list(given), [*"abcd"])
    found = layer_evolution(c, 1, "c")
    np.testing.assert_array_equal(found.weights, given[:, 1, 2])
    expected = [divergence(given[at, 1, 2:3], given[at - 1, 1, 2:3]) for at in (1, 2)]
    assert np.isnan(found.change[0])
    np.testing.assert_allclose(found.change[1:], expected, atol=1e-6)
    np.testing.assert_array_equal(found.statistics["entropy"], entropy(c)[:, 1])
    tops = found.top_keys(1)
    assert [hit.key for hit in tops] == given[:, 1, 2].argmax(-1).tolist()
    assert found.table()["previous_token"].tolist() == pytest.approx(previous_token(c)[:, 1].tolist())


def test_heads_averaged_and_all_queries():
    given = maps(3, 2, 4, 4)
    c = from_attentions(list(given), [*"abcd"])
    found = layer_evolution(c)
    assert found.weights is None
    mean = given.mean(axis=1)
    np.testing.assert_allclose(found.change[1:], [divergence(mean[at], mean[at - 1]) for at in (1, 2)], atol=1e-6)
    np.testing.assert_allclose(found.statistics["entropy"], entropy(c).mean(axis=1), atol=1e-6)
    np.testing.assert_allclose(layer_evolution(c, query=0).weights, mean[:, 0], atol=1e-6)
    with pytest.raises(AttnscopeError, match="one query"):
        found.top_keys()
    with pytest.raises(AttnscopeError, match="no head 2"):
        layer_evolution(c, 2)


def test_layers_without_such_a_head_are_left_open():
    c = from_attentions([maps(3, 2, 2), None, maps(1, 2, 2)], ["a", "b"])
    found = layer_evolution(c, 2, 0)
    assert found.layers == (0, 2)
    assert np.isnan(found.weights).all(axis=1).tolist() == [False, True]
    assert np.isnan(found.change).all()
    assert {hit.layer for hit in found.top_keys()} == {0}
    mean = layer_evolution(c).statistics["entropy"]
    np.testing.assert_allclose(mean, [entropy(c)[0].mean(), entropy(c)[1, 0]], atol=1e-6)


def test_checkpoints_in_a_row():
    run = [from_attentions(list(maps(2, 2, 4, 4, seed=seed)), [*"abcd"]) for seed in range(3)]
    frame = checkpoint_evolution(run, [0, 100, 500])
    assert len(frame) == 3 * 2 * 2
    assert frame["checkpoint"].unique().tolist() == [0, 100, 500]
    assert frame.query("checkpoint == 0")["change"].isna().all()
    row = frame.query("checkpoint == 500 and layer == 1 and head == 0").iloc[0]
    assert row["change"] == pytest.approx(compare(run[1], run[2]).change[1, 0], abs=1e-6)
    assert row["entropy"] == pytest.approx(entropy(run[2])[1, 0])
    assert checkpoint_evolution(run)["checkpoint"].max() == 2
    with pytest.raises(AttnscopeError, match="one name per capture"):
        checkpoint_evolution(run, ["a"])
    with pytest.raises(AttnscopeError, match="list of captures"):
        checkpoint_evolution(run[0])


def test_it_in_minilm_comes_to_the_cat(minilm):
    c = capture(minilm.model, minilm.tokenizer, "The cat sat on the mat because it was tired.")
    tops = layer_evolution(c, query="it").top_keys(1)
    assert [hit.token for hit in tops] == ["because", "was", "tired", "cat", "cat", "cat"]
