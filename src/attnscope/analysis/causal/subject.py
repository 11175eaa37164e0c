"""The one door from analysis to running models: the model is handed in, and recording runs it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attnscope.errors import MissingPackageError

if TYPE_CHECKING:
    from types import ModuleType

    from attnscope.recording.intervene.subject import Subject


def prepared(model: Any, tokenizer: Any, text: Any, text_pair: str | None = None, **wanted: Any) -> Subject:
    """Run a model once over an input, unchanged; see :func:`attnscope.recording.intervene.subject.prepare`."""
    return running().prepare(model, tokenizer, text, text_pair, **wanted)


def running() -> ModuleType:
    """The functions that run models again, imported when they are first needed: they need torch.

    Raises
    ------
    MissingPackageError
        When torch or transformers is not installed.
    """
    try:
        from attnscope.recording import intervene
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "transformers"):
            raise
        raise MissingPackageError(
            f"This question runs the model again and needs {error.name}, which is not installed. Install it with: "
            'pip install "attnscope[transformers]".'
        ) from error
    return intervene
