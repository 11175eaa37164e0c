from __future__ import annotations

import json
import random
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import SafetensorError
from safetensors.numpy import save_file

from attnscope import Capture, Tokens, from_attentions, load
from attnscope.attention import storage
from attnscope.attention.arrays import to_float32
from attnscope.attention.capture import Attention
from attnscope.attention.layers import QueriesKeys, StoredWeights
from attnscope.attention.mask import Mask
from attnscope.errors import FileError
from tests.unit.attention import dense

N, M = 9, 5


def tokens(n, *, rich=False):
    text = tuple(["[CLS]", " caf\u00e9", "\U0001f600", "\n", '"quoted"', "\udce9"[:0] + "\u65e5", "a", "b", "c"][:n])
    special = np.arange(n) == 0
    words = np.where(special, -1, np.arange(n)).astype(np.int32)
    if not rich:
        return Tokens(text, special, words)
    offsets = np.stack([np.arange(n), np.arange(n) + 1], axis=1).astype(np.int32)
    segments = (np.arange(n) > 4).astype(np.int32)
    return Tokens(text, special, words, segments, np.arange(n) + 2**40, offsets)


def names_in(folder):
    return [path.name for path in folder.iterdir()]


def capture_of(layers, queries=None, keys=None, kind="self", **more):
    queries = queries or tokens(N)
    return Capture({kind: Attention(kind, layers, queries, keys or queries, **more)}, "a/model \u00e9")


def everything(move=torch.from_numpy):
    """Two kinds; numbered layers with different heads, bits, sinks, bias, values, a soft cap; weights alone."""
    cases = dense.cases()
    window = Mask.of(dense.window(N, 4))
    grouped = cases["everything"]
    stored = {
        0: cases["holes"].layer(move),
        2: QueriesKeys(
            move(grouped.queries), move(grouped.keys), 1.5, window, softcap=2.0, bias=move(grouped.options["bias"]),
            sinks=move(grouped.options["sinks"]), values=move(np.ones((2, N, 3), np.float32)),
        ),
        7: QueriesKeys(move(grouped.queries), move(grouped.keys), 0.25, window),
    }  # fmt: skip
    queries = tokens(N, rich=True)
    weights = np.full((2, N, M), 1 / M, np.float32)
    cross = {3: StoredWeights(move(weights), Mask.full(N, M))}
    return Capture(
        {
            "self": Attention(
                "self", stored, queries, queries, {0: "interface", 2: "sdpa"}, {0: 1e-7, 2: float("nan")}
            ),
            "cross": Attention("cross", cross, queries, tokens(M)),
        },
        "a/model \u00e9",
    )


def assert_same_tokens(one, other):
    assert one.text == other.text
    for name in ("special", "words", "segments", "ids", "offsets"):
        mine, its = getattr(one, name), getattr(other, name)
        assert (mine is None) == (its is None), name
        if mine is not None:
            np.testing.assert_array_equal(mine, its)
            assert mine.dtype == its.dtype, name


def assert_same(one, other):
    assert one.kinds == other.kinds
    assert one.model_name == other.model_name
    for kind in one.kinds:
        mine, its = one[kind], other[kind]
        assert mine.layers == its.layers
        assert dict(mine.how) == dict(its.how)
        assert mine.check.keys() == its.check.keys()
        np.testing.assert_array_equal(list(mine.check.values()), list(its.check.values()))
        assert_same_tokens(mine.queries, its.queries)
        assert_same_tokens(mine.keys, its.keys)
        assert (mine.keys is mine.queries) == (its.keys is its.queries)
        for number in mine.layers:
            layer, again = mine.layer(number), its.layer(number)
            assert type(layer) is type(again)
            assert (layer.dtype, layer.nbytes, layer.n_heads) == (again.dtype, again.nbytes, again.n_heads)
            assert (layer.mask.bits is None) == (again.mask.bits is None)
            np.testing.assert_array_equal(layer.mask.allowed(slice(None)), again.mask.allowed(slice(None)))
            np.testing.assert_allclose(mine.weights(number), its.weights(number), atol=1e-5)
            if isinstance(layer, QueriesKeys):
                assert (layer.scale, layer.softcap) == (again.scale, again.softcap)
                for name in ("queries", "keys", "bias", "sinks", "values"):
                    array, read = getattr(layer, name), getattr(again, name)
                    assert (array is None) == (read is None), name
                    if array is not None:
                        np.testing.assert_array_equal(to_float32(array), to_float32(read))


class TestRoundTrip:
    @pytest.mark.parametrize("move", [np.asarray, torch.from_numpy], ids=["numpy", "torch"])
    def test_everything_comes_back(self, tmp_path, move):
        before = everything(move)
        before.save(tmp_path / "all.attn")
        assert_same(before, load(tmp_path / "all.attn"))
        assert_same(before, load(str(tmp_path / "all.attn")))

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.float64], ids=str)
    def test_precisions(self, tmp_path, dtype):
        layer = dense.cases()["grouped heads"].layer(lambda array: torch.from_numpy(array).to(dtype))
        before = capture_of({0: layer})
        before.save(tmp_path / "c")
        after = load(tmp_path / "c")
        assert after["self"].layer(0).dtype == str(dtype).removeprefix("torch.")
        assert_same(before, after)

    def test_layers_that_share_a_mask_share_it_again(self, tmp_path):
        mask = Mask.of(dense.cases()["holes"].allowed)
        layers = {
            i: QueriesKeys(np.ones((1, N, 2), np.float32), np.ones((1, N, 2), np.float32), 1.0, mask) for i in range(3)
        }
        capture_of(layers).save(tmp_path / "c")
        again = load(tmp_path / "c")["self"]
        assert again.layer(0).mask is again.layer(1).mask is again.layer(2).mask

    def test_views_and_views_of_views(self, tmp_path):
        whole = torch.from_numpy(np.random.default_rng(3).normal(size=(3, N, 24)).astype(np.float32))
        layer = QueriesKeys(whole[:, :, :8], whole[:, :, 8:16], 1.0, Mask.causal(N, N), values=whole[:, :, 16:])
        assert_same(before := capture_of({0: layer}), self.through(tmp_path, before))
        turned = QueriesKeys(whole.numpy()[:, ::-1, ::3], whole.numpy()[:, ::-1, ::3], 1.0, Mask.full(N, N))
        assert_same(before := capture_of({0: turned}), self.through(tmp_path, before))

    @staticmethod
    def through(tmp_path, capture):
        capture.save(tmp_path / "view")
        return load(tmp_path / "view")

    def test_tokens_with_every_character(self, tmp_path):
        text = ("\x00", "\ud83d", '{"a": 1}', "</script>", "\u2028", "\u200f\u05d0", "", "<|endoftext|>", "é" * 500)
        queries = Tokens(text, np.zeros(N, bool), np.arange(N, dtype=np.int32))
        capture_of({0: dense.cases()["full"].layer()}, queries).save(tmp_path / "c")
        assert load(tmp_path / "c").tokens == list(text)

    def test_a_second_save_replaces_the_first(self, tmp_path):
        everything().save(tmp_path / "c")
        other = capture_of({1: dense.cases()["full"].layer()})
        other.save(tmp_path / "c")
        assert_same(other, load(tmp_path / "c"))
        assert names_in(tmp_path) == ["c"]

    def test_a_loaded_capture_can_be_saved_over_itself(self, tmp_path):
        before = everything()
        before.save(tmp_path / "c")
        again = load(tmp_path / "c")
        again.save(tmp_path / "c")
        assert_same(before, again)
        assert_same(before, load(tmp_path / "c"))

    def test_the_file_holds_nothing_but_arrays_and_json(self, tmp_path):
        everything().save(tmp_path / "c")
        raw = (tmp_path / "c").read_bytes()
        (length,) = struct.unpack("<Q", raw[:8])
        header = json.loads(raw[8 : 8 + length])
        described = json.loads(header["__metadata__"]["attnscope"])
        assert described["version"] == storage.VERSION
        assert [kind["kind"] for kind in described["kinds"]] == ["self", "cross"]
        assert set(header["__metadata__"]) == {"attnscope"}


class TestAtomic:
    @pytest.mark.parametrize("library", ["numpy", "torch"])
    def test_a_failed_save_leaves_the_old_file(self, tmp_path, monkeypatch, library):
        old = everything()
        old.save(tmp_path / "c")

        def fail(arrays, path, metadata):
            Path(path).write_bytes(b"a first part")
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(f"safetensors.{library}.save_file", fail)
        move = np.asarray if library == "numpy" else torch.from_numpy
        with pytest.raises(OSError, match="No space left"):
            capture_of({1: dense.cases()["full"].layer(move)}).save(tmp_path / "c")
        assert names_in(tmp_path) == ["c"]
        assert_same(old, load(tmp_path / "c"))

    def test_a_loaded_capture_outlives_its_file(self, tmp_path):
        before = everything()
        before.save(tmp_path / "c")
        again = load(tmp_path / "c")
        capture_of({1: dense.cases()["scale"].layer()}).save(tmp_path / "c")
        assert_same(before, again)
        (tmp_path / "c").unlink()
        assert_same(before, again)

    @pytest.mark.parametrize("library", ["numpy", "torch"])
    def test_a_disk_error_is_an_os_error(self, tmp_path, monkeypatch, library):
        def fail(*args, **kwargs):
            raise SafetensorError("I/O error: No space left on device (os error 28)")

        monkeypatch.setattr(f"safetensors.{library}.save_file", fail)
        move = np.asarray if library == "numpy" else torch.from_numpy
        with pytest.raises(OSError, match=r"could not be written to .*No space left on device"):
            everything(move).save(tmp_path / "c")
        assert names_in(tmp_path) == []

    def test_a_folder_that_is_not_there(self, tmp_path):
        with pytest.raises(FileNotFoundError):
            everything().save(tmp_path / "none" / "c")
        assert names_in(tmp_path) == []

    def test_the_saved_file_may_be_read_by_whoever_may_read_new_files(self, tmp_path):
        (tmp_path / "other").write_text("x")
        everything().save(tmp_path / "c")
        assert (tmp_path / "c").stat().st_mode == (tmp_path / "other").stat().st_mode


class TestDamage:
    @pytest.fixture
    def raw(self, tmp_path):
        everything().save(tmp_path / "whole")
        return (tmp_path / "whole").read_bytes()

    def test_cut_short_anywhere(self, raw, tmp_path):
        cuts = sorted({*range(0, len(raw), len(raw) // 200), 1, 7, 8, 9, len(raw) - 1})
        assert len(cuts) > 200
        path = tmp_path / "cut"
        for cut in cuts:
            path.write_bytes(raw[:cut])
            with pytest.raises(FileError, match="cut is damaged"):
                load(path)

    def test_something_after_the_end(self, raw, tmp_path):
        (tmp_path / "long").write_bytes(raw + b"x")
        with pytest.raises(FileError, match="damaged"):
            load(tmp_path / "long")

    @pytest.mark.parametrize("part", ["header", "arrays"])
    def test_flipped_bytes(self, raw, tmp_path, part):
        (length,) = struct.unpack("<Q", raw[:8])
        where = range(8 + length) if part == "header" else range(8 + length, len(raw))
        draw = random.Random(5)
        whole, path, refused = everything(), tmp_path / "flipped", 0
        for _ in range(400 if part == "header" else 100):
            damaged = bytearray(raw)
            for _ in range(draw.choice([1, 1, 1, 3])):
                damaged[draw.choice(where)] = draw.randrange(256)
            path.write_bytes(damaged)
            try:
                found = load(path)
            except FileError:
                refused += 1
                continue
            self.use(found, whole)
        assert refused > 200 or part == "arrays"

    @staticmethod
    def use(found, whole):
        """What was accepted has the shapes of the original and can be read."""
        for kind in found.kinds:
            for number in found[kind].layers:
                with np.errstate(all="ignore"):
                    shape = found.weights(number, kind=kind).shape
                    found.overview(number, 0, 3, kind=kind)
                if kind in whole.kinds and number in whole[kind].layers:
                    assert shape == whole.weights(number, kind=kind).shape

    @pytest.mark.parametrize(
        ("path", "value"),
        [
            (["kinds"], []), (["kinds"], None), (["kinds"], {}), (["kinds", 0], 3), (["kinds", 0, "queries"], None),
            (["kinds", 0, "layers"], []), (["kinds", 0, "layers", 0, "layer"], 9),
            (["kinds", 0, "layers", 0, "layer"], 1e999), (["kinds", 0, "layers", 0, "layer"], "x"),
            (["kinds", 0, "layers", 0, "mask"], 99), (["kinds", 0, "layers", 0, "form"], "pickle"),
            (["kinds", 0, "layers", 0, "scale"], None), (["kinds", 0, "layers", 0, "scale"], "x"),
            (["kinds", 0, "layers", 0, "scale"], float("nan")), (["kinds", 0, "layers", 1, "softcap"], 0),
            (["kinds", 0, "layers", 1, "softcap"], float("inf")),
            (["kinds", 0, "queries", "text"], ["a"]), (["kinds", 0, "queries", "text"], "abcdefghi"),
            (["kinds", 0, "queries", "text", 0], 5), (["kinds", 0, "queries", "words"], [2**40] * N),
            (["kinds", 0, "queries", "words"], [[1]] * N), (["kinds", 0, "queries", "words"], None),
            (["kinds", 0, "queries", "special"], None), (["kinds", 0, "queries", "special"], ["x"] * N),
            (["kinds", 0, "queries", "ids"], [2**70] * N), (["kinds", 0, "queries", "offsets"], [1] * N),
            (["kinds", 0, "queries", "offsets"], [[1, 2]] * (N - 1) + [[1]]), (["kinds", 0, "kind"], None),
            (["kinds", 0, "kind"], "other"), (["kinds", 1, "keys", "text"], []), (["model"], None), (["model"], 3),
            ([], []), ([], 3), ([], "x"), ([], {}),
        ],
    )  # fmt: skip
    def test_a_header_that_does_not_fit(self, tmp_path, path, value):
        damaged = self.with_header(tmp_path, path, value)
        with pytest.raises(FileError):
            load(damaged)

    @staticmethod
    def with_header(tmp_path, path, value):
        """Write a capture whose header has one entry replaced."""
        from safetensors.numpy import load_file

        everything(np.asarray).save(tmp_path / "whole")
        raw = (tmp_path / "whole").read_bytes()
        (length,) = struct.unpack("<Q", raw[:8])
        header = json.loads(json.loads(raw[8 : 8 + length])["__metadata__"]["attnscope"])
        if path:
            inner = header
            for step in path[:-1]:
                inner = inner[step]
            inner[path[-1]] = value
        else:
            header = value
        save_file(load_file(tmp_path / "whole"), tmp_path / "damaged", {"attnscope": json.dumps(header)})
        return tmp_path / "damaged"

    @pytest.mark.parametrize(
        ("name", "array"),
        [
            ("mask.0.start", np.zeros(N, np.float32)), ("mask.0.start", np.zeros((N, 1), np.int32)),
            ("mask.0.stop", np.full(N, 99, np.int32)), ("mask.0.start", np.full(N, -1, np.int32)),
            ("mask.0.bits", np.zeros((N, 2), np.int8)), ("mask.0.bits", np.zeros((N, 3), np.uint8)),
            ("self.0.queries", np.zeros((4, N, 6), np.int32)), ("self.0.queries", np.zeros((4, 6), np.float32)),
            ("self.0.keys", np.zeros((3, N, 6), np.float32)), ("self.0.keys", np.zeros((0, N, 6), np.float32)),
            ("self.2.bias", np.zeros((6, N), np.float32)), ("self.2.bias", np.zeros((5, N, N), np.float32)),
            ("self.2.bias", np.zeros((6, N, N + 1), np.float32)), ("self.2.sinks", np.zeros(5, np.float32)),
            ("self.2.sinks", np.zeros((6, 1), np.float32)), ("self.2.values", np.zeros((2, N + 1, 3), np.float32)),
            ("self.2.values", np.zeros((2, N), np.float32)), ("cross.3.weights", np.zeros((N, M), np.float32)),
            ("cross.3.weights", np.zeros((0, N, M), np.float32)), ("self.0.queries", np.zeros((0, N, 6), np.float32)),
        ],
    )  # fmt: skip
    def test_arrays_that_do_not_fit(self, tmp_path, name, array):
        from safetensors import safe_open
        from safetensors.numpy import load_file

        everything(np.asarray).save(tmp_path / "whole")
        arrays = load_file(tmp_path / "whole")
        assert name in arrays
        with safe_open(tmp_path / "whole", "np") as file:
            metadata = file.metadata()
        save_file(arrays | {name: array}, tmp_path / "damaged", metadata)
        with pytest.raises(FileError, match="damaged is damaged"):
            load(tmp_path / "damaged")


class TestOtherFiles:
    def test_no_file(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"There is no file .*capture.save"):
            load(tmp_path / "none")

    def test_a_folder(self, tmp_path):
        with pytest.raises((FileNotFoundError, IsADirectoryError)):
            load(tmp_path)

    @pytest.mark.parametrize("content", [b"", b"hello", b"\x00" * 100, b"PK\x03\x04" + b"z" * 99, b'{"a": 1}'])
    def test_another_kind_of_file(self, tmp_path, content):
        (tmp_path / "thing.zip").write_bytes(content)
        with pytest.raises(FileError, match=r"thing\.zip is"):
            load(tmp_path / "thing.zip")

    @pytest.mark.parametrize("metadata", [None, {}, {"format": "pt"}, {"attnscope": "null"}])
    def test_safetensors_of_something_else(self, tmp_path, metadata):
        save_file({"weight": np.zeros(3, np.float32)}, tmp_path / "model.safetensors", metadata)
        with pytest.raises(
            FileError, match=r"model\.safetensors is a safetensors file, but not a capture of attnscope"
        ):
            load(tmp_path / "model.safetensors")

    @pytest.mark.parametrize("version", [storage.VERSION + 1, 99, "2", None])
    def test_a_newer_version(self, tmp_path, version):
        text = json.dumps({"version": version, "other": []})
        save_file({"weight": np.zeros(3, np.float32)}, tmp_path / "new", {"attnscope": text})
        with pytest.raises(FileError, match=rf"format version {version!r}.*reads version {storage.VERSION}.*Upgrade"):
            load(tmp_path / "new")


def test_given_weights_come_back(tmp_path):
    weights = np.tril(np.ones((2, N, N), np.float32)) / np.arange(1, N + 1)[:, None]
    before = from_attentions([None, weights], [f"t{i}" for i in range(N)])
    before.save(tmp_path / "c")
    after = load(tmp_path / "c")
    assert_same(before, after)
    assert after["self"].is_causal


def test_patches_times_and_gaps_come_back(tmp_path):
    patches = np.array([[-1] * 4, *([0, i, 1, N - 1] for i in range(N - 1))], np.int32)
    times = np.array([[np.nan, np.nan], *([i / 50, (i + 1) / 50] for i in range(M - 1))], np.float32)
    plain = tokens(N), tokens(M)
    rows = Tokens(plain[0].text, plain[0].special, plain[0].words, patches=patches)
    gaps = np.arange(M, dtype=np.int32)
    columns = Tokens(plain[1].text, plain[1].special, plain[1].words, times=times, gaps=gaps)
    layer = StoredWeights(np.full((2, N, M), 1 / M, np.float32), Mask.full(N, M))
    capture_of({0: layer}, rows, columns, "cross").save(tmp_path / "media")

    queries, keys = load(tmp_path / "media").tokens_of()

    np.testing.assert_array_equal(queries.patches, patches)
    np.testing.assert_array_equal(keys.times, times)
    np.testing.assert_array_equal(keys.gaps, gaps)
    assert queries.patches.dtype == np.int32
    assert keys.times.dtype == np.float32
    assert queries.times is None
    assert keys.patches is None


def test_tokens_without_media_are_written_as_before(tmp_path):
    capture_of({0: StoredWeights(np.full((2, N, N), 1 / N, np.float32), Mask.full(N, N))}).save(tmp_path / "plain")
    size = struct.unpack("<Q", (tmp_path / "plain").read_bytes()[:8])[0]
    header = json.loads((tmp_path / "plain").read_bytes()[8 : 8 + size])
    written = json.loads(header["__metadata__"]["attnscope"])["kinds"][0]["queries"]
    assert set(written) == {"text", "special", "words", "segments", "ids", "offsets"}


@pytest.mark.parametrize("move", [np.asarray, torch.from_numpy])
def test_further_measures_come_back(tmp_path, move):
    layers = everything()["self"].stored
    shape = (layers[2].n_heads, N, N)
    effects = move(np.random.default_rng(0).standard_normal(shape).astype(np.float32))
    capture_of({2: layers[2]}, extra={"gradient": {2: effects}}).save(tmp_path / "c")
    again = load(tmp_path / "c")["self"].extra
    assert list(again) == ["gradient"]
    assert (to_float32(again["gradient"][2]) == to_float32(effects)).all()
