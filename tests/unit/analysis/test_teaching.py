"""The plain functions that teach are held to closed forms and to torch."""

import numpy as np
import pytest
import torch
from torch.nn.functional import scaled_dot_product_attention

from attnscope import AttnscopeError, capture, from_attentions, from_queries_keys
from attnscope.analysis import (
    future_weight,
    lookup_weight,
    masked_attention,
    scaling_effect,
    soft_lookup,
    steps,
    temperature_sweep,
)
from attnscope.recording import small

rng = np.random.default_rng(0)
Q, K, V = (rng.normal(size=(2, 3, 5, width)).astype("f4") for width in (8, 8, 6))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("scale", [None, 0.7])
def test_it_is_torch_s_fused_attention(causal, scale):
    ours = masked_attention(Q, K, V, causal=causal, scale=scale).output
    theirs = scaled_dot_product_attention(*map(torch.from_numpy, (Q, K, V)), is_causal=causal, scale=scale)
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-5)


def test_a_mask_joins_the_causal_one():
    mask = rng.random((5, 5)) < 0.6
    np.fill_diagonal(mask, val=True)
    both = torch.from_numpy(mask & np.tri(5, dtype=bool))
    theirs = scaled_dot_product_attention(*map(torch.from_numpy, (Q, K, V)), attn_mask=both).numpy()
    found = masked_attention(torch.from_numpy(Q), K, V, causal=True, mask=mask)
    np.testing.assert_allclose(found.output, theirs, atol=1e-5)
    np.testing.assert_allclose(found.weights.sum(-1), 1)
    assert (found.weights[..., ~both.numpy()] == 0).all()
    assert (found.scores[..., ~both.numpy()] == -np.inf).all()


def test_a_query_that_sees_nothing_gives_nothing():
    mask = np.ones((5, 5), bool)
    mask[2] = False
    found = masked_attention(Q, K, V, mask=mask)
    assert not found.weights[..., 2, :].any()
    assert not found.output[..., 2, :].any()
    assert np.isfinite(found.output).all()


def test_it_is_what_a_capture_computes():
    c = from_queries_keys([Q[0]], [K[0]], [*"abcde"], causal=True)
    np.testing.assert_allclose(masked_attention(Q[0], K[0], causal=True).weights, c.weights(0), atol=1e-6)


@pytest.mark.parametrize(
    "wrong",
    [(Q, K[..., :4], None, {}), (Q[0, 0, 0], K, None, {}), (Q, K, V[:, :, :3], {}), (Q, K, V, {"mask": np.ones(5)})],
)
def test_shapes_that_do_not_fit_are_refused(wrong):
    with pytest.raises(AttnscopeError):
        masked_attention(*wrong[:3], **wrong[3])


def test_scaling_keeps_attention_soft_however_wide_vectors_are():
    frame = scaling_effect()
    plain, scaled = (frame[frame["scaled"] == flag].reset_index() for flag in (False, True))
    np.testing.assert_allclose(plain["score_sd"], np.sqrt(plain["width"]), rtol=0.03)
    np.testing.assert_allclose(scaled["score_sd"], 1, rtol=0.03)
    np.testing.assert_allclose(plain["entropy"], [0.68, 0.34, 0.13, 0.06, 0.03], atol=0.03)
    np.testing.assert_allclose(scaled["entropy"], 0.89, atol=0.02)
    assert plain["max_weight"].iloc[-1] > 0.9 > 0.2 > scaled["max_weight"].iloc[-1]
    assert plain["gradient"].is_monotonic_decreasing
    assert scaled["gradient"].min() > 0.85
    assert frame.equals(scaling_effect())
    with pytest.raises(AttnscopeError, match="widths of 1"):
        scaling_effect([0])


def test_temperature_is_a_power_of_the_weights_and_flattens():
    weights = rng.dirichlet(np.ones(6), size=(1, 1)).astype("f4")
    c = from_attentions([weights], ["q"], key_tokens=[*"abcdef"])
    temperatures = [0.05, 0.3, 1, 2, 30]
    found = temperature_sweep(c, 0, 0, "q", temperatures)
    for temperature, row in zip(temperatures, found.weights, strict=True):
        power = weights[0, 0].astype("f8") ** (1 / temperature)
        np.testing.assert_allclose(row, power / power.sum(), atol=1e-6)
        np.testing.assert_array_equal(row, steps(c, 0, 0, 0, temperature=temperature).weights)
    assert (np.diff(found.entropy) > 0).all()
    p = found.weights[1].astype("f8")
    assert found.entropy[1] == pytest.approx(-(p * np.log(p)).sum() / np.log(6), abs=1e-5)
    assert found.table()["token"].tolist() == ["abcdef"[weights.argmax()]] * 5
    assert found.table()["max_weight"].is_monotonic_decreasing


def test_entropy_falls_with_sharpness_by_the_variance_of_the_scores():
    """dH/dβ = -β Var_p(s), for weights softmax(β s)."""
    s = rng.normal(size=7)
    c = from_queries_keys([np.ones((1, 1, 1))], [s[None, :, None]], ["q"], key_tokens=[*"abcdefg"], scale=1.0)
    beta, step = 1.3, 1e-2
    two = temperature_sweep(c, 0, 0, 0, [1 / (beta - step), 1 / (beta + step)]).entropy.astype("f8") * np.log(7)
    p = np.exp(beta * s) / np.exp(beta * s).sum()
    variance = (p * s**2).sum() - (p * s).sum() ** 2
    assert (two[1] - two[0]) / (2 * step) == pytest.approx(-beta * variance, rel=1e-3)


def test_only_heads_that_look_ahead_have_weight_on_later_tokens():
    free = rng.dirichlet(np.ones(4), size=(2, 4)).astype("f4")
    causal = np.tril(free) / np.tril(free).sum(-1, keepdims=True)
    c = from_attentions([np.stack([free[0], causal[1]]), causal[:1]], [*"abcd"])
    found = future_weight(c)
    assert found[0, 0] == pytest.approx(np.triu(free[0], 1).sum(-1).max(), abs=1e-6)
    assert found[0, 1] == found[1, 0] == 0
    assert np.isnan(found[1, 1])
    with pytest.raises(AttnscopeError, match="different tokens"):
        future_weight(from_attentions([np.ones((1, 1, 1))], ["a"], key_tokens=["b"]))


def test_a_causal_model_never_looks_ahead():
    assert not future_weight(capture(*small.load(), "the cat saw a small red bird")).any()


@pytest.mark.parametrize("temperature", [0.1, 1, 4])
def test_the_match_has_the_weight_of_the_closed_form(temperature):
    found = soft_lookup({"a": 1.0, "b": 10.0, "c": 100.0}, "b", temperature=temperature)
    match = np.exp(1 / temperature) / (np.exp(1 / temperature) + 2)
    assert lookup_weight(3, temperature) == pytest.approx(match)
    np.testing.assert_allclose(found.weights, [(1 - match) / 2, match, (1 - match) / 2])
    assert found.value == pytest.approx(10 * match + 101 * (1 - match) / 2)
    assert found.table()["key"].tolist() == ["a", "b", "c"]


def test_a_cold_look_up_is_the_hard_one_and_a_hot_one_the_mean():
    held = {"a": [1.0, 0], "b": [0, 1.0]}
    np.testing.assert_allclose(soft_lookup(held, "a", temperature=1e-3).value, [1, 0])
    np.testing.assert_allclose(soft_lookup(held, "a", temperature=1e6).value, [0.5, 0.5], atol=1e-6)
    assert lookup_weight(5, 1e-4) == 1
    assert lookup_weight(1, 3) == 1


def test_near_keys_share_their_values():
    vectors = {"cat": [1, 0], "dog": [0.8, 0.6], "car": [0, 1], "kitten": [0.95, 0.1]}
    held = {"cat": 1.0, "dog": 2.0, "car": 3.0}
    found = soft_lookup(held, "kitten", temperature=0.2, vectors=vectors)
    scores = np.array([0.95, 0.82, 0.1]) / 0.2
    np.testing.assert_allclose(found.weights, np.exp(scores) / np.exp(scores).sum(), atol=1e-6)
    with pytest.raises(AttnscopeError, match="'bus'"):
        soft_lookup(held, "bus", vectors=vectors)
    with pytest.raises(AttnscopeError, match="one shape"):
        soft_lookup({"a": 1, "b": [1, 2]}, "a")
    with pytest.raises(AttnscopeError, match="at least one"):
        soft_lookup({}, "a")
