"""The command of all benchmarks: what fails is a row, what was measured is a table and a plot."""

from __future__ import annotations

import json
import sys

import pytest

from benchmarks import __main__ as command
from benchmarks import apart
from benchmarks.__main__ import Benchmark
from benchmarks.growth import exponent
from benchmarks.peers.conductor import Worker, in_rounds
from benchmarks.plot import plot
from benchmarks.report import END, START, number, put_into, report
from benchmarks.rows import Row, Sheet, Spread, ratio, read

TIME = "capture time"
PLAIN = Row(TIME, "GPT-2", 512, "plain pass", "ms", (100.0, 110.0, 90.0), "plain pass", paired=True)
OURS = Row(TIME, "GPT-2", 512, "attnscope", "ms", (104.0, 121.0, 90.0), "plain pass", paired=True)
EAGER = Row(TIME, "GPT-2", 512, "eager", "ms", beside="plain pass", paired=True, note="needs more memory than is free")
KEPT = [
    Row("kept", "GPT-2", n, who, "MB", (n**power / 1e3,), "attnscope")
    for n in (512, 1024, 2048)
    for who, power in (("attnscope", 1), ("eager", 2))
]
ANSWERS = "import sys\nprint('{}', flush=True)\nfor i, _ in enumerate(sys.stdin):\n"


def test_ratios_are_taken_round_by_round_where_rounds_are_paired():
    assert ratio(OURS, [PLAIN, OURS]) == Spread(1.04, 1.0, 1.1)


def test_ratios_are_taken_over_the_median_where_they_are_not():
    loose = [Row(TIME, "m", 1, who, "ms", samples, "a") for who, samples in (("a", (1.0, 2.0, 9.0)), ("b", (4.0, 6.0)))]
    assert ratio(loose[1], loose) == Spread(2.5, 2.0, 3.0)


@pytest.mark.parametrize("other", [[], [PLAIN.refused("no")], [Row(TIME, "GPT-2", 128, "plain pass", "ms", (1.0,))]])
def test_no_ratio_without_the_reference_of_the_same_input(other):
    assert ratio(OURS, [OURS, *other]) is None


def test_report_shows_ratios_spread_reasons_and_growth():
    text = report([PLAIN, OURS, EAGER, *KEPT], {"cores": "2"})
    assert "cores 2." in text
    assert "| 104 ms (90.0–121), **1.04 ×** (1.00–1.10) | needs more memory than is free |" in text
    assert "attnscope tokens^1.00" in text
    assert "eager tokens^2.00" in text
    assert "| GPT-2, 512 tokens | 512 kB | 262 MB, **512 ×** |" in text


@pytest.mark.parametrize(
    ("value", "told"),
    [(0, "0"), (12345.6, "12,346"), (99.94, "99.9"), (1.0449, "1.04"), (0.00123, "0.00123"), (-2, "-2.00")],
)  # fmt: skip
def test_numbers_have_three_digits_that_count(value, told):
    assert number(value) == told


def test_growth_is_not_said_of_one_length():
    assert exponent([512, 512], [1.0, 2.0]) is None
    assert exponent([512, 1024], [0.0, 2.0]) is None
    assert exponent([1, 2, 4], [3.0, 12.0, 48.0]) == pytest.approx(2)


def test_a_report_takes_the_place_of_the_last_one():
    text = f"# Ours\n\n{START}\n\nold\n{END}\n\nmore\n"
    again = put_into(put_into(text, report([PLAIN], {"cores": "2"})), report([OURS], {"cores": "4"}))
    assert again.startswith(f"# Ours\n\n{START}\n\ncores 4.\n\n### Capture time\n")
    assert again.endswith(f"\n{END}\n\nmore\n")
    with pytest.raises(ValueError, match="has no place for the report"):
        put_into("# Ours\n", "")


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_plot_shows_every_question_that_has_ratios(tmp_path, suffix):
    alone = Row("a question without ratios", "GPT-2", 512, "attnscope", "ms", (1.0,), "nobody")
    path = tmp_path / f"plot.{suffix}"
    plot([PLAIN, OURS, EAGER, *KEPT, alone], path)
    drawn = path.read_bytes()
    assert drawn.startswith(b"<?xml" if suffix == "svg" else b"\x89PNG")
    if suffix == "svg":
        assert b"<!-- capture time -->" in drawn
        assert b"<!-- kept -->" in drawn
        assert b"without ratios" not in drawn
        assert drawn.count(b'id="LineCollection') == 2


def test_nothing_measured_is_still_a_plot(tmp_path):
    plot([EAGER], tmp_path / "plot.svg")
    assert (tmp_path / "plot.svg").stat().st_size > 0


def test_a_benchmark_that_fails_is_a_row_and_keeps_what_it_had(tmp_path):
    rows = command.measured(Benchmark("tests.unit.benchmarks.broken"), [], 60, tmp_path)
    assert [(row.question, row.samples, row.note) for row in rows] == [
        (TIME, (3.0,), ""),
        ("left out", (), "ZeroDivisionError: nothing to divide by"),
    ]


def test_a_benchmark_past_its_limit_is_a_row(tmp_path):
    rows = command.measured(Benchmark("tests.unit.benchmarks.broken"), ["--late"], 3, tmp_path)
    assert rows[-1].note == "not done in 3 s"


def test_the_command_goes_on_after_a_failure(tmp_path, monkeypatch, capsys):
    both = Benchmark("tests.unit.benchmarks.broken"), Benchmark("tests.unit.benchmarks.printing")
    monkeypatch.setattr(command, "BENCHMARKS", both)
    command.main(["--out", str(tmp_path / "out")])
    text = (tmp_path / "out" / "report.md").read_text()
    assert "ZeroDivisionError: nothing to divide by" in text
    assert "| BERT type | 419 texts/s | 1,260 texts/s, **3.01 ×** |" in text
    assert "named" not in text
    kept = json.loads((tmp_path / "out" / "report.json").read_text())["rows"]
    assert [row["who"] for row in kept] == ["attnscope", "reason", "the model alone", "attnscope.profile"]
    assert {path.name for path in (tmp_path / "out").iterdir()} >= {"report.svg", "report.png"}
    assert "TransformerLens is left out" in capsys.readouterr().out


def test_a_name_that_is_none_is_refused(capsys):
    with pytest.raises(SystemExit):
        command.main(["capture_cots"])
    assert "there is no benchmark 'capture_cots'; there are peers.capture, capture_cost" in capsys.readouterr().err


def test_a_report_tells_nothing_of_whose_machine_it_is(tmp_path):
    sheet = Sheet("one", tmp_path / "one.json")
    sheet.add(OURS)
    machine = json.loads((tmp_path / "one.json").read_text())["machine"]
    assert {"system", "cores", "Python", "torch"} <= set(machine)
    assert not any("/" in told for told in machine.values())
    assert read(tmp_path / "one.json") == [OURS]


@pytest.mark.parametrize(
    ("code", "complaint", "reason"),
    [
        (0, "a warning", ""),
        (-9, "", "ended by the system, as it does when memory runs out"),
        (1, "Traceback\n  RuntimeError: can't allocate memory: 9\nbye", "needs more memory than is free"),
        (1, "RuntimeError: unable to mmap 9 bytes: Cannot allocate memory (12)", "needs more memory than is free"),
        (1, "Traceback\n\nValueError: no  \n", "ValueError: no"),
        (3, "", "ended with code 3"),
    ],
)
def test_reasons_are_one_line(code, complaint, reason):
    assert apart.why(code, complaint) == reason


def test_workers_that_fail_are_left_out_and_the_others_asked_on():
    goes = Worker(["-c", ANSWERS + "    print(f'{{\"round\": {i}}}', flush=True)"])
    ends = Worker(["-c", ANSWERS + "    print('{}', flush=True) if i < 1 else sys.exit('had enough')"])
    absent = Worker(["-c", "raise ModuleNotFoundError('no such package')"], python=sys.executable)
    refused = {}
    with goes, ends, absent:
        found = in_rounds({"goes": goes, "ends": ends, "absent": absent}, 3, 60, refused.__setitem__)
    assert found == {"goes": [{"round": 0}, {"round": 1}, {"round": 2}]}
    assert refused == {"absent": "ModuleNotFoundError: no such package", "ends": "had enough"}
