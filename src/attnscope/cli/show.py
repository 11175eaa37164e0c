"""``attnscope page`` and ``attnscope picture``."""

from __future__ import annotations

import webbrowser
from typing import TYPE_CHECKING, Any

from attnscope import AttentionWidget, analysis
from attnscope.cli.captures import first_and_second, require_input
from attnscope.cli.console import Console
from attnscope.cli.files import checked_output
from attnscope.errors import AttnscopeError, InputError, NotFoundError, meant
from attnscope.wire.protocol import MEASURES, VIEWS

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

    from attnscope.attention.capture import Capture
    from attnscope.attention.tokens import Tokens


def write_page(given: argparse.Namespace) -> None:
    """Write one interactive page."""
    path = checked_output(given.output, (".html",), force=given.force)
    _write(given, path)


def write_picture(given: argparse.Namespace) -> None:
    """Write a still picture."""
    path = checked_output(given.output, (".svg", ".png"), force=given.force)
    _write(given, path)


def _write(given: argparse.Namespace, path: Path) -> None:
    _require_known("view", given.view, VIEWS)
    _require_known("measure", given.measure, MEASURES)
    if given.view == "compare" and given.compare is None and given.compare_model is None:
        raise InputError("The view compare lays two captures beside each other: give --compare or --compare-model.")
    require_input(given)
    console = Console(quiet=given.quiet)
    first, second = first_and_second(given, console)
    widget = AttentionWidget(first, compare=second, **selection(first, second, given))
    with console.step(f"writing {path}"):
        save(widget, path)
    console.wrote(path, told(first))
    if given.open:
        webbrowser.open(path.resolve().as_uri())


def save(widget: AttentionWidget, path: Path) -> None:
    """Write what a widget shows.

    Raises
    ------
    InputError
        When the system refuses.
    """
    try:
        widget.save(path)
    except OSError as error:
        raise InputError(f"Cannot write {str(path)!r}: {error.strerror}.") from error


def told(shown: Capture) -> str:
    """Say in one line what a capture holds."""
    attention = shown[shown.kinds[0]]
    parts = (shown.model_name, ", ".join(shown.kinds), attention.shape_text, f"{len(attention.queries)} tokens")
    return " · ".join(part for part in parts if part)


def selection(shown: Capture, second: Capture | None, given: argparse.Namespace) -> dict[str, Any]:
    """Give the traits that were asked for; what was not is chosen to show what was."""
    kind = given.kind or shown.kinds[0]
    if kind not in shown.kinds:
        raise InputError(f"There is no {kind!r} attention here, only {', '.join(shown.kinds)}.")
    queries, keys = shown.tokens_of(kind)
    query, key = _position(queries, given.query), _position(keys, given.key)
    layer = given.layer
    heads = None if given.head is None else [[_layer(shown, kind, layer), head] for head in given.head]
    if heads is None and layer is None and query is not None and key is not None:
        heads = linking(shown, query, key, kind)
    elif heads is None and layer is None and second is not None:
        heads = _most_changed(shown, second, kind)
    chosen = {"kind": kind, "layer": layer, "heads": heads, "query": query, "key": key}
    chosen |= {"view": given.view or (None if second is None else "compare")}
    chosen |= {name: getattr(given, name) for name in ("measure", "theme")}
    return {name: value for name, value in chosen.items() if value is not None}


def linking(shown: Capture, query: int, key: int, kind: str) -> list[list[int]]:
    """Give the head with the largest weight from a query to a key."""
    hits = analysis.find_heads(shown, query, key, direction="forward", k=1, kind=kind)
    return [[hit.layer, hit.head] for hit in hits]


def _most_changed(shown: Capture, second: Capture, kind: str) -> list[list[int]] | None:
    """Give the head that changed most; None where this kind cannot be compared, which the page says itself."""
    try:
        ranked = analysis.compare(shown, second, kind=kind).ranked()
    except AttnscopeError:
        return None
    return [[layer, head] for layer, head, _ in ranked[:1]] or None


def _layer(shown: Capture, kind: str, layer: int | None) -> int:
    return shown[kind].layers[0] if layer is None else layer


def _position(tokens: Tokens, wanted: str | None) -> int | None:
    """Resolve a token, a word, or else a position."""
    if wanted is None:
        return None
    try:
        return tokens.position(wanted)
    except NotFoundError:
        if not wanted.isdecimal():
            raise
    return tokens.position(int(wanted))


def _require_known(what: str, wanted: str | None, known: Sequence[str]) -> None:
    if wanted is None or wanted in known:
        return
    raise InputError(f"There is no {what} {wanted!r}. {meant(wanted, known)}")
