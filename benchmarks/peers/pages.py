"""Pages of the viewers: their bytes, before first paint and as a file, and how they open and answer in a Chromium.

Run ``python -m benchmarks.peers.pages [--quick] [--tokens N …] [--json FILE] [--scripts FOLDER]``.
Every page is made, and opened, in a process of its own with a limit; every round opens each of them anew, in random
order. attnscope is measured twice: as a widget whose kernel answers over a socket of this machine, and as its saved
page, which is one file like the others.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from benchmarks import apart
from benchmarks.peers import models, scripts
from benchmarks.peers.names import CIRCUITS, HEAD_VIEW, LAYER, MODEL_VIEW, SAVED, US
from benchmarks.peers.opening import FIRST, HOVER, SWITCH
from benchmarks.rows import Row, Sheet

SENT, SIZE, MAKING = "bytes before first paint", "bytes of a saved page", "time to save a page"
MOST_CHARACTERS = 2**29 - 24
"""The longest string of a Chromium, which cannot run a longer script."""
MAKING_LIMIT = 240
"""Seconds a page may take to be made."""


@dataclass(frozen=True)
class Case:
    """Which viewers are asked about a text.

    Parameters
    ----------
    tokens
        Its length.
    made
        Viewers whose page is made.
    rounds
        How often each page is opened.
    patience
        Seconds a page may take to answer.
    """

    tokens: int
    made: tuple[str, ...]
    rounds: int = 0
    patience: int = 40


ALL = (US, SAVED, HEAD_VIEW, MODEL_VIEW, CIRCUITS)
WHOLE = (
    Case(128, ALL, 3),
    Case(512, (US, SAVED, HEAD_VIEW, CIRCUITS), 2),
    Case(2048, (US,)),
    Case(32768, (US,)),
)
QUICK = (Case(32, (US, SAVED, HEAD_VIEW, CIRCUITS), 1, 25),)


@dataclass
class Pages:
    """The pages of one model.

    Parameters
    ----------
    sheet
        Where rows go.
    shape, model
        The model, and where it lies.
    folder
        Where pages go.
    scripts
        Where the scripts are that BertViz fetches; None where they could not be had, and why in ``unserved``.
    """

    sheet: Sheet
    shape: models.Shape
    model: str
    folder: Path
    scripts: Path
    unserved: str = ""
    per_weight: dict[str, float] = field(default_factory=dict)

    def file(self, viewer: str, tokens: int) -> Path:
        """Where a page is."""
        if viewer in (US, SAVED):
            return self.folder / f"ours-{tokens}.{'capture' if viewer == US else 'html'}"
        return self.folder / f"{ALL.index(viewer)}-{tokens}.html"

    def measure(self, case: Case) -> None:
        """Make and open the pages of one text."""
        made = [viewer for viewer in ALL if viewer in case.made and self.make(viewer, case.tokens)]
        self.estimate(case.tokens)
        if case.rounds:
            self.open([viewer for viewer in made if self.can_open(viewer, case.tokens)], case)
        for viewer in ALL:
            self.file(viewer, case.tokens).unlink(missing_ok=True)

    def make(self, viewer: str, tokens: int) -> bool:
        """Make a page; say whether there is one."""
        beyond = tokens > self.shape.positions
        name = "random queries and keys" if beyond else self.shape.name
        size = partial(Row, SIZE, name, tokens, viewer, "MB", beside=SAVED)
        sent = partial(Row, SENT, name, tokens, viewer, "MB", beside=US)
        arguments = [viewer, "-" if beyond else self.model, str(tokens), str(self.file(viewer, tokens))]
        done = apart.run(["-m", "benchmarks.peers.page", *arguments], MAKING_LIMIT)
        if done.reason:
            self.sheet.add(sent(note=done.reason) if viewer == US else size(note=done.reason))
            return False
        told = json.loads(done.output.splitlines()[-1])
        note = f"and {told['program'] / 1e3:.0f} kB of program" if told["program"] else ""
        if viewer == US:
            self.sheet.add(sent(samples=(told["sent"] / 1e6,), note=note))
            self.sheet.add(replace(sent(samples=(told["layer"] / 1e6,)), who=LAYER))
            return True
        self.sheet.add(size(samples=(told["bytes"] / 1e6,)))
        self.sheet.add(Row(MAKING, name, tokens, viewer, "s", (told["seconds"],), SAVED))
        if viewer != SAVED:
            self.sheet.add(sent(samples=((told["bytes"] - told["program"]) / 1e6,), note=note))
            self.per_weight[viewer] = told["bytes"] / self.weights(tokens)
        return True

    def estimate(self, tokens: int) -> None:
        """Say what BertViz's page would be where none was made, by its bytes per weight on the longest that was."""
        missing = not self.file(HEAD_VIEW, tokens).is_file()
        if missing and HEAD_VIEW in self.per_weight:
            name = "random queries and keys" if tokens > self.shape.positions else self.shape.name
            size = self.per_weight[HEAD_VIEW] * self.weights(tokens)
            self.sheet.add(
                Row(SENT, name, tokens, HEAD_VIEW, "MB", beside=US, note=f"not made: about {size / 1e9:,.2g} GB")
            )

    def weights(self, tokens: int) -> int:
        """How many weights a text has."""
        return self.shape.layers * self.shape.heads * tokens**2

    def can_open(self, viewer: str, tokens: int) -> bool:
        """Say whether a page can be opened at all; where not, add a row with the reason."""
        reason = self.unserved if viewer in (HEAD_VIEW, MODEL_VIEW) else ""
        size = self.file(viewer, tokens).stat().st_size
        if viewer in (HEAD_VIEW, MODEL_VIEW) and size > MOST_CHARACTERS:
            reason = f"cannot open: {size / 1e6:,.0f} MB in one script, a Chromium's longest string is 537 MB"
        if reason:
            self.sheet.add(self.row(FIRST, viewer, tokens).refused(reason))
        return not reason

    def row(self, question: str, viewer: str, tokens: int, samples: tuple[float, ...] = ()) -> Row:
        """One row about an open page."""
        return Row(question, self.shape.name, tokens, viewer, "ms", samples, US)

    def open(self, viewers: list[str], case: Case) -> None:
        """Open pages round by round, those that failed no more."""
        found: dict[tuple[str, str], list[float]] = {}
        failed: dict[str, str] = {}
        for _ in range(case.rounds):
            for viewer in random.sample(viewers, len(viewers)):
                if viewer in failed:
                    continue
                arguments = [viewer, str(self.file(viewer, case.tokens)), str(self.scripts), str(case.patience)]
                done = apart.run(["-m", "benchmarks.peers.opening", *arguments], 4 * case.patience + 30)
                for line in filter(lambda line: line.startswith("{"), done.output.splitlines()):
                    told = json.loads(line)
                    found.setdefault((told["question"], viewer), []).extend(told["samples"])
                if done.reason:
                    failed[viewer] = done.reason
        for question in (FIRST, SWITCH, HOVER):
            for viewer in viewers:
                samples = tuple(found.get((question, viewer), ()))
                row = self.row(question, viewer, case.tokens, samples)
                self.sheet.add(row if samples else row.refused(failed.get(viewer, "nothing was said")))


def main(argv: list[str] | None = None) -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a small model, short texts, one round")
    parser.add_argument("--tokens", type=int, nargs="+", metavar="N", help="only texts of these lengths")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where to write the rows")
    parser.add_argument("--scripts", type=Path, default=Path("build/benchmarks/scripts"), metavar="FOLDER")
    options = parser.parse_args(argv)
    random.seed(0)
    shape = models.SMALL_GPT2 if options.quick else models.GPT2
    with tempfile.TemporaryDirectory() as folder:
        models.save(shape, Path(folder) / "model", rounds=2 if options.quick else 12)
        pages = Pages(
            Sheet("pages", options.json), shape, str(Path(folder) / "model"), Path(folder), options.scripts,
            unserved=scripts.fetch(options.scripts),
        )  # fmt: skip
        for case in QUICK if options.quick else WHOLE:
            if not options.tokens or case.tokens in options.tokens:
                pages.measure(case)


if __name__ == "__main__":
    main()
