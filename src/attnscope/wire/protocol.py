"""The shapes of everything that crosses to the page; the twin of ``js/src/protocol.ts``, explained in README.md."""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict, get_args

VERSION = 1

Measure = Literal["weights", "scores", "value_weighted", "norm_weighted", "rollout", "gradient"]
MEASURES: tuple[Measure, ...] = get_args(Measure)
VIEWS = ("links", "matrix", "grid", "text", "steps", "flow", "image", "compare")
AGGREGATES = ("none", "mean", "max")
COLOR_SCALES = ("linear", "log", "rank")
GROUPINGS = ("auto", "none", "span", "turn", "segment", "sentence")


class TokensInfo(TypedDict):
    """Tokens of one side: all, or of ``count`` those in ``spans``, where every list but ``turns`` is of those only."""

    text: list[str]
    special: list[int]
    words: list[int]
    segments: list[int] | None
    patches: NotRequired[list[list[int] | None]]
    times: NotRequired[list[list[float] | None]]
    gaps: NotRequired[list[int]]
    turns: NotRequired[list[tuple[int, int, str]]]
    count: NotRequired[int]
    spans: NotRequired[list[list[int]]]


class KeptInfo(TypedDict):
    """What queries and keys are kept in, where the model computes in another dtype, and how far that moves a weight."""

    dtype: str
    error: float


class Notes(TypedDict):
    """What makes the numbers trustworthy, or not."""

    row_sums: list[float]
    dtype: str
    check: float | None
    masked: float
    error: float
    blind: NotRequired[int]
    unchecked: NotRequired[list[int]]
    kept: NotRequired[KeptInfo]


class KindInfo(TypedDict):
    """One kind of attention."""

    kind: str
    label: str
    layers: list[int]
    heads: list[int]
    names: NotRequired[list[list[str]]]
    queries: TokensInfo
    keys: TokensInfo | None
    causal: bool
    measures: list[Measure]
    statistics: list[str]
    notes: Notes


class CaptureInfo(TypedDict):
    """A capture without its numbers."""

    version: int
    model: str
    kinds: list[KindInfo]
    pictures: NotRequired[list[list[int]]]
    runs: NotRequired[bool]


class AlignmentInfo(TypedDict):
    """What two captures have in common of one kind: layers, and runs of equal tokens."""

    layers: list[int]
    queries: list[list[int]]
    keys: list[list[int]]


class CompareInfo(TypedDict):
    """The capture compared with the one shown."""

    capture: CaptureInfo
    kinds: dict[str, AlignmentInfo]
    refused: dict[str, str]


class ErrorInfo(TypedDict):
    """Why a request was refused."""

    name: str
    message: str


class Reply(TypedDict):
    """An answer; its numbers travel beside it, or as ``data`` inside it; what is no number is its ``info``."""

    id: Any
    type: NotRequired[str]
    version: NotRequired[int]
    shape: NotRequired[list[int]]
    dtype: NotRequired[str]
    info: NotRequired[dict[str, Any]]
    data: NotRequired[Any]
    error: NotRequired[ErrorInfo]


class First(TypedDict):
    """A request the page would make first, and its answer."""

    request: dict[str, Any]
    reply: Reply
