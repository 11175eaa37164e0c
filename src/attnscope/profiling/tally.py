"""What is known of rows and texts counted so far: exact sums that merge."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from attnscope.profiling.exact import Exact


@dataclass(frozen=True, eq=False)
class Tally:
    """Numbers per row, and their means per text, summed: all of one shape, [statistics, layers, heads] for instance.

    Parameters
    ----------
    rows
        int64: rows that count.
    total, squares
        Sums over rows of the number, and of its square.
    texts
        int64: texts in which any row counts.
    means, mean_squares
        Sums over texts of the text's mean, and of its square.
    """

    rows: np.ndarray
    total: Exact
    squares: Exact
    texts: np.ndarray
    means: Exact
    mean_squares: Exact

    @classmethod
    def none(cls, shape: tuple[int, ...]) -> Tally:
        """Nothing counted."""
        rows, texts = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        return cls(rows, Exact.none(shape), Exact.none(shape), texts, Exact.none(shape), Exact.none(shape))

    @classmethod
    def of_rows(cls, rows: np.ndarray, total: np.ndarray, squares: np.ndarray) -> Tally:
        """Take in rows of a part of a text, from float64 sums over them; see :meth:`as_text`."""
        nothing = cls.none(rows.shape)
        return cls(
            rows.astype(np.int64),
            Exact.of(total),
            Exact.of(squares),
            nothing.texts,
            nothing.means,
            nothing.mean_squares,
        )

    def as_text(self) -> Tally:
        """Count all rows as those of one text."""
        mean = np.divide(self.total.value, self.rows, out=np.zeros(self.rows.shape), where=self.rows > 0)
        counts = (self.rows > 0).astype(np.int64)
        return Tally(self.rows, self.total, self.squares, counts, Exact.of(mean), Exact.of(mean**2))

    def __add__(self, other: Tally) -> Tally:
        return Tally(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    def mean(self, by: str) -> np.ndarray:
        """Mean over rows, or over texts: float64; NaN where nothing counts."""
        return _mean(self.total, self.rows) if by == "rows" else _mean(self.means, self.texts)

    def spread(self, by: str) -> np.ndarray:
        """Standard deviation over rows, or of the texts' means: float64; NaN where nothing counts."""
        squares = _mean(self.squares, self.rows) if by == "rows" else _mean(self.mean_squares, self.texts)
        return np.sqrt(np.maximum(squares - self.mean(by) ** 2, 0))

    def same(self, other: Tally) -> bool:
        """Whether every bit is the same."""
        return all(
            np.array_equal(a, b) if isinstance(a, np.ndarray) else a.same(b)
            for a, b in ((getattr(self, field.name), getattr(other, field.name)) for field in fields(self))
        )

    def arrays(self, prefix: str) -> dict[str, np.ndarray]:
        """Name the arrays, for a file."""
        found: dict[str, np.ndarray] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, Exact):
                found[f"{prefix}.{field.name}.whole"], found[f"{prefix}.{field.name}.part"] = value.whole, value.part
            else:
                found[f"{prefix}.{field.name}"] = value
        return found

    @classmethod
    def of_arrays(cls, arrays: dict[str, np.ndarray], prefix: str) -> Tally:
        """Put together what :meth:`arrays` took apart."""

        def read(name: str) -> np.ndarray | Exact:
            whole = f"{prefix}.{name}.whole"
            return (
                Exact(arrays[whole], arrays[f"{prefix}.{name}.part"]) if whole in arrays else arrays[f"{prefix}.{name}"]
            )

        return cls(*(read(field.name) for field in fields(cls)))  # type: ignore[arg-type]  # by the fields' order


def _mean(total: Exact, count: np.ndarray) -> np.ndarray:
    return np.divide(total.value, count, out=np.full(count.shape, np.nan), where=count > 0)
