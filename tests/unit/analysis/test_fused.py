"""Sums by fused calls equal sums by row blocks and by the whole, and take memory that grows with the text's length."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch

from attnscope import analysis, from_queries_keys
from attnscope.analysis import fused, statistics
from attnscope.analysis import sweep as sweeping
from attnscope.analysis.measures import Share, effective_of_rows
from attnscope.analysis.rows import head_means, head_sums
from attnscope.analysis.targets import Given
from attnscope.attention import compute
from attnscope.attention.capture import Attention, Capture
from attnscope.attention.layers import QueriesKeys, StoredWeights
from attnscope.attention.mask import Mask
from attnscope.attention.tokens import Tokens
from tests.unit.attention import dense as dense_layers
from tests.unit.largest import largest

N = 150
TOKENS = ["[CLS]", *(["a", "b", ",", "[SEP]", "c"] * N)[: N - 1]]

ASKED = {
    "entropy": analysis.entropy,
    "nats": partial(analysis.entropy, normalize=False),
    "every row": partial(analysis.entropy, per_query=True),
    "effective keys": analysis.effective_keys,
    "inverse participation": partial(analysis.effective_keys, order=2),
    "distance": analysis.mean_distance,
    "offset": partial(analysis.mean_distance, signed=True),
    "local": analysis.local_share,
    "previous": analysis.previous_token,
    "next": analysis.next_token,
    "self": analysis.self_share,
    "three back": partial(analysis.offset_share, offset=-3),
    "sink": analysis.sink_share,
    "special": analysis.special_share,
    "separator": analysis.separator_share,
    "punctuation": analysis.punctuation_share,
    "received": analysis.attention_received,
}
WITH_CONTENT = [name for name in ASKED if name not in ("sink", "special", "separator")]


def made(gain, *, causal, sinks=False, n=N, heads=4, key_heads=2, seed=0):
    """Two layers of grouped heads."""
    random = np.random.default_rng(seed)
    mask = Mask.causal(n, n) if causal else Mask.full(n, n)
    layers = {
        number: QueriesKeys(
            torch.tensor(gain * random.normal(size=(heads, n, 16)), dtype=torch.float32),
            torch.tensor(gain * random.normal(size=(key_heads, n, 16)), dtype=torch.float32),
            0.25,
            mask,
            sinks=torch.tensor(random.normal(size=heads), dtype=torch.float32) if sinks else None,
        )
        for number in range(2)
    }
    tokens = Tokens.of(TOKENS[:n])
    return Capture({"self": Attention("self", layers, tokens, tokens)})


@pytest.fixture
def only_fused(monkeypatch):
    """Fused calls from the first token on, and no row of weights."""

    def switch(on):
        monkeypatch.setattr(fused, "LONG", 1 if on else 1 << 40)

    def refuse(*args):
        raise AssertionError("a row of weights was computed")

    def forbid():
        monkeypatch.setattr(QueriesKeys, "weight_rows", refuse)

    return switch, forbid


@pytest.mark.parametrize("gain", [0.1, 1, 3], ids=["flat", "middle", "peaked"])
@pytest.mark.parametrize("causal", [False, True], ids=["full", "causal"])
@pytest.mark.parametrize("sinks", [False, True], ids=["plain", "sinks"])
def test_fused_blocks_and_dense_agree(monkeypatch, only_fused, gain, causal, sinks):
    switch, forbid = only_fused
    c = made(gain, causal=causal, sinks=sinks)
    switch(on=False)
    dense = {name: ask(c) for name, ask in ASKED.items()}
    dense_content = {name: ASKED[name](c, content=True) for name in WITH_CONTENT}
    monkeypatch.setattr(compute, "BLOCK_CELLS", 160 * N)
    blocks = {name: ask(c) for name, ask in ASKED.items()}
    switch(on=True)
    forbid()
    for name, ask in ASKED.items():
        limit = {"atol": 5e-6 * N} if name in ("distance", "offset") else {"rtol": 1e-4, "atol": 1e-5}
        found = ask(c)
        np.testing.assert_allclose(blocks[name], dense[name], rtol=1e-5, atol=1e-6, err_msg=name)
        np.testing.assert_allclose(found, dense[name], **{"rtol": 0, **limit}, err_msg=name)
        assert found.dtype == dense[name].dtype
        if name in WITH_CONTENT:
            found = ask(c, content=True)
            np.testing.assert_allclose(found, dense_content[name], **{"rtol": 0, **limit}, err_msg=f"{name}, content")


def test_measures_that_need_single_weights_are_asked_of_them(only_fused):
    switch, forbid = only_fused
    c = made(1, causal=True)
    switch(on=True)
    forbid()
    table = analysis.head_table(c)
    assert table.max_weight.notna().all()
    with pytest.raises(AssertionError, match="a row of weights"):
        analysis.confidence(c)


def test_stored_weights_are_not_summed_this_way():
    layer = made(1, causal=True)["self"].stored[0]
    assert fused.can_fuse(layer)
    assert not fused.can_fuse(StoredWeights(np.zeros((4, N, N), np.float32), layer.mask))


CASES = dense_layers.cases()
WORDS = ["[CLS]", "a", "b", ",", "a", "b", "[SEP]", "a", ".", "b", "c"]


@pytest.mark.parametrize("move", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])
@pytest.mark.parametrize("rows", [2, 1000], ids="{} rows a block".format)
@pytest.mark.parametrize(
    ("name", "content"),
    [
        (name, content)
        for name in CASES
        for content in (False, True)
        # Rows of weights lose what content tokens get beside a weight of 1, sums do not; one token leaves no content.
        if (name, content) not in (("huge scores", True), ("one token", True))
    ],
)
def test_every_statistic_of_every_kind_of_layer(only_fused, monkeypatch, name, rows, move, content):
    """Masks with holes and blind rows, windows, soft caps, biases, sinks, grouped heads: as from rows of weights."""
    switch, forbid = only_fused
    layer = CASES[name].layer(move)
    queries, keys = (Tokens.of(WORDS[:n]) for n in (layer.n_queries, layer.n_keys))
    queries = keys if len(queries) == len(keys) else queries
    c = Capture({"self": Attention("self", {0: layer}, queries, keys)})
    measures = {**statistics.measures_of(c, None), "inverse": partial(effective_of_rows, order=2)}
    if queries is keys:
        near = np.abs(np.subtract.outer(range(len(keys)), range(len(keys)))) < 3
        measures["given"] = Share(Given(near))
    switch(on=False)
    dense, chance = (head_sums(c, measures, content=content, chance=even) for even in (False, True))
    received = analysis.attention_received(c, content=content)
    monkeypatch.setattr(sweeping, "CELLS", rows * layer.n_keys)
    switch(on=True)
    forbid()
    for expected, even in ((dense, False), (chance, True)):
        for measure, sums in head_sums(c, measures, content=content, chance=even).items():
            told = f"{measure}, {'chance' if even else 'weights'}"
            np.testing.assert_array_equal(sums.count, expected[measure].count, err_msg=told)
            error = 1e-3 if name == "huge scores" else 2e-5
            np.testing.assert_allclose(sums.total, expected[measure].total, rtol=error, atol=error, err_msg=told)
    np.testing.assert_allclose(analysis.attention_received(c, content=content), received, rtol=1e-4, atol=1e-5)


def test_what_a_window_hides_is_not_summed(only_fused, monkeypatch):
    switch, _ = only_fused
    switch(on=True)
    seen, span_scores = [], compute.span_scores

    def watched(*args):
        scores = span_scores(*args)
        seen.append(scores.shape)
        return scores

    monkeypatch.setattr(compute, "span_scores", watched)
    monkeypatch.setattr(sweeping, "CELLS", 20 * N)
    n = N
    layer = made(1, causal=True)["self"].stored[0]
    window = Mask.of(np.tri(n, dtype=bool) & ~np.tri(n, k=-9, dtype=bool))
    tokens = Tokens.of([f"t{i}" for i in range(n)])
    layers = {0: QueriesKeys(layer.queries, layer.keys, 0.25, window)}
    analysis.entropy(Capture({"self": Attention("self", layers, tokens, tokens)}))
    assert seen
    assert max(keys for _, keys in seen) <= 20 + 9


def test_statistics_take_memory_that_grows_with_the_text(only_fused, monkeypatch):
    switch, _ = only_fused
    switch(on=True)
    monkeypatch.setattr(sweeping, "CELLS", 1 << 15)
    monkeypatch.setattr(compute, "BLOCK_CELLS", 1 << 15)
    taken = []
    for n in (512, 2048):
        random = np.random.default_rng(0).normal(size=(2, 1, 2, n, 8)).astype(np.float32)
        c = from_queries_keys(*random, [f"t{i % 50}" for i in range(n)], causal=True)
        head_sums(c, statistics.measures_of(c, None))
        with largest() as found:
            head_sums(c, statistics.measures_of(c, None))
        taken.append(found.nbytes)
    assert taken[1] < 6 * taken[0]
    assert taken[1] < 2048 * 2048 / 2


def test_all_statistics_without_weights_in_one_pass(only_fused):
    """With more classes than a narrow head is wide."""
    switch, forbid = only_fused
    random = np.random.default_rng(0).normal(size=(2, 1, 2, N, 3)).astype(np.float32)
    c = from_queries_keys(*random, TOKENS, causal=True)
    light = {name: m for name, m in statistics.measures_of(c, None).items() if fused.needs_no_weights(m)}
    assert {"entropy", "sink_share", "special_share", "separator_share", "punctuation_share"} <= set(light)
    switch(on=False)
    dense = head_means(c, light)
    switch(on=True)
    forbid()
    for name, found in head_means(c, light).items():
        np.testing.assert_allclose(found, dense[name], rtol=1e-4, atol=1e-5, err_msg=name)


def test_arrays_that_cannot_be_written(only_fused):
    switch, forbid = only_fused
    random = np.random.default_rng(0).normal(size=(2, 1, 2, 30, 8)).astype(np.float32)
    random.flags.writeable = False
    c = from_queries_keys(*random, TOKENS[:30])
    switch(on=False)
    dense = analysis.entropy(c)
    switch(on=True)
    forbid()
    np.testing.assert_allclose(analysis.entropy(c), dense, rtol=1e-4)


def test_queries_that_ask_for_gradients(only_fused):
    switch, _ = only_fused
    switch(on=True)
    q, k = torch.randn(2, 1, 1, 20, 8, generator=torch.Generator().manual_seed(0))
    tokens = Tokens.of(TOKENS[:20])
    layer = QueriesKeys(q[0].requires_grad_(), k[0].requires_grad_(), 0.3, Mask.full(20, 20))
    c = Capture({"self": Attention("self", {0: layer}, tokens, tokens)})
    assert np.isfinite(analysis.entropy(c)).all()
    assert np.isfinite(analysis.attention_received(c)).all()


def test_a_mixed_model(only_fused):
    switch, _ = only_fused
    tokens = Tokens.of(TOKENS)
    layers = dict(made(1, causal=True)["self"].stored)
    window = Mask.of(np.tri(N, dtype=bool) & ~np.tri(N, k=-9, dtype=bool))
    layers[1] = QueriesKeys(layers[1].queries, layers[1].keys, 0.25, window)
    c = Capture({"self": Attention("self", layers, tokens, tokens)})
    switch(on=False)
    dense = analysis.entropy(c)
    switch(on=True)
    np.testing.assert_allclose(analysis.entropy(c), dense, rtol=1e-4)


def test_uniform_rows_and_one_hot_rows(only_fused):
    switch, forbid = only_fused
    switch(on=True)
    forbid()
    nothing = np.zeros((1, 64, 8), np.float32)
    uniform = from_queries_keys([nothing], [nothing], [f"t{i}" for i in range(64)])
    assert analysis.entropy(uniform)[0, 0] == pytest.approx(1, abs=1e-6)
    assert analysis.effective_keys(uniform, order=2)[0, 0] == pytest.approx(64, rel=1e-5)
    assert analysis.mean_distance(uniform)[0, 0] == pytest.approx((64**2 - 1) / (3 * 64), rel=1e-5)
    eye = np.eye(64, dtype=np.float32)[None] * 30
    itself = from_queries_keys([eye], [eye], [f"t{i}" for i in range(64)], scale=1.0)
    assert analysis.entropy(itself, normalize=False)[0, 0] == pytest.approx(0, abs=1e-6)
    assert analysis.self_share(itself)[0, 0] == pytest.approx(1)
    assert analysis.mean_distance(itself)[0, 0] == pytest.approx(0, abs=1e-4)


QUESTIONS = (
    *("fused", "distance", "received", "blocks", "pattern", "classes", "offset", "likeness", "shapes", "health"),
    "roles",
)
MEASURE = """
import json, os, resource, sys
import numpy as np, torch
from attnscope import analysis, from_queries_keys
from attnscope.analysis import fused
torch.set_num_threads(1)
questions = {
    "fused": analysis.entropy,
    "distance": analysis.mean_distance,
    "received": analysis.attention_received,
    "blocks": analysis.head_table,
    "pattern": lambda c: analysis.pattern_score(c, lambda rows, keys: np.arange(len(keys)) == rows[:, None] - 1),
    "classes": analysis.class_table,
    "offset": analysis.strongest_offset,
    "likeness": analysis.head_distance,
    "shapes": analysis.pattern_shapes,
    "health": analysis.health,
    "roles": analysis.head_roles,
}
def made(n):
    q, k = torch.tensor(np.random.default_rng(0).normal(size=(2, 1, 1, n, 32)), dtype=torch.float32)
    return from_queries_keys([*q], [*k], [f"t{i % 50}" for i in range(n)], causal=True)
small, peaks = made(64), {}
for fused.LONG in (1, 2048):
    for ask in questions.values():
        ask(small)
for n in (4096, 8192):
    c = made(n)
    for name, ask in questions.items():  # each in a process of its own, whose peak starts at what is held now
        child = os.fork()
        if not child:
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            ask(c)
            print(json.dumps([name, n, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before]), flush=True)
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
"""


@pytest.fixture(scope="module")
def peaks():
    """Peak memory of each question in MB, by question and number of tokens."""
    run = subprocess.run([sys.executable, "-c", MEASURE], check=True, capture_output=True, text=True)
    return {(name, n): kilobytes / 1e3 for name, n, kilobytes in map(json.loads, run.stdout.splitlines())}


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read as Linux gives it, in kB")
@pytest.mark.parametrize("name", QUESTIONS)
def test_memory_grows_with_the_length_not_its_square(peaks, name):
    less, more = peaks[name, 4096], peaks[name, 8192]
    whole = 8192**2 * 4 / 1e6
    assert more < whole, f"{more} MB; all weights of a head are {whole:.0f} MB"
    assert more < 2.6 * max(less, 8), f"{less} MB and {more} MB; n² would be four times as much"
