"""The steps of `make test`: what each step runs and what it needs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["STEPS", "Step", "environment", "quick_steps", "steps_for"]

PYTEST: Final = ("pytest", "-q", "--durations=10")
IN_PROCESSES: Final = ("--dist", "loadgroup", "--no-loadscope-reorder")
"""Distribute tests one at a time in their order, which `tests/conftest.py` sets: long ones first."""
ON_REAL_PARTS: Final = ("tests/packaging", "tests/integration", "e2e/cases")


@dataclass(frozen=True)
class Step:
    """One command of a group."""

    group: str
    title: str
    command: tuple[str, ...]
    stands_alone: bool = True
    """Whether later steps still run if this one fails, so that one CI run reports all failures."""
    in_background: bool = False
    """Whether later steps run at the same time. The steps in the background run one after the other."""
    after_background: bool = False
    """Whether the step starts when the steps in the background have ended, because it needs all processors."""


STEPS: Final = (
    Step("lint", "format", ("ruff", "format", "--check", "--quiet", ".")),
    Step("lint", "lint rules", ("ruff", "check", "--quiet", ".")),
    Step("lint", "import rules", ("lint-imports", "--no-logo")),
    Step("lint", "types", ("mypy", "operator", "dev", "e2e", "benchmarks")),
    # Tests that need no cluster compute. They use the time in which a cluster starts and in which the tests that kill
    # its parts wait. Their low priority keeps the processors free for those.
    Step("unit", "unit tests", ("nice", *PYTEST, "-n", "2", "tests/unit"), in_background=True),
    Step("cluster", "cluster", ("python", "-m", "dev.cluster", "up"), stands_alone=False),
    Step("cluster", "images and operator", ("python", "-m", "dev.install"), stands_alone=False),
    Step("cluster", "tests that kill parts", (*PYTEST, "-m", "disruptive", *ON_REAL_PARTS)),
    # These tests mostly wait for a kubelet or a store, so there are more workers than processors.
    Step(
        "cluster",
        "tests on the real parts",
        (*PYTEST, "-n", "4", *IN_PROCESSES, "-m", "not disruptive", *ON_REAL_PARTS),
        after_background=True,
    ),
)


def steps_for(groups: tuple[str, ...]) -> tuple[Step, ...]:
    """The steps of these groups; all steps if no group is given.

    Raises:
        ValueError: a group does not exist.
    """
    all_groups = tuple(dict.fromkeys(step.group for step in STEPS))
    if unknown := [group for group in groups if group not in all_groups]:
        raise ValueError(f"no group of checks is called {unknown[0]!r}; there are: {', '.join(all_groups)}")
    return tuple(step for step in STEPS if not groups or step.group in groups)


def quick_steps(tests: Sequence[str]) -> tuple[Step, ...]:
    """Lint and these unit tests. Without tests, lint only."""
    lint = steps_for(("lint",))
    return (
        (*lint, Step("unit", "unit tests of what changed", (*PYTEST, "-n", "2", "--hypothesis-profile=quick", *tests)))
        if tests
        else lint
    )


def environment() -> dict[str, str]:
    """The environment of every step: the current one, with unbuffered output of Python."""
    return {**os.environ, "PYTHONUNBUFFERED": "1"}
