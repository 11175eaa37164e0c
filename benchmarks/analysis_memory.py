"""Peak memory of block-wise analysis over the length of a text, beside one head's weights, which grow with n².

Run with ``python -m benchmarks.analysis_memory [length …]``: a Markdown table of MB above what the capture holds.
"""

from __future__ import annotations

import sys
import tracemalloc
from typing import TYPE_CHECKING

import numpy as np

import attnscope
from attnscope import analysis

if TYPE_CHECKING:
    from collections.abc import Callable

    from attnscope import Capture

QUESTIONS: dict[str, Callable[[Capture, int], object]] = {
    "entropy": lambda c, _: analysis.entropy(c),
    "local_share": lambda c, _: analysis.local_share(c),
    "mean_distance": lambda c, _: analysis.mean_distance(c),
    "sink_share": lambda c, _: analysis.sink_share(c),
    "previous_token": lambda c, _: analysis.previous_token(c),
    "next_token": lambda c, _: analysis.next_token(c),
    "self_share": lambda c, _: analysis.self_share(c),
    "special_share": lambda c, _: analysis.special_share(c),
    "induction": lambda c, _: analysis.induction(c),
    "duplicate_token": lambda c, _: analysis.duplicate_token(c),
    "find_heads": lambda c, n: analysis.find_heads(c, n - 1, 0),
    "top_keys": lambda c, n: analysis.top_keys(c, n - 1),
    "head_distance": lambda c, _: analysis.head_distance(c),
    "flow": lambda c, n: analysis.flow(c, n - 1),
    "rollout": lambda c, n: analysis.rollout(c, n - 1),
    "health": lambda c, _: analysis.health(c),
    "summary": lambda c, _: analysis.summary(c),
    "overview": lambda c, _: c.overview(0, 0),
    "all weights of one head": lambda c, _: c.weights(0, 0),
}


def capture(n: int) -> Capture:
    """Make a causal capture of two layers of two heads from random queries and keys."""
    rng = np.random.default_rng(0)
    queries, keys = rng.standard_normal((2, 2, 2, n, 16), dtype=np.float32)
    return attnscope.from_queries_keys(list(queries), list(keys), [f"t{i % 50}" for i in range(n)], causal=True)


def peak(ask: Callable[[Capture, int], object], n: int) -> float:
    """Measure what a question takes at most, in MB."""
    ask(capture(16), 16)
    made = capture(n)
    tracemalloc.start()
    try:
        ask(made, n)
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


def main(lengths: list[int]) -> None:
    """Print the table."""
    print("| question |", " | ".join(f"{n:,} tokens, MB" for n in lengths), "|")
    print("|---|" + "---|" * len(lengths))
    for name, ask in QUESTIONS.items():
        print(f"| {name} |", " | ".join(f"{peak(ask, n):.1f}" for n in lengths), "|", flush=True)


if __name__ == "__main__":
    main([int(n) for n in sys.argv[1:]] or [2048, 4096, 8192])
