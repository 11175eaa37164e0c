"""What is shown: models run over texts, or captures out of a file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import attnscope
from attnscope.cli.files import read_text
from attnscope.errors import FileError, InputError
from attnscope.recording.loading import load_model, quiet

if TYPE_CHECKING:
    import argparse

    from attnscope.attention.capture import Capture
    from attnscope.cli.console import Console

NEED_VALUES = ("value_weighted", "norm_weighted")


def require_input(given: argparse.Namespace) -> None:
    """Refuse arguments that say too little or too much about what is shown.

    Raises
    ------
    InputError
        With what to give.
    """
    stored, run = given.capture, given.model
    if (stored is None) == (run is None):
        raise InputError("Give --model NAME and a text, or --capture FILE for what capture.save(FILE) wrote.")
    names = ("text", "second", "file", "pair", "target", "layers", "compare", "compare_model")
    surplus = [f"--{name.replace('_', '-')}" for name in names if getattr(given, name) is not None]
    if stored is not None:
        if surplus:
            what = "a text" if surplus[0] in ("--text", "--second") else surplus[0]
            raise InputError(f"--capture shows what was captured before, so {what} has nothing to say. Leave it out.")
        return
    if (given.text is None) == (given.file is None):
        raise InputError("Give one text: in quotes, - for stdin, or --file FILE.")
    if given.second is not None and given.pair is not None:
        raise InputError("There are two second texts: leave out --pair, or the text in the second place.")


def first_and_second(given: argparse.Namespace, console: Console) -> tuple[Capture, Capture | None]:
    """Give the capture to show, and the one to lay beside it."""
    if given.capture is not None:
        return _stored(given.capture), None
    text = read_text(given.file or "-") if given.file or given.text == "-" else given.text
    pair = given.second if given.pair is None else given.pair
    if not text.strip():
        raise InputError("The text is empty. Give a text with at least one word.")
    run = _Runner(given, console)
    with_model = run.load(given.model)
    first = run.over(with_model, text, pair)
    if given.compare is None and given.compare_model is None:
        return first, None
    if given.compare_model is not None:
        with_model = run.load(given.compare_model)
    return first, run.over(with_model, *((text, pair) if given.compare is None else (given.compare, None)))


class _Runner:
    """Runs models as the arguments say."""

    def __init__(self, given: argparse.Namespace, console: Console) -> None:
        self._given, self._console = given, console
        self._capture = attnscope.capture  # what is missing is said before anything is loaded
        quiet(bars=console.live)

    def load(self, name: str) -> tuple[Any, Any]:
        given = self._given
        with self._console.step(f"loading {name}"):
            return load_model(name, dtype=given.dtype, device=given.device, trust_remote_code=given.trust_remote_code)

    def over(self, loaded: tuple[Any, Any], text: str, pair: str | None) -> Capture:
        given = self._given
        values = given.values or given.measure in NEED_VALUES
        with self._console.step("running the model"):
            found = self._capture(*loaded, text, pair, target=given.target, layers=given.layers, values=values)
        assert not isinstance(found, list)
        return found


def _stored(path: str) -> Capture:
    try:
        return attnscope.load(path)
    except OSError as error:
        raise FileError(f"Cannot read the capture {path!r}: {error.strerror}.") from error
