"""A recording written to a file while the model runs: the same capture, whole or not at all."""

import gc
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from attnscope import AttnscopeError, analysis, capture, load, record
from attnscope.attention import appending
from attnscope.attention.appending import UNFINISHED, AppendedFile
from attnscope.errors import FileError, InputError, InputTypeError, TooLargeError, WriteError
from attnscope.recording import room
from tests.models import words, zoo
from tests.models.test_encoder_decoder import TARGETS, TEXTS, loaded
from tests.models.test_untouched import left_as_it_was

NAMES = ("bert", "gpt2", "llama", "modernbert", "t5 encoder", "gemma2", "gpt_oss", "deepseek_v3")
TEXT = words.SENTENCES[0]
IDS = torch.arange(5, 45)[None]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "c.safetensors"


def left_in(folder):
    return sorted(one.name for one in folder.iterdir())


def assert_same(one, other):
    assert one.kinds == other.kinds
    for kind in one.kinds:
        mine, its = one[kind], other[kind]
        assert (mine.layers, mine.how, mine.check, mine.error) == (its.layers, its.how, its.check, its.error)
        assert mine.queries.text == its.queries.text
        for number in mine.layers:
            np.testing.assert_array_equal(one.weights(number, kind=kind), other.weights(number, kind=kind))


@pytest.mark.parametrize("dtype", [None, "bfloat16"])
@pytest.mark.parametrize("name", NAMES)
def test_the_file_holds_what_memory_would(name, dtype, path):
    known = zoo.family(name)
    model, tokenizer = zoo.build(known), zoo.tokenizer_of(known)
    expected = capture(model, tokenizer, TEXT, dtype=dtype)
    with left_as_it_was(model, IDS):
        written = capture(model, tokenizer, TEXT, dtype=dtype, path=path)
    assert_same(expected, written)
    assert_same(expected, load(path))
    assert left_in(path.parent) == [path.name]
    assert written.nbytes == expected.nbytes


@pytest.mark.parametrize("name", ["t5", "bart"])
def test_an_encoder_decoder_goes_into_one_file(name, path):
    model, _, tokenizer = loaded(name)
    expected = capture(model, tokenizer, TEXTS[0], target=TARGETS[0])
    assert_same(expected, capture(model, tokenizer, TEXTS[0], target=TARGETS[0], path=path))
    assert_same(expected, load(path))


@pytest.mark.parametrize("name", ["gpt2", "llama"])
def test_generation_is_one_pass_over_the_finished_text(name, path):
    model, _ = zoo.small(name)
    made = []
    for options in ({}, {"path": path}):
        with record(model, **options) as recording:
            model.generate(input_ids=IDS, max_new_tokens=5, do_sample=False)
        made.append(recording.capture())
    assert_same(*made)
    assert_same(made[0], load(path))
    assert len(made[1].tokens) == IDS.shape[1] + 5


def test_values_and_what_turns_them_into_contributions_are_in_it(path):
    model, tokenizer = zoo.small("gpt2")
    expected = capture(model, tokenizer, TEXT, values=True)
    capture(model, tokenizer, TEXT, values=True, path=path)
    again = load(path)
    for number in expected["self"].layers:
        for measure in (analysis.norm_weighted, analysis.value_weighted):
            np.testing.assert_array_equal(measure(expected, number), measure(again, number))
    np.testing.assert_array_equal(analysis.alti(expected), analysis.alti(again))
    parts = [analysis.logit_attribution(c, -1, int(c["self"].stream.readout.ids[0])) for c in (expected, again)]
    assert parts[0].logit == parts[1].logit


class Own(torch.nn.Module):
    """Two kinds of PyTorch's own attention, one of which shows its weights alone."""

    def __init__(self):
        super().__init__()
        self.fused = torch.nn.MultiheadAttention(16, 2, batch_first=True)
        self.plain = torch.nn.Linear(16, 16)

    def forward(self, x):
        x = x + self.fused(x, x, x, need_weights=False)[0]
        scores = self.plain(x) @ x.transpose(1, 2)
        return x + scores.softmax(-1) @ x


def test_any_module_and_weights_alone(path):
    torch.manual_seed(0)
    model, x = Own().eval(), torch.randn(1, 9, 16)
    made = []
    for options in ({}, {"path": path}):
        with torch.no_grad(), record(model, **options) as recording:
            model(x)
        made.append(recording.capture())
    assert "softmax" in {how for kind in made[0].kinds for how in made[0][kind].how.values()}
    assert_same(*made)
    assert_same(made[0], load(path))


def test_it_is_an_ordinary_safetensors_file(path):
    model, tokenizer = zoo.small("llama")
    written = capture(model, tokenizer, TEXT, path=path)
    arrays = load_file(path)
    for number in written["self"].layers:
        np.testing.assert_array_equal(arrays[f"self.{number}.queries"], written["self"].layer(number).queries.numpy())


def test_what_is_looked_at_later_is_still_there_and_can_be_saved_elsewhere(path):
    model, tokenizer = zoo.small("llama")
    written = capture(model, tokenizer, TEXT, path=path)
    weights = written.weights(1)
    path.unlink()
    np.testing.assert_array_equal(written.weights(1), weights)
    written.save(path)
    np.testing.assert_array_equal(load(path).weights(1), weights)


def test_changing_what_was_read_does_not_change_the_file(path):
    model, tokenizer = zoo.small("llama")
    written = capture(model, tokenizer, TEXT, path=path)
    before = path.read_bytes()
    written["self"].layer(0).queries.zero_()
    assert path.read_bytes() == before


def test_more_arrays_than_there_is_room_for_in_the_header(path, monkeypatch):
    monkeypatch.setattr(appending, "HEADER_BYTES", 120)
    model, tokenizer = zoo.small("llama")
    expected = capture(model, tokenizer, TEXT)
    assert_same(expected, capture(model, tokenizer, TEXT, path=path))
    assert_same(expected, load(path))
    assert left_in(path.parent) == [path.name]


def test_odd_sizes_stand_where_their_dtype_may(path):
    file = AppendedFile(path)
    odd, empty = torch.arange(3, dtype=torch.uint8), torch.zeros(2, 0, 4)
    kept = file.append([odd, empty, torch.ones(5, dtype=torch.bfloat16)])
    file["odd"], file["again"], file["empty"] = kept[0], odd, kept[1]
    file["float"] = np.arange(3, dtype=np.float64)
    file.finish("{}")
    arrays = load_file(path)
    assert arrays["odd"].tolist() == arrays["again"].tolist() == [0, 1, 2]
    assert arrays["empty"].shape == (2, 0, 4)
    assert arrays["float"].tolist() == [0, 1, 2]
    assert "spare.0" in arrays


def record_one(path, **options):
    model, _ = zoo.small("llama")
    with record(model, path=path, **options) as recording, torch.no_grad():
        model(input_ids=IDS)
    return recording


def stop_half_way(model, path):
    with record(model, path=path), torch.no_grad():
        model(input_ids=IDS)
        assert left_in(path.parent)[0].endswith(UNFINISHED)
        _ = 1 / 0


def test_an_error_in_the_block_leaves_nothing(path):
    model, _ = zoo.small("llama")
    with left_as_it_was(model, IDS):
        with pytest.raises(ZeroDivisionError):
            stop_half_way(model, path)
        assert left_in(path.parent) == []


def test_without_capture_nothing_is_left(path):
    recording = record_one(path)
    assert not path.exists()
    assert left_in(path.parent)[0].endswith(UNFINISHED)
    del recording
    gc.collect()
    assert left_in(path.parent) == []


def test_a_second_capture_of_one_recording_reads_the_same_file(path):
    recording = record_one(path)
    assert_same(recording.capture(), recording.capture())
    assert left_in(path.parent) == [path.name]


STOPPED = """
import os, sys, torch
from attnscope import record
from tests.models import zoo
model, _ = zoo.small("llama")
model.model.layers[1].register_forward_hook(lambda *_: os._exit(9))
with record(model, path=sys.argv[1]), torch.no_grad():
    model(input_ids=torch.arange(5, 45)[None])
"""


def test_a_process_that_is_stopped_on_the_way_leaves_no_capture(path):
    paths = os.pathsep.join([str(Path.cwd()), *sys.path])
    ended = subprocess.run([sys.executable, "-c", STOPPED, path], env=os.environ | {"PYTHONPATH": paths}, check=False)
    assert ended.returncode == 9
    (left,) = path.parent.iterdir()
    assert left.name.startswith(path.name)
    with pytest.raises(FileNotFoundError, match=rf"stopped on the way and left '.*{UNFINISHED}'"):
        load(path)
    with pytest.raises(FileError, match="was not finished"):
        load(left)
    renamed = left.rename(path)
    with pytest.raises(FileError, match="damaged or cut short"):
        load(renamed)


def test_a_full_disk_is_said_and_leaves_nothing(path):
    """A limit on the size of files stands for the full disk: both stop a write half-way."""
    model, tokenizer = zoo.small("llama")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with left_as_it_was(model, IDS):
        resource.setrlimit(resource.RLIMIT_FSIZE, (appending.HEADER_BYTES + 9_000, hard))
        try:
            with pytest.raises(WriteError, match=r"stopped after 0 MB: File too large.*Free some space") as refused:
                capture(model, tokenizer, TEXT, path=path)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert isinstance(refused.value, AttnscopeError)
    assert left_in(path.parent) == []


def test_a_disk_without_room_is_said_before_the_model_runs(path, monkeypatch):
    monkeypatch.setattr(room, "ASKED_BYTES", 1)
    monkeypatch.setattr(room.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 5_000}))
    with pytest.raises(TooLargeError, match=r"0\.0 GB are free on the disk of .*Capture some of the layers: .*float16"):
        record_one(path)
    assert left_in(path.parent) == []


def test_what_is_there_is_not_overwritten(path):
    path.write_text("mine")
    model, _ = zoo.small("llama")
    with left_as_it_was(model, IDS), pytest.raises(WriteError, match="already something at"):
        record(model, path=path)
    assert path.read_text() == "mine"
    path.unlink()
    recording = record_one(path)
    path.write_text("mine, made meanwhile")
    with pytest.raises(WriteError, match="already something at"):
        recording.capture()
    assert path.read_text() == "mine, made meanwhile"


@pytest.mark.parametrize("where", ["missing/c", "file/c"])
def test_where_nothing_can_be_written_is_said_at_once(where, tmp_path):
    (tmp_path / "file").write_text("")
    model, _ = zoo.small("llama")
    with pytest.raises(WriteError, match="Nothing can be written to"):
        record(model, path=tmp_path / where)


def test_several_inputs_padding_steps_and_another_device_are_refused(path):
    model, tokenizer = zoo.small("llama")
    for options, match in (
        ({"live": True}, "live=True joins"),
        ({"device": "model"}, "Give one of both"),
    ):
        with pytest.raises(InputError, match=match):
            record(model, path=path, **options)
    with pytest.raises(InputTypeError, match="path names the file"):
        record(model, path=5)
    with pytest.raises(InputError, match="a list of them was given"):
        capture(model, tokenizer, [TEXT], path=path)
    with pytest.raises(InputError, match="there are 2"):
        capture(model, tokenizer, {"input_ids": IDS.repeat(2, 1)}, path=path)
    padded = {"input_ids": IDS, "attention_mask": (torch.arange(IDS.shape[1]) > 2).long()[None]}
    with left_as_it_was(model, IDS), pytest.raises(InputError, match="3 of the input's tokens are padding"):
        capture(model, tokenizer, padded, path=path)
    with pytest.raises(InputError, match="there are 3"), record(model, path=path):
        model.generate(input_ids=IDS, max_new_tokens=2, do_sample=True, num_return_sequences=3)
    assert left_in(path.parent) == []
