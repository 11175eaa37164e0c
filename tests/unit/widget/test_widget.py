import json
import threading

import numpy as np
import pytest
from ipywidgets.widgets.widget import _remove_buffers
from traitlets import TraitError

from attnscope import AttentionWidget, AttnscopeError, from_attentions, from_queries_keys
from attnscope.widget.requests import RequestDesk
from attnscope.wire.answer import answer
from attnscope.wire.answers import ANSWERS
from attnscope.wire.question import Held, Numbers


def make(n_layers=3, n_heads=4, causal=False):
    rng = np.random.default_rng(1)
    queries = [rng.normal(size=(n_heads, 6, 8)).astype("f4") for _ in range(n_layers)]
    keys = [rng.normal(size=(n_heads, 6, 8)).astype("f4") for _ in range(n_layers)]
    return from_queries_keys(queries, keys, ["[CLS]", "the", "cat", "it", "the", "[SEP]"], causal=causal)


@pytest.fixture
def widget():
    w = AttentionWidget(make())
    yield w
    w.close()


def test_starts_with_the_first_head(widget):
    assert (widget.kind, widget.view, widget.layer, widget.heads, widget.query) == ("self", "links", 0, [[0, 0]], None)


def test_tokens_and_words_may_be_pinned_by_name(widget):
    widget.query = "it"
    assert widget.query == 3
    widget.key = "cat"
    assert widget.key == 2
    assert AttentionWidget(make(), query="cat").query == 2
    assert AttentionWidget(make(), query=-1).query == 5


def test_setting_the_layer_moves_the_heads(widget):
    widget.heads = [[0, 1], [1, 3], [1, 1]]
    widget.layer = 2
    assert widget.heads == [[2, 1], [2, 3]]


def test_setting_the_heads_sets_the_layer(widget):
    seen = []
    widget.observe(lambda change: seen.append((change["name"], change["new"])), ["layer", "heads"])
    widget.heads = [[2, 1], [1, 3]]
    assert widget.layer == 1
    assert ("layer", 1) in seen
    assert widget.heads == [[2, 1], [1, 3]]
    widget.heads = [[1, 0], [0, 3]]
    assert widget.layer == 0


def test_doubled_heads_count_once(widget):
    widget.heads = [[1, 1], (1, 1), [1, 2]]
    assert widget.heads == [[1, 1], [1, 2]]


def test_a_capture_without_layer_zero_starts_at_its_first():
    weights = np.full((2, 2, 2), 0.5, "f4")
    w = AttentionWidget(from_attentions([None, None, weights], ["a", "b"]))
    assert (w.layer, w.heads) == (2, [[2, 0]])


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("layer", 3, "0 to 2"),
        ("layer", "1", ""),
        ("heads", [[0, 4]], "0 to 3"),
        ("heads", [[0]], "[layer, head]"),
        ("heads", [3], "[layer, head]"),
        ("heads", [[0, "1"]], "number"),
        ("query", 6, "0 to 5"),
        ("query", "dog", "dog"),
        ("query", 1.5, "position"),
        ("key", -7, "0 to 5"),
        ("kind", "cross", "'self'"),
        ("view", "globe", "links"),
        ("measure", "gradient", "scores"),
        ("threshold", 1.5, ""),
        ("height", 3, ""),
        ("theme", "<script>", ""),
        ("color_scale", 1, ""),
    ],
)
def test_what_is_not_there_is_refused_and_nothing_changes(widget, name, value, words):
    before = {trait: getattr(widget, trait) for trait in widget.trait_names() if not trait.startswith("_")}
    with pytest.raises(TraitError) as refused:
        setattr(widget, name, value)
    assert words in str(refused.value)
    assert {trait: getattr(widget, trait) for trait in before} == before


def test_scores_are_refused_where_there_are_none():
    w = AttentionWidget(from_attentions([np.full((1, 2, 2), 0.5)], ["a", "b"]))
    with pytest.raises(AttnscopeError, match="Scores need queries and keys"):
        w.measure = "scores"


@pytest.mark.parametrize(("keyword", "words"), [("treshold", "'threshold'"), ("xyz", "traits are")])
def test_unknown_keywords_are_refused(keyword, words):
    with pytest.raises(AttnscopeError, match=words):
        AttentionWidget(make(), **{keyword: 1})


@pytest.mark.parametrize("thing", [None, [make()], np.zeros(3)])
def test_only_captures_are_shown(thing):
    with pytest.raises(TypeError, match="Capture"):
        AttentionWidget(thing)


def test_state_from_the_page_is_taken_as_one(widget):
    widget.set_state({"heads": [[2, 1]], "layer": 2})
    assert (widget.layer, widget.heads) == (2, [[2, 1]])
    with pytest.raises(TraitError):
        widget.set_state({"heads": [[9, 1]], "layer": 9})
    assert (widget.layer, widget.heads) == (2, [[2, 1]])


def test_first_state_holds_numbers_and_no_tensor_of_the_whole(widget):
    (weights, entropy) = widget._first
    assert weights["request"]["heads"] == [[0, 0]]
    data = np.frombuffer(weights["reply"]["data"], "<f4").reshape(weights["reply"]["shape"])
    assert np.array_equal(data[0], widget.capture.weights(0, 0))
    assert entropy["request"]["statistic"] == "entropy"


def test_repr_says_what_a_reader_misses(widget):
    assert "layer 0 head 0" in repr(widget)
    assert ".save(" in repr(widget)


def test_every_display_carries_a_picture_and_words(widget):
    data, _ = widget._repr_mimebundle_()
    assert set(data) == {"application/vnd.jupyter.widget-view+json", "text/plain", "text/html", "image/png"}
    assert 'alt="' in data["text/html"]
    assert "<script" not in data["text/html"]
    assert "object at" not in data["text/plain"]


class Sent:
    def __init__(self):
        self.replies, self.arrived = [], threading.Semaphore(0)

    def __call__(self, reply, buffers):
        self.replies.append((reply, buffers))
        self.arrived.release()

    def wait(self, count=1):
        for _ in range(count):
            assert self.arrived.acquire(timeout=20)


def request(identity, heads=((0, 0),)):
    return {
        "id": identity,
        "type": "weights",
        "kind": "self",
        "heads": [list(h) for h in heads],
        "queries": [0, 6],
        "keys": [0, 6],
    }


def test_requests_are_answered_in_turn():
    sent = Sent()
    desk = RequestDesk(Held(make()), sent)
    for i in range(5):
        desk.take(request(f"r{i}"))
    sent.wait(5)
    desk.close()
    assert [reply["id"] for reply, _ in sent.replies] == [f"r{i}" for i in range(5)]
    assert all(len(buffers) == 1 for _, buffers in sent.replies)


@pytest.mark.parametrize(
    "message", [None, 3, "x", [], {}, {"type": "weights"}, {"id": {}, "type": "hello"}, {"id": None}]
)
def test_messages_without_an_id_get_an_error_or_hello(message):
    sent = Sent()
    desk = RequestDesk(Held(make()), sent)
    desk.take(message)
    sent.wait()
    desk.close()
    reply, _ = sent.replies[0]
    assert "error" in reply or reply["type"] == "hello"


def test_cancelled_requests_get_no_reply():
    started, go = threading.Event(), threading.Event()
    capture = make()
    sent = Sent()
    desk = RequestDesk(capture, sent)
    layer = capture["self"].stored[0]
    real = type(layer).weight_rows

    def slow(self, head, rows):
        started.set()
        assert go.wait(20)
        return real(self, head, rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(layer), "weight_rows", slow)
        desk.take(request("running", [(0, 0), (0, 1)]))
        assert started.wait(20)
        desk.take(request("waiting"))
        desk.take({"type": "cancel", "id": "waiting"})
        desk.take({"type": "cancel", "id": "running"})
        desk.take({"type": "cancel", "id": "never asked"})
        desk.take({"type": "cancel", "id": {}})
        go.set()
        desk.take(request("after"))
        sent.wait()
    desk.close()
    assert [reply["id"] for reply, _ in sent.replies] == ["after"]


def test_a_flood_is_refused(monkeypatch):
    monkeypatch.setattr("attnscope.widget.requests.MOST_WAITING", 2)
    go = threading.Event()
    sent = Sent()
    desk = RequestDesk(Held(make()), sent)
    desk._threads["near"].submit(go.wait, 20)
    for i in range(4):
        desk.take(request(i))
    go.set()
    sent.wait(4)
    desk.close()
    assert sorted(r["id"] for r, _ in sent.replies if "error" in r) == [2, 3]
    assert sorted(r["id"] for r, _ in sent.replies if "error" not in r) == [0, 1]


def test_a_few_rows_do_not_wait_for_every_weight(monkeypatch):
    go, sent = threading.Event(), Sent()
    for name in ("statistic", "overview"):
        monkeypatch.setitem(ANSWERS, name, lambda _: (go.wait(20), Numbers())[1])
    desk = RequestDesk(Held(make()), sent)
    desk.take({"id": "slow", "type": "statistic"})
    desk.take({"id": "wide", "type": "overview"})
    desk.take(request("near"))
    sent.wait()
    assert [reply["id"] for reply, _ in sent.replies] == ["near"]
    go.set()
    sent.wait(2)
    desk.close()
    assert sorted(reply["id"] for reply, _ in sent.replies) == ["near", "slow", "wide"]


def test_a_long_text_is_described_in_parts():
    tokens = [f" t{i}" for i in range(5000)]
    some = np.ones((1, 5000, 2), np.float32)
    capture = from_queries_keys([some], [some], tokens, causal=True)
    info = AttentionWidget(capture, query=4700)._capture["kinds"][0]["queries"]
    assert info["count"] == 5000
    assert info["spans"] == [[0, 512], [4444, 4956]]
    assert info["text"] == [*tokens[:512], *tokens[4444:4956]]
    assert len(info["words"]) == len(info["text"])
    beginning = AttentionWidget(capture, query=700)._capture["kinds"][0]["queries"]
    assert beginning["spans"] == [[0, 956]]
    assert beginning["text"] == tokens[:956]
    reply, _ = answer(capture, {"id": 1, "type": "tokens", "kind": "self", "side": "queries"})
    assert reply["info"]["text"] == tokens
    assert "count" not in reply["info"]


@pytest.mark.parametrize("query", [None, 4700])
def test_what_a_long_text_is_sent_with_is_bounded(query):
    sizes = []
    for n in (5000, 20000):
        some = np.ones((1, n, 2), np.float32)
        widget = AttentionWidget(from_queries_keys([some] * 2, [some] * 2, ["word"] * n, causal=True), query=query)
        state, _, buffers = _remove_buffers(widget.get_state(["_capture", "_first"]))
        sizes.append(len(json.dumps(state)) + sum(map(len, buffers)))
    assert sizes[1] < 1.02 * sizes[0]


def test_after_close_nothing_is_sent():
    sent = Sent()
    desk = RequestDesk(Held(make()), sent)
    desk.close()
    desk.take(request(1))
    assert sent.replies == []


def test_setting_the_capture_that_is_shown_drops_no_request(widget, monkeypatch):
    """The page would not be told of anything new, and wait for answers that never come."""
    shown = []
    monkeypatch.setattr(widget._desk, "show", shown.append)
    widget.capture = widget.capture
    assert shown == []
    widget.capture = make()
    assert len(shown) == 1
