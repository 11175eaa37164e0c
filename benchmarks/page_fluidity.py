"""How fluid the page stays: frames and long tasks on a large input, beside the same on a small one.

Run ``python -m benchmarks.page_fluidity`` from the project's root. Every view is scrolled, pointed over and left for
another head in a headless Chromium; the numbers are the median and the 95th percentile of the time between frames,
and the longest task, each as a multiple of the small input's.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from playwright.sync_api import sync_playwright

import attnscope
from tests.browser.conftest import ARGUMENTS, NAMES
from tests.browser.test_export import queries_keys
from tests.browser.widget import Widget

if TYPE_CHECKING:
    from playwright.sync_api import Page

VIEWS = ("Links", "Matrix", "Grid", "Text", "Steps", "Flow")
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


def main() -> None:
    """Print a table."""
    inputs = {
        "2,000 tokens / 13": (
            queries_keys([f" t{i}" for i in range(2000)], layers=2, causal=True),
            queries_keys([f" t{i}" for i in range(13)], layers=2, causal=True),
        ),
        "80 × 64 heads / 6 × 12": (
            queries_keys([f" t{i}" for i in range(24)], layers=80, heads=64),
            queries_keys([f" t{i}" for i in range(24)], layers=6, heads=12),
        ),
    }
    print("| input | view | action | median frame | p95 frame | longest task, ms (small) |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as driver:
        found = next(filter(None, map(shutil.which, NAMES)))
        browser = driver.chromium.launch(executable_path=found, args=ARGUMENTS)
        for name, pair in inputs.items():
            paths = []
            for which, capture in zip(("large", "small"), pair, strict=True):
                paths.append(Path(folder) / f"{which}.html")
                attnscope.AttentionWidget(capture, query=5).save(paths[-1])
            for view in VIEWS:
                measured = []
                for path in paths:
                    page = browser.new_page(viewport={"width": 1100, "height": 600})
                    page.goto(path.as_uri())
                    measured.append(measure(page, view))
                    page.close()
                for action in measured[0]:
                    large, small = (one[action] for one in measured)
                    print(
                        f"| {name} | {view} | {action} | {large[0] / small[0]:.2f} | {large[1] / small[1]:.2f} "
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
    main()
