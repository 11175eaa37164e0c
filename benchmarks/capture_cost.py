"""Time and memory of a recorded forward pass, beside the same pass without recording.

Run with ``python -m benchmarks.capture_cost [tokens …] [--dtype bfloat16] [--path FOLDER] [--memory] [--quick]``. The
models have the widths of GPT-2 small and of a small Llama with grouped heads, random weights, and few layers: the cost
is per layer. Beside the pass whose queries and keys are kept in memory as they are, ``--dtype`` adds one that keeps
them in that dtype, and ``--path`` one that writes them to a new file in that folder, finished and synchronised to the
disk.

Times: one thread, timed on its own clock; in each round all passes run in random order. ``ratio`` is that of the
shortest of all rounds, which other work on the machine disturbs least; beside it the median of the rounds' own ratios
and their quartiles, and the ratio of the shortest times by the clock on the wall, which counts waiting for the disk.

Memory: each pass runs in a process of its own; what its resident memory grows by at most while it runs, above the
loaded model, and the bytes a capture keeps. glibc is told to give every large block back at once: else it holds on to
freed ones, of the model's own too, and what is needed cannot be told from what is lying about.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import resource
import statistics
import sys
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import torch
from transformers import GPT2Config, GPT2Model, LlamaConfig, LlamaModel

from attnscope import record
from benchmarks.rows import Row, Sheet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Ways = dict[str, dict[str, Any]]
"""What record() is asked for, by what it is called in the table."""


def gpt2(n_layers: int) -> GPT2Model:
    """A model of GPT-2 small's width."""
    return GPT2Model(GPT2Config(n_layer=n_layers, n_positions=4096)).eval()


def llama(n_layers: int) -> LlamaModel:
    """A model of 14 heads that share 2 key heads."""
    shape = {"hidden_size": 896, "num_attention_heads": 14, "num_key_value_heads": 2, "intermediate_size": 4864}
    return LlamaModel(LlamaConfig(**shape, num_hidden_layers=n_layers, vocab_size=1000)).eval()


COST, MEMORY = "capture time, layer by layer", "memory of a recorded pass"
PLAIN, AS_IT_IS = "plain pass", "as it is"
LAYERS = 8
"""Of the models whose memory is measured."""
MODELS: dict[str, Callable[[int], torch.nn.Module]] = {"GPT-2 width": gpt2, "Llama width, grouped": llama}


def main(argv: Sequence[str] | None = None) -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tokens", nargs="*", type=int)
    parser.add_argument("--rounds", type=int)
    parser.add_argument(
        "--dtype", action="append", default=[], help="also keep queries and keys in this; may be repeated"
    )
    parser.add_argument("--path", type=Path, help="also write them to a new file in this folder")
    parser.add_argument("--memory", action="store_true", help="memory in place of time")
    parser.add_argument("--quick", action="store_true", help="512 tokens, three rounds")
    parser.add_argument("--json", type=Path, help="also write the rows to this file")
    options = parser.parse_args(argv)
    tokens = options.tokens or ([512] if options.quick else [512, 1024, 2048, 4096])
    rounds = options.rounds or (3 if options.quick else 7)
    ways: Ways = {AS_IT_IS: {}} | {f"in {dtype}": {"dtype": dtype} for dtype in options.dtype}
    if options.path is not None:
        options.path.mkdir(parents=True, exist_ok=True)
        ways["to a file"] = {"path": options.path}
    torch.set_num_threads(1)
    measure = _print_memory if options.memory else partial(_print_times, rounds=rounds)
    measure(tokens, ways, Sheet("capture_cost", options.json))


def _print_times(tokens: Sequence[int], ways: Ways, sheet: Sheet, *, rounds: int) -> None:
    print("| model | layers | tokens | kept | plain ms | recorded ms | ratio | median (quartiles) | by the wall |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, make in MODELS.items():
        for n in tokens:
            n_layers = max(1, 2048 // n)
            torch.manual_seed(0)
            model, ids = make(n_layers), torch.randint(0, 1000, (1, n))
            times = _times(model, ids, rounds, ways)
            plain, plain_wall = zip(*times[PLAIN], strict=True)
            for who, both in times.items():
                recorded, wall = zip(*both, strict=True)
                row = Row(COST, f"{name}, {_layers(n_layers)}", n, _who(who), "ms", recorded, PLAIN, paired=True)
                sheet.add(row, aloud=False)
                if who == PLAIN:
                    continue
                low, middle, high = statistics.quantiles([b / a for a, b in zip(plain, recorded, strict=True)], n=4)
                print(
                    f"| {name} | {n_layers} | {n} | {who} | {min(plain):.0f} | {min(recorded):.0f} "
                    f"| {min(recorded) / min(plain):.3f} | {middle:.3f} ({low:.3f}-{high:.3f}) "
                    f"| {min(wall) / min(plain_wall):.3f} |",
                    flush=True,
                )


def _layers(n: int) -> str:
    return f"{n} layers" if n > 1 else "1 layer"


def _who(way: str) -> str:
    return {PLAIN: PLAIN, AS_IT_IS: "attnscope"}.get(way, f"attnscope, {way}")


def _times(model: torch.nn.Module, ids: torch.Tensor, rounds: int, ways: Ways) -> dict[str, list[tuple[float, float]]]:
    """Milliseconds of each round of each pass, by the thread's clock and by the wall's."""
    passes = {PLAIN: _plain} | {way: partial(_recorded, **options) for way, options in ways.items()}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in passes}
    for run in passes.values():
        run(model, ids)
    for _ in range(rounds):
        for name in random.sample(list(passes), len(passes)):
            started = time.thread_time(), time.perf_counter()
            passes[name](model, ids)
            took = time.thread_time() - started[0], time.perf_counter() - started[1]
            times[name].append((took[0] * 1e3, took[1] * 1e3))
    return times


def _print_memory(tokens: Sequence[int], ways: Ways, sheet: Sheet) -> None:
    print("| model | layers | tokens | kept | plain MB | recorded MB | one layer of 8 | kept MB | all weights MB |")
    print("|---|---|---|---|---|---|---|---|---|")
    os.environ["MALLOC_MMAP_THRESHOLD_"] = str(1 << 19)
    for name in MODELS:
        for n in tokens:
            made = partial(Row, MEMORY, f"{name}, {_layers(LAYERS)}", n, unit="MB", beside=PLAIN)
            plain = _apart(name, n, None)[0]
            sheet.add(made(PLAIN, samples=(plain,)), aloud=False)
            for way, options in ways.items():
                (recorded, kept), one = _apart(name, n, options), _apart(name, n, {**options, "layers": [0]})[0]
                sheet.add(made(_who(way), samples=(recorded,)), aloud=False)
                heads = 12 if name.startswith("GPT-2") else 14
                print(
                    f"| {name} | {LAYERS} | {n} | {way} | {plain:.0f} | {recorded:.0f} | {one:.0f} | {kept:.1f} "
                    f"| {LAYERS * heads * n * n * 4 / 1e6:.0f} |",
                    flush=True,
                )


def _apart(name: str, n: int, options: dict[str, Any] | None) -> tuple[float, float]:
    """Measure one pass in a new process: MB its memory grew by, and MB the capture keeps."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_grown, (name, n, options))


def _grown(name: str, n: int, options: dict[str, Any] | None) -> tuple[float, float]:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    model = MODELS[name](LAYERS)
    _recorded(model, torch.randint(0, 1000, (1, 16)))
    ids = torch.randint(0, 1000, (1, n))
    unit = 1e6 if sys.platform == "darwin" else 1e3
    before, kept = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, 0
    if options is None:
        _plain(model, ids)
    else:
        kept = _recorded(model, ids, **options)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / unit, kept / 1e6


def _plain(model: torch.nn.Module, ids: torch.Tensor) -> None:
    with torch.no_grad():
        model(ids, use_cache=False)


def _recorded(model: torch.nn.Module, ids: torch.Tensor, path: Path | None = None, **options: Any) -> int:
    """Record a pass, to a new file in the folder ``path`` if there is one; give the bytes that are kept."""
    if path is None:
        return _capture(model, ids, **options)
    with TemporaryDirectory(dir=path) as folder:
        return _capture(model, ids, path=Path(folder) / "capture.safetensors", **options)


def _capture(model: torch.nn.Module, ids: torch.Tensor, **options: Any) -> int:
    with torch.no_grad(), record(model, **options) as recording:
        model(ids, use_cache=False)
    return recording.capture().nbytes


if __name__ == "__main__":
    main()
