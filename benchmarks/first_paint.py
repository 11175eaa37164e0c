"""The first view of a widget: how much is sent until it is complete, and how long that takes.

Run ``python -m benchmarks.first_paint`` from the project's root; ``--quick`` leaves the long texts out, ``--json FILE``
also writes the rows. A widget and a real Chromium are joined by a socket in place of a notebook's comm. Counted is what
Jupyter would send, traits and replies with their buffers, until every number on screen is there; the widget's program,
which is the same for every capture, is counted apart.
"""

from __future__ import annotations

import argparse
import json
import platform
import shutil
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from playwright.sync_api import sync_playwright

import attnscope
from tests.browser.channel import live, show
from tests.browser.conftest import ARGUMENTS, NAMES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from playwright.sync_api import Browser

QUICK, WHOLE = ("128", "512", "80 × 64"), ("128", "512", "2048", "32768", "80 × 64")


@dataclass(frozen=True)
class FirstPaint:
    """What the first view took.

    Parameters
    ----------
    nbytes, messages
        Bytes and messages sent until it was complete, without the program.
    script
        Bytes of the program.
    milliseconds, longest_task
        From the page's start until the view was complete, and the longest task within.
    """

    nbytes: int
    messages: int
    script: int
    milliseconds: float
    longest_task: float


def bytes_before_first_paint(capture: attnscope.Capture, **given: Any) -> int:
    """Count what is sent until the first view of a capture is complete, in bytes, without the widget's program.

    Parameters
    ----------
    capture
        What is shown.
    **given
        How; as for ``AttentionWidget``.
    """
    with chromium() as browser:
        return first_paint(browser, capture, **given).nbytes


def first_paint(browser: Browser, capture: attnscope.Capture, **given: Any) -> FirstPaint:
    """Open a widget in a fresh page and measure its first view; see :func:`bytes_before_first_paint`."""
    with live(capture, **given) as channel:
        page = browser.new_page(viewport={"width": 1100, "height": 600})
        try:
            show(page, channel)
            seen = page.evaluate("() => window.seen")
        finally:
            page.close()
    sent = channel.sent[: channel.first]
    script = sum(one.script for one in sent)
    return FirstPaint(
        nbytes=sum(one.size for one in sent) - script,
        messages=len(sent),
        script=script,
        milliseconds=seen["ready"] - seen["began"],
        longest_task=max(seen["tasks"], default=0.0),
    )


@contextmanager
def chromium() -> Iterator[Browser]:
    """A headless Chromium."""
    found = next(filter(None, map(shutil.which, NAMES)))
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield browser
        browser.close()


def synthetic(tokens: int, layers: int = 12, heads: int = 12, key_heads: int | None = None) -> attnscope.Capture:
    """A causal capture of random queries and keys with tokens of a text's length: 4 letters and a space on average."""
    rng = np.random.default_rng(0)
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    text = [" " + "".join(rng.choice(letters, size)) for size in rng.integers(1, 8, tokens)]

    def vectors(count: int) -> list[np.ndarray]:
        return [1.5 * rng.standard_normal((count, tokens, 32), np.float32) for _ in range(layers)]

    return attnscope.from_queries_keys(vectors(heads), vectors(key_heads or heads), text, causal=True)


CASES = {
    "128": lambda: synthetic(128),
    "512": lambda: synthetic(512),
    "2048": lambda: synthetic(2048, 4, 12),
    "32768": lambda: synthetic(32768, 2, 4, 2),
    "80 × 64": lambda: synthetic(512, 80, 64, 8),
}


def main(argv: Sequence[str] | None = None) -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(CASES)}")
    parser.add_argument("--quick", action="store_true", help="leave the long texts out")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows here")
    given = parser.parse_args(argv)
    rows: list[dict[str, Any]] = []
    print(
        "| input | kB sent | messages | kB of program | first view, ms | longest task, ms |\n|---|---|---|---|---|---|"
    )
    with chromium() as browser:
        for name in given.names or (QUICK if given.quick else WHOLE):
            found = first_paint(browser, CASES[name]())
            print(
                f"| {name} | {found.nbytes / 1e3:.1f} | {found.messages} | {found.script / 1e3:.0f} "
                f"| {found.milliseconds:.0f} | {found.longest_task:.0f} |",
                flush=True,
            )
            rows.append({"input": name, **asdict(found)})
    if given.json:
        written = {"benchmark": "first_paint", "machine": platform.platform(), "rows": rows}
        given.json.write_text(json.dumps(written, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
