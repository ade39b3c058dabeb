"""One measured figure, and the file that all figures are appended to."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["RESULTS", "Figure", "append", "newest", "read"]

RESULTS: Final = Path(__file__).parents[1] / "results.jsonl"
"""All recorded figures, one JSON object per line, oldest first."""
_AREAS: Final = (
    "overhead",
    "transfer",
    "tables",
    "start",
    "throughput",
    "events",
    "collector",
    "memory",
    "catalogue",
    "processors",
    "builds",
)


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of results.jsonl.

    Raises:
        ValueError: the name does not begin with an area, or only one of `ratio` and `against` is given.
    """

    name: str
    """Dotted, most general part first: `overhead.tiny.run`."""
    value: float
    """The median of all repeats."""
    unit: str
    """`s`, `MiB`, `1/s`."""
    against: str | None
    """Name of the figure that it is compared with, if any."""
    ratio: float | None
    """`value` divided by the value of `against`."""
    repeats: int
    spread: tuple[float, float]
    """Smallest and largest value of all repeats."""
    machine: str
    commit: str
    date: str
    """UTC, ISO 8601, to the second."""
    scale: float = 1.0
    """Factor of the benchmark's numbers in the thousands: 0.5 means half as many objects as the page says."""

    def __post_init__(self) -> None:
        """Reject a figure that does not fit on the page."""
        if self.name.partition(".")[0] not in _AREAS or "." not in self.name:
            raise ValueError(f"a figure is called {self.name!r}; expected a name that begins with one of {_AREAS}")
        if (self.against is None) != (self.ratio is None):
            raise ValueError(f"{self.name}: a ratio and what it is against come together")

    def to_json(self) -> str:
        """Return one line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False)


def append(figures: Iterable[Figure], file: Path = RESULTS) -> None:
    """Add figures to the file."""
    with file.open("a", encoding="utf-8") as stream:
        stream.writelines(f"{figure.to_json()}\n" for figure in figures)


def read(file: Path = RESULTS) -> list[Figure]:
    """Return all figures, oldest first; empty if the file does not exist.

    Raises:
        ValueError: a line is not a figure; the message names it.
    """
    if not file.is_file():
        return []
    lines = file.read_text(encoding="utf-8").splitlines()
    return [_parse(line, f"{file.name}, line {number}") for number, line in enumerate(lines, 1)]


def newest(figures: Iterable[Figure]) -> dict[str, Figure]:
    """Return the last figure of each name, sorted by area and subject, then by time."""
    last: dict[str, Figure] = {}
    for figure in figures:
        last.pop(figure.name, None)
        last[figure.name] = figure
    return {figure.name: figure for figure in sorted(last.values(), key=lambda figure: figure.name.split(".")[:2])}


def _parse(line: str, where: str) -> Figure:
    try:
        raw: dict[str, Any] = json.loads(line)
        low, high = raw.pop("spread")
        return Figure(**raw, spread=(low, high))
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"{where}: {error}") from error
