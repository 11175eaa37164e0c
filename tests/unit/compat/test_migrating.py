"""The migration page: every line of code on it runs, and every call and argument it names is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import attnscope
from attnscope import AttentionWidget
from tests.unit.compat.given import PAIR, eager, layers, names
from tests.unit.compat.test_signatures import KNOWN

PAGE = (Path(__file__).parents[3] / "docs" / "migrating.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
ROWS = [
    line.strip("|").split(" | ") for line in PAGE.split("What comes back")[0].splitlines() if line.startswith("| `")
]
CODE = re.compile(r"`([^`]+)`")


@pytest.fixture
def names_used():
    """What the snippets are about."""
    model, tokenizer, _ = eager()
    given = layers(causal=True)
    return {
        **{name: getattr(attnscope, name) for name in ("AttentionWidget", "capture", "from_attentions")},
        "model": model,
        "tokenizer": tokenizer,
        "text": PAIR[0],
        "a": PAIR[0],
        "b": PAIR[1],
        "c": attnscope.capture(model, tokenizer, PAIR[0]),
        "layer": 0,
        "attention": given[0][0],
        "tokens": names(),
        "cache": {f"blocks.{number}.attn.hook_pattern": one for number, one in enumerate(given)},
    }


@pytest.mark.parametrize("block", BLOCKS)
def test_blocks_run(block, names_used):
    exec(block, names_used)


def test_there_are_blocks_and_rows():
    assert len(BLOCKS) == 2
    assert len(ROWS) == 10


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].strip(" `"))
def test_what_comes_next_runs(row, names_used):
    found = [code for code in CODE.findall(row[-1]) if "(" in code or "[" in code]
    assert found or "any class" in row[-1] or "keep" in row[-1]
    for code in found:
        one_head = {"attention": names_used["attention"][0]} if "attention[None]" in code else {}
        shown = eval(code, {**names_used, **one_head})
        if code.startswith("AttentionWidget"):
            assert isinstance(shown, AttentionWidget)


def test_every_call_is_on_the_page():
    for call in KNOWN:
        assert call.rsplit(".", 1)[1] in PAGE


def test_arguments_the_page_names_are_real():
    known = {name for arguments in KNOWN.values() for name in arguments}
    of_others = {"attention_type", "query", "view", "aggregate", "values", "output_attentions", "html_action"}
    named = set(re.findall(r"`[^`]*?(\w+)=", PAGE))
    assert {"include_heads", "html_action"} <= named
    assert named <= known | of_others
