"""How each viewer is used in a browser: what is on screen, another head, tokens under the pointer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmarks.peers.names import CIRCUITS, HEAD_VIEW, MODEL_VIEW, SAVED, US

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    Point = tuple[float, float]

COLUMN = """(canvas) => {
  if (!canvas?.width || !canvas.height) return "";
  const drawn = canvas.getContext("2d").getImageData(canvas.width >> 1, 0, 1, canvas.height).data;
  let sum = 0;
  for (let i = 0; i < drawn.length; i++) sum = (sum * 31 + drawn[i]) | 0;
  return drawn.some((value) => value > 0) ? `drawn ${sum}` : "";
}"""
NODE = """(node) => {
  if (!node) return "";
  window.nodesSeen ??= 0;
  return (node.numberSeen ??= `node ${++window.nodesSeen}`);
}"""


@dataclass(frozen=True)
class Viewer:
    """One viewer.

    Parameters
    ----------
    picture
        A function of the page: a string that changes with what is drawn, ``""`` while nothing is.
    complete
        A function of the page: whether it is done by its own account.
    event
        Of the page, with which a change of head or layer starts.
    switch
        Shows another head or layer; takes the page and how many were shown before.
    sweep
        Where the pointer starts and ends on its way over tokens.
    """

    picture: str
    complete: str
    event: str
    switch: Callable[[Page, int], object]
    sweep: Callable[[Page], tuple[Point, Point]]


def _our_layer(page: Page, shown: int) -> None:
    if shown == 0:
        page.get_by_role("button", name="Table of exact numbers", exact=True).focus()
    page.keyboard.press("ArrowRight")


def _our_tokens(page: Page) -> tuple[Point, Point]:
    box = page.locator('.attnscope [data-side="query"][data-index]').first.bounding_box()
    x = box["x"] + box["width"] / 2
    return (x, box["y"] + 4), (x, min(box["y"] + 400, page.viewport_size["height"] - 60))


def _their_tokens(page: Page) -> tuple[Point, Point]:
    box = page.locator("#vis #left text").first.bounding_box()
    x = box["x"] + box["width"] / 2
    return (x, box["y"] + 4), (x, page.viewport_size["height"] - 20)


def _thumbnail(page: Page, shown: int) -> None:
    """Click the first head of another layer, where the detail of the one before does not cover it."""
    page.locator(f"#attn_background_{shown}_0").click(position={"x": 8, "y": 8}, force=True)


def _detail_tokens(page: Page) -> tuple[Point, Point]:
    token = page.locator(".detail text.token").first
    token.scroll_into_view_if_needed()
    box = token.bounding_box()
    x = box["x"] + box["width"] / 2
    return (x, box["y"] + 4), (x, page.viewport_size["height"] - 20)


def _small_picture(page: Page, shown: int) -> None:
    page.get_by_role("heading", name=f"Head {shown + 1}", exact=True).hover()


def _large_picture(page: Page) -> tuple[Point, Point]:
    box = page.locator("canvas").last.bounding_box()
    end = min(box["y"] + box["height"], page.viewport_size["height"]) - 20
    return (box["x"] + 120, box["y"] + 10), (box["x"] + 400, end)


_OURS = Viewer(
    picture=f"""() => ({COLUMN})(document.querySelector('.attnscope [role="tabpanel"] canvas'))""",
    complete="""() => document.querySelector('.attnscope')?.dataset.ready === "true" """,
    event="keydown",
    switch=_our_layer,
    sweep=_our_tokens,
)
VIEWERS = {
    US: _OURS,
    SAVED: _OURS,
    HEAD_VIEW: Viewer(
        picture=f"""() => ({NODE})(document.querySelector("#vis #attention line"))""",
        complete="() => true",
        event="change",
        switch=lambda page, shown: page.select_option("#layer", str(shown + 1)),
        sweep=_their_tokens,
    ),
    MODEL_VIEW: Viewer(
        picture=f"""() => ({NODE})(document.querySelector(".detail line") ?? document.querySelector("svg line"))""",
        complete="() => true",
        event="click",
        switch=_thumbnail,
        sweep=_detail_tokens,
    ),
    CIRCUITS: Viewer(
        picture=f"""() => ({COLUMN})([...document.querySelectorAll("canvas")].at(-1))""",
        complete="() => true",
        event="mouseover",
        switch=_small_picture,
        sweep=_large_picture,
    ),
}
