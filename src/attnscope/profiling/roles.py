"""Which roles heads have over many texts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from attnscope.analysis.roles import can_show, firing
from attnscope.profiling.measures import ROLES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attnscope.profiling.head_profile import HeadProfile

Scores = dict[str, tuple[np.ndarray, np.ndarray, np.ndarray]]


def scores_of(profile: HeadProfile) -> Scores:
    """Give the score, the chance level and the rows of every role some text can show, each [layers, heads]."""
    shape, found = profile.heads.rows.shape[1:], {}
    for role, name in ROLES.items():
        if name in profile.statistics:
            chance = np.broadcast_to(profile.level(name)[:, None], shape)
            if can_show(chance, profile.rows(name)):
                found[role] = profile.mean(name), chance, profile.rows(name)
    return found


def firing_of(profile: HeadProfile, scores: Scores, threshold: float) -> Mapping[str, np.ndarray]:
    """Say of every head whether it has a role: bool [layers, heads] by the role's name."""
    shape = profile.heads.rows.shape[1:]
    spread = profile.mean("entropy") if "entropy" in profile.statistics else np.full(shape, np.nan)
    return firing(scores, spread, threshold)
