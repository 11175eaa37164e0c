import json
import struct

import numpy as np
import pytest
from safetensors.numpy import load as read

from attnscope import from_attentions, from_queries_keys
from attnscope.wire import plan as planning
from attnscope.wire.describe import describe
from attnscope.wire.first import first_answers
from attnscope.wire.pack import PACKED_ERROR, pack


def unpack(data):
    (length,) = struct.unpack("<Q", data[:8])
    page = json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["page"])
    return page, read(data)


def visible(mask, arrays, n_queries, n_keys):
    if mask["form"] == "full":
        return np.ones((n_queries, n_keys), bool)
    if mask["form"] == "bits":
        return np.unpackbits(arrays[mask["bits"]], axis=1, count=n_keys).astype(bool)
    keys = np.arange(n_keys)
    return (keys >= arrays[mask["from"]][:, None]) & (keys < arrays[mask["to"]][:, None])


@pytest.mark.parametrize("causal", [True, False])
def test_packed_weights_keep_their_stated_error(causal, monkeypatch):
    monkeypatch.setattr(planning, "SMALL", 0)
    rng = np.random.default_rng(0)
    capture = from_queries_keys(
        [rng.normal(size=(3, 6, 64)) * 3 for _ in range(2)],
        [rng.normal(size=(3, 6, 64)) for _ in range(2)],
        "abcdef".upper().split() * 6,
        causal=causal,
    )
    page, arrays = unpack(pack(capture, {}))
    assert page["capture"]["kinds"][0]["notes"]["error"] == PACKED_ERROR
    assert page["capture"]["kinds"][0]["measures"] == ["weights"]
    worst = 0.0
    for entry in page["layers"]:
        assert entry["form"] == "weights"
        cells = visible(page["masks"][entry["mask"]], arrays, 6, 6)
        stored = np.zeros((3, 6, 6))
        stored[:, cells] = arrays[entry["weights"]] / 65535
        worst = max(worst, np.abs(stored - capture.weights(entry["layer"])).max())
    assert 0 < worst <= PACKED_ERROR + 1e-9


def test_small_captures_keep_queries_and_keys_exactly():
    rng = np.random.default_rng(0)
    queries, keys = rng.normal(size=(4, 5, 8)).astype("f4"), rng.normal(size=(2, 5, 8)).astype("f4")
    hidden = rng.random((5, 5)) > 0.4
    capture = from_queries_keys([queries], [keys], ["a", "b", "c", "d", "e"], mask=hidden, scale=0.3)
    page, arrays = unpack(pack(capture, {"view": "links"}))
    (entry,) = page["layers"]
    assert (entry["form"], entry["heads"], entry["key_heads"], entry["width"], entry["scale"]) == (
        "queries_keys",
        4,
        2,
        8,
        0.3,
    )
    assert np.array_equal(arrays[entry["queries"]], queries)
    assert np.array_equal(arrays[entry["keys"]], keys)
    assert np.array_equal(visible(page["masks"][entry["mask"]], arrays, 5, 5), hidden)
    assert page["state"] == {"view": "links"}
    assert page["capture"]["kinds"][0]["notes"]["error"] == 0


def test_statistics_are_stored_for_every_head():
    capture = from_attentions([np.full((2, 4, 4), 0.25, "f4")] * 3, ["a", "b", "c", "d"])
    page, arrays = unpack(pack(capture, {}))
    statistics = [e for e in page["first"] if e["request"]["type"] == "statistic"]
    entropy = next(e for e in statistics if e["request"]["statistic"] == "entropy")
    assert np.allclose(arrays[entropy["reply"]["data"]], np.ones((3, 2)))
    assert {e["request"]["type"] for e in page["first"]} == {*("statistic", "roles", "findings", "links", "likeness")}
    assert {e["request"]["statistic"] for e in statistics} == set(page["capture"]["kinds"][0]["statistics"])


def test_hostile_tokens_stay_json():
    hostile = ["</script><script>alert(1)</script>", "\u2028", "\ud83d", '"}]', "\x00"]
    capture = from_attentions([np.full((1, 5, 5), 0.2, "f4")], hostile)
    page, _ = unpack(pack(capture, {}))
    assert page["capture"]["kinds"][0]["queries"]["text"] == hostile


def test_description_tells_what_is_there():
    weights = np.tril(np.ones((2, 4, 4), "f4"))
    weights /= weights.sum(-1, keepdims=True)
    info = describe(from_attentions([None, weights], ["<s>", "a", "##b", "c"]))
    (kind,) = info["kinds"]
    assert kind["layers"] == [1]
    assert kind["heads"] == [2]
    assert kind["causal"] is True
    assert kind["label"] == "decoder self-attention"
    assert kind["keys"] is None
    assert kind["queries"] == {
        "text": ["<s>", "a", "##b", "c"],
        "special": [0],
        "gaps": [0, 1, 0, 1],
        "words": [-1, 0, 0, 1],
        "segments": None,
    }
    assert kind["notes"]["masked"] == pytest.approx(6 / 16)
    assert kind["notes"]["row_sums"] == pytest.approx([1, 1])
    assert "next_token" not in kind["statistics"]
    json.dumps(info, allow_nan=False)


def test_first_answers_are_bounded_and_hold_the_pinned_row():
    rng = np.random.default_rng(0)
    n = 700
    capture = from_queries_keys([rng.normal(size=(1, n, 4))], [rng.normal(size=(1, n, 4))], ["t"] * n)
    answers = first_answers(capture, "self", [[0, 0]], 650)
    rows = [a["request"]["queries"] for a in answers if a["request"]["type"] == "weights"]
    block = (1 << 16) // n
    at = 650 // block * block
    assert rows == [[0, block], [at, min(at + block, n)]]
    first = np.frombuffer(answers[1]["reply"]["data"], "<f4").reshape(answers[1]["reply"]["shape"])[0]
    assert np.array_equal(first, capture.weights(0, 0, queries=slice(*rows[1])))
