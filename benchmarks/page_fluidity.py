"""How fluid the page stays: frames and long tasks on a large input, beside the same on a small one.

Run ``python -m benchmarks.page_fluidity`` from the project's root, with the names of views to measure only those.
Every view is scrolled, pointed over and left for another head in a headless Chromium; the numbers are the median and
the 95th percentile of the time between frames, and the longest task, each as a multiple of the small input's.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from playwright.sync_api import sync_playwright

import attnscope
from attnscope.attention.capture import Attention, Capture
from attnscope.recording.media.patches import grid_tokens
from tests.browser.conftest import ARGUMENTS, NAMES
from tests.browser.test_export import queries_keys
from tests.browser.widget import Widget

if TYPE_CHECKING:
    from playwright.sync_api import Page

VIEWS = ("Links", "Matrix", "Grid", "Text", "Steps", "Flow")
TOKENS, HEADS = "2,000 tokens / 13", "80 × 64 heads / 6 × 12"
FRAMES = 60
START = """() => {
  window.watched = { frames: [], tasks: [] };
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) window.watched.tasks.push(entry.duration);
  }).observe({ type: "longtask" });
  let before = performance.now();
  const step = (now) => {
    window.watched.frames.push(now - before);
    before = now;
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}"""


@dataclass(frozen=True)
class Input:
    """A large capture and a small one, each with what it may be compared with, and the views they are shown in."""

    name: str
    views: tuple[str, ...]
    pair: tuple[dict[str, Any], dict[str, Any]]


def inputs() -> list[Input]:
    """What is measured."""

    def text(tokens: int, extra: int = 0, **given: Any) -> attnscope.Capture:
        return queries_keys([f" t{i}" for i in range(tokens)] + [f" new{i}" for i in range(extra)], **given)

    def image(rows: int, columns: int) -> attnscope.Capture:
        """An image of patches, each of which attends to all of them."""
        patches = grid_tokens(rows, columns)
        plain = text(len(patches), layers=2, heads=4)["self"]
        layers = {layer: plain.layer(layer) for layer in plain.layers}
        return Capture({"vision": Attention("vision", layers, patches, patches)})

    long = {"layers": 2, "causal": True}
    return [
        Input(TOKENS, VIEWS, ({"capture": text(2000, **long)}, {"capture": text(13, **long)})),
        Input(
            HEADS,
            VIEWS,
            ({"capture": text(24, layers=80, heads=64)}, {"capture": text(24, layers=6, heads=12)}),
        ),
        Input(
            TOKENS,
            ("Compare",),
            (
                {"capture": text(2000, **long), "compare": text(1990, 15, **long)},
                {"capture": text(13, **long), "compare": text(11, 3, **long)},
            ),
        ),
        Input(
            HEADS,
            ("Compare",),
            (
                {"capture": text(24, layers=80, heads=64), "compare": text(22, 3, layers=80, heads=64)},
                {"capture": text(24, layers=6, heads=12), "compare": text(22, 3, layers=6, heads=12)},
            ),
        ),
        Input("40 × 50 patches / 3 × 5", ("Image",), ({"capture": image(40, 50)}, {"capture": image(3, 5)})),
    ]


def main(wanted: list[str]) -> None:
    """Print a table."""
    print("| input | view | action | median frame | p95 frame | longest task, ms (small) |")
    print("|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        found = next(filter(None, map(shutil.which, NAMES)))
        browser = driver.chromium.launch(executable_path=found, args=ARGUMENTS)
        for each in inputs():
            views = [view for view in each.views if view in (wanted or each.views)]
            if not views:
                continue
            paths = []
            for which, given in zip(("large", "small"), each.pair, strict=True):
                paths.append(Path(folder) / f"{which}.html")
                attnscope.AttentionWidget(**given, query=5).save(paths[-1])
            for view in views:
                measured = []
                for path in paths:
                    page = browser.new_page(viewport={"width": 1100, "height": 600})
                    page.goto(path.as_uri())
                    measured.append(measure(page, view))
                    page.close()
                for action in measured[0]:
                    large, small = (one[action] for one in measured)
                    print(
                        f"| {each.name} | {view} | {action} | {large[0] / small[0]:.2f} | {large[1] / small[1]:.2f} "
                        f"| {large[2]:.0f} ({small[2]:.0f}) |",
                        flush=True,
                    )
        browser.close()


def measure(page: Page, view: str) -> dict[str, tuple[float, float, float]]:
    """Use one view, and give what each use cost."""
    widget = Widget.on(page)
    widget.tab(view).click()
    widget.wait()
    page.evaluate(START)
    box = widget.root.get_by_role("tabpanel").bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    found = {}

    def used(name: str) -> None:
        page.wait_for_timeout(150)
        seen = page.evaluate("() => { const w = window.watched; window.watched = {frames: [], tasks: []}; return w; }")
        frames = np.array(seen["frames"][2:])
        found[name] = (float(np.median(frames)), float(np.percentile(frames, 95)), max(seen["tasks"], default=0.0))

    used("start")
    page.mouse.move(*middle)
    for _ in range(FRAMES):
        page.mouse.wheel(0, 40)
        page.wait_for_timeout(16)
    used("scroll")
    for at in range(FRAMES):
        page.mouse.move(box["x"] + box["width"] * (0.2 + 0.6 * at / FRAMES), box["y"] + 60 + (at * 7) % 300)
        page.wait_for_timeout(16)
    used("hover")
    for _ in range(6):
        widget.root.get_by_role("grid", name="Heads: rows are layers, columns are heads").first.press("ArrowRight")
        page.keyboard.press("Enter")
        page.wait_for_timeout(150)
    used("switch head")
    del found["start"]
    return found


if __name__ == "__main__":
    main(sys.argv[1:])
