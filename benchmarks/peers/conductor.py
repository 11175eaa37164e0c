"""Workers side by side: all are loaded, then asked in turn, in random order, round by round."""

from __future__ import annotations

import json
import os
import queue
import random
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING, Any

from benchmarks.apart import end, why

if TYPE_CHECKING:
    from collections.abc import Callable

    from typing_extensions import Self

LOADING = 180
"""Seconds a worker may take to load."""


class NoAnswerError(Exception):
    """A worker gave no answer; its text says why."""


@dataclass
class Worker:
    """A process that answers each line with a line; see `benchmarks.peers.worker`.

    Parameters
    ----------
    arguments
        After the interpreter's name.
    python
        Path of the interpreter.
    """

    arguments: list[str]
    python: str = sys.executable
    process: subprocess.Popen[str] = field(init=False, repr=False)
    complaints: IO[str] = field(init=False, repr=False)
    answers: queue.SimpleQueue[str] = field(init=False, repr=False, default_factory=queue.SimpleQueue)

    def __enter__(self) -> Self:
        """Start it; it loads while others do."""
        self.complaints = tempfile.TemporaryFile("w+", encoding="utf-8")
        self.process = subprocess.Popen(
            [self.python, *self.arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.complaints,
            text=True,
            env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
            start_new_session=True,
        )
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        end(self.process)
        self.process.wait()
        self.complaints.close()

    def _listen(self) -> None:
        for line in self.process.stdout or ():
            self.answers.put(line)
        self.answers.put("")

    def answer(self, limit: float) -> dict[str, Any]:
        """Wait for one line.

        Parameters
        ----------
        limit
            Seconds.

        Raises
        ------
        NoAnswerError
            It ended, or said nothing in time.
        """
        try:
            line = self.answers.get(timeout=limit)
        except queue.Empty:
            raise NoAnswerError(f"not done in {limit:.0f} s") from None
        if line:
            return json.loads(line)
        code = self.process.wait()
        self.complaints.seek(0)
        raise NoAnswerError(why(code, self.complaints.read()) or "ended without an answer")

    def ask(self, limit: float) -> dict[str, Any]:
        """Have it run once."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write("run\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended, and says why below
        return self.answer(limit)


def in_rounds(
    workers: dict[str, Worker], rounds: int, limit: float, failed: Callable[[str, str], None]
) -> dict[str, list[dict[str, Any]]]:
    """Ask workers in random order, round by round.

    Parameters
    ----------
    workers
        Under their names, started; those that fail are left out from then on.
    rounds
        Number of rounds.
    limit
        Seconds one answer may take.
    failed
        Told the name of a worker that fails, and why.

    Returns
    -------
    dict
        The answers of those that never failed, round by round.
    """
    answers: dict[str, list[dict[str, Any]]] = {name: [] for name in workers}

    def tried(name: str, ask: Callable[[], dict[str, Any]]) -> None:
        try:
            answers[name].append(ask())
        except NoAnswerError as reason:
            failed(name, str(reason))
            end(workers[name].process)
            del answers[name]

    for name, worker in workers.items():
        tried(name, lambda worker=worker: worker.answer(LOADING))
    for _ in range(rounds):
        for name in random.sample(list(answers), len(answers)):
            tried(name, lambda worker=workers[name]: worker.ask(limit))
    return {name: found[1:] for name, found in answers.items()}
