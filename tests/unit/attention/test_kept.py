"""What is kept of a capture: never more than allowed, never another answer, computed once, gone with the capture."""

from __future__ import annotations

import gc
import threading
import weakref
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from attnscope import analysis, from_queries_keys, limit_cache
from attnscope.analysis.measures import Share
from attnscope.analysis.rows import head_mean, head_sums
from attnscope.analysis.targets import Given, Offset
from attnscope.attention import kind as reading
from attnscope.attention.capture import Capture
from attnscope.attention.kept import ENTRY_BYTES, Kept, kept
from attnscope.attention.layers import QueriesKeys
from attnscope.errors import InputError
from attnscope.wire.answer import Held, answer

N = 60


def drawn(seed=0, layers=2, heads=3, kind="self"):
    q, k = np.random.default_rng(seed).normal(size=(2, layers, heads, N, 4)).astype("f4")
    return from_queries_keys(list(q), list(k), [f"t{i % 7}" for i in range(N)], causal=True, kind=kind)


@pytest.fixture
def keep_all(monkeypatch):
    monkeypatch.setattr(reading, "WORTH_KEEPING", 0)


sizes = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 400)), min_size=1, max_size=60)


@settings(max_examples=60, deadline=None)
@given(sizes, st.integers(0, 5 * (ENTRY_BYTES + 800)), st.data())
def test_it_never_holds_more_than_allowed_and_drops_the_longest_unused(asked, limit, data):
    store, held = Kept(), {}
    store.limit = limit
    for name, n in asked:
        made = store.get((name, n), lambda n=n: np.arange(n, dtype=np.uint16))
        np.testing.assert_array_equal(made, np.arange(n))
        held.pop((name, n), None)
        if ENTRY_BYTES + 2 * n <= limit:
            held[name, n] = ENTRY_BYTES + 2 * n
        while sum(held.values()) > limit:
            held.pop(next(iter(held)))
        assert store.nbytes == sum(held.values()) <= limit
        assert all(store.find(question) is not None for question in list(held))
        assert store.find(("nobody", name)) is None
    store.limit = data.draw(st.integers(0, limit))
    store.shrink()
    assert store.nbytes <= store.limit


QUESTIONS = {
    "overview": lambda c, i: c.overview(i % 2, i % 3, 1 + i % 9),
    "row": lambda c, i: c.weights(i % 2, i % 3, queries=i % N),
    "rows of all heads": lambda c, i: c.weights(i % 2, queries=slice(i % N, i % N + 9), keys=slice(0, 30)),
    "scattered": lambda c, i: c.scores(i % 2, i % 3, queries=[i % N, 0, 5]),
    "rounded": lambda c, i: c.weights(i % 2, i % 3, queries=i % N, rounded=True),
    "entropy": lambda c, i: analysis.entropy(c),
    "offset": lambda c, i: analysis.offset_share(c, -(i % 4)),
    "signed distance": lambda c, i: analysis.mean_distance(c, signed=bool(i % 2)),
    "page": lambda c, i: np.frombuffer(
        answer(c, {"id": i, "type": "pair", "kind": "self", "query": N - 1, "key": i % N})[1][0], "<f4"
    ),
}


@pytest.mark.usefixtures("keep_all")
@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(sorted(QUESTIONS)), st.integers(0, 8)), max_size=25), st.integers(0, 20_000))
def test_answers_are_those_of_a_capture_that_keeps_nothing(asked, limit):
    c, forgetful = drawn(), drawn()
    limit_cache(limit, c)
    limit_cache(0, forgetful)
    for name, i in asked:
        for _ in range(2):
            np.testing.assert_array_equal(QUESTIONS[name](c, i), QUESTIONS[name](forgetful, i))
        assert kept(c["self"]).nbytes <= limit
    assert kept(forgetful["self"]).nbytes == 0


@pytest.mark.usefixtures("keep_all")
@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_asked_again_computes_nothing(name, monkeypatch):
    c = drawn()
    first = QUESTIONS[name](c, 5)
    for method in ("weight_rows", "score_rows", "overview"):
        monkeypatch.setattr(QueriesKeys, method, None)
    monkeypatch.setattr("attnscope.attention.compute.span_scores", None)
    np.testing.assert_array_equal(QUESTIONS[name](c, 5), first)


@pytest.mark.usefixtures("keep_all")
@pytest.mark.parametrize("name", ["overview", "row", "scattered", "entropy"])
def test_users_cannot_spoil_it(name):
    c = drawn()
    first = QUESTIONS[name](c, 4)
    before = first.copy()
    first[...] = 7
    np.testing.assert_array_equal(QUESTIONS[name](c, 4), before)


def test_sums_that_are_kept_are_read_only():
    sums = [head_sums(drawn_once, {"it": Share(Offset(-1))})["it"] for drawn_once in [drawn()] * 2]
    with pytest.raises(ValueError, match="read-only"):
        sums[0].total += 1
    np.testing.assert_array_equal(sums[0].total, sums[1].total)


def test_a_pattern_of_the_user_is_measured_each_time_it_is_asked_for():
    c, pattern = drawn(), np.tri(N, dtype=bool)
    measure = Share(Given(pattern))
    whole = head_mean(c, measure, None)
    pattern[:, 1:] = False
    assert (head_mean(c, measure, None) < whole).all()


def test_all_who_ask_at_once_get_what_one_of_them_computes():
    store, gate, calls = Kept(), threading.Event(), []

    def compute():
        calls.append(threading.get_ident())
        gate.wait(30)
        return np.arange(3)

    found = []
    threads = [threading.Thread(target=lambda: found.append(store.get("it", compute))) for _ in range(6)]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join(30)
    assert len(calls) == 1
    assert len(found) == 6
    assert all(one is found[0] for one in found)


def test_one_overview_for_all_threads(monkeypatch):
    c, calls, overview = drawn(), [], QueriesKeys.overview
    barrier = threading.Barrier(5)

    def counted(self, head, size):
        calls.append(head)
        return overview(self, head, size)

    monkeypatch.setattr(QueriesKeys, "overview", counted)
    found = []

    def ask():
        barrier.wait(30)
        found.append(c.overview(0, 1, 8))

    threads = [threading.Thread(target=ask) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert calls == [1]
    assert len(found) == 5


def test_who_waited_for_an_error_computes_himself():
    store, started, release, found = Kept(), threading.Event(), threading.Event(), []

    def fail():
        started.set()
        release.wait(30)
        raise KeyError("no")

    def first():
        with pytest.raises(KeyError):
            store.get("it", fail)
        found.append("raised")

    threads = [threading.Thread(target=first)]
    threads[0].start()
    started.wait(30)
    threads.append(threading.Thread(target=lambda: found.append(store.get("it", lambda: 5))))
    threads[1].start()
    release.set()
    for thread in threads:
        thread.join(30)
    assert sorted(map(str, found)) == ["5", "raised"]
    assert store.get("it", fail) == 5


def test_a_question_that_asks_itself_does_not_wait_for_itself():
    store = Kept()
    assert store.get("it", lambda: store.get("it", lambda: 3) + 1) == 4


@pytest.mark.usefixtures("keep_all")
def test_it_does_not_keep_the_capture():
    c = drawn()
    for i, ask in enumerate(QUESTIONS.values()):
        ask(c, i)
    store = kept(c["self"])
    assert store.nbytes > 0
    gone = weakref.ref(c), weakref.ref(c["self"]), weakref.ref(c["self"].layer(0))
    del c
    gc.collect()
    assert [ref() for ref in gone] == [None] * 3


def test_kinds_of_one_capture_share_one_limit_and_no_answers():
    one, two = drawn(kind="self"), drawn(1, kind="cross")
    both = Capture({"self": one["self"], "cross": drawn(1, kind="cross")["cross"]})
    limit_cache(10_000, both)
    assert kept(both["self"]) is kept(both["cross"])
    np.testing.assert_array_equal(both.overview(0, 0, 5, kind="self"), one.overview(0, 0, 5))
    np.testing.assert_array_equal(both.overview(0, 0, 5, kind="cross"), two.overview(0, 0, 5))


def test_answers_for_one_pair_of_captures_are_not_those_for_another():
    a, b, other = drawn(0), drawn(1), drawn(2)
    ask = {"id": 1, "type": "statistic", "kind": "self", "statistic": "change"}
    first, second = (answer(Held(a, compared), ask)[1] for compared in (b, other))
    assert first != second
    assert answer(Held(a, b), ask)[1] == first


def test_what_is_refused_is_refused_again():
    c, ask = drawn(), {"id": 1, "type": "pair", "kind": "self", "query": N, "key": 0}
    assert answer(c, ask) == answer(c, ask)
    assert answer(c, ask)[0]["error"]["name"] == "NotFoundError"


def test_the_limit_of_all_and_of_one():
    c, other = drawn(), drawn(1)
    before = limit_cache(5_000)
    try:
        assert limit_cache(6_000, c) == 5_000
        assert (kept(c["self"]).most, kept(other["self"]).most) == (6_000, 5_000)
        other.overview(0, 0, 8)
        assert kept(other["self"]).nbytes > 0
        limit_cache(0)
        assert kept(other["self"]).nbytes == 0
    finally:
        assert limit_cache(before) == 0


@pytest.mark.parametrize("limit", [-1, 2.5, True, "1 GB"])
def test_other_limits_are_refused(limit):
    with pytest.raises(InputError, match="number of bytes"):
        limit_cache(limit)


def test_everything_in_an_answer_counts_and_is_read_only():
    @dataclass
    class Pair:
        a: np.ndarray
        b: tuple

    store = Kept()
    made = store.get("it", lambda: {"x": Pair(np.zeros(100), (np.zeros(50), b"abc"))})
    assert store.nbytes >= 8 * 150 + 3 + ENTRY_BYTES
    for array in (made["x"].a, made["x"].b[0]):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 1
    view = store.get("view", lambda: np.zeros(1000)[:1])
    assert view.size == 1
    assert store.nbytes >= 8 * 1000, "a view counts as what it keeps alive"
