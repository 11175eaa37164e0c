"""The benchmark of readings: every reading at every length, what did not fit with its reason, and how they grow."""

import json

from benchmarks import reading_cost
from benchmarks.rows import Row


def test_every_reading_is_measured_at_every_length(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(reading_cost, "DENSE", 64)
    file = tmp_path / "reading.json"
    reading_cost.main(["64", "128", "--rounds", "2", "--json", str(file)])
    rows = json.loads(file.read_text())["rows"]
    asked = [reading_cost.PRODUCT, *reading_cost.READINGS, reading_cost.THE_DENSE_WAY]
    times = [row for row in rows if row["unit"] == "ms"]
    assert [(row["who"], row["tokens"]) for row in times] == [(who, n) for n in (64, 128) for who in asked]
    for row in times:
        whole = row["who"] == reading_cost.THE_DENSE_WAY and row["tokens"] > 64
        assert len(row["samples"]) == (0 if whole else 2)
        assert bool(row["note"]) == whole
    tables = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| overview |")]
    assert len(tables) == 2


def test_tables_give_ratios_and_powers():
    rows = [
        Row("reading time", "m", n, who, "ms", (n * scale,), reading_cost.PRODUCT)
        for n in (100, 200)
        for who, scale in ((reading_cost.PRODUCT, 1), ("overview", n / 50))
    ]
    line = reading_cost.times_table(rows, [100, 200])[-1]
    assert line == "| overview | 200.0 (200.0 to 200.0) | 2.00 | 800.0 (800.0 to 800.0) | 4.00 | 2.00 |"


def test_what_memory_grows_by_is_seen():
    taken = reading_cost.grown(lambda: bytearray(b"x" * (64 << 20)))
    assert 60 << 20 < taken < 400 << 20
    assert reading_cost.grown(lambda: None) < 16 << 20
