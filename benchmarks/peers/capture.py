"""Time and memory of getting at attention while a model runs: attnscope, eager weights, TransformerLens' cache.

Run ``python -m benchmarks.peers.capture [--quick] [--tokens N …] [--transformer-lens PYTHON] [--json FILE]``.
Each way runs in a process of its own, on one thread timed on its own clock, and loads the same weights; rounds go over
all ways in random order. Memory is what the process's resident memory grows by at most in its first pass, less what the
plain pass's grows by. TransformerLens runs under an interpreter that has it, since what it depends on differs.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.machine import free_memory
from benchmarks.peers import models
from benchmarks.peers.conductor import Worker, in_rounds
from benchmarks.peers.ways import CACHE, EAGER, OURS, PATTERNS, PLAIN
from benchmarks.rows import Row, Sheet

if TYPE_CHECKING:
    from benchmarks.peers.models import Shape

TIME, MEMORY, KEPT = "capture time", "memory while capturing, above the plain pass's", "kept of a capture"
OTHERS = (PATTERNS, CACHE)
ROUNDS = {models.GPT2: {128: 5, 512: 5, 2048: 2, 4096: 2}, models.LLAMA: {512: 5, 2048: 3, 4096: 2}}
QUICK = {models.SMALL_GPT2: {256: 3}}
SHARE_OF_MEMORY = 0.85
"""Of what is free, which one way may take."""
LIMIT = 120
"""Seconds one pass may take."""


def main(argv: list[str] | None = None) -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small models, short texts")
    parser.add_argument("--tokens", type=int, nargs="+", metavar="N", help="only texts of these lengths")
    parser.add_argument("--transformer-lens", metavar="PYTHON", help="an interpreter that has TransformerLens")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the rows")
    options = parser.parse_args(argv)
    random.seed(0)
    sheet = Sheet("capture", options.json)
    for shape, plan in (QUICK if options.quick else ROUNDS).items():
        with tempfile.TemporaryDirectory() as folder:
            models.save(shape, Path(folder), rounds=2 if options.quick else 12)
            for tokens, rounds in plan.items():
                if options.tokens and tokens not in options.tokens:
                    continue
                measure(sheet, shape, folder, tokens, rounds, options.transformer_lens)


def measure(sheet: Sheet, shape: Shape, folder: str, tokens: int, rounds: int, lens: str | None) -> None:
    """Measure all ways on one text.

    Parameters
    ----------
    sheet
        Where rows go.
    shape, folder
        The model, and where it lies.
    tokens
        Length of the text.
    rounds
        Number of rounds.
    lens
        Path of an interpreter that has TransformerLens.
    """
    others = OTHERS if shape.kind == "gpt2" else ()
    pythons = {PLAIN: None, OURS: None, EAGER: None, **(dict.fromkeys(others, lens) if lens else {})}
    time = partial(Row, TIME, shape.name, tokens, unit="ms", beside=PLAIN, paired=True)
    memory = partial(Row, MEMORY, shape.name, tokens, unit="MB", beside=OURS)
    kept = partial(Row, KEPT, shape.name, tokens, unit="MB", beside=OURS)
    if lens is None:
        sheet.add(*(time(who=who, note="left out: no --transformer-lens") for who in others))
    most = int(free_memory() * SHARE_OF_MEMORY)
    with ExitStack() as stack:
        workers = {}
        for way, python in pythons.items():
            worker = Worker(["-m", "benchmarks.peers.worker", way, folder, str(tokens), str(most)])
            worker.python = python or worker.python
            workers[way] = stack.enter_context(worker)
        refused: dict[str, str] = {}
        found = in_rounds(workers, rounds, LIMIT, refused.__setitem__)
    for way in pythons:
        if way in refused:
            sheet.add(*(row(who=way, note=refused[way]) for row in (time, memory, kept)))
            continue
        sheet.add(time(who=way, samples=tuple(answer["seconds"] * 1e3 for answer in found[way])))
        if way != PLAIN:
            sheet.add(kept(who=way, samples=(found[way][0]["kept"] / 1e6,)))
        if way != PLAIN and PLAIN in found:
            more = found[way][0]["grown"] - found[PLAIN][0]["grown"]
            sheet.add(memory(who=way, samples=(more / 1e6,)))


if __name__ == "__main__":
    main()
