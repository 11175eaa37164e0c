"""Weights, queries and keys of other libraries and tools, in every form they come in."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from attnscope import from_attentions, from_queries_keys, load
from attnscope.errors import InputError, InputTypeError
from tests.unit.attention.test_given import WithDlpack, rows

N = 5
WORDS = list("abcde")
FLOATS = [torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2]


def vectors(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def expected(queries, keys, causal=False):
    queries, keys = (np.asarray(array, np.float64) for array in (queries, keys))
    scores = queries @ np.repeat(keys, len(queries) // len(keys), 0).swapaxes(1, 2) * queries.shape[-1] ** -0.5
    scores = np.where(np.tri(*scores.shape[1:], dtype=bool), scores, -np.inf) if causal else scores
    powers = np.exp(scores - scores.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


class TestTorch:
    @pytest.mark.parametrize("dtype", FLOATS, ids=str)
    @pytest.mark.parametrize("gradient", [False, True])
    def test_weights_of_every_float_dtype(self, dtype, gradient):
        weights = torch.from_numpy(rows(3, N, N)).to(dtype).requires_grad_(gradient)
        found = from_attentions([weights], WORDS)
        np.testing.assert_array_equal(found.weights(0), weights.detach().float().numpy())

    @pytest.mark.parametrize("dtype", FLOATS, ids=str)
    @pytest.mark.parametrize("gradient", [False, True])
    def test_queries_and_keys_of_every_float_dtype(self, dtype, gradient, tmp_path):
        q, k = (torch.from_numpy(vectors(h, N, 8, seed=h)).to(dtype).requires_grad_(gradient) for h in (4, 2))
        found = from_queries_keys([q], [k], WORDS, causal=True, values=[k])
        known = expected(q.detach().float().numpy(), k.detach().float().numpy(), causal=True)
        np.testing.assert_allclose(found.weights(0), known, atol=1e-6)
        assert not found["self"].layer(0).queries.requires_grad
        found.save(tmp_path / "q")
        np.testing.assert_allclose(load(tmp_path / "q").weights(0), known, atol=1e-6)


class TestJax:
    @pytest.fixture
    def jnp(self):
        return pytest.importorskip("jax.numpy", reason="JAX is not installed; it comes with attnscope[test]")

    @pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
    def test_weights(self, jnp, dtype):
        weights = [jnp.asarray(rows(1, heads, N, N, seed=heads), dtype=dtype) for heads in (2, 3)]
        found = from_attentions(weights, WORDS)
        assert found["self"].head_counts == (2, 3)
        for number in range(2):
            np.testing.assert_array_equal(found.weights(number), np.asarray(weights[number][0], np.float32))

    @pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
    @pytest.mark.parametrize("causal", [False, True])
    def test_queries_and_keys(self, jnp, dtype, causal, tmp_path):
        q, k = (jnp.asarray(vectors(h, N, 8, seed=h), dtype=dtype) for h in (4, 2))
        mask = np.ones((N, N), bool)
        mask[3:, 1] = False
        found = from_queries_keys([q], [k], WORDS, causal=causal, values=[k])
        np.testing.assert_allclose(found.weights(0), expected(q, k, causal), atol=1e-6)
        found.save(tmp_path / "jax")
        np.testing.assert_allclose(load(tmp_path / "jax").weights(0), found.weights(0), atol=1e-6)
        masked = from_queries_keys([q], [k], WORDS, causal=causal, mask=jnp.asarray(mask))
        assert not masked.weights(0)[:, 3:, 1].any()
        assert masked.weights(0)[:, 3:, 0].all()

    def test_one_array_for_all_layers(self, jnp):
        weights = rows(2, 3, N, N)
        found = from_attentions(jnp.asarray(weights), WORDS)
        np.testing.assert_array_equal(found.weights(1), weights[1])


class TestDlpack:
    def test_queries_keys_and_values(self):
        q, k = vectors(4, N, 8), vectors(4, N, 8, seed=1)
        found = from_queries_keys([WithDlpack(q)], [WithDlpack(k)], WORDS, values=[WithDlpack(k)])
        np.testing.assert_allclose(found.weights(0), expected(q, k), atol=1e-6)
        np.testing.assert_array_equal(found["self"].layer(0).values, k)

    def test_half_precision_of_torch(self):
        class Bare:
            """bfloat16 behind DLPack, which numpy cannot read."""

            shape = (2, N, N)

            def __dlpack__(self, **options):
                return torch.zeros(2, N, N, dtype=torch.bfloat16).__dlpack__(**options)

            def __dlpack_device__(self):
                return torch.zeros(1).__dlpack_device__()

        with pytest.raises(InputTypeError, match=r"an array of numbers .* got Bare.*Convert it to a numpy array first"):
            from_attentions([Bare()], WORDS)


class Cache:
    """Stands for TransformerLens's ActivationCache: no dict, but with its keys and short names."""

    def __init__(self, entries):
        self.cache_dict = entries

    def keys(self):
        return self.cache_dict.keys()

    def __iter__(self):
        return iter(self.cache_dict)

    def __getitem__(self, name):
        return self.cache_dict[name]


class TestCaches:
    @pytest.mark.parametrize("hold", [dict, Cache])
    def test_names_of_transformer_lens(self, hold):
        weights = [torch.from_numpy(rows(1, 2, N, N, seed=i)) for i in range(12)]
        entries = {"hook_embed": torch.zeros(1, N, 8), "blocks.0.attn.hook_q": torch.zeros(1, N, 2, 4)}
        for number in reversed(range(12)):
            entries[f"blocks.{number}.attn.hook_attn_scores"] = torch.zeros(1, 2, N, N)
            entries[f"blocks.{number}.attn.hook_pattern"] = weights[number]
        found = from_attentions(hold(entries), WORDS)
        assert found["self"].layers == tuple(range(12))
        for number in range(12):
            np.testing.assert_array_equal(found.weights(number), weights[number][0].numpy())

    def test_short_names(self):
        entries = {("pattern", 1): rows(2, N, N), ("q", 0): vectors(N, 2, 4), ("pattern", 3): rows(3, N, N, seed=1)}
        found = from_attentions(entries, WORDS)
        assert found["self"].layers == (1, 3)
        assert found["self"].head_counts == (2, 3)
        np.testing.assert_array_equal(found.weights(3), entries["pattern", 3])

    def test_several_kinds(self):
        entries = {
            f"decoder.0.{name}.hook_pattern": rows(1, 2, N, N, seed=len(name)) for name in ("attn", "cross_attn")
        }
        with pytest.raises(InputError, match=r"several kinds.*decoder\.0\.attn\.hook_pattern.*one kind.*cross"):
            from_attentions(entries, WORDS)
        one = {name: array for name, array in entries.items() if "cross" not in name}
        np.testing.assert_array_equal(from_attentions(one, WORDS).weights(0), entries["decoder.0.attn.hook_pattern"][0])

    def test_several_inputs(self):
        with pytest.raises(InputError, match="Layer 0 holds 2 inputs at once"):
            from_attentions({"blocks.0.attn.hook_pattern": rows(2, 2, N, N)}, WORDS)

    @pytest.mark.parametrize("hold", [dict, Cache])
    def test_no_weights_in_it(self, hold):
        with pytest.raises(InputTypeError, match=rf"got {hold.__name__}.*hook_pattern"):
            from_attentions(hold({"blocks.0.attn.hook_q": vectors(1, N, 2, 4)}), WORDS)


def test_heads_that_differ_from_layer_to_layer():
    q = [vectors(heads, N, 8, seed=heads) for heads in (1, 4, 6)]
    k = [vectors(heads, N, 8, seed=heads + 10) for heads in (1, 2, 3)]
    found = from_queries_keys(q, k, WORDS)
    assert found["self"].head_counts == (1, 4, 6)
    for number in range(3):
        np.testing.assert_allclose(found.weights(number), expected(q[number], k[number]), atol=1e-6)
