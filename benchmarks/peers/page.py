"""Make one page of one viewer: ``python -m benchmarks.peers.page VIEWER FOLDER TOKENS FILE``.

Prints as JSON the page's ``bytes``, how many of them are the viewer's program (``program``), and the ``seconds`` it
took from weights, or a capture, to the file. For attnscope with a kernel the file is the capture, and ``sent`` is what
the kernel sends before the first view is complete, ``layer`` the same with all heads of a layer on screen; the saved
page is made from that file. The model's folder is ``-`` where a text is longer than any model here could be run on:
queries and keys are then random.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import attnscope
from benchmarks.peers.names import CIRCUITS, HEAD_VIEW, MODEL_VIEW, SAVED, US, first_layer

if TYPE_CHECKING:
    import torch


def main(viewer: str, folder: str, tokens: str, file: str) -> None:
    """Make the page and say what it took."""
    print(json.dumps(MAKERS[viewer](folder, int(tokens), Path(file))))


def _with_a_kernel(folder: str, tokens: int, path: Path) -> dict[str, float]:
    from benchmarks.first_paint import chromium, first_paint

    capture = _captured(folder, tokens)
    if folder != "-":
        capture.save(path)
    with chromium() as browser:
        one = first_paint(browser, capture)
        layer = first_paint(browser, capture, heads=first_layer(capture))
    return {"sent": one.nbytes, "layer": layer.nbytes, "program": one.script}


def _captured(folder: str, tokens: int) -> attnscope.Capture:
    """Capture a text of some tokens."""
    if folder == "-":
        from benchmarks.first_paint import synthetic

        return synthetic(tokens)
    import torch
    from transformers import AutoModelForCausalLM

    from benchmarks.peers import models

    model = AutoModelForCausalLM.from_pretrained(folder).eval()
    with torch.no_grad(), attnscope.record(model) as recording:
        model(models.text(tokens), use_cache=False)
    return recording.capture(attnscope.Tokens.of(models.names(tokens)))


def _saved(_: str, __: int, path: Path) -> dict[str, float]:
    capture = attnscope.load(path.with_suffix(".capture"))
    started = time.perf_counter()
    attnscope.AttentionWidget(capture, heads=first_layer(capture)).save(path)
    return {"bytes": path.stat().st_size, "seconds": time.perf_counter() - started, "program": 0}


def _head_view(folder: str, tokens: int, path: Path) -> dict[str, float]:
    from bertviz import head_view

    return _bertviz(head_view, folder, tokens, path)


def _model_view(folder: str, tokens: int, path: Path) -> dict[str, float]:
    from bertviz import model_view

    return _bertviz(model_view, folder, tokens, path)


def _bertviz(view: Any, folder: str, tokens: int, path: Path) -> dict[str, float]:
    weights, names = _weights(folder, tokens)
    started = time.perf_counter()
    path.write_text(view(weights, names, html_action="return").data, encoding="utf-8")
    return {"bytes": path.stat().st_size, "seconds": time.perf_counter() - started, "program": 0}


def _circuits(folder: str, tokens: int, path: Path) -> dict[str, float]:
    """One layer, which is what its function is made for, with its program inside, as where there is no network."""
    from circuitsvis.attention import attention_heads

    weights, names = _weights(folder, tokens)
    started = time.perf_counter()
    made = attention_heads(weights[0][0], names)
    path.write_text(made.local_src, encoding="utf-8")
    seconds = time.perf_counter() - started
    return {"bytes": path.stat().st_size, "seconds": seconds, "program": len(made.local_src) - len(made.cdn_src)}


def _weights(folder: str, tokens: int) -> tuple[tuple[torch.Tensor, ...], list[str]]:
    """Take the weights of the same text from the same model, as the peers want them, and what the tokens are called."""
    import torch
    from transformers import AutoModelForCausalLM

    from benchmarks.peers import models

    torch.set_num_threads(1)
    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()
    with torch.no_grad():
        found = model(models.text(tokens), use_cache=False, output_attentions=True).attentions
    return found, models.names(tokens)


MAKERS = {US: _with_a_kernel, SAVED: _saved, HEAD_VIEW: _head_view, MODEL_VIEW: _model_view, CIRCUITS: _circuits}

if __name__ == "__main__":
    main(*sys.argv[1:])
