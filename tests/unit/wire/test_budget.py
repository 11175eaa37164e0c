import gzip
import json
import struct

import numpy as np
import pytest
from safetensors.numpy import load as read

from attnscope import from_attentions, from_queries_keys
from attnscope.wire.budget import compressed, compressed_as, compressed_within, work
from attnscope.wire.plan import everything, fitting

N, HEADS, LAYERS = 40, 4, 3
STATE = {"kind": "self", "heads": [[1, 2]]}


def queries_keys(n=N, key_heads=2, **given):
    rng = np.random.default_rng(0)
    return from_queries_keys(
        [rng.normal(size=(HEADS, n, 64)).astype("f4") for _ in range(LAYERS)],
        [rng.normal(size=(key_heads, n, 64)).astype("f4") for _ in range(LAYERS)],
        [f"t{at}" for at in range(n)],
        **given,
    )


def weights(n=N):
    c = queries_keys(n)
    return from_attentions([c.weights(layer) for layer in range(LAYERS)], c.tokens)


def opened(data):
    raw = gzip.decompress(data)
    (length,) = struct.unpack("<Q", raw[:8])
    return json.loads(json.loads(raw[8 : 8 + length])["__metadata__"]["page"]), read(raw)


def base64_length(data):
    return -(-len(data) // 3) * 4


@pytest.mark.parametrize("megabytes", [0.5, 0.2, 0.06, 0.03, 0.02])
@pytest.mark.parametrize("make", [queries_keys, weights])
def test_what_is_stored_keeps_to_the_budget(make, megabytes):
    packed = compressed_within(make(), STATE, megabytes=megabytes)
    assert base64_length(packed.data) <= megabytes * 1e6
    page, _ = opened(packed.data)
    assert [1, 2] in [[entry["layer"], head] for entry in page["layers"] for head in entry.get("only", range(HEADS))]


def test_more_room_holds_more_and_scores_where_there_is_enough():
    c = queries_keys()
    found = []
    for megabytes in (0.015, 0.03, 0.05, 1):
        page, _ = opened(compressed_within(c, STATE, megabytes=megabytes).data)
        heads = sum(len(entry.get("only", range(HEADS))) for entry in page["layers"])
        found.append((heads, page["layers"][0]["form"]))
    heads = [count for count, _ in found]
    assert heads == sorted(heads)
    assert found[0][0] < found[-1][0] == HEADS * LAYERS
    assert found[0][1] == "weights"
    assert found[-1][1] == "queries_keys"


def test_there_may_be_no_room_at_all():
    assert compressed_within(queries_keys(), STATE, megabytes=0.0001) is None
    assert compressed_within(queries_keys(), STATE, megabytes=0) is None
    assert compressed_as("none", 5, queries_keys(), STATE) is None


def test_all_is_stored_whatever_its_size():
    packed = compressed_as("all", 0.0001, queries_keys(), STATE)
    assert packed.is_whole
    assert packed.data == compressed(queries_keys(), STATE)


def test_a_selection_is_those_heads_alone():
    packed = compressed_within(
        queries_keys(), {"kind": "self", "heads": [[2, 3], [0, 1], [2, 0]]}, megabytes=1, embed="selection"
    )
    page, _ = opened(packed.data)
    assert not packed.is_whole
    assert {entry["layer"]: entry["only"] for entry in page["layers"]} == {0: [1], 2: [0, 3]}


@pytest.mark.parametrize("form", ["queries_keys", "weights"])
def test_some_heads_of_a_layer_are_stored_as_they_are(form):
    """Grouped heads read a key head that others read too."""
    c = queries_keys(n=90 if form == "weights" else 600, causal=True)
    room = 2 * 90 * 91 if form == "weights" else 4 * 64 * 2 * 2 * 600
    plan = fitting(c, "self", [[1, 3], [1, 0]], room, more=False)
    packed = compressed_within(c, {"kind": "self", "heads": [[1, 3], [1, 0]]}, megabytes=1, embed="selection")
    page, arrays = opened(packed.data)
    (entry,) = page["layers"]
    assert plan.heads["self"] == {1: (0, 3)}
    assert (entry["form"], entry["only"], entry["heads"]) == (form, [0, 3], HEADS)
    if form == "weights":
        rows, columns = np.tril_indices(90)
        for at, head in enumerate(entry["only"]):
            exact = c.weights(1, head)[rows, columns]
            np.testing.assert_allclose(arrays[entry["weights"]][at] / 65535, exact, atol=0.5 / 65535 + 1e-7)
        return
    assert entry["key_heads"] == 2
    queries, keys = arrays[entry["queries"]], arrays[entry["keys"]]
    for at, head in enumerate(entry["only"]):
        scores = queries[at] @ keys[at].T * entry["scale"]
        seen = np.tril(np.ones((600, 600), bool))
        np.testing.assert_allclose(scores[seen], c.scores(1, head)[seen], rtol=1e-4, atol=1e-4)


def test_the_nearest_layers_come_first():
    c = queries_keys()
    one_layer = 2 * HEADS * N * N
    plan = fitting(c, "self", [[2, 0]], 2 * one_layer)
    assert set(plan.heads["self"]) == {1, 2}
    assert not plan.is_whole(c)
    assert everything(c).is_whole(c)


def test_statistics_are_left_out_where_there_is_no_time():
    page, _ = opened(compressed_within(queries_keys(), STATE, megabytes=1, judged=False).data)
    assert page["first"] == []
    assert page["capture"]["kinds"][0]["statistics"] == []
    page, _ = opened(compressed_within(queries_keys(), STATE, megabytes=1).data)
    assert {entry["request"]["type"] for entry in page["first"]} >= {"statistic", "roles"}
    assert work(queries_keys()) == LAYERS * HEADS * N * N * 64


def test_both_captures_of_a_comparison_are_stored():
    packed = compressed_within(queries_keys(), STATE, queries_keys(30), megabytes=3)
    page, _ = opened(packed.data)
    assert packed.is_whole
    assert len(page["other"]["layers"]) == LAYERS
