"""What the page asks to judge what it shows: findings, what chance links, what heads do."""

import numpy as np
import pytest

from attnscope import analysis, capture, from_attentions, from_queries_keys
from attnscope.analysis.causal.ablation import effect_of
from attnscope.wire.answer import Held, answer
from attnscope.wire.answers import judgement
from tests.models import causal
from tests.unit.wire.test_answer import ask, refuse


def drawn(n=9, layers=2, heads=3, **given):
    rng = np.random.default_rng(1)
    q, k = (2 * rng.normal(size=(layers, heads, n, 4)).astype("f4") for _ in range(2))
    return from_queries_keys(q, k, ["[CLS]", *(f" t{i}" for i in range(n - 2)), "[SEP]"], **given)


def test_findings_name_the_heads_concerned():
    layers = [np.random.default_rng(2).dirichlet(np.ones(6), size=(2, 6)).astype("f4") for _ in range(3)]
    layers[1][1] /= 2
    c = from_attentions(layers, list("abcdef"))
    reply, (data,) = answer(c, {"id": 1, "type": "findings", "kind": "self"})
    heads = np.frombuffer(data, "<f4").reshape(reply["shape"])
    expected = analysis.health(c)
    assert [entry["message"] for entry in reply["info"]["findings"]] == [finding.message for finding in expected]
    assert reply["info"]["findings"][0]["name"] == "row_sums"
    for marked, finding in zip(heads, expected, strict=True):
        assert {(int(layer), int(head)) for layer, head in np.argwhere(marked == 1)} == set(finding.heads)


@pytest.mark.parametrize("causal_mask", [False, True])
def test_links_give_the_share_of_pairs_that_do_as_well(causal_mask):
    c = drawn(causal=causal_mask)
    levels = ask(c, type="links")
    assert np.all(np.diff(levels) >= 0)
    weights = ask(c, type="pair", query=6, key=2)
    for hit in analysis.find_heads(c, 6, 2, direction="forward", k=6):
        # Read with all rows, as for the levels, to the last digit; the pair alone is summed in another order.
        weight = c.weights(hit.layer, hit.head)[6, 2]
        assert weights[hit.layer, hit.head] == pytest.approx(weight, abs=2e-7)
        # The pair that is asked about is one of them, and reaches its own weight.
        share = ((levels >= weight).sum() - 1) / (len(levels) - 1)
        assert share == pytest.approx(hit.share_as_good, abs=1e-9)


def test_many_links_are_thinned_out(monkeypatch):
    c = drawn(n=20)
    every = ask(c, type="links")
    monkeypatch.setattr(judgement, "MOST_LEVELS", 101)
    some = ask(drawn(n=20), type="links")
    assert len(some) == 101
    for level in (0.2, 0.5, 0.8):
        assert np.mean(some >= level) == pytest.approx(np.mean(every >= level), abs=0.02)


@pytest.mark.parametrize(("name", "query"), [("gpt2", 5), ("bart", None)])
def test_a_head_is_switched_off(name, query):
    model, tokenizer = causal.loaded(name)
    c = capture(model, tokenizer, causal.TEXT, **({"target": causal.TARGET} if name == "bart" else {}))
    kind = c.kinds[0]
    held = Held(c, model=model, tokenizer=tokenizer)
    request = {"id": 1, "type": "ablate", "kind": kind, "heads": [[1, 2]], "query": query}
    reply, _ = answer(held, request)
    assert reply["info"] == effect_of(model, c, [(1, 2)], tokenizer=tokenizer, position=query, kind=kind)
    assert reply["info"]["total_variation"] > 0


def test_without_the_model_it_says_how_to_give_it():
    request = {"id": 1, "type": "ablate", "kind": "self", "heads": [[0, 1]], "query": None}
    assert "model=model, tokenizer=tokenizer" in refuse(drawn(), request)["message"]


def test_likeness_says_what_was_compared(monkeypatch):
    from attnscope.wire.answers import gallery

    reply, _ = answer(drawn(), {"id": 1, "type": "likeness", "kind": "self"})
    assert reply["info"] == {"queries": [9, 9], "keys": [9, 9]}
    monkeypatch.setattr(gallery, "MOST_COMPARED", 18 * 8 * 4)
    reply, (data,) = answer(drawn(), {"id": 1, "type": "likeness", "kind": "self"})
    assert reply["info"] == {"queries": [8, 9], "keys": [4, 9]}
    assert sorted(np.frombuffer(data, "<f4")) == list(range(6))
