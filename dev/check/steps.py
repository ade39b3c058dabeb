"""The steps of `make test`: what each runs, and what it needs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["STEPS", "Step", "environment", "quick_steps", "steps_for"]

PYTEST: Final = ("pytest", "-q", "--durations=5")
ON_REAL_PARTS: Final = ("tests/packaging", "tests/integration", "e2e/cases")


@dataclass(frozen=True)
class Step:
    """One command of a group."""

    group: str
    title: str
    command: tuple[str, ...]
    stands_alone: bool = True
    """Whether the steps behind it mean something where it fails; so one run of CI tells all that is wrong."""


STEPS: Final = (
    Step("lint", "format", ("ruff", "format", "--check", "--quiet", ".")),
    Step("lint", "lint rules", ("ruff", "check", "--quiet", ".")),
    Step("lint", "import rules", ("lint-imports", "--no-logo")),
    Step("lint", "types", ("mypy", "operator", "dev", "e2e", "benchmarks")),
    Step("unit", "unit tests", (*PYTEST, "-n", "2", "tests/unit")),
    Step("cluster", "cluster", ("python", "-m", "dev.cluster", "up"), stands_alone=False),
    Step("cluster", "images and operator", ("python", "-m", "dev.install"), stands_alone=False),
    # Nearly all of these wait for a kubelet or a store, so more run at once than there are processors.
    Step("cluster", "tests on the real parts", (*PYTEST, "-n", "4", "-m", "not disruptive", *ON_REAL_PARTS)),
    Step("cluster", "tests that kill parts", (*PYTEST, "-m", "disruptive", *ON_REAL_PARTS)),
)


def steps_for(groups: tuple[str, ...]) -> tuple[Step, ...]:
    """The steps of these groups; all where none is named.

    Raises:
        ValueError: there is no such group.
    """
    known = tuple(dict.fromkeys(step.group for step in STEPS))
    if unknown := [group for group in groups if group not in known]:
        raise ValueError(f"no group of checks is called {unknown[0]!r}; there are: {', '.join(known)}")
    return tuple(step for step in STEPS if not groups or step.group in groups)


def quick_steps(tests: Sequence[str]) -> tuple[Step, ...]:
    """Lint and these unit tests; no tests: lint alone."""
    lint = steps_for(("lint",))
    return (
        (*lint, Step("unit", "unit tests of what changed", (*PYTEST, "-n", "2", "--hypothesis-profile=quick", *tests)))
        if tests
        else lint
    )


def environment() -> dict[str, str]:
    """The environment of every step: this one, with colours off where nobody looks."""
    return {**os.environ, "PYTHONUNBUFFERED": "1"}
