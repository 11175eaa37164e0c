"""Size of an exported page, beside BertViz's head view of the same weights.

Run with ``python benchmarks/export_size.py``; it needs the package bertviz. The model has BERT-base's shape (12 layers,
12 heads, width 768) and random weights, which compress worse than trained ones.
"""

import argparse
import tempfile
import time
from pathlib import Path

import torch
from transformers import BertConfig, BertModel

from attnscope import AttentionWidget, Tokens, record


def main() -> None:
    """Print a table of sizes and of the time each page took to make."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tokens", nargs="*", type=int, default=[64, 128, 256])
    lengths = parser.parse_args().tokens
    torch.manual_seed(0)
    config = BertConfig(attn_implementation="sdpa", initializer_range=0.05)
    model = BertModel(config).eval()
    print("| tokens | attnscope MB | s | BertViz MB | s | BertViz / attnscope |\n|---|---|---|---|---|---|")
    for n in lengths:
        ids = torch.randint(1000, 20000, (1, n))
        names = [f"t{i}" for i in range(n)]
        ours, our_time = _ours(model, ids, names)
        theirs, their_time = _theirs(model, ids, names)
        print(
            f"| {n} | {ours / 1e6:.1f} | {our_time:.1f} | {theirs / 1e6:.1f} | {their_time:.1f} | {theirs / ours:.0f} |"
        )


def _ours(model: BertModel, ids: torch.Tensor, names: list[str]) -> tuple[int, float]:
    with record(model) as recording, torch.no_grad():
        model(ids)
    capture = recording.capture(Tokens.of(names))
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.html"
        AttentionWidget(capture).save(path)
        return path.stat().st_size, time.perf_counter() - started


def _theirs(model: BertModel, ids: torch.Tensor, names: list[str]) -> tuple[int, float]:
    from bertviz import head_view

    before = model.config._attn_implementation
    model.set_attn_implementation("eager")
    with torch.no_grad():
        attentions = model(ids, output_attentions=True).attentions
    model.set_attn_implementation(before)
    started = time.perf_counter()
    page = head_view(attentions, names, html_action="return").data
    return len(page.encode()), time.perf_counter() - started


if __name__ == "__main__":
    main()
