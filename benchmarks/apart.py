"""Run a part of a benchmark in a process of its own: what fails there becomes a reason, not the end of the run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass

OUT_OF_MEMORY = ("can't allocate memory", "Cannot allocate memory", "MemoryError")
"""What is said where more is asked for than there is."""


@dataclass(frozen=True)
class Outcome:
    """What became of a process.

    Parameters
    ----------
    output
        What it printed.
    reason
        Why it failed, in one line; empty where it did not.
    """

    output: str
    reason: str = ""


def run(arguments: list[str], limit: float, *, python: str = sys.executable) -> Outcome:
    """Run Python with some arguments.

    Parameters
    ----------
    arguments
        After the interpreter's name, such as ``["-m", "benchmarks.capture_cost"]``.
    limit
        Seconds after which it is ended, with all it has started.
    python
        Path of the interpreter.

    Returns
    -------
    Outcome
        Its output, and the reason if it failed: the last line of its complaint, or that the time was up.
    """
    process = subprocess.Popen(
        [python, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        start_new_session=True,
    )
    try:
        output, complaint = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        end(process)
        output, _ = process.communicate()
        return Outcome(output or "", f"not done in {limit:.0f} s")
    return Outcome(output, why(process.returncode, complaint))


def end(process: subprocess.Popen[str]) -> None:
    """End a process started in a session of its own, and all it has started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        process.kill()


def why(code: int, complaint: str) -> str:
    """Say in one line why a process failed, nothing where it did not."""
    if code == 0:
        return ""
    if code == -signal.SIGKILL:
        return "ended by the system, as it does when memory runs out"
    lines = [line.strip() for line in complaint.splitlines() if line.strip()]
    if any(sign in line for line in lines for sign in OUT_OF_MEMORY):
        return "needs more memory than is free"
    return lines[-1][:200] if lines else f"ended with code {code}"
