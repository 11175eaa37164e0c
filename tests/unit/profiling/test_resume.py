"""A profile that broke off goes on where it was: nothing is lost, nothing counted twice."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
import torch
from safetensors import safe_open

from attnscope import HeadProfile, profile
from attnscope.errors import FileError, InputError
from attnscope.profiling import ledger as room
from attnscope.profiling.ledger import Ledger
from attnscope.profiling.settings import Settings
from attnscope.profiling.shard import run_shard
from attnscope.profiling.sources import shards
from attnscope.profiling.subject import Subject
from tests.unit.profiling.corpus import pair, texts

SMALL = {"progress": False, "batch_size": 2, "statistics": ["entropy", "mean_distance"]}
SHARD = 16


@pytest.fixture(scope="module")
def model():
    return pair("gpt2")


@pytest.fixture(scope="module")
def unbroken(model):
    return profile(*model, texts()[:100], **SMALL)


@pytest.fixture(autouse=True)
def _write_after_every_shard(monkeypatch):
    monkeypatch.setattr(room, "_SHARE", 1e9)


class PowerError(Exception):
    """The power fails."""


def until(count, some):
    """Give the first texts, then fail."""
    yield from some[:count]
    raise PowerError


@pytest.mark.parametrize("broken", [1, SHARD, 3 * SHARD, 3 * SHARD + 5, 99])
def test_resumed_equals_unbroken(model, unbroken, tmp_path, broken):
    path = tmp_path / "run.profile"
    with pytest.raises(PowerError):
        profile(*model, until(broken, texts()[:100]), resume=path, **SMALL)
    whole_shards = broken // SHARD
    assert path.exists() == (whole_shards > 0)
    if whole_shards:
        assert HeadProfile.load(path).ranges == ((0, whole_shards * SHARD),)
    assert profile(*model, texts()[:100], resume=path, **SMALL) == unbroken


def test_what_is_counted_does_not_run_again(model, unbroken, tmp_path, monkeypatch):
    from attnscope.profiling.engines import local

    ran = []
    monkeypatch.setattr(local, "run_shard", lambda *given: ran.append(given[1].start) or run_shard(*given))
    path = tmp_path / "run.profile"
    with pytest.raises(PowerError):
        profile(*model, until(50, texts()), resume=path, **SMALL)
    assert profile(*model, texts()[:100], resume=path, **SMALL) == unbroken
    assert profile(*model, texts()[:100], resume=path, **SMALL) == unbroken
    assert ran == [0, 16, 32, 48, 64, 80, 96]


def test_a_killed_process(unbroken, tmp_path):
    """The process ends without any clearing up, in the middle of a shard."""
    path = tmp_path / "run.profile"
    script = f"""
import os, sys
from attnscope import profile
from attnscope.profiling import ledger, shard
from tests.unit.profiling.corpus import pair, texts
ledger._SHARE = 1e9
real, ran = shard.capture_batch, []
def dying(*given, **more):
    ran.append(1)
    if len(ran) == 20:
        os._exit(9)
    return real(*given, **more)
shard.capture_batch = dying
profile(*pair("gpt2"), texts()[:100], resume={str(path)!r}, **{SMALL!r})
"""
    ended = subprocess.run(
        [sys.executable, "-c", script], check=False, env=dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
    )
    assert ended.returncode == 9
    assert HeadProfile.load(path).ranges == ((0, 32),)
    assert profile(*pair("gpt2"), texts()[:100], resume=path, **SMALL) == unbroken


@pytest.mark.parametrize("when", ["half written", "written but not in place", "in place"])
def test_killed_while_the_file_is_written(unbroken, tmp_path, when):
    """What was in place before stays whole, or the new one is; nothing in between."""
    path = tmp_path / "run.profile"
    script = f"""
import os, signal
from pathlib import Path
from attnscope import profile
from attnscope.attention import storage
from attnscope.profiling import ledger
from tests.unit.profiling.corpus import pair, texts
ledger._SHARE, when, written = 1e9, {when!r}, []
real_write, real_replace = storage._write_arrays, Path.replace
def write(arrays, metadata, unfinished):
    real_write(arrays, metadata, unfinished)
    written.append(unfinished)
    if len(written) == 3 and when == "half written":
        os.truncate(unfinished, os.path.getsize(unfinished) // 2)
        os.kill(os.getpid(), signal.SIGKILL)
def replace(self, target):
    if len(written) == 3 and when == "written but not in place":
        os.kill(os.getpid(), signal.SIGKILL)
    real_replace(self, target)
    if len(written) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
storage._write_arrays, Path.replace = write, replace
profile(*pair("gpt2"), texts()[:100], resume={str(path)!r}, **{SMALL!r})
"""
    ended = subprocess.run(
        [sys.executable, "-c", script], check=False, env=dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
    )
    assert ended.returncode == -signal.SIGKILL
    assert HeadProfile.load(path).ranges == ((0, 48 if when == "in place" else 32),)
    assert profile(*pair("gpt2"), texts()[:100], resume=path, **SMALL) == unbroken


def test_interrupted_while_the_model_runs(model, unbroken, tmp_path):
    """Ctrl-C keeps what was counted, and leaves the model as it was."""
    path, ran = tmp_path / "run.profile", []
    network = model[0]
    before = {name: value.clone() for name, value in network.state_dict().items()}

    def interrupt(*_):
        ran.append(1)
        if len(ran) == 20:
            raise KeyboardInterrupt

    handle = network.h[0].register_forward_hook(interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            profile(*model, texts()[:100], resume=path, **SMALL)
    finally:
        handle.remove()
    assert HeadProfile.load(path).ranges == ((0, 32),)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert profile(*model, texts()[:100], resume=path, **SMALL) == unbroken


def results(model, settings, some):
    loaded = Subject(*model).load()
    return {shard.start: run_shard(loaded, shard, settings) for shard in shards(some, settings.shard_size, 0)}


@pytest.fixture(scope="module")
def parts(model):
    settings = Settings(batch_size=2, statistics=("entropy",), threads=1)
    return settings, results(model, settings, texts()[:100])


def test_shards_in_any_order_broken_anywhere(parts, tmp_path):
    settings, found = parts
    random = np.random.default_rng(3)
    whole = None
    for _ in range(20):
        path = tmp_path / f"{random.integers(1 << 40)}.profile"
        runs = 0
        while True:  # each time some of the missing shards come back, in any order, some of them twice
            ledger = Ledger(settings, path)
            missing = list(ledger.missing(shards(texts()[:100], settings.shard_size, 0)))
            if not missing:
                break
            for shard in random.permutation(np.array(missing, object))[: random.integers(1, 4)]:
                ledger.take(found[shard.start])
                if random.random() < 0.3:
                    ledger.take(found[shard.start])
            runs += 1
        assert runs > 1
        whole = whole or ledger.profile
        assert ledger.profile == whole
        assert ledger.counted == 100


def test_the_file_does_not_grow(parts, tmp_path):
    settings, found = parts
    path, sizes = tmp_path / "run.profile", []
    ledger = Ledger(settings, path)
    for shard in ledger.missing(shards(texts()[:100], settings.shard_size, 0)):
        ledger.take(found[shard.start])
        sizes.append(path.stat().st_size)
    assert max(sizes) - min(sizes) < 100


def test_other_texts_are_refused(model, tmp_path):
    path = tmp_path / "run.profile"
    some = texts()[:64]
    with pytest.raises(PowerError):
        profile(*model, until(48, some), resume=path, **SMALL)
    for changed in ([*some[:20], "the dog", *some[21:]], some[1:], some[:40], some[:16]):
        with pytest.raises(InputError, match=r"The texts are not those that run\.profile was begun with"):
            profile(*model, changed, resume=path, **SMALL)
    assert profile(*model, [*some[:50], "the dog"], resume=path, **SMALL).n_texts == 51  # not counted before


def test_texts_added_within_a_finished_shard_are_refused(model, tmp_path):
    path = tmp_path / "run.profile"
    profile(*model, texts()[:20], resume=path, **SMALL)
    with pytest.raises(InputError, match=r"added to.*first="):
        profile(*model, texts()[:24], resume=path, **SMALL)


def test_a_shard_out_of_order_that_changed_is_refused(parts, tmp_path):
    settings, found = parts
    path = tmp_path / "run.profile"
    ledger = Ledger(settings, path)
    for shard in list(ledger.missing(shards(texts()[:100], settings.shard_size, 0)))[2:]:
        ledger.take(found[shard.start])
    changed = [*texts()[:40], "the dog", *texts()[41:100]]
    with pytest.raises(InputError, match="The texts are not those"):
        list(Ledger(settings, path).missing(shards(changed, settings.shard_size, 0)))
    left = Ledger(settings, path).missing(shards(texts()[:100], settings.shard_size, 0))
    assert [shard.start for shard in left] == [0, 16]


def test_other_settings_are_refused(model, tmp_path):
    path = tmp_path / "run.profile"
    profile(*model, texts()[:20], resume=path, **SMALL)
    with pytest.raises(
        InputError, match=r"begun with other settings: batch_size \(2 and 4\), content \(False and True\)"
    ):
        profile(*model, texts()[:20], resume=path, **{**SMALL, "batch_size": 4}, content=True)


def test_another_model_is_refused(model, tmp_path):
    path = tmp_path / "run.profile"
    with pytest.raises(PowerError):
        profile(*model, until(50, texts()), resume=path, **SMALL)
    with pytest.raises(InputError, match="different models or tokenizers"):
        profile(*pair("bert"), texts()[:100], resume=path, **SMALL)


def test_a_file_of_another_kind(model, unbroken, tmp_path):
    path = tmp_path / "run.profile"
    unbroken.save(path)
    with pytest.raises(FileError, match="finished profile that was saved"):
        profile(*model, texts()[:20], resume=path, **SMALL)
    path.write_bytes(b"not a profile")
    with pytest.raises(FileError, match="damaged, cut short or no profile"):
        profile(*model, texts()[:20], resume=path, **SMALL)
    with pytest.raises(FileNotFoundError, match="no folder"):
        profile(*model, texts()[:20], resume=tmp_path / "nowhere" / "run.profile", **SMALL)


def test_nothing_unfinished_is_left_beside_it(model, tmp_path):
    profile(*model, texts()[:40], resume=tmp_path / "run.profile", **SMALL)
    assert [entry.name for entry in tmp_path.iterdir()] == ["run.profile"]


class TestSaved:
    def test_every_bit_comes_back(self, unbroken, tmp_path):
        unbroken.save(tmp_path / "it.profile")
        assert HeadProfile.load(tmp_path / "it.profile") == unbroken

    def test_skipped_texts_come_back(self, model, tmp_path):
        made = profile(*model, ["", *texts()[:5]], errors="skip", **SMALL)
        made.save(tmp_path / "it.profile")
        assert HeadProfile.load(tmp_path / "it.profile").skipped == made.skipped == ((0, "it is empty"),)

    def test_a_newer_version_and_damage(self, unbroken, tmp_path):
        from safetensors.numpy import save_file

        path = tmp_path / "it.profile"
        unbroken.save(path)
        with safe_open(path, framework="np") as file:
            header = json.loads(file.metadata()["attnscope_profile"])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping

        def load(changes, **more):
            save_file(
                {**arrays, **more},
                path,
                {"attnscope_profile": json.dumps({**header, **changes})} if changes != "none" else {},
            )
            return HeadProfile.load(path)

        assert load({}) == unbroken
        for changes, message in (
            ({"version": 99}, "format version 99"),
            ({"layers": [0]}, "damaged|do not fit"),
            ({"settings": {}}, "settings"),
            ({"n_texts": "many"}, "whole numbers"),
            ({"ranges": 5}, "damaged"),
            ("none", "not a profile"),
        ):
            with pytest.raises(FileError, match=message):
                load(changes)
        for name, wrong in (
            ("heads.rows", arrays["heads.rows"].astype(np.float64)),
            ("heads.total.part", arrays["heads.total.part"] - (1 << 40)),
            ("strongest.texts", arrays["strongest.texts"][:, :1]),
        ):
            with pytest.raises(FileError, match=r"expected int64|no parts of one"):
                load({}, **{name: np.ascontiguousarray(wrong)})
        path.write_bytes(path.read_bytes()[:-9])
        with pytest.raises(FileError, match="cut short"):
            HeadProfile.load(path)
        with pytest.raises(FileNotFoundError, match="no file"):
            HeadProfile.load(tmp_path / "nothing")

    def test_a_capture_is_no_profile(self, model, tmp_path):
        from attnscope import capture

        capture(*model, "the dog").save(tmp_path / "c")
        with pytest.raises(FileError, match="not a profile"):
            HeadProfile.load(tmp_path / "c")
