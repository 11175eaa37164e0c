"""Open one page of one viewer in a Chromium, once: first paint, another head, tokens under the pointer.

``python -m benchmarks.peers.opening VIEWER FILE SCRIPTS SECONDS`` prints a line of JSON for each of them as soon as it
is known: ``{"question": …, "samples": […]}``, in milliseconds. A change ends with the last frame that changed what is
drawn, once the viewer says it is complete and half a second has passed without a change; a frame counts from where the
page's thread has handed it over. SCRIPTS is the folder of what BertViz fetches, SECONDS the time the page may take.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from playwright.sync_api import Error, sync_playwright
from playwright.sync_api import TimeoutError as TooLateError

from benchmarks.peers import scripts
from benchmarks.peers.names import US, first_layer
from benchmarks.peers.viewers import VIEWERS, Viewer
from tests.browser.conftest import ARGUMENTS, NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

FIRST, SWITCH, HOVER = "time to first paint", "switching", "frames while hovering"
SWITCHES, MOVES = 3, 60
MOST_SECONDS = 15
"""Longest time the pointer moves."""
WATCH = """({ picture, complete, event }) => {
  const draws = eval(picture), done = eval(complete);
  const before = draws();
  const seen = { last: before, changed: 0, still: 0, began: event ? undefined : 0 };
  window.took = undefined;
  if (event) {
    const begin = ({ timeStamp }) => { seen.began ??= timeStamp; };
    window.addEventListener(event, begin, { capture: true, once: true });
  }
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = () => {
    const now = draws();
    if (now !== seen.last) Object.assign(seen, { last: now, changed: performance.now(), still: performance.now() });
    const settled = now && now !== before && done() && performance.now() - seen.still > 500;
    if (settled && seen.began !== undefined) window.took = seen.changed - seen.began;
    else requestAnimationFrame(() => port2.postMessage(0));
  };
  requestAnimationFrame(() => port2.postMessage(0));
}"""
FRAMES = """() => {
  window.frames_ = [];
  let before = performance.now();
  const step = (now) => { window.frames_.push(now - before); before = now; requestAnimationFrame(step); };
  requestAnimationFrame(step);
}"""


def main(viewer: str, file: str, folder: str, seconds: str) -> None:
    """Open, use, and say what each use took."""
    patience = 1000 * float(seconds)
    with ExitStack() as stack:
        address = Path(file).resolve().as_uri()
        if viewer == US:
            address = stack.enter_context(_with_a_kernel(file))
        driver = stack.enter_context(sync_playwright())
        found = next(filter(None, map(shutil.which, NAMES)))
        browser = driver.chromium.launch(executable_path=found, args=ARGUMENTS)
        stack.callback(browser.close)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(patience)
        scripts.serve(page, Path(folder))
        used(page, VIEWERS[viewer], address, patience)


def used(page: Page, viewer: Viewer, address: str, patience: float) -> None:
    """Open a page and use it."""
    watched: dict[str, Any] = {"picture": viewer.picture, "complete": viewer.complete}
    page.add_init_script(f"({WATCH})({json.dumps(watched)})")
    page.goto(address, wait_until="commit", timeout=patience)
    _say(FIRST, [_took(page, patience)])
    took = []
    for shown in range(SWITCHES):
        page.evaluate(WATCH, {**watched, "event": viewer.event})
        viewer.switch(page, shown)
        took.append(_took(page, patience))
    _say(SWITCH, took)
    start, end = viewer.sweep(page)
    page.mouse.move(*start)
    page.evaluate(FRAMES)
    until = time.monotonic() + MOST_SECONDS
    for x, y in zip(*(np.linspace(a, b, MOVES) for a, b in zip(start, end, strict=True)), strict=True):
        page.mouse.move(x, y)
        page.wait_for_timeout(16)
        if time.monotonic() > until:
            break
    frames = page.evaluate("() => new Promise((go) => requestAnimationFrame(() => go(window.frames_)))")
    _say(HOVER, [float(np.percentile(frames, 95))])


def _took(page: Page, patience: float) -> float:
    """Wait for a change to end."""
    return page.wait_for_function("() => window.took", timeout=patience).json_value()


def _say(question: str, samples: list[float]) -> None:
    print(json.dumps({"question": question, "samples": samples}), flush=True)


@contextmanager
def _with_a_kernel(capture: str) -> Iterator[str]:
    """Serve a widget of a capture; gives the address."""
    import attnscope
    from tests.browser.channel import live

    found = attnscope.load(capture)
    with live(found, heads=first_layer(found)) as channel:
        yield channel.address


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except TooLateError:
        sys.exit(f"not done in {sys.argv[4]} s")
    except Error as error:
        sys.exit("the page crashed" if "crash" in str(error).lower() else str(error).splitlines()[0])
