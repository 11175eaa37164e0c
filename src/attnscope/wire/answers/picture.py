"""A picture of what the model was shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attnscope.errors import NotFoundError
from attnscope.wire.question import Numbers

if TYPE_CHECKING:
    from attnscope.wire.question import Question


def picture(question: Question) -> Numbers:
    """Answer with one picture: [height, width], each pixel 65536 · red + 256 · green + blue, which float32 holds."""
    (number,) = question.ints("number")
    pictures = question.capture.pictures
    if not 0 <= number < len(pictures):
        raise NotFoundError(f"There is no picture {number} here; this capture has {len(pictures)}.")
    return Numbers(pictures[number].astype(np.float32) @ np.array([65536, 256, 1], np.float32))
