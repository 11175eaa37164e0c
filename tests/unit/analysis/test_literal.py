"""Every statistic equals its formula, written out in plain Python."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from attnscope import analysis, from_attentions, from_queries_keys
from attnscope.attention import compute
from attnscope.errors import InputError
from tests.unit.analysis import literal

TOKENS = ["[CLS]", "a", "b", ",", "a", "b", "c", ".", "a", "[SEP]"]
N = len(TOKENS)
PUNCTUATION, SPECIAL, SEPARATOR = (3, 7), (0, 9), (9,)

STATISTICS = {
    "entropy": literal.normalised_entropy,
    "max_weight": literal.max_weight,
    "effective_keys": literal.effective_1,
    "gini": literal.gini,
    "sink_share": literal.sink,
    "special_share": partial(literal.of_class, members=SPECIAL),
    "separator_share": partial(literal.of_class, members=SEPARATOR),
    "punctuation_share": partial(literal.of_class, members=PUNCTUATION),
    "previous_token": literal.at_offset,
    "self_share": partial(literal.at_offset, by=0),
    "next_token": partial(literal.at_offset, by=1),
    "local_share": literal.window,
    "mean_distance": literal.distance,
    "mean_offset": literal.offset,
    "duplicate_token": literal.duplicate,
    "induction": literal.induction,
}
OTHERS = {
    "nats": (partial(analysis.entropy, normalize=False), literal.entropy),
    "effective 2": (partial(analysis.effective_keys, order=2), literal.effective_2),
    "keys needed": (analysis.keys_needed, literal.keys_needed),
    "half": (partial(analysis.keys_needed, share=0.5), partial(literal.keys_needed, share=0.5)),
    "negligible": (analysis.negligible_share, literal.negligible),
    "two back": (partial(analysis.offset_share, offset=-2), partial(literal.at_offset, by=-2)),
    "window 1": (partial(analysis.local_share, window=1), partial(literal.window, width=1)),
}


def masks():
    """By name, which keys each query sees."""
    full = np.ones((N, N), bool)
    causal = np.tri(N, dtype=bool)
    window = causal & ~np.tri(N, k=-4, dtype=bool)
    holes = np.random.default_rng(3).random((N, N)) < 0.6
    holes[4] = False
    return {"full": full, "causal": causal, "window": window, "holes": holes}


@pytest.fixture(params=masks(), scope="module")
def seen(request):
    """A capture of two layers of three heads under a mask, its weights, and the mask."""
    allowed = masks()[request.param]
    random = np.random.default_rng(0)
    q, k = random.normal(size=(2, 2, 3, N, 4)).astype(np.float32) * 1.7
    c = from_queries_keys(list(q), list(k), TOKENS, mask=allowed)
    return c, np.stack([c.weights(0), c.weights(1)]).astype(np.float64), allowed


def expected(formula, weights, allowed, *, content=False):
    """The formula's mean for every head."""
    special = [token.startswith("[") for token in TOKENS]
    if not content:
        return [[literal.mean(formula(head, allowed, TOKENS)) for head in layer] for layer in weights.tolist()]
    found = []
    for layer in weights.tolist():
        rows = [literal.content(head, allowed, special) for head in layer]
        found.append([literal.mean(formula(scaled, kept, TOKENS)) for scaled, kept in rows])
    return found


def test_every_statistic_has_its_formula_here():
    assert list(STATISTICS) == list(analysis.STATISTICS)


@pytest.mark.parametrize("cells", [1, 35, 1 << 22], ids=["row by row", "blocks", "dense"])
def test_statistics(monkeypatch, seen, cells):
    monkeypatch.setattr(compute, "BLOCK_CELLS", cells)
    c, weights, allowed = seen
    names = analysis.statistics.measures_of(c, None)
    assert len(names) >= len(STATISTICS) - 1
    for name in names:
        want = expected(STATISTICS[name], weights, allowed)
        np.testing.assert_allclose(analysis.statistic(c, name), want, rtol=2e-5, atol=1e-6, err_msg=name)


def test_statistics_of_content(seen):
    c, weights, allowed = seen
    for name in analysis.statistics.measures_of(c, None):
        if name not in ("sink_share", "special_share", "separator_share"):
            want = expected(STATISTICS[name], weights, allowed, content=True)
            found = analysis.statistic(c, name, content=True)
            np.testing.assert_allclose(found, want, rtol=2e-5, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("name", OTHERS)
def test_others(seen, name):
    c, weights, allowed = seen
    ask, formula = OTHERS[name]
    np.testing.assert_allclose(ask(c), expected(formula, weights, allowed), rtol=2e-5, atol=1e-6)
    content = expected(formula, weights, allowed, content=True)
    np.testing.assert_allclose(ask(c, content=True), content, rtol=2e-5, atol=1e-6)


def test_the_table_says_the_same(seen):
    c, weights, allowed = seen
    table = analysis.head_table(c)
    for name in analysis.statistics.measures_of(c, None):
        np.testing.assert_allclose(
            table[name], np.ravel(expected(STATISTICS[name], weights, allowed)), rtol=2e-5, atol=1e-6
        )
        uniform = allowed / np.maximum(allowed.sum(1, keepdims=True), 1)
        chance = expected(STATISTICS[name], uniform[None, None], allowed)[0][0]
        np.testing.assert_allclose(table[f"{name}_chance"], chance, rtol=2e-5, atol=1e-6, err_msg=name)


def test_attention_received(seen):
    c, weights, allowed = seen
    found = analysis.attention_received(c)
    for layer, head in np.ndindex(2, 3):
        want = np.array(literal.received(weights[layer, head].tolist(), allowed, TOKENS), float)
        np.testing.assert_allclose(found[layer, head], want, rtol=1e-5)


def test_confidence():
    weights = np.random.default_rng(1).dirichlet(np.ones(N) / 3, size=(1, N)).astype(np.float32)
    c = from_attentions([weights], TOKENS)
    kept = weights[0]
    for leave_out, rows in {
        "both": kept[:-1, :-1],
        "query": kept[:-1],
        "key": kept[:, :-1],
        "none": kept,
    }.items():
        found = analysis.confidence(c, leave_out=leave_out)[0, 0]
        assert found == pytest.approx(rows.max(axis=1).mean(), rel=1e-6)
    plain = from_attentions([weights], [f"t{i}" for i in range(N)])
    assert analysis.confidence(plain) == analysis.max_weight(plain)
    with pytest.raises(InputError, match="leave_out is"):
        analysis.confidence(c, leave_out="eos")


def test_class_table(seen):
    c, weights, allowed = seen
    members = {
        "first": [0],
        "separator": [9],
        "punctuation": [3, 7],
        "word": [1, 2, 4, 5, 6, 8],
    }
    table = analysis.class_table(c)
    found = {tuple(row[:4]): row[4:] for row in table.itertuples(index=False)}
    pairs = 0
    for layer, head in np.ndindex(2, 3):
        for a, queries in members.items():
            for b, keys in members.items():
                rows = [
                    (sum(weights[layer, head, i, j] for j in keys), sum(allowed[i, j] for j in keys) / allowed[i].sum())
                    for i in queries
                    if any(allowed[i, j] for j in keys)
                ]
                assert ((layer, head, a, b) in found) == bool(rows)
                if rows:
                    pairs += 1
                    share, chance, count = found[layer, head, a, b]
                    assert (share, chance) == pytest.approx(np.mean(rows, axis=0), rel=1e-5, abs=1e-7)
                    assert count == len(rows)
    assert len(found) == pairs
