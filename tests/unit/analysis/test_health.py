"""Findings: each fires on what it is for, says so, and on nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import transformers

from attnscope import capture, from_attentions, from_queries_keys
from attnscope.analysis import head_table, health, summary
from attnscope.analysis.health import ALIKE, EVEN, ONE_KEY
from attnscope.attention.capture import Attention, Capture
from attnscope.attention.layers import QueriesKeys, StoredWeights
from attnscope.attention.mask import Mask
from attnscope.attention.tokens import Tokens
from tests.models import words, zoo
from tests.unit.analysis import maps

TOKENS = [f"t{i}" for i in range(12)]
TEXT = "The cat sat on the mat because it was tired."


def varied(n_layers=3, n_heads=4, n=12):
    """Layers of random heads, neither even nor on one key."""
    return [maps.random_rows(n_heads, n, n, seed=layer) for layer in range(n_layers)]


def names(c):
    return {finding.name for finding in health(c)} - {"unverified"}


def stored(weights, dtype="float32", mask=None):
    """A capture of one layer of weights as they are, unchecked."""
    tokens = Tokens.of([f"t{i}" for i in range(weights.shape[-1])])
    array = torch.tensor(weights, dtype=getattr(torch, dtype))
    layer = StoredWeights(array, mask or Mask.full(*weights.shape[-2:]))
    return Capture({"self": Attention("self", {0: layer}, tokens, tokens)})


class TestModels:
    @pytest.mark.parametrize("family", ["bert", "llama", "mistral", "gpt2"])
    def test_nothing_is_found_in_sharp_models(self, family):
        model, tokenizer = zoo.small(family)
        assert health(capture(model, tokenizer, TEXT)) == []

    @pytest.mark.parametrize("family", ["Bert", "GPT2"])
    def test_untrained_models(self, family):
        torch.manual_seed(0)
        config = getattr(transformers, f"{family}Config")(**(zoo.BERT if family == "Bert" else zoo.GPT2))
        model = getattr(transformers, f"{family}Model")(config).eval()
        tokenizer = words.wordpiece() if family == "Bert" else words.byte_level()
        found = {finding.name: finding for finding in health(capture(model, tokenizer, TEXT))}
        assert set(found) == {"uniform", "alike", "no_change"}
        assert found["uniform"].value > 0.999 > found["uniform"].threshold == EVEN
        assert found["alike"].value < 0.001 < found["alike"].threshold == ALIKE
        assert "untrained" in found["uniform"].message
        assert "every layer" in found["uniform"].message
        assert len(found["uniform"].heads) == 12

    def test_learned_sinks_are_a_reason(self):
        model, tokenizer = zoo.small("gpt_oss")
        c = capture(model, tokenizer, TEXT)
        (finding,) = health(c)
        assert (finding.name, finding.severity) == ("row_sums", "info")
        missing = 1 - np.mean([c.weights(layer).sum(-1).mean() for layer in range(c.n_layers)])
        assert finding.value == pytest.approx(missing, abs=1e-5)
        assert "learned sinks" in finding.message

    def test_a_model_of_numbers_that_are_none(self):
        tokens = Tokens.of(list("abcd"))
        queries = torch.randn(2, 4, 8, generator=torch.Generator().manual_seed(0))
        queries[1, 2] = torch.nan
        layer = QueriesKeys(queries, queries.nan_to_num(), 0.3, Mask.full(4, 4))
        found = health(Capture({"self": Attention("self", {5: layer}, tokens, tokens, check={5: 0.0})}))
        assert found[0].name == "nan"
        assert found[0].severity == "error"
        assert found[0].heads == ((5, 1),)
        assert found[0].value == 1
        assert "L5H1" in found[0].message


class TestRowSums:
    def test_sums_that_are_off(self):
        weights = maps.random_rows(3, 8, 8)
        weights[1, 4] *= 0.9
        finding = next(f for f in health(stored(weights)) if f.name == "row_sums")
        assert (finding.severity, finding.heads) == ("warning", ((0, 1),))
        assert finding.value == pytest.approx(0.1, abs=1e-5)
        for reason in ("dropout", "sigmoid", "sink", "pruned"):
            assert reason in finding.message

    @pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
    def test_rounding_is_none(self, dtype):
        assert names(stored(maps.random_rows(3, 8, 8), dtype)) == set()

    def test_two_percent_are_too_much_for_float16(self):
        weights = maps.random_rows(3, 8, 8)
        weights[0] *= 0.985
        assert names(stored(weights, "float16")) == {"row_sums"}
        assert names(stored(weights, "bfloat16")) == set()


class TestPatterns:
    def test_one_layer_of_one_hot_rows(self):
        layers = varied()
        layers[1] = np.concatenate([maps.shifted(12, offset) for offset in (-1, -2, 1, 2)])
        (finding,) = [f for f in health(from_attentions(layers, TOKENS)) if f.name == "one_hot"]
        assert finding.value == 0 < finding.threshold == ONE_KEY
        assert "layer 1 " in finding.message
        assert finding.heads == tuple((1, head) for head in range(4))

    def test_one_even_layer(self):
        layers = varied()
        layers[2][:] = 1 / 12
        found = {f.name: f for f in health(from_attentions(layers, TOKENS))}
        assert set(found) == {"uniform", "alike", "unverified"}
        assert found["uniform"].heads == tuple((2, head) for head in range(4))

    def test_heads_alike_but_not_even(self):
        layers = varied()
        layers[0][:] = layers[0][:1]
        found = {f.name: f for f in health(from_attentions(layers, TOKENS))}
        assert set(found) == {"alike", "unverified"}
        assert found["alike"].value == pytest.approx(0, abs=1e-6)

    def test_no_change_over_depth(self):
        assert names(from_attentions([varied(1)[0]] * 3, TOKENS)) == {"no_change"}

    def test_varied_heads_give_no_finding(self):
        assert names(from_attentions(varied(), TOKENS)) == set()

    def test_queries_that_see_nothing(self):
        mask = np.ones((12, 12), bool)
        mask[[0, 1, 2]] = False
        random = np.random.default_rng(0).normal(size=(2, 1, 3, 12, 6)).astype(np.float32) * 2

        (finding,) = [f for f in health(from_queries_keys(*random, TOKENS, mask=mask)) if f.name == "masked_rows"]
        assert (finding.severity, finding.value) == ("info", 3)
        assert "3 of 12 queries" in finding.message

    def test_one_token(self):
        assert names(maps.uniform(1)) == set()


class TestUnverified:
    def test_given_weights(self):
        (finding,) = health(from_attentions(varied(), TOKENS))
        assert (finding.name, finding.severity) == ("unverified", "info")
        assert "given from outside" in finding.message

    def test_layers_of_a_model_that_could_not_be_checked(self):
        c = from_attentions(varied(), TOKENS)
        attention = c["self"]
        partly = Attention(
            "self", attention.stored, attention.queries, attention.keys,
            how=dict.fromkeys(range(3), "sdpa"), check={0: 1e-7, 2: 1e-7},
        )  # fmt: skip
        (finding,) = health(Capture({"self": partly}))
        assert (finding.name, finding.severity) == ("unverified", "warning")
        assert finding.message.startswith("Layer 1 could not be checked")
        assert finding.heads == tuple((1, head) for head in range(4))


def test_gravest_first():
    weights = maps.random_rows(3, 8, 8)
    weights[0, 0] = np.nan
    weights[1] *= 0.5
    assert [finding.severity for finding in health(stored(weights))] == ["error", "warning", "warning"]


def test_summary():
    c = from_attentions(varied(2), TOKENS)
    table = summary(c).set_index(["layer", "statistic"])
    heads = head_table(c)
    for layer in range(2):
        of_layer = heads[heads.layer == layer]
        for name in ("entropy", "previous_token", "mean_offset"):
            row, values = table.loc[(layer, name)], of_layer[name]
            assert (row["mean"], row.sd, row["min"], row["max"]) == pytest.approx(
                (values.mean(), values.std(ddof=0), values.min(), values.max()), rel=1e-6
            )
            assert row.chance == pytest.approx(of_layer[f"{name}_chance"].iloc[0])
