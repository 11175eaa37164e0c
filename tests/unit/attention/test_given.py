from __future__ import annotations

import numpy as np
import pytest
import torch
from transformers.modeling_outputs import BaseModelOutput, Seq2SeqModelOutput

from attnscope import Tokens, from_attentions, from_queries_keys
from attnscope.errors import InputError, InputTypeError
from tests.unit.attention import dense

N = 6
WORDS = ["[CLS]", "a", "b", "c", "d", "[SEP]"]


def rows(*shape, seed=0, causal=False):
    """Random rows that sum to 1."""
    scores = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    if causal:
        scores = np.where(np.tri(*shape[-2:], dtype=bool), scores, -np.inf)
    powers = np.exp(scores)
    return (powers / powers.sum(-1, keepdims=True)).astype(np.float32)


class WithArray:
    """An array of another library, readable through ``__array__``."""

    def __init__(self, values):
        self.values = values
        self.shape = values.shape

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values, dtype=dtype)

    def __getitem__(self, which):
        return WithArray(self.values[which])


class WithDlpack:
    """An array of another library, readable through DLPack only."""

    def __init__(self, values):
        self.values = values
        self.shape = values.shape

    def __dlpack__(self, **options):
        return self.values.__dlpack__(**options)

    def __dlpack_device__(self):
        return self.values.__dlpack_device__()


class TestFromAttentions:
    @pytest.mark.parametrize(
        "move",
        [
            np.asarray, torch.from_numpy, lambda a: torch.from_numpy(a).double(), lambda a: a.astype(np.float64),
            lambda a: torch.from_numpy(a).requires_grad_(), lambda a: a.tolist(), WithArray, WithDlpack,
            lambda a: a[None], lambda a: torch.from_numpy(a)[None],
        ],
        ids=["numpy", "torch", "double", "float64", "gradient", "lists", "array", "dlpack", "batch", "torch batch"],
    )  # fmt: skip
    def test_whatever_holds_the_numbers(self, move):
        weights = rows(2, 3, N, N)
        found = from_attentions([move(layer) for layer in weights], WORDS)
        assert (found.n_layers, found.n_heads) == (2, 3)
        for number in range(2):
            np.testing.assert_allclose(found.weights(number), weights[number], atol=1e-7)
        assert found["self"].how == {0: "given", 1: "given"}
        assert not found["self"].has_scores

    @pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=["bfloat16", "float16"])
    def test_half_precision(self, dtype):
        weights = torch.from_numpy(rows(2, N, N)).to(dtype)
        found = from_attentions([weights], WORDS)
        np.testing.assert_array_equal(found.weights(0), weights.float().numpy())

    @pytest.mark.parametrize("pack", [tuple, list, iter, np.stack, lambda layers: torch.tensor(np.stack(layers))])
    def test_whatever_holds_the_layers(self, pack):
        weights = [rows(2, N, N, seed=i) for i in range(3)]
        found = from_attentions(pack(weights), WORDS)
        np.testing.assert_array_equal(found.weights(2), weights[2])

    def test_an_output_object(self):
        weights = tuple(torch.from_numpy(rows(1, 2, N, N, seed=i)) for i in range(2))
        found = from_attentions(BaseModelOutput(attentions=weights), WORDS)
        np.testing.assert_array_equal(found.weights(1), weights[1][0].numpy())

    def test_layers_without_attention_keep_their_numbers(self):
        found = from_attentions([None, rows(2, N, N), None, rows(3, N, N)], WORDS)
        assert found["self"].layers == (1, 3)
        assert found["self"].head_counts == (2, 3)
        assert found.weights(3).shape == (3, N, N)

    def test_rectangular(self):
        found = from_attentions([rows(2, N, 3)], WORDS, key_tokens=["x", "y", "z"], kind="cross")
        assert found.kinds == ("cross",)
        assert found.key_tokens == ["x", "y", "z"]
        assert found.weights(0).shape == (2, N, 3)

    def test_a_causal_pattern_is_seen(self):
        assert from_attentions([rows(2, N, N, causal=True)] * 2, WORDS)["self"].is_causal
        assert not from_attentions([rows(2, N, N, causal=True), rows(2, N, N)], WORDS)["self"].is_causal
        assert not from_attentions([rows(2, N, N)], WORDS)["self"].is_causal

    def test_tokens_are_read(self):
        found = from_attentions([rows(1, 3, 3)], ["<s>", "Ġthe", "Ġcafé"])
        assert found.tokens[:2] == ["<s>", " the"]
        assert found["self"].queries.special.tolist() == [True, False, False]
        tokens = Tokens.of(["a", "b", "c"])
        assert from_attentions([rows(1, 3, 3)], tokens)["self"].queries is tokens

    def test_rows_that_sum_to_less_are_kept(self):
        found = from_attentions([rows(1, N, N) * 0.8], WORDS)
        np.testing.assert_allclose(found.weights(0).sum(-1), 0.8, atol=1e-6)

    @pytest.mark.parametrize(
        ("attentions", "said"),
        [
            ([], r'attentions is empty.*sdpa.*attn_implementation="eager"'),
            ((), "empty tuple: use attnscope.capture()"),
            ([None, None], "every entry of attentions is None"),
            ([rows(2, 2, N, N)], r"Layer 0 holds 2 inputs at once.*a\[i:i\+1\] for a in attentions"),
            ([rows(N, N)], r"Layer 0 has shape \(6, 6\); expected \[heads, tokens, …\]"),
            ([rows(2, N, N), rows(1, 1, 1, N, N)], "Layer 1 has shape"),
            ([np.zeros((0, N, N))], "Layer 0 is empty"),
            ([np.full((1, N, N), np.nan)], "Layer 0 holds NaN or infinity.*set it to 0"),
            ([np.full((1, N, N), np.inf)], "Layer 0 holds NaN or infinity"),
            ([rows(1, N, N), rows(1, N, N) * 3 - 1], "Layer 1 has values from -.*take their softmax"),
            ([rows(1, N, N) + 1], "has values from"),
            ([rows(1, N, N), rows(1, N, 5)], r"Layers differ.*\[\(6, 5\), \(6, 6\)\].*one capture per kind"),
            ([rows(1, 5, 5)], "layer 0 has 5 queries and 5 keys, but got 6 tokens.*special tokens included"),
        ],
    )  # fmt: skip
    def test_wrong_values_are_refused(self, attentions, said):
        with pytest.raises(InputError, match=said):
            from_attentions(attentions, WORDS)

    @pytest.mark.parametrize(
        ("attentions", "said"),
        [
            (None, "one array per layer or a transformers output object, got NoneType"),
            ({"a": 1}, "got dict"),
            ("weights", "got str"),
            (3, "got int"),
            ([object()], "an array of numbers .* got object"),
            ([["a"]], "an array of numbers .* got list"),
        ],
    )
    def test_other_types_are_refused(self, attentions, said):
        with pytest.raises(InputTypeError, match=said):
            from_attentions(attentions, WORDS)

    def test_an_output_object_without_weights(self):
        for empty in (None, ()):
            with pytest.raises(InputError, match=r"BaseModelOutput has no attention weights.*sdpa.*attnscope.capture"):
                from_attentions(BaseModelOutput(attentions=empty), WORDS)

    def test_an_output_object_of_several_kinds(self):
        output = Seq2SeqModelOutput(
            encoder_attentions=(torch.from_numpy(rows(1, 2, N, N)),),
            cross_attentions=(torch.from_numpy(rows(1, 2, 3, N)),),
        )
        with pytest.raises(InputError, match=r"output\.encoder_attentions.*output\.cross_attentions.*key_tokens"):
            from_attentions(output, WORDS)


class TestFromQueriesKeys:
    @pytest.mark.parametrize(
        "move",
        [np.asarray, torch.from_numpy, lambda a: a[None], np.ndarray.tolist, WithArray, WithDlpack],
        ids=["numpy", "torch", "batch", "lists", "array", "dlpack"],
    )
    @pytest.mark.parametrize("causal", [False, True])
    def test_grouped_heads(self, move, causal):
        case = dense.cases()["grouped heads"]
        n = case.queries.shape[1]
        allowed = dense.causal(n, n) if causal else np.ones((n, n), bool)
        expected = dense.Case(case.queries, case.keys, allowed, scale=6**-0.5)
        found = from_queries_keys([move(case.queries)] * 2, [move(case.keys)] * 2, ["t"] * n, causal=causal)
        assert (found.n_layers, found.n_heads) == (2, 6)
        for head in range(6):
            np.testing.assert_allclose(found.weights(1, head), expected.weights(head), atol=1e-6)
        assert found["self"].is_causal == causal
        assert found["self"].has_scores

    def test_a_scale(self):
        case = dense.cases()["scale"]
        found = from_queries_keys([case.queries], [case.keys], ["t"] * 9, scale=3)
        np.testing.assert_allclose(found.weights(0, 1), case.weights(1), atol=1e-6)
        nothing = from_queries_keys([case.queries], [case.keys], ["t"] * 9, scale=0)
        np.testing.assert_allclose(nothing.weights(0), 1 / 9, atol=1e-7)

    @pytest.mark.parametrize("move", [np.asarray, torch.from_numpy, np.ndarray.tolist], ids=["numpy", "torch", "lists"])
    @pytest.mark.parametrize("causal", [False, True])
    def test_a_mask_joins_causal(self, move, causal):
        case = dense.cases()["holes"]
        allowed = case.allowed & dense.causal(9, 9) if causal else case.allowed
        expected = dense.Case(case.queries, case.keys, allowed)
        found = from_queries_keys(
            [case.queries], [case.keys], ["t"] * 9, scale=0.5, causal=causal, mask=move(case.allowed)
        )
        np.testing.assert_allclose(found.weights(0, 2), expected.weights(2), atol=1e-6)
        assert (found.weights(0).sum(-1) == 0).any() == (~allowed).all(axis=1).any()

    def test_cross_attention(self):
        case = dense.cases()["cross"]
        found = from_queries_keys(
            [case.queries], [case.keys], ["q"] * 5, key_tokens=["k"] * 11, scale=0.5, kind="cross"
        )
        np.testing.assert_allclose(found.weights(0, 1), case.weights(1), atol=1e-6)
        assert len(found.key_tokens) == 11

    def test_values_are_kept(self):
        case = dense.cases()["grouped heads"]
        values = np.ones((2, 9, 3), np.float32)
        found = from_queries_keys([case.queries], [case.keys], ["t"] * 9, values=[values])
        assert found["self"].layer(0).values.shape == (2, 9, 3)

    @pytest.mark.parametrize(
        ("change", "said"),
        [
            ({"queries": []}, "got 0 layers of queries, 1 of keys"),
            ({"values": []}, "1 layers of queries, 1 of keys and 0 of values"),
            ({"queries": [np.zeros((2, 3, 9, 6))]}, "Layer 0 holds 2 inputs at once"),
            ({"queries": [np.zeros((9, 6))]}, "Layer 0 has shape"),
            ({"queries": [np.zeros((5, 9, 6))]}, "5 heads cannot share 4 key heads"),
            ({"queries": [np.zeros((4, 9, 7))]}, "7 wide and keys 6"),
            ({"queries": [np.full((4, 9, 6), np.nan)]}, "Queries of layer 0 hold NaN or infinity"),
            ({"keys": [np.full((4, 9, 6), np.inf)]}, "Keys of layer 0 hold NaN or infinity"),
            ({"mask": np.ones((9, 9))}, r"mask is bool \[queries, keys\] = \(9, 9\), True where.*got float64"),
            ({"mask": np.ones((9, 8), bool)}, r"got bool \(9, 8\)"),
            ({"tokens": ["t"] * 8}, "9 queries and 9 keys, but got 8 tokens"),
            ({"values": [np.zeros((4, 8, 6))]}, r"Values have shape \(4, 8, 6\).*4 key heads and 9 keys"),
        ],
    )
    def test_refusals(self, change, said):
        given = {"queries": [np.zeros((4, 9, 6))], "keys": [np.zeros((4, 9, 6))], "tokens": ["t"] * 9} | change
        with pytest.raises(InputError, match=said):
            from_queries_keys(**given)

    def test_nothing_at_all(self):
        with pytest.raises(InputError, match="at least one layer"):
            from_queries_keys([], [], ["t"])

    @pytest.mark.parametrize("scale", ["big", True, float("nan"), float("inf")])
    def test_a_scale_is_a_number(self, scale):
        with pytest.raises((InputError, InputTypeError), match="scale is a number"):
            from_queries_keys([np.zeros((1, 2, 3))], [np.zeros((1, 2, 3))], ["a", "b"], scale=scale)

    def test_arrays_of_two_libraries(self):
        case = dense.cases()["causal"]
        found = from_queries_keys([torch.from_numpy(case.queries)], [case.keys], ["t"] * 9, causal=True, scale=0.5)
        np.testing.assert_allclose(found.weights(0, 3), case.weights(3), atol=1e-6)
