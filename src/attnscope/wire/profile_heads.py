"""Which heads of a profile have which role, and which are let through by what is asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.analysis.roles import FIRES, margin_of
from attnscope.profiling.roles import firing_of, scores_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from attnscope.profiling.head_profile import HeadProfile

NO_ROLE = 255


@dataclass(frozen=True, eq=False)
class Roles:
    """Which roles heads have.

    Parameters
    ----------
    names
        Roles that some text can show.
    fires
        uint8 [roles, layers, heads]: whether a head has the role.
    strongest
        uint8 [layers, heads]: the role it has by the largest margin; :data:`NO_ROLE` where it has none.
    """

    names: tuple[str, ...]
    fires: np.ndarray
    strongest: np.ndarray

    @classmethod
    def of(cls, profile: HeadProfile) -> Roles:
        """Look up the roles of every head."""
        rows, scores = profile.heads.rows.shape[1:], scores_of(profile)
        found = firing_of(profile, scores, FIRES)
        names = tuple(scores)
        fires = np.array([found[name] for name in names], np.uint8).reshape(len(names), *rows)
        margins = np.full((len(names), *rows), -np.inf)
        for at, (score, chance, _) in enumerate(scores.values()):
            margins[at] = np.where(fires[at] > 0, margin_of(score, chance), -np.inf)
        strongest = np.full(rows, NO_ROLE, np.uint8)
        if names:
            some = fires.any(axis=0)
            strongest[some] = margins.argmax(axis=0)[some]
        return cls(names, fires, strongest)


def passing(profile: HeadProfile, state: Mapping[str, Any]) -> np.ndarray:
    """Say of every head whether the state lets it through: bool [layers, heads].

    Parameters
    ----------
    profile
        The profile.
    state
        ``by``, and what is asked for: ``ranges``, ``layer_range``, ``role``.
    """
    counts = np.asarray(profile.head_counts)
    passes = np.arange(counts.max(initial=0)) < counts[:, None]
    for name, (least, most) in state["ranges"].items():
        mean = profile.mean(name, by=state["by"]).astype(np.float32).astype(np.float64)  # as the page has them
        passes &= (mean >= (-np.inf if least is None else least)) & (mean <= (np.inf if most is None else most))
    if state["layer_range"] is not None:
        first, last = state["layer_range"]
        layers = np.asarray(profile.layers)[:, None]
        passes &= (layers >= first) & (layers <= last)
    if state["role"]:
        roles = Roles.of(profile)
        has = state["role"] in roles.names
        passes &= roles.fires[roles.names.index(state["role"])] > 0 if has else np.zeros_like(passes)
    return passes
