"""A map of the heads: groups that look alike, where they lie, which are redundant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from attnscope.analysis.likeness import divergence_sums, head_distance, heads_of
from attnscope.analysis.tables import table
from attnscope.errors import InputError

if TYPE_CHECKING:
    from attnscope.analysis.likeness import Sample
    from attnscope.attention.capture import Capture

MOST_ORDERED = 512
"""Heads up to which the tree's branches are also turned so that neighbours are nearest."""


def head_clusters(
    c: Capture,
    *,
    within: float = 0.3,
    n_clusters: int | None = None,
    content: bool = False,
    kind: str | None = None,
) -> Any:
    """Group heads that look alike, and place all of them on a plane.

    Heads are clustered by average linkage on the root of their Jensen–Shannon divergence (``scipy.cluster.hierarchy``),
    and placed by classical multidimensional scaling of the same (Torgerson 1952), which keeps distances as well as two
    axes can.

    Parameters
    ----------
    within
        Distance up to which clusters are joined, 0 to 1.
    n_clusters
        Number of clusters, instead of a distance.
    content
        Leave special tokens out on both sides; where they are sinks, most heads fall into one cluster with them.

    Returns
    -------
    pandas.DataFrame or list of dict
        Per head: ``layer``, ``head``; ``cluster``, counted from 0 by falling size, and its ``size``; ``x`` and ``y``;
        the ``nearest_layer`` and ``nearest_head``, and the ``divergence`` from it. Near 0 the head is redundant, which
        only ablating both can prove.

    Examples
    --------
    >>> table = analysis.head_clusters(c)
    >>> table[["layer", "head", "cluster", "size"]].head(3)
       layer  head  cluster  size
    0      0     0        6     1
    1      0     1        7     1
    2      0     2        4     1
    """
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    names = heads_of(c, kind=kind)
    if n_clusters is not None and (isinstance(n_clusters, bool) or not 1 <= n_clusters <= len(names)):
        raise InputError(f"There are {len(names)} heads to cluster, so 1 to {len(names)} clusters; got {n_clusters!r}.")
    if not 0 <= within <= 1:
        raise InputError(f"within is a distance from 0 to 1, got {within!r}.")
    divergence = head_distance(c, content=content, kind=kind)
    if np.isnan(divergence).any():
        raise InputError("Some heads have no weight on any key that counts, so they cannot be compared.")
    distance = np.sqrt(divergence.astype(np.float64))
    np.fill_diagonal(distance, 0)
    if len(names) == 1:
        labels = np.zeros(1, int)
    else:
        tree = linkage(squareform(distance, checks=False), "average")
        labels = (
            fcluster(tree, within, "distance") if n_clusters is None else fcluster(tree, n_clusters, "maxclust")
        ) - 1
    sizes = np.bincount(labels)
    rank = np.empty_like(sizes)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
    places = plane(distance)
    others = divergence + np.diag(np.full(len(names), np.inf, np.float32))
    nearest = others.argmin(axis=1)
    return table(
        [
            {
                "layer": layer,
                "head": head,
                "cluster": int(rank[labels[i]]),
                "size": int(sizes[labels[i]]),
                "x": float(places[i, 0]),
                "y": float(places[i, 1]),
                "nearest_layer": names[nearest[i]][0],
                "nearest_head": names[nearest[i]][1],
                "divergence": float(others[i, nearest[i]]),
            }
            for i, (layer, head) in enumerate(names)
        ]
    )


def likeness_order(c: Capture, *, sample: Sample | None = None, kind: str | None = None) -> list[tuple[int, int]]:
    """Order the heads so that like ones stand together: the leaves of the tree :func:`head_clusters` cuts.

    Parameters
    ----------
    sample
        Some queries and groups of keys to compare; None for as :func:`head_distance` does.

    Returns
    -------
    list of (layer, head)
        Heads that cannot be compared come last.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
    from scipy.spatial.distance import squareform

    names = heads_of(c, kind=kind)
    distance = np.sqrt(divergence_sums(c, sample=sample, kind=kind).mean.astype(np.float64))
    np.fill_diagonal(distance, 0)
    blank = np.isnan(distance).sum(axis=1) >= len(names) - 1
    known = np.flatnonzero(~blank) if len(names) > 1 else np.arange(len(names))
    unknown = np.setdiff1d(np.arange(len(names)), known)
    if len(known) > 2:
        condensed = squareform(distance[np.ix_(known, known)], checks=False)
        tree = linkage(condensed, "average")
        if len(known) <= MOST_ORDERED:
            tree = optimal_leaf_ordering(tree, condensed)
        known = known[leaves_list(tree)]
    return [names[at] for at in (*known, *unknown)]


def plane(distance: np.ndarray) -> np.ndarray:
    """Place points on a plane by their distances: classical multidimensional scaling (Torgerson 1952).

    Parameters
    ----------
    distance
        float [points, points].

    Returns
    -------
    numpy.ndarray
        float64 [points, 2], the wider axis first, signs chosen so that the largest coordinate of each is positive.
    """
    squared = np.asarray(distance, np.float64) ** 2
    centred = -(squared - squared.mean(0) - squared.mean(1)[:, None] + squared.mean()) / 2
    values, vectors = np.linalg.eigh(centred)
    found = np.zeros((len(squared), 2))
    top = min(2, len(squared))
    found[:, :top] = (vectors * np.sqrt(np.maximum(values, 0)))[:, ::-1][:, :top]
    largest = np.abs(found).argmax(axis=0)
    return found * np.where(found[largest, [0, 1]] < 0, -1, 1)
