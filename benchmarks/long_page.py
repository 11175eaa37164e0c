"""Using a widget on long texts and big models, beside a short text: frames, longest task, what is sent.

Run ``python -m benchmarks.long_page [VIEW …]`` from the project's root; ``--quick`` uses the links view alone and fewer
inputs, ``--json FILE`` also writes the rows. As in ``first_paint``, a widget and a real Chromium are joined by a socket
in place of a notebook's comm. Every view is opened, scrolled by wheel and by keyboard, pointed over, left for other
heads by click and by key, and searched; each figure of frames is a multiple of the same at 128 tokens.
"""

from __future__ import annotations

import argparse
import json
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.first_paint import CASES, chromium
from benchmarks.page_fluidity import START
from tests.browser.channel import live, show
from tests.browser.widget import Widget

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from playwright.sync_api import Browser, Page

    from tests.browser.channel import Channel

VIEWS = ("links", "matrix", "grid", "text", "steps", "flow")
INPUTS, FEW = ("128", "512", "2048", "32768", "80 × 64"), ("128", "32768", "80 × 64")
STEPS = 40
PATIENCE = 60_000
"""Milliseconds that a view may take to be complete; what takes longer is used as it is."""
TAKE = "() => { const w = window.watched; window.watched = { frames: [], tasks: [] }; return w; }"


@dataclass(frozen=True)
class Use:
    """What one use of one view took.

    Parameters
    ----------
    median, p95, most
        Milliseconds between frames.
    longest_task
        Milliseconds; 0 for none over 50.
    messages, nbytes, requests
        Messages to the page, their bytes, and requests of the page, cancellations not counted.
    """

    input: str
    view: str
    action: str
    median: float
    p95: float
    most: float
    longest_task: float
    messages: int
    nbytes: int
    requests: int


def main(argv: Sequence[str] | None = None) -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("views", nargs="*", metavar="VIEW", help=f"of {', '.join(VIEWS)}")
    parser.add_argument("--inputs", nargs="*", metavar="NAME", help=f"of {', '.join(CASES)}")
    parser.add_argument("--quick", action="store_true", help="the links view on three inputs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows here")
    given = parser.parse_args(argv)
    views = given.views or (VIEWS[:1] if given.quick else VIEWS)
    names = given.inputs or (FEW if given.quick else INPUTS)
    print("| view | action | input | median frame | p95 | longest | longest task, ms | messages | kB | requests |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    rows: list[Use] = []
    with chromium() as browser:
        for view in views:
            first: dict[str, Use] = {}
            for name in names:
                for use in uses(browser, name, view):
                    base = first.setdefault(use.action, use)
                    frames = [
                        f"{getattr(use, one):.0f} ({getattr(use, one) / max(getattr(base, one), 1e-9):.2f})"
                        for one in ("median", "p95", "most")
                    ]
                    print(
                        f"| {view} | {use.action} | {name} | {' | '.join(frames)} | {use.longest_task:.0f} "
                        f"| {use.messages} | {use.nbytes / 1e3:.0f} | {use.requests} |",
                        flush=True,
                    )
                    rows.append(use)
    if given.json:
        written = {"benchmark": "long_page", "machine": platform.platform(), "rows": [asdict(row) for row in rows]}
        given.json.write_text(json.dumps(written, indent=1), encoding="utf-8")


def uses(browser: Browser, name: str, view: str) -> Iterator[Use]:
    """Use one view of one input in every way."""
    query = 100
    with live(CASES[name](), view=view, query=query) as channel:
        page = browser.new_page(viewport={"width": 1280, "height": 700})
        page.set_default_timeout(PATIENCE)
        try:
            show(page, channel, PATIENCE / 1000)
            page.evaluate(START)
            seen = page.evaluate("() => window.seen")
            sent = channel.sent[: channel.first]
            script = sum(one.script for one in sent)
            yield Use(
                name, view, "open", seen["ready"] - seen["began"], 0, 0, max(seen["tasks"], default=0),
                len(sent), sum(one.size for one in sent) - script, len(channel.asked),
            )  # fmt: skip
            complete(page)
            for action, run in actions(page).items():
                yield measured(page, channel, (name, view, action), run)
        finally:
            page.close()


def complete(page: Page) -> None:
    """Wait until nothing about the view is on its way; what is asked about all heads may still be."""
    page.wait_for_timeout(400)


def actions(page: Page) -> dict[str, Callable[[], object]]:
    """Everything a reader does."""
    widget = Widget(page.locator(".attnscope").first)
    box = widget.root.get_by_role("tabpanel").bounding_box()
    x, y, wide, tall = box["x"], box["y"], box["width"], box["height"]

    def wheel() -> None:
        page.mouse.move(x + wide / 2, y + tall / 2)
        for at in range(STEPS):
            page.mouse.wheel(0, 120 if at < 0.7 * STEPS else 4000)
            page.wait_for_timeout(16)

    def ends() -> None:
        panel = widget.root.get_by_role("tabpanel")
        target = panel.locator('[tabindex="0"]').first
        for key in ("End", "Home", "PageDown", "PageDown", "End", "Home"):
            target.press(key) if target.count() else page.keyboard.press(key)
            page.wait_for_timeout(60)

    def hover() -> None:
        widget.root.get_by_role("tabpanel").press("Escape")
        for at in range(STEPS):
            page.mouse.move(x + wide * (0.1 + 0.8 * at / STEPS), y + 80 + (at * 9) % (tall - 160))
            page.wait_for_timeout(16)

    def heads_by_key() -> None:
        grid = widget.root.get_by_role("grid", name="Heads: rows are layers, columns are heads").first
        for at in range(6):
            grid.press("ArrowRight" if at % 3 else "ArrowDown")
            page.keyboard.press("Enter")
            page.wait_for_timeout(120)

    def heads_by_click() -> None:
        map_box = widget.root.locator(".headmap").bounding_box()
        for at in range(6):
            page.mouse.click(map_box["x"] + 34 + 9 * at, map_box["y"] + 6 + 5 * (at % 2))
            page.wait_for_timeout(120)

    def search() -> None:
        page.keyboard.press("Escape")
        widget.root.get_by_role("searchbox").first.press_sequentially("abc", delay=40)
        page.keyboard.press("Enter")
        page.wait_for_timeout(100)
        widget.root.get_by_role("searchbox").first.fill("")

    return {
        "wheel": wheel,
        "keys": ends,
        "hover": hover,
        "heads by key": heads_by_key,
        "heads by click": heads_by_click,
        "search": search,
    }


def measured(page: Page, channel: Channel, names: tuple[str, str, str], run: Callable[[], object]) -> Use:
    """Do something, and see what it took."""
    messages, asked = len(channel.sent), len(channel.asked)
    page.wait_for_timeout(60)
    page.evaluate(TAKE)
    run()
    page.wait_for_timeout(200)
    seen: dict[str, Any] = page.evaluate(TAKE)
    frames = np.array(seen["frames"][1:] or [0.0])
    sent = channel.sent[messages:]
    requests = [one for one in channel.asked[asked:] if one.get("type") not in ("cancel", "hello", "store")]
    return Use(
        *names, float(np.median(frames)), float(np.percentile(frames, 95)), float(frames.max()),
        max(seen["tasks"], default=0.0), len(sent), sum(one.size for one in sent), len(requests),
    )  # fmt: skip


if __name__ == "__main__":
    main()
