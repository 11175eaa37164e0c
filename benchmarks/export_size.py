"""An exported page: its size beside BertViz's head view of the same weights, and how exact its numbers are.

Run ``python -m benchmarks.export_size [NAME …]`` from the project's root; it needs the package bertviz and a Chromium.
The models have random weights, whose query projections are then multiplied, head by head, until the heads of each layer
go from broad to peaked: normalised entropies from 0.97 to 0.4 on another text. Trained MiniLM has 0.93 to 0.41 from its
tenth to its ninetieth percentile, and a mean of 0.69; the mean here is printed. Each page is opened in a headless
Chromium, walked through by keyboard, layer by layer and query by query, and what its table of exact numbers shows is
compared with Python's weights.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from playwright.sync_api import expect, sync_playwright
from transformers import BertConfig, BertModel, LlamaConfig, LlamaModel

import attnscope
from benchmarks.sharpened import sharpen
from tests.browser.conftest import ARGUMENTS, NAMES
from tests.browser.widget import Widget

if TYPE_CHECKING:
    from playwright.sync_api import Page

MOST_WEIGHTS = 50_000_000
"""Weights of the largest page that is asked of BertViz, which takes about 50 bytes of memory for each."""
HEADER = (
    "tokens | heads | entropy | attnscope MB | s | BertViz MB | s | BertViz / attnscope | numbers read "
    "| largest difference | longest task opening, ms | computing all heads, ms"
)
ROWS = """region => [...region.querySelectorAll("tbody tr")].map((row) => [
  Number(row.dataset.row),
  ...[...row.querySelectorAll("td:not(.place)")].map((cell) => Number(cell.dataset.weight ?? NaN)),
])"""


@dataclass(frozen=True)
class Case:
    """A model's shape, a text's length, and which queries of the page are read.

    Parameters
    ----------
    tokens
        Length of the text.
    layers, heads, key_heads, width
        The model's shape; width is that of one head.
    causal
        Whether it is a decoder (Llama's, in bfloat16) or an encoder (BERT's, in float32).
    queries
        Number of queries read, evenly spaced from the last.
    """

    tokens: int
    layers: int
    heads: int
    key_heads: int
    width: int
    causal: bool
    queries: int

    @property
    def shape(self) -> str:
        """Layers × heads in words."""
        grouped = f" over {self.key_heads} key heads" if self.key_heads < self.heads else ""
        return f"{self.layers} × {self.heads}{grouped}"


@dataclass
class Found:
    """What was found on a page.

    Parameters
    ----------
    opening, computing
        The longest task, in milliseconds of processor time, while the page opens and while it computes all heads.
    numbers
        Numbers read.
    difference
        The largest difference from Python's.
    """

    opening: float = 0.0
    computing: float = 0.0
    numbers: int = 0
    difference: float = 0.0


CASES = {
    "bert-128": Case(128, 12, 12, 12, 64, causal=False, queries=4),
    "bert-512": Case(512, 12, 12, 12, 64, causal=False, queries=3),
    "grouped-2048": Case(2048, 4, 16, 4, 64, causal=True, queries=6),
}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", default=list(CASES), metavar="NAME", help=" ".join(CASES))
    print(f"| {HEADER} |\n|{'---|' * (HEADER.count('|') + 1)}")
    for name in parser.parse_args().names:
        print(f"| {' | '.join(measured(CASES[name]))} |", flush=True)


def measured(case: Case) -> list[str]:
    """Give one row of the table."""
    model = sharpened(case)
    ids = torch.randint(0, model.config.vocab_size, (1, case.tokens), generator=torch.Generator().manual_seed(1))
    with attnscope.record(model) as recording, torch.no_grad():
        model(ids)
    names = [f"t{i}" for i in range(case.tokens)]
    capture = recording.capture(attnscope.Tokens.of(names))
    entropy = float(np.nanmean(attnscope.analysis.entropy(capture)))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "page.html"
        started = time.perf_counter()
        heads = [[0, head] for head in range(case.heads)]
        attnscope.AttentionWidget(capture, heads=heads, query=case.tokens - 1).save(path)
        took = time.perf_counter() - started
        ours = path.stat().st_size
        found = read(path, capture, case)
    theirs = bertviz(model, ids, names, case)
    beside = (
        ["—", "—", "—"] if theirs is None else [f"{theirs[0] / 1e6:.1f}", f"{theirs[1]:.0f}", f"{theirs[0] / ours:.0f}"]
    )
    return [
        f"{case.tokens:,}", case.shape, f"{entropy:.2f}", f"{ours / 1e6:.1f}", f"{took:.0f}", *beside,
        f"{found.numbers:,}", f"{found.difference:.1e}", f"{found.opening:.0f}", f"{found.computing:.0f}",
    ]  # fmt: skip


def sharpened(case: Case) -> Any:
    """Make the model, with heads from broad to peaked."""
    torch.manual_seed(0)
    hidden = case.heads * case.width
    shape = {"num_hidden_layers": case.layers, "num_attention_heads": case.heads, "hidden_size": hidden}
    shape |= {"intermediate_size": hidden // 4, "vocab_size": 1000, "initializer_range": 0.05}
    if case.causal:
        more = {"num_key_value_heads": case.key_heads, "head_dim": case.width, "max_position_embeddings": case.tokens}
        model = LlamaModel(LlamaConfig(**shape, **more)).to(torch.bfloat16)
    else:
        model = BertModel(BertConfig(**shape))
    model.eval()
    sharpen(
        model, [weight for name, weight in model.named_parameters() if name.endswith(("query.weight", "q_proj.weight"))]
    )
    return model


def read(path: Path, capture: attnscope.Capture, case: Case) -> Found:
    """Read numbers off the page, and watch it compute."""
    with sync_playwright() as driver:
        found = next(filter(None, map(shutil.which, NAMES)))
        browser = driver.chromium.launch(executable_path=found, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(120_000)
        seen = Found()
        browser.start_tracing(page=page, categories=["toplevel"])
        page.goto(path.as_uri())
        widget = Widget.on(page)
        seen.opening = longest_task(browser.stop_tracing())
        table = widget.root.get_by_role("button", name="Table of exact numbers", exact=True)
        query = case.tokens - 1
        for at in range(case.queries):
            if at > 0:
                query = pin_earlier(page, widget, query, case.tokens // case.queries // 10)
            table.click()
            for layer in range(case.layers):
                if layer > 0:
                    page.keyboard.press("ArrowRight")
                for head in range(case.heads):
                    expect(widget.head(layer, head)).to_have_attribute("aria-selected", "true")
                widget.wait()
                shown = np.array(widget.root.get_by_role("region", name="Table of exact numbers").evaluate(ROWS))
                keys, numbers = shown[:, 0].astype(int), shown[:, 1:].T
                weights = capture.weights(layer, queries=query)[:, keys].reshape(numbers.shape)
                assert np.array_equal(np.isnan(numbers), np.isnan(weights) | (keys > query) & case.causal)
                there = ~np.isnan(numbers)
                seen.numbers += int(there.sum())
                seen.difference = max(seen.difference, float(np.abs(numbers - weights)[there].max()))
            table.click()
            for _ in range(case.layers - 1):
                page.keyboard.press("ArrowLeft")
        browser.start_tracing(page=page, categories=["toplevel"])
        widget.tab("Grid").click()
        expect(widget.tab("Grid")).to_have_attribute("aria-selected", "true")
        expect(widget.root).to_have_attribute("data-ready", "true", timeout=300_000)
        seen.computing = longest_task(browser.stop_tracing())
        browser.close()
    return seen


def longest_task(trace: bytes) -> float:
    """Give the longest task of the page's thread, in milliseconds of processor time."""
    events = json.loads(trace)["traceEvents"]
    pages = {
        (event["pid"], event["tid"])
        for event in events
        if event["name"] == "thread_name" and event["args"]["name"] == "CrRendererMain"
    }
    tasks = (event for event in events if event["name"].endswith("RunTask") and (event["pid"], event["tid"]) in pages)
    return max(event.get("tdur", 0) for event in tasks) / 1000


def pin_earlier(page: Page, widget: Widget, query: int, pages: int) -> int:
    """Pin a query some pages of ten tokens before the pinned one, by keyboard; give its position."""
    widget.token("query", query).focus()
    for _ in range(pages):
        page.keyboard.press("PageUp")
    query -= 10 * pages
    expect(widget.token("query", query)).to_be_focused()
    page.keyboard.press("Enter")
    expect(widget.token("query", query)).to_have_attribute("aria-pressed", "true")
    return query


def bertviz(model: Any, ids: torch.Tensor, names: list[str], case: Case) -> tuple[int, float] | None:
    """Make BertViz's page; give its bytes and the seconds it took, None where it would not fit."""
    if case.layers * case.heads * case.tokens**2 > MOST_WEIGHTS:
        return None
    from bertviz import head_view

    model.set_attn_implementation("eager")
    with torch.no_grad():
        attentions = model(ids, output_attentions=True).attentions
    started = time.perf_counter()
    page = head_view(attentions, names, html_action="return").data
    return len(page.encode()), time.perf_counter() - started


if __name__ == "__main__":
    main()
