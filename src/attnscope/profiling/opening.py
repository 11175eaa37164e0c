"""A text a profile points at, captured to be looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.errors import InputError
from attnscope.profiling.counting import count
from attnscope.profiling.lengths import fitting
from attnscope.profiling.subject import Subject
from attnscope.recording.capture import capture

if TYPE_CHECKING:
    from attnscope.attention.capture import Capture
    from attnscope.profiling.head_profile import HeadProfile


def require_model_of(profile: HeadProfile, model: Any, tokenizer: Any) -> Subject:
    """Give the model, ready to run.

    Raises
    ------
    InputError
        When the profile is of another model, other weights or another tokenizer.
    """
    subject = Subject(model, tokenizer)
    loaded = subject.load()
    if loaded.fingerprint != profile.fingerprint:
        raise InputError(
            f"The profile is of {profile.model_name or 'a model'} with other weights or another tokenizer than those "
            f"given ({loaded.name}). Hand in the model and tokenizer that were profiled."
        )
    return subject


def capture_text(
    profile: HeadProfile, subject: Subject, text: str, statistic: str | None = None, layer: int = 0, head: int = 0
) -> Capture:
    """Capture a text as the profile ran it: cut where it was too long.

    Parameters
    ----------
    profile
        The profile.
    subject
        Its model; see :func:`require_model_of`.
    text
        The text.
    statistic, layer, head
        Of a text that was run in pieces, the piece in which this head shows most of this statistic is captured.

    Raises
    ------
    InputError
        For a text that is too long, where the profile refused those.
    """
    loaded, settings = subject.load(), profile.settings
    limits = [most for most in (settings.max_tokens, loaded.most_tokens) if most is not None]
    pieces = fitting(loaded.tokenizer, text, min(limits, default=None), settings.too_long)
    best, most = None, -np.inf
    for piece in pieces:
        found = capture(loaded.model, loaded.tokenizer, piece)
        assert not isinstance(found, list)
        if best is None:
            best = found
        if statistic is None or len(pieces) == 1:
            return found
        attention = found[profile.kind]
        heads, _ = count(attention, (statistic,), content=settings.content)
        value = float(heads.mean("rows")[0, attention.layers.index(layer), head])
        if value > most:
            best, most = found, value
    assert best is not None
    return best
