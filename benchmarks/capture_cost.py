"""Time and memory of a recorded forward pass, beside the same pass without recording.

Run with ``python -m benchmarks.capture_cost [tokens …] [--memory | --json FILE]``. The models have the widths of GPT-2
small and of a small Llama with grouped heads, random weights, and few layers: the cost is per layer.

Times: one thread, timed on its own clock; in each round both passes run in random order. ``ratio`` is that of the
shortest of all rounds, which other work on the machine disturbs least; beside it the median of the rounds' own ratios
and their quartiles.

Memory: each pass runs in a process of its own; what its resident memory grows by at most while it runs, above the
loaded model, and the bytes a capture keeps.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import resource
import statistics
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from transformers import GPT2Config, GPT2Model, LlamaConfig, LlamaModel

from attnscope import record
from benchmarks.rows import Row, Sheet

if TYPE_CHECKING:
    from collections.abc import Callable


def gpt2(n_layers: int) -> GPT2Model:
    """A model of GPT-2 small's width."""
    return GPT2Model(GPT2Config(n_layer=n_layers, n_positions=4096)).eval()


def llama(n_layers: int) -> LlamaModel:
    """A model of 14 heads that share 2 key heads."""
    shape = {"hidden_size": 896, "num_attention_heads": 14, "num_key_value_heads": 2, "intermediate_size": 4864}
    return LlamaModel(LlamaConfig(**shape, num_hidden_layers=n_layers, vocab_size=1000)).eval()


COST = "capture time, layer by layer"
MODELS: dict[str, Callable[[int], torch.nn.Module]] = {"GPT-2 width": gpt2, "Llama width, grouped": llama}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tokens", nargs="*", type=int, default=[512, 1024, 2048, 4096])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--memory", action="store_true", help="memory in place of time")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the times here")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.memory:
        _print_memory(options.tokens)
    else:
        _print_times(options.tokens, options.rounds, Sheet("capture_cost", options.json))


def _print_times(tokens: list[int], rounds: int, sheet: Sheet) -> None:
    print("| model | layers | tokens | plain ms | recorded ms | ratio | median (quartiles) |")
    print("|---|---|---|---|---|---|---|")
    for name, make in MODELS.items():
        for n in tokens:
            n_layers = max(1, 2048 // n)
            torch.manual_seed(0)
            model, ids = make(n_layers), torch.randint(0, 1000, (1, n))
            plain, recorded = _times(model, ids, rounds)
            for who, times in (("plain pass", plain), ("attnscope", recorded)):
                row = partial(Row, COST, f"{name}, {_layers(n_layers)}", n, who, "ms", beside="plain pass", paired=True)
                sheet.add(row(samples=tuple(times)), aloud=False)
            low, middle, high = statistics.quantiles([b / a for a, b in zip(plain, recorded, strict=True)], n=4)
            print(
                f"| {name} | {n_layers} | {n} | {min(plain):.0f} | {min(recorded):.0f} "
                f"| {min(recorded) / min(plain):.3f} | {middle:.3f} ({low:.3f}-{high:.3f}) |",
                flush=True,
            )


def _layers(n: int) -> str:
    return f"{n} layers" if n > 1 else "1 layer"


def _times(model: torch.nn.Module, ids: torch.Tensor, rounds: int) -> list[list[float]]:
    """Milliseconds of each round of either pass."""
    passes = (_plain, _recorded)
    times: list[list[float]] = [[], []]
    for run in passes:
        run(model, ids)
    for _ in range(rounds):
        for which in random.sample(range(len(passes)), len(passes)):
            started = time.thread_time()
            passes[which](model, ids)
            times[which].append((time.thread_time() - started) * 1e3)
    return times


def _print_memory(tokens: list[int]) -> None:
    print("| model | layers | tokens | plain MB | recorded MB | one layer of 4 recorded | kept MB | all weights MB |")
    print("|---|---|---|---|---|---|---|---|")
    for name in MODELS:
        for n in tokens:
            plain, recorded, one = (_apart(name, n, layers) for layers in ((), (0, 1, 2, 3), (0,)))
            heads = 12 if name.startswith("GPT-2") else 14
            print(
                f"| {name} | 4 | {n} | {plain[0]:.0f} | {recorded[0]:.0f} | {one[0]:.0f} | {recorded[1]:.1f} "
                f"| {4 * heads * n * n * 4 / 1e6:.0f} |",
                flush=True,
            )


def _apart(name: str, n: int, layers: tuple[int, ...]) -> tuple[float, float]:
    """Measure one pass in a new process: MB its memory grew by, and MB the capture keeps."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_grown, (name, n, layers))


def _grown(name: str, n: int, layers: tuple[int, ...]) -> tuple[float, float]:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = MODELS[name](4)
    _recorded(model, torch.randint(0, 1000, (1, 16)))
    ids = torch.randint(0, 1000, (1, n))
    unit = 1e6 if sys.platform == "darwin" else 1e3
    before, kept = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, 0
    if layers:
        with torch.no_grad(), record(model, layers=layers) as recording:
            model(ids, use_cache=False)
        kept = recording.capture().nbytes
    else:
        _plain(model, ids)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / unit, kept / 1e6


def _plain(model: torch.nn.Module, ids: torch.Tensor) -> None:
    with torch.no_grad():
        model(ids, use_cache=False)


def _recorded(model: torch.nn.Module, ids: torch.Tensor) -> None:
    with torch.no_grad(), record(model):
        model(ids, use_cache=False)


if __name__ == "__main__":
    main()
