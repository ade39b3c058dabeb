"""What is to happen in one simulation: made from a number, written down, and cut down to what a violation needs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from random import Random
from typing import TYPE_CHECKING, Any, Final

from tests.unit.controller.simulation.client import Trouble

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["RunPlan", "Schedule", "Step", "made_from", "smaller"]

NAMESPACES: Final = ("team", "other")
_POD_EDITS: Final = ("managed-by", "run", "run-uid", "attempt", "operator", "all", "owner", "annotations")
_RUN_EDITS: Final = ("operator", "kueue", "annotations", "foreign")
_MOMENTS: Final = (
    "pod made",
    "Pending",
    "StagingIn",
    "starts",
    "Running",
    "ends",
    "StagingOut",
    "Publishing",
    "Queued",
)
_REQUESTS: Final = ("answer-lost", "request-lost", "late", "refused", "busy")
_ABOUT: Final = ("", "", "PATCH", "POST", "DELETE", "GET", "pods", "secrets", "componentruns", "leases")
_WATCHED: Final = ("", "pods", "componentruns", "pods", "componentruns", "storages")
_STORE: Final = ("store-hangs", "store-fails", "store-late", "store-loses")


@dataclass(frozen=True)
class RunPlan:
    """One run that somebody creates, and what its components do."""

    name: str
    namespace: str
    at: float
    group: str | None
    policy: str
    seconds: float
    """About how long a component runs."""
    exit_code: int = 0
    failing_inputs: int = 0
    """So many attempts, from the first, fail before their component starts."""
    obeys: float = 0.1
    """Of the grace period, what a component takes to end; 1 and it is killed."""
    after_start: tuple[str, ...] = ()
    timeout: str | None = None
    kueue: bool = False
    suspend: bool = False
    ttl: str | None = None
    leaves_nothing: bool = False
    """Whether its component writes no table."""


@dataclass(frozen=True)
class Step:
    """Something that somebody does at a time."""

    at: float
    kind: str
    target: str = ""
    """Name of a run, or number of an operator."""
    value: float = 0.0
    detail: str = ""
    run: str = ""
    """With a run, this is done so many seconds after the first moment of this kind in its life."""
    moment: str = ""


@dataclass(frozen=True)
class Schedule:
    """See the module."""

    seed: int
    operators: int
    max_running: int | None
    runs: tuple[RunPlan, ...]
    steps: tuple[Step, ...] = ()
    troubles: tuple[Trouble, ...] = ()
    skews: tuple[float, ...] = (0.0, 0.0)
    ends: float = 150.0
    """When nothing goes wrong any more."""

    def __str__(self) -> str:
        """As a table to read."""
        lines = [f"seed {self.seed}, {self.operators} operators, maxRunning {self.max_running}, until {self.ends}"]
        return "\n".join([*lines, *(f"  {item}" for item in (*self.runs, *self.steps, *self.troubles))])


def made_from(seed: int) -> Schedule:
    """The schedule of this number."""
    random = Random(seed)  # noqa: S311 - a test
    operators = random.choice((1, 1, 2, 2, 2))
    ends = random.choice((60.0, 120.0, 240.0))
    runs = tuple(_run(random, number, ends) for number in range(random.randint(1, 6)))
    if random.random() < 0.6:
        runs = tuple(_in_line(random, run) for run in runs)
    steps = [_step(random, runs, operators, ends) for _ in range(random.randint(0, 8))]
    troubles = [_trouble(random, operators, ends) for _ in range(random.randint(0, 5))]
    return Schedule(
        seed,
        operators,
        random.choice((None, None, 1, 2)),
        runs,
        tuple(sorted(steps, key=lambda step: step.at)),
        tuple(troubles),
        (random.choice((0.0, 0.0, 3.0, -3.0)), 0.0),
        ends,
    )


def _run(random: Random, number: int, ends: float) -> RunPlan:
    return RunPlan(
        name="abcdefgh"[number],
        namespace=random.choice((NAMESPACES[0], *NAMESPACES)),
        at=random.choice((0.0, random.uniform(0, ends / 2))),
        group=random.choice((None, "x", "x", "x", "y")),
        policy=random.choice(("Queue", "Queue", "Queue", "Replace", "Forbid", "Allow")),
        seconds=random.choice((1.0, 5.0, 20.0, 60.0)),
        exit_code=random.choice((0, 0, 0, 1, 2)),
        failing_inputs=random.choice((0, 0, 0, 1, 2)),
        obeys=random.choice((0.0, 0.1, 0.9, 1.0)),
        after_start=random.choice(((), (), (), ("PodDeleted",), ("NodeLost", "Evicted", "PodDeleted"))),
        timeout=random.choice((None, None, None, "10s", "40s")),
        kueue=random.random() < 0.1,
        suspend=random.random() < 0.1,
        ttl=random.choice((None, None, None, "1s", "20s")),
        leaves_nothing=number % 3 == 2,
    )


def _in_line(random: Random, run: RunPlan) -> RunPlan:
    """The run, so that it has to wait for others, and its component for long enough to be in their way."""
    return replace(
        run,
        namespace=NAMESPACES[0],
        at=random.uniform(0, 5),
        group=random.choice(("x", "x", "x", run.group)),
        policy=random.choice(("Queue", "Queue", "Queue", run.policy)),
        seconds=random.choice((5.0, 20.0)),
        obeys=random.choice((0.1, 0.9)),
    )


def _step(random: Random, runs: tuple[RunPlan, ...], operators: int, ends: float) -> Step:
    at, run = random.uniform(0, ends * 0.9), random.choice(runs)
    operator = str(random.randrange(operators))
    # Most of what is interesting happens while a run is on its way.
    near = run.at + random.uniform(0, 15)
    choices: dict[str, Callable[[], Step]] = {
        "kill": lambda: Step(random.choice((at, near)), "kill", operator, random.uniform(0.2, 30)),
        "stop": lambda: Step(random.choice((at, near)), "stop", operator, random.choice((2.0, 8.0, 20.0, 90.0, 200.0))),
        "terminate": lambda: Step(at, "terminate", operator),
        "edit pod": lambda: Step(random.choice((at, near)), "edit pod", run.name, detail=random.choice(_POD_EDITS)),
        "edit run": lambda: Step(
            random.choice((at, near)), "edit run", run.name, random.uniform(0.1, 40), random.choice(_RUN_EDITS)
        ),
        "edit lease": lambda: Step(at, "edit lease"),
        "delete pod": lambda: Step(
            random.choice((at, near)), "delete pod", run.name, random.choice((0.0, 1.0, 30.0, 600.0))
        ),
        "delete secret": lambda: Step(random.choice((at, near)), "delete secret", run.name),
        "delete run": lambda: Step(random.choice((at, near)), "delete run", run.name),
        "make anew": lambda: Step(
            random.choice((at, near)), "make anew", run.name, random.choice((0.0, 0.01, 1.0, 10.0))
        ),
        "cancel": lambda: Step(random.choice((at, near)), "cancel", run.name),
        "suspend": lambda: Step(random.choice((at, near)), "suspend", run.name, random.uniform(1, 40)),
        "quota": lambda: Step(
            at, "quota", random.choice(NAMESPACES), random.uniform(1, 60), random.choice(("0", "1", "2"))
        ),
        "silence": lambda: Step(random.choice((at, near)), "silence", value=random.uniform(1, 20)),
        "restart kubelet": lambda: Step(random.choice((at, near)), "restart kubelet", run.name, random.uniform(7, 15)),
    }
    step = choices[random.choice(list(choices))]()
    if random.random() < 0.4:
        return step
    soon = random.choice((random.uniform(0, 0.1), random.uniform(0, 2)))
    return replace(step, at=soon, run=run.name, moment=random.choice(_MOMENTS))


def _trouble(random: Random, operators: int, ends: float) -> Trouble:
    begin = random.uniform(0, ends * 0.8)
    whose = random.choice((None, *range(operators)))
    lasts = random.choice((1.0, 5.0, 20.0, 60.0, 180.0))
    end = min(begin + lasts, ends)
    family = random.choice(("request", "request", "stalled", "stalled", "slow", "store"))
    if family == "request":
        rate = random.choice((0.1, 0.5, 1.0))
        return Trouble(random.choice(_REQUESTS), begin, end, whose, random.choice(_ABOUT), rate)
    if family == "store":
        rate = random.choice((0.3, 1.0))
        return Trouble(random.choice(_STORE), begin, end, whose, random.choice(("", *NAMESPACES)), rate)
    cut = random.choice(("", "closed", "gone")) if family == "stalled" else ""
    return Trouble(family, begin, end, whose, random.choice(_WATCHED), cut=cut)


def smaller(schedule: Schedule) -> Iterator[Schedule]:
    """Schedules with one thing less, the largest cuts first."""
    for name in ("troubles", "steps"):
        items: Any = getattr(schedule, name)
        if len(items) > 1:
            yield replace(schedule, **{name: ()})
        for i in range(len(items)):
            yield replace(schedule, **{name: (*items[:i], *items[i + 1 :])})
    for i, run in enumerate(schedule.runs if len(schedule.runs) > 1 else ()):
        rest = (*schedule.runs[:i], *schedule.runs[i + 1 :])
        yield replace(
            schedule, runs=rest, steps=tuple(step for step in schedule.steps if run.name not in {step.target, step.run})
        )
    if schedule.operators > 1 and not any(step.target == "1" for step in schedule.steps):
        yield replace(schedule, operators=1)
    if schedule.max_running is not None:
        yield replace(schedule, max_running=None)
    if any(schedule.skews):
        yield replace(schedule, skews=(0.0, 0.0))
    yield from _with_plainer_runs(schedule)


def _with_plainer_runs(schedule: Schedule) -> Iterator[Schedule]:
    plain: dict[str, Any] = {"kueue": False, "suspend": False, "ttl": None, "timeout": None, "failing_inputs": 0}
    plain |= {"group": None, "policy": "Queue", "exit_code": 0, "after_start": (), "at": 0.0}
    for i, run in enumerate(schedule.runs):
        for name, value in plain.items():
            if getattr(run, name) != value:
                changed = replace(run, **{name: value})
                yield replace(schedule, runs=(*schedule.runs[:i], changed, *schedule.runs[i + 1 :]))


@dataclass
class Found:
    """What a simulation came to."""

    violations: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
