"""Measure attnscope and its peers in one run: ``python -m benchmarks [--quick] [--transformer-lens PYTHON]``.

Run it from the project's root; README.md beside this file says what is measured and how. A table, a plot and the
numbers of every round go to a folder, by default ``build/benchmarks``. Each benchmark runs in a process of its own with
a limit: one that fails is a row with its reason.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import apart, rows
from benchmarks.machine import facts
from benchmarks.plot import plot
from benchmarks.report import put_into, report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmarks.rows import Row


@dataclass(frozen=True)
class Benchmark:
    """One program that measures.

    Parameters
    ----------
    name
        Of its module.
    whole, quick
        What it is told, in a whole run and in a quick one.
    limits
        Seconds it may take, in a whole run and in a quick one.
    """

    name: str
    whole: tuple[str, ...] = ()
    quick: tuple[str, ...] = ()
    limits: tuple[int, int] = (900, 300)


BENCHMARKS = (
    Benchmark("benchmarks.peers.capture", quick=("--quick",)),
    Benchmark("benchmarks.capture_cost", ("--rounds", "3"), ("512", "--rounds", "2")),
    Benchmark("benchmarks.reading_cost", ("512", "2048", "8192", "--rounds", "2"), ("512", "1024", "--rounds", "2")),
    Benchmark("benchmarks.peers.pages", quick=("--quick",)),
    Benchmark("benchmarks.profile_throughput", quick=("--quick",)),
)


def main(argv: Sequence[str] | None = None) -> None:
    """Run all, and write the report, the plot and the numbers."""
    known = {benchmark.name.removeprefix("benchmarks."): benchmark for benchmark in BENCHMARKS}
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}")
    parser.add_argument("--quick", action="store_true", help="small models and short texts: shows that all of it works")
    parser.add_argument("--transformer-lens", metavar="PYTHON", help="an interpreter that has TransformerLens")
    parser.add_argument("--out", type=Path, default=Path("build/benchmarks"), metavar="FOLDER")
    parser.add_argument("--into", type=Path, metavar="FILE", help="also put the tables between this file's markers")
    options = parser.parse_args(argv)
    unknown = [name for name in options.names if name not in known]
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]!r}; there are {', '.join(known)}")
    options.out.mkdir(parents=True, exist_ok=True)
    if not options.transformer_lens:
        print("TransformerLens is left out: name an interpreter that has it with --transformer-lens PYTHON.")
    found: list[Row] = []
    for name in options.names or known:
        benchmark = known[name]
        started = time.monotonic()
        arguments = list(benchmark.quick if options.quick else benchmark.whole)
        if options.transformer_lens and benchmark.name == "benchmarks.peers.capture":
            arguments += ["--transformer-lens", options.transformer_lens]
        more = measured(benchmark, arguments, benchmark.limits[options.quick], options.out)
        print(f"{name}: {len(more)} rows in {time.monotonic() - started:.0f} s", flush=True)
        found += more
        write(found, options.out)
    made = (options.out / "report.md").read_text(encoding="utf-8")
    print(made)
    if options.into:
        options.into.write_text(put_into(options.into.read_text(encoding="utf-8"), made), encoding="utf-8")


def measured(benchmark: Benchmark, arguments: list[str], limit: float, folder: Path) -> list[Row]:
    """Run one benchmark.

    Parameters
    ----------
    benchmark
        The benchmark.
    arguments
        What it is told.
    limit
        Seconds it may take.
    folder
        Where its file goes.

    Returns
    -------
    list of Row
        Its rows, which it writes to a file it is given with ``--json``; where it failed, those it had by then and one
        with the reason.
    """
    file = folder / f"{benchmark.name}.json"
    file.unlink(missing_ok=True)
    done = apart.run(["-m", benchmark.name, *arguments, "--json", str(file)], limit)
    found = rows.read(file)
    if done.reason:
        found.append(rows.Row("left out", benchmark.name, 0, "reason", "", note=done.reason))
    return found


def write(found: list[Row], folder: Path) -> None:
    """Write the report, the plot and the numbers of every round."""
    machine = facts()
    (folder / "report.md").write_text(report(found, machine), encoding="utf-8")
    for suffix in ("svg", "png"):
        plot(found, folder / f"report.{suffix}")
    kept = {"benchmark": "all", "machine": machine, "rows": [asdict(row) for row in found]}
    (folder / "report.json").write_text(json.dumps(kept, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
