"""A process that holds one way of getting at attention, and runs it once for each line it is sent.

``python -m benchmarks.peers.worker WAY FOLDER TOKENS MOST`` says ``{}`` when the model is loaded and has run once on a
short text. For each line on its standard input it runs once and answers with a line of JSON: ``seconds`` on the clock
of its one thread, ``grown``, the bytes its resident memory grew by at most, and ``kept``, the bytes of what was kept.
MOST is how much memory it may take in all, 0 for no limit: past that it fails, and not the machine.
"""

from __future__ import annotations

import gc
import json
import resource
import sys
import time
from pathlib import Path

STATUS, PEAK = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def main(way: str, folder: str, tokens: str, most: str) -> None:
    """Load, then answer."""
    if int(most):
        resource.setrlimit(resource.RLIMIT_DATA, (int(most), int(most)))
    import torch

    from benchmarks.peers import models, ways

    torch.set_num_threads(1)
    run = ways.load(way, folder)
    run(models.text(16))
    ids = models.text(int(tokens))
    told = sys.stdout
    sys.stdout = sys.stderr  # what a package says on the way is no answer
    print("{}", file=told, flush=True)
    for _ in sys.stdin:
        gc.collect()
        before = forget_peak()
        started = time.thread_time()
        kept = run(ids)
        seconds = time.thread_time() - started
        print(json.dumps({"seconds": seconds, "grown": peak() - before, "kept": kept}), file=told, flush=True)


def forget_peak() -> int:
    """Start the highest resident memory anew where the system can; give the bytes it stands at."""
    if PEAK.exists():
        PEAK.write_text("5", encoding="ascii")
    return peak()


def peak() -> int:
    """Give the highest resident memory so far, in bytes."""
    if STATUS.exists():
        lines = dict(line.split(":", 1) for line in STATUS.read_text(encoding="ascii").splitlines())
        return int(lines["VmHWM"].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main(*sys.argv[1:])
