"""Throughput and memory of a profile, beside the model alone and beside eager weights with the same statistics.

Run with ``python -m benchmarks.profile_throughput [--quick] [--json FILE]``. The model is a BERT with random weights,
the texts are sentences of templates. All ways run the same texts in the same batches, of about equal length:

* the model alone, which keeps nothing;
* eager weights: the model on eager attention with ``output_attentions``, its weights through the very code that counts
  a profile, so that what differs is how the weights are had;
* ``attnscope.profile``.

They are timed on one thread, on its own clock, in rounds, each on other texts, all ways in random order in each; ratios
are taken per round. Peak memory is what the process grows by at most while a way runs. Then all short texts run once
more on two threads and on two dask workers on this machine, timed by the wall; every bit of the workers' profile has to
be that of the rounds' profiles merged.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import random
import sys
import time
from dataclasses import dataclass
from functools import partial, reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import BertConfig, BertModel

from attnscope import HeadProfile, from_attentions, profile
from attnscope.profiling.counting import count
from attnscope.profiling.measures import MEASURES
from attnscope.recording.encode import encode
from benchmarks.rows import Row, Sheet, ratio
from tests.models.sentences import sentence
from tests.models.words import wordpiece

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ALONE, EAGER, OURS = "the model alone", "eager weights, same statistics", "attnscope.profile"
TIME, MEMORY, WALL = "profile time per text", "profile peak memory", "profile throughput, by the wall"
SHORT = 83
WORKERS = 2


@dataclass(frozen=True)
class Part:
    """Texts of one length: about how many tokens each, how many in a round, how many rounds, how many at once."""

    tokens: int
    texts: int
    rounds: int
    batch: int = 8


WHOLE = (Part(SHORT, 256, 8), Part(512, 16, 3), Part(2048, 1, 4, batch=1))
QUICK = (Part(SHORT, 64, 2), Part(512, 2, 2, batch=2))


def bert(implementation: str, n_layers: int, n_heads: int, longest: int) -> BertModel:
    """The same BERT each time, on one way of computing attention."""
    torch.manual_seed(0)
    shape = {"hidden_size": 32 * n_heads, "num_hidden_layers": n_layers, "num_attention_heads": n_heads}
    shape |= {"intermediate_size": 128 * n_heads, "max_position_embeddings": longest}
    return BertModel(BertConfig(vocab_size=400, **shape, attn_implementation=implementation)).eval()


def corpus(n_texts: int, tokens: int) -> list[str]:
    """Texts of one to three sentences, or of so many that they have nearly as many tokens as asked for."""
    chance, tokenizer, texts = np.random.default_rng(0), wordpiece(), []
    for _ in range(n_texts):
        if tokens == SHORT:
            texts.append(" ".join(sentence(chance)[0] for _ in range(chance.integers(1, 4))))
            continue
        words: list[str] = []
        while len(tokenizer(" ".join(words))["input_ids"]) < tokens:
            words += sentence(chance)[0].split()
        while len(tokenizer(" ".join(words))["input_ids"]) > tokens:
            words.pop()
        texts.append(" ".join(words))
    return texts


def batches(texts: Sequence[str], size: int) -> Iterator[list[str]]:
    """Deal texts as a profile does: shards of eight batches, each in order of length."""
    tokenizer = wordpiece()
    for start in range(0, len(texts), size * 8):
        shard = sorted(texts[start : start + size * 8], key=lambda text: len(tokenizer(text)["input_ids"]))
        for first in range(0, len(shard), size):
            yield shard[first : first + size]


def alone(model: BertModel, texts: Sequence[str], size: int) -> None:
    """Run the model and keep nothing."""
    for batch in batches(texts, size):
        with torch.no_grad():
            model(**encode(wordpiece(), batch, None).inputs)


def eager(model: BertModel, texts: Sequence[str], size: int) -> None:
    """Take the weights the model gives, and sum the same statistics."""
    for batch in batches(texts, size):
        encoded = encode(wordpiece(), batch, None)
        with torch.no_grad():
            weights = model(**encoded.inputs, output_attentions=True).attentions
        for item, tokens in enumerate(encoded.tokens):
            n = int(encoded.inputs["attention_mask"][item].sum())
            cut = [layer[item, :, :n, :n] for layer in weights]
            attention = from_attentions(cut, tokens.take(np.arange(n)))["self"]
            for tally in count(attention, tuple(MEASURES), content=False):
                tally.as_text()


def ours(model: BertModel, texts: Sequence[str], size: int, **more: Any) -> HeadProfile:
    """Profile the texts."""
    return profile(model, wordpiece(), texts, batch_size=size, progress=False, **more)


def peak(run: Callable[[], Any]) -> tuple[float, Any]:
    """MB that this process grows by at most while something runs, NaN where the system does not tell; and its result.

    Memory that was let go of before is given back first, and the system's high-water mark is set to what is left.
    """
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except (OSError, AttributeError):
        return float("nan"), run()
    before = _status("VmRSS")
    found = run()
    return (_status("VmHWM") - before) / 1e3, found


def _status(name: str) -> float:
    """KB of one line of what the system tells of this process."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return float(next(line for line in lines if line.startswith(name)).split()[1])


def on_workers(model: BertModel, texts: Sequence[str], size: int) -> tuple[float, HeadProfile, float]:
    """Profile on dask workers on this machine: seconds, the profile, and MB of all processes at their peaks."""
    import dask
    from distributed import Client, LocalCluster

    trim = {"distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": 1 << 28}
    shape = {"n_workers": WORKERS, "threads_per_worker": 1, "dashboard_address": None, "host": "127.0.0.1"}
    with dask.config.set(trim), LocalCluster(**shape) as cluster, Client(cluster) as client:
        started = time.perf_counter()
        made = ours(model, texts, size, engine="dask", client=client)
        seconds = time.perf_counter() - started
        memory = [_status("VmHWM"), *client.run(_status, "VmHWM").values()] if sys.platform == "linux" else []
    return seconds, made, sum(memory) / 1e3


def rounds(part: Part, models: dict[str, BertModel], sheet: Sheet, name: str) -> tuple[list[HeadProfile], float]:
    """Run all ways in rounds: the rounds' profiles, and the seconds they took by the wall."""
    texts = corpus(part.texts * part.rounds, part.tokens)
    ways: dict[str, Callable[..., Any]] = {ALONE: alone, EAGER: eager, OURS: ours}
    times: dict[str, list[float]] = {who: [] for who in ways}
    most: dict[str, list[float]] = {who: [] for who in ways}
    made, wall = [], 0.0
    for who, way in ways.items():
        way(models[who], corpus(8, SHORT), 8)
    for number in range(part.rounds):
        start = number * part.texts
        some = texts[start : start + part.texts]
        for who in random.sample(list(ways), len(ways)):
            way = partial(ways[who], **({"first": start} if who == OURS else {}))
            clocks = time.thread_time(), time.perf_counter()
            memory, found = peak(partial(way, models[who], some, part.batch))
            times[who].append((time.thread_time() - clocks[0]) * 1e3 / part.texts)
            most[who].append(memory)
            if who == OURS:
                made.append(found)
                wall += time.perf_counter() - clocks[1]
    length = round(sum(each.n_tokens for each in made) / len(texts))
    for who in ways:
        sheet.add(Row(TIME, name, length, who, "ms", tuple(times[who]), ALONE, paired=True))
        if not np.isnan(most[who]).any():
            sheet.add(Row(MEMORY, name, length, who, "MB", tuple(most[who]), ALONE, paired=True))
    return made, wall


def scaled(part: Part, model: BertModel, sheet: Sheet, name: str, whole: HeadProfile, wall: float) -> bool:
    """Run all short texts once more on two threads and on workers; say whether the workers' profile is the same."""
    texts = corpus(part.texts * part.rounds, part.tokens)
    row = partial(Row, WALL, name, round(whole.n_tokens / len(texts)), unit="texts/s", beside="one process, one thread")
    sheet.add(row(who="one process, one thread", samples=(len(texts) / wall,)))
    torch.set_num_threads(2)
    started = time.perf_counter()
    ours(model, texts, part.batch)
    sheet.add(row(who="one process, two threads", samples=(len(texts) / (time.perf_counter() - started),)))
    torch.set_num_threads(1)
    seconds, again, memory = on_workers(model, texts, part.batch)
    same = again == whole
    note = f"{'every bit the same' if same else 'NOT the same'}, all processes {memory:,.0f} MB at most"
    sheet.add(row(who=f"{WORKERS} dask workers", samples=(len(texts) / seconds,), note=note))
    return same


def main(argv: Sequence[str] | None = None) -> None:
    """Print the rows, and a table of the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a small model and few texts: shows that all of it works")
    parser.add_argument("--tokens", type=int, nargs="*", help="lengths, of those there are")
    parser.add_argument("--shape", type=int, nargs=2, metavar=("LAYERS", "HEADS"))
    parser.add_argument("--no-scaling", action="store_true", help="leave out threads and workers")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows of every round here")
    options = parser.parse_args(argv)
    n_layers, n_heads = options.shape or ((2, 4) if options.quick else (6, 12))
    parts = [part for part in (QUICK if options.quick else WHOLE) if part.tokens in (options.tokens or [part.tokens])]
    longest = max((part.tokens for part in parts), default=SHORT) + 200
    name = f"BERT type, {n_layers} × {n_heads} heads"
    slow = bert("eager", n_layers, n_heads, longest)
    fast = bert("sdpa", n_layers, n_heads, longest)
    models = {ALONE: fast, EAGER: slow, OURS: fast}
    sheet, same = Sheet("profile_throughput", options.json), True
    torch.set_num_threads(1)
    for part in parts:
        made, wall = rounds(part, models, sheet, name)
        if part.tokens == SHORT and not options.no_scaling:
            same = scaled(part, fast, sheet, name, reduce(HeadProfile.merge, made), wall)
    print(f"\n| question | tokens | way | median | beside {ALONE} |\n|---|---|---|---|---|")
    for row in sheet.rows:
        found = ratio(row, sheet.rows)
        told = "–" if found is None else f"{found.median:.2f} ({found.low:.2f}–{found.high:.2f})"
        print(f"| {row.question} | {row.tokens} | {row.who} | {np.median(row.samples):,.4g} {row.unit} | {told} |")
    if not same:
        sys.exit("The workers' profile is not that of one process.")


if __name__ == "__main__":
    main()
