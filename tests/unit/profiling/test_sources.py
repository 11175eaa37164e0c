"""Texts from lists, generators, jsonl and parquet; and memory that does not grow with them."""

import gc
import json
import sys
import tracemalloc

import pytest

from attnscope import profile
from attnscope.errors import InputError, InputTypeError, MissingPackageError, NotFoundError
from attnscope.profiling.sources import Unreadable, open_source, read_texts, shards
from tests.unit.profiling.corpus import pair, texts

TEXTS = ["one", 'two "quoted"', "drei\u2028 – ümläute 🐈", "four\nlines"]


def lines(path, items):
    path.write_text("".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items), encoding="utf-8")
    return path


def table(path, **columns):
    from pyarrow import parquet
    from pyarrow import table as arrow

    parquet.write_table(arrow(columns), path, row_group_size=2)
    return path


def read(source, column=None):
    return list(open_source(source, column).items)


class TestSources:
    def test_lists_and_generators(self):
        assert open_source(TEXTS, None).n_texts == 4
        assert open_source(iter(TEXTS), None).n_texts is None
        assert read(text for text in TEXTS) == TEXTS
        assert read([{"text": text, "id": 1} for text in TEXTS]) == TEXTS
        assert read([{"body": text} for text in TEXTS], "body") == TEXTS

    def test_jsonl_of_objects_and_of_strings(self, tmp_path):
        assert read(lines(tmp_path / "a.jsonl", [{"text": text} for text in TEXTS])) == TEXTS
        assert read(str(lines(tmp_path / "b.NDJSON", TEXTS))) == TEXTS
        assert read(lines(tmp_path / "c.jsonl", [{"body": text} for text in TEXTS]), "body") == TEXTS

    def test_lines_that_cannot_be_read_keep_their_number(self, tmp_path):
        path = tmp_path / "a.jsonl"
        path.write_bytes(b'{"text": "one"}\n\n{"text": \n{"body": "x"}\n"\xff"\n[1]\n{"text": "two"}\n')
        found = read(path)
        assert found[0] == "one"
        assert found[5] == "two"
        assert all(isinstance(item, Unreadable) for item in found[1:5])
        assert "line 3 of a.jsonl is no JSON" in found[1].reason
        assert "no field 'text', but 'body'; see column=" in found[2].reason
        assert "line 5" in found[3].reason
        assert "no string but list" in found[4].reason

    def test_parquet(self, tmp_path):
        path = table(tmp_path / "a.parquet", number=[1, 2, 3, 4], text=TEXTS)
        assert read(path) == TEXTS
        assert open_source(path, None).n_texts == 4
        assert read(table(tmp_path / "b.parquet", number=[1, 2, 3, 4], body=TEXTS)) == TEXTS
        assert read(table(tmp_path / "c.parquet", a=TEXTS, b=TEXTS[::-1]), "b") == TEXTS[::-1]
        assert isinstance(read(table(tmp_path / "d.parquet", text=["a", None]))[1], Unreadable)

    def test_parquet_refusals(self, tmp_path, monkeypatch):
        with pytest.raises(NotFoundError, match=r"no column 'text'; its columns are 'a', 'b'"):
            open_source(table(tmp_path / "c.parquet", a=TEXTS, b=TEXTS), None)
        with pytest.raises(NotFoundError, match="no column 'nothing'"):
            open_source(tmp_path / "c.parquet", "nothing")
        (tmp_path / "broken.parquet").write_bytes(b"PAR1")
        with pytest.raises(InputError, match=r"broken\.parquet is no parquet file"):
            open_source(tmp_path / "broken.parquet", None)
        monkeypatch.setitem(sys.modules, "pyarrow", None)
        with pytest.raises(MissingPackageError, match=r'pip install "attnscope\[parquet\]"'):
            open_source(tmp_path / "c.parquet", None)

    @pytest.mark.parametrize("wrong", ["The cat sat.", "texts.txt", 5, None, b"bytes", {"text": ["a"]}])
    def test_what_is_no_source(self, wrong):
        with pytest.raises(InputTypeError, match="texts is an iterable of strings, or the path"):
            open_source(wrong, None)

    def test_no_such_file(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"no file.*nothing\.jsonl"):
            open_source(tmp_path / "nothing.jsonl", None)

    def test_reading_again_by_number(self, tmp_path):
        path = lines(tmp_path / "a.jsonl", TEXTS)
        assert read_texts(path, [2, 0]) == {0: TEXTS[0], 2: TEXTS[2]}
        assert read_texts(TEXTS, [101], first=100) == {101: TEXTS[1]}
        with pytest.raises(NotFoundError, match="no text 9"):
            read_texts(path, [1, 9])


class TestShards:
    def test_edges_depend_on_the_numbers_alone(self):
        dealt = list(shards(map(str, range(10)), 4, 100))
        assert [(shard.start, shard.stop) for shard in dealt] == [(100, 104), (104, 108), (108, 110)]

    def test_digests_tell_texts_and_their_borders_apart(self):
        made = [["ab", "c"], ["a", "bc"], ["abc"], ["ab", "c", ""], ["ab", Unreadable("c")]]
        digests = {next(shards(some, 8, 0)).digest for some in made} | {next(shards(made[0], 8, 1)).digest}
        assert len(digests) == 6
        assert next(shards(made[0], 8, 0)).digest == next(shards(iter(made[0]), 8, 0)).digest


@pytest.mark.parametrize("form", ["list", "jsonl", "parquet"])
def test_the_same_profile_from_every_source(form, tmp_path):
    some = texts()[:20]
    given = {
        "list": lambda: [{"text": text} for text in some],
        "jsonl": lambda: lines(tmp_path / "a.jsonl", [{"text": text} for text in some]),
        "parquet": lambda: table(tmp_path / "a.parquet", text=some),
    }[form]()
    options = {"progress": False, "statistics": ["entropy"]}
    assert profile(*pair("bert"), given, **options) == profile(*pair("bert"), some, **options)


class Counted(str):
    """A text that tells how many of its kind are there."""

    __slots__ = ()
    alive = most = 0

    def __new__(cls, text):
        Counted.alive += 1
        Counted.most = max(Counted.most, Counted.alive)
        return super().__new__(cls, text)

    def __del__(self):
        Counted.alive -= 1


def test_memory_does_not_grow_with_the_texts():
    options = {"progress": False, "statistics": ["entropy", "max_weight"], "batch_size": 2}
    some = texts()[:16]

    def repeated(times):
        for _ in range(times):
            gc.collect()  # what is left of a shard may wait for its turn
            yield from some

    peaks = []
    for times in (1, 1, 5):
        tracemalloc.start()
        profile(*pair("bert"), repeated(times), **options)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 1.15 * peaks[1], peaks


def test_a_shard_of_texts_is_held_at_a_time():
    from attnscope.profiling import sources

    Counted.most = 0
    drawn = sources.shards((Counted(f"{i}") for i in range(1000)), 32, 0)
    for _ in drawn:
        pass
    assert Counted.most <= 2 * 32 + 1


def test_progress(capsys):
    profile(*pair("bert"), texts()[:10], statistics=["entropy"], batch_size=1)
    shown = capsys.readouterr().err
    assert "profile: 100%" in shown
    assert "10/10" in shown
