"""A widget that follows generate() in a real JupyterLab."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import visit
from tests.browser.widget import Widget

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

    from tests.browser.lab import Lab, Notebook

CELLS = [
    "import time, torch\n"
    "from transformers import GPT2Config, GPT2LMHeadModel\n"
    "from attnscope import AttentionWidget, record\n"
    "torch.manual_seed(0)\n"
    "settings = dict(n_layer=2, n_head=2, n_embd=32, vocab_size=90, n_positions=256, bos_token_id=0, eos_token_id=1)\n"
    "model = GPT2LMHeadModel(GPT2Config(**settings)).eval()\n"
    "gate = {'pause': 0.25}\n"
    "model.register_forward_hook(lambda *_: time.sleep(gate['pause']))\n"
    "def write(n):\n"
    "    ids = torch.arange(2, 8)[None]\n"
    "    return model.generate(ids, max_new_tokens=n, min_new_tokens=n, do_sample=False, pad_token_id=0)",
    "with record(model) as recording:\n"
    "    model(torch.arange(2, 8)[None])\n"
    "w = AttentionWidget(recording.capture())\n"
    "w",
]
FOLLOW = "with AttentionWidget.follow(model, None, widget=w) as live:\n    write(24)\nended = True"


@pytest.fixture
def notebook(chromium: Browser, jupyter_lab: Lab) -> Iterator[Notebook]:
    """A notebook in which a slow model writes."""
    with visit(chromium, viewport={"width": 1500, "height": 1000}) as seen:
        notebook = jupyter_lab.open(seen.page, "live.ipynb", CELLS)
        yield notebook
        notebook.kernel.close()
        jupyter_lab.end_sessions()


def test_tokens_appear_while_the_model_writes(notebook):
    page, kernel = notebook.page, notebook.kernel
    notebook.run_all()
    Widget.on(page)
    running = kernel.begin(FOLLOW)
    progress = page.locator(".attnscope:not(.leaving) > .bottombar > .progress")
    expect(progress).to_contain_text("of 24 tokens")
    pinned = page.locator('.attnscope:not(.leaving) > .middle .tokens-query > [aria-pressed="true"]')
    before = int(pinned.get_attribute("data-index"))
    expect(pinned).not_to_have_attribute("data-index", str(before))
    assert not running.done()
    assert running.result(60)["status"] == "ok"
    expect(progress).to_be_hidden()
    widget = Widget.on(page)
    length = kernel.value("len(live.capture.tokens)")
    assert length == 6 + 24 - 1
    expect(widget.token("query", length - 1)).to_have_attribute("aria-pressed", "true")
    head = widget.listed("Layer 0 · Head 0")
    exact = kernel.value("live.capture.weights(0, 0, queries=-1).tolist()")
    assert [value for _, value in head] == pytest.approx(sorted(exact, reverse=True)[: len(head)], abs=1e-6)
