"""Time and memory of each reading of a capture over the length of a text, beside the plain product and the dense way.

Run ``python -m benchmarks.reading_cost`` from the project's root; ``--quick`` takes short texts, ``--json FILE`` also
writes every sample. The capture is one layer of four causal heads of width 64 over two key heads, from random queries
and keys whose weights are as uneven as a trained model's; everything is computed anew, nothing is kept.

Times are of one thread on its own clock, the shortest and the longest of all rounds beside the median. Beside *the
product*, queries · keysᵀ of one head in float32 in blocks of 256 rows, stands for 1: it is what any reading of a whole
head has to compute at least half of. The *dense way* makes one head's weights at once and reads them, where they fit.

Memory is what resident memory grows by at most (Linux; elsewhere what numpy and Python hold at most), the answer itself
among it.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import sys
import time
import tracemalloc
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch

import attnscope
from attnscope import analysis
from benchmarks.growth import exponent
from benchmarks.rows import Row, Sheet, Spread

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from attnscope import Capture

QUICK, WHOLE = (512, 1024, 2048), (512, 2048, 8192, 32768)
HEADS, KEY_HEADS, WIDTH = 4, 2, 64
DENSE = 8192
"""Longest text whose weights are made whole: 8,192 tokens take 256 MiB a head, 32,768 would take 4 GiB."""
PRODUCT, THE_DENSE_WAY = "the product", "the dense way"

READINGS: dict[str, Callable[[Capture, int], object]] = {
    "a row": lambda c, n: c.weights(0, 0, queries=n - 1),
    "a row of all heads": lambda c, n: c.weights(0, queries=n - 1),
    "64 rows": lambda c, n: c.weights(0, 0, queries=slice(n // 2, n // 2 + 64)),
    "a window of 256 × 256": lambda c, n: c.weights(0, 0, queries=slice(n // 2, n // 2 + 256), keys=slice(0, 256)),
    "overview": lambda c, _: c.overview(0, 0),
    "overviews of all heads": lambda c, _: [c.overview(0, head, 128) for head in range(HEADS)],
    "top keys": lambda c, n: analysis.top_keys(c, n - 1),
    "entropy, all heads": lambda c, _: analysis.entropy(c),
    "received, all heads": lambda c, _: analysis.attention_received(c),
    "statistics, all heads": lambda c, _: analysis.head_table(c),
    "find heads, all heads": lambda c, n: analysis.find_heads(c, n - 1, 0),
}


def capture(n: int) -> Capture:
    """Make a causal capture of one layer of grouped heads."""
    drawn = torch.Generator().manual_seed(0)
    queries, keys = (1.5 * torch.randn(heads, n, WIDTH, generator=drawn) for heads in (HEADS, KEY_HEADS))
    made = attnscope.from_queries_keys([queries], [keys], [f"t{i % 997}" for i in range(n)], causal=True)
    attnscope.limit_cache(0, made)
    return made


def product(c: Capture, n: int) -> None:
    """Multiply one head's queries and keys, block by block."""
    layer = c["self"].layer(0)
    for top in range(0, n, 256):
        layer.queries[0, top : top + 256] @ layer.keys[0].T


def dense_overview(c: Capture, n: int) -> object:
    """Make one head's weights at once and pool them."""
    layer, cell = c["self"].layer(0), max(1, n // 512)
    scores = (layer.queries[0] * layer.scale) @ layer.keys[0].T
    weights = scores.masked_fill_(torch.ones(n, n).triu_(1).bool(), -torch.inf).softmax(-1)
    return torch.nn.functional.max_pool2d(weights[None], cell)[0]


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reading_cost", description=__doc__.splitlines()[0])
    parser.add_argument("tokens", nargs="*", type=int, help=f"lengths; by default {WHOLE}")
    parser.add_argument("--quick", action="store_true", help=f"lengths {QUICK}")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=float, default=30.0, help="seconds from which on a reading is timed only once")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    lengths = options.tokens or list(QUICK if options.quick else WHOLE)
    sheet = Sheet("reading_cost", options.json)
    for ask in [*READINGS.values(), product, dense_overview]:
        ask(capture(64), 64)  # what is imported at the first look costs once
    for n in lengths:
        c = capture(n)
        gc.collect()
        for who, ask in [(PRODUCT, product), *READINGS.items(), (THE_DENSE_WAY, dense_overview)]:
            row = Row("reading time", "one layer of 4 heads", n, who, "ms", beside=PRODUCT)
            if who == THE_DENSE_WAY and n > DENSE:
                sheet.add(row.refused(f"one head's weights alone take {4 * n * n / 2**30:.0f} GiB"), aloud=False)
                continue
            taken = grown(partial(ask, c, n))
            times = timed(partial(ask, c, n), options.rounds, options.limit)
            sheet.add(
                Row("reading time", "one layer of 4 heads", n, who, "ms", times, PRODUCT),
                Row("reading memory", "one layer of 4 heads", n, who, "MB", (taken / 1e6,)),
                aloud=False,
            )
    for table in (times_table, memory_table):
        print("\n".join(table(sheet.rows, lengths)), flush=True)
        print()


def timed(run: Callable[[], object], rounds: int, limit: float) -> tuple[float, ...]:
    """Milliseconds of each round."""
    times: list[float] = []
    while len(times) < rounds and sum(times) < 1e3 * limit:
        started = time.thread_time()
        run()
        times.append(1e3 * (time.thread_time() - started))
    return tuple(times)


def grown(run: Callable[[], object]) -> float:
    """Bytes that memory grows by at most while something runs."""
    marks = Path("/proc/self/clear_refs")
    if not marks.exists():
        tracemalloc.start()
        try:
            run()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if trim is not None:
            trim(0)
    marks.write_text("5", encoding="ascii")  # the peak is counted from here
    before = _highest()
    run()
    return max(0, _highest() - before)


def _highest() -> int:
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


def times_table(rows: list[Row], lengths: list[int]) -> list[str]:
    """One line per reading: milliseconds (least to most), times the product, and how time grows."""
    found = {(row.who, row.tokens): Spread.of(row.samples) for row in rows if row.unit == "ms" and row.samples}
    lines = [
        f"| reading | {' | '.join(f'{n:,} tokens, ms | × product' for n in lengths)} | grows as n to the |",
        "|---" * (2 * len(lengths) + 2) + "|",
    ]
    for who in dict.fromkeys(row.who for row in rows):
        cells = []
        for n in lengths:
            one, least = found.get((who, n)), found[PRODUCT, n].median
            told = f"{one.median:,.1f} ({one.low:,.1f} to {one.high:,.1f})" if one else "–"
            cells += [told, f"{one.median / least:.2f}" if one else "–"]
        lines.append(f"| {who} | {' | '.join(cells)} | {_power(found, who, lengths)} |")
    return lines


def memory_table(rows: list[Row], lengths: list[int]) -> list[str]:
    """One line per reading: megabytes, and how memory grows."""
    found = {(row.who, row.tokens): Spread.of(row.samples) for row in rows if row.unit == "MB" and row.samples}
    lines = [
        f"| reading | {' | '.join(f'{n:,} tokens, MB' for n in lengths)} | grows as n to the |",
        "|---" * (len(lengths) + 2) + "|",
    ]
    for who in dict.fromkeys(row.who for row in rows):
        cells = [f"{found[who, n].median:,.1f}" if (who, n) in found else "–" for n in lengths]
        lines.append(f"| {who} | {' | '.join(cells)} | {_power(found, who, lengths)} |")
    return lines


def _power(found: dict[tuple[str, int], Spread], who: str, lengths: list[int]) -> str:
    known = [n for n in lengths if (who, n) in found]
    power = exponent(known, [found[who, n].median for n in known])
    return "–" if power is None else f"{power:.2f}"


if __name__ == "__main__":
    main()
