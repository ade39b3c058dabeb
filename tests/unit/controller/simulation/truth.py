"""What really happens in the simulated cluster, and what must never happen there."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from componentrun.api import names
from componentrun.core.lifecycle.ending import TERMINAL
from componentrun.core.queue.concurrency import facts_of
from componentrun.errors import Reason

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass
class Component:
    """One component that was started."""

    pod: str
    run: str
    run_uid: str
    namespace: str
    group: str | None
    counted: bool
    attempt: int


@dataclass
class Truth:
    """Keeps what happened, and the violations of what was promised."""

    now: Callable[[], float]
    limit: int | None
    running: dict[str, Component] = field(default_factory=dict)
    """By the uid of the pod."""
    started: dict[str, list[Component]] = field(default_factory=lambda: defaultdict(list))
    """By the uid of the run."""
    runs: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Every run that there ever was, as it was last, by uid."""
    kueues: set[str] = field(default_factory=set)
    """Uids of runs that had a Kueue label at any time."""
    published: dict[str, int] = field(default_factory=dict)
    """By the uid of the run, the attempt that is in the catalog."""
    on_moment: Callable[[str, str], object] = lambda _moment, _run: None
    """Called with each moment of a run: its phase, `pod made`, `starts` and `ends` of its component."""
    violations: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)

    def note(self, what: str) -> None:
        self.log.append(f"{self.now():9.3f} {what}")

    def broken(self, promise: str) -> None:
        self.note(f"VIOLATION {promise}")
        self.violations.append(promise)

    def component_started(self, pod: dict[str, Any]) -> None:
        owner = pod["metadata"]["ownerReferences"][0] if pod["metadata"].get("ownerReferences") else {}
        uid = owner.get("uid") or pod["metadata"].get("was", "")
        run = self.runs.get(uid)
        if run is None:
            return
        facts = facts_of(run, 1)
        name, attempt = pod["metadata"]["name"], int(pod["metadata"]["name"].rpartition("-")[2])
        allows = (run["spec"].get("concurrency") or {}).get("policy") == "Allow"
        counted = facts.counted and uid not in self.kueues
        made = Component(
            name, facts.name, uid, run["metadata"]["namespace"], None if allows else facts.group, counted, attempt
        )
        self.note(f"component of {made.namespace}/{name} starts")
        self._check_again(run, made)
        self._check_others(made)
        self.started[uid].append(made)
        self.running[pod["metadata"]["uid"]] = made
        self.on_moment("starts", made.run)

    def component_ended(self, pod_uid: str) -> None:
        ended = self.running.pop(pod_uid, None)
        if ended is not None:
            self.note(f"component of {ended.namespace}/{ended.pod} ends")
            self.on_moment("ends", ended.run)

    def _check_again(self, run: dict[str, Any], made: Component) -> None:
        named = (run["spec"].get("retry") or {}).get("afterStart") or []
        status = run.get("status") or {}
        if status.get("phase") in TERMINAL:
            self.broken(f"component of {made.pod} starts though the run is said to be {status['phase']}")
        for earlier in self.started[made.run_uid]:
            attempts = {item["number"]: item for item in status.get("attempts") or []}
            reason = attempts.get(earlier.attempt, {}).get("reason")
            if reason not in named:
                self.broken(f"component of run {made.run} is started twice: {earlier.pod}, {made.pod} ({reason})")

    def _check_others(self, made: Component) -> None:
        for other in self.running.values():
            if other.run_uid == made.run_uid:
                self.broken(f"two components of run {made.run} run: {other.pod}, {made.pod}")
            elif made.group is not None and (other.namespace, other.group) == (made.namespace, made.group):
                self.broken(f"two components of group {made.group} run: {other.pod}, {made.pod}")
        others = [
            other
            for other in self.running.values()
            if other.namespace == made.namespace and other.counted and other.run_uid not in self.kueues
        ]
        if made.counted and self.limit is not None and len(others) >= self.limit:
            beside = ", ".join(other.pod for other in others)
            self.broken(f"maxRunning is {self.limit}, and beside {made.pod} there run {beside}")

    def run_written(self, before: dict[str, Any] | None, run: dict[str, Any]) -> None:
        uid = run["metadata"]["uid"]
        self.runs[uid] = run
        if _is_kueues(run):
            self.kueues.add(uid)
        name = run["metadata"]["name"]
        old, new = (before or {}).get("status") or {}, run.get("status") or {}
        if (old.get("phase"), old.get("reason")) == (new.get("phase"), new.get("reason")):
            return
        self.note(f"run {name} {uid}: {new.get('phase')} {new.get('reason')}: {str(new.get('message'))[:120]}")
        self.on_moment(str(new.get("phase")), name)
        if old.get("phase") in TERMINAL:
            said = f"{old['phase']}/{old.get('reason')} becomes {new.get('phase')}/{new.get('reason')}"
            self.broken(f"run {name} has ended, and {said}")
        elif new.get("phase") in TERMINAL:
            running = [item.pod for item in self.running.values() if item.run_uid == uid]
            # What was told to end counts as ended some time later, whatever grace it was given by hand before.
            if running and new.get("reason") not in _STOPPED:
                self.broken(f"run {name} is said to be {new['phase']}/{new.get('reason')} while {running} runs")

    def decided(self, run_uid: str, attempt: int) -> None:
        """The tables of this attempt are committed."""
        run = self.runs.get(run_uid) or {}
        self.note(f"run {run_uid}: attempt {attempt} is published")
        phase = (run.get("status") or {}).get("phase")
        if phase in TERMINAL:
            self.broken(f"run {run_uid} is published after it was said to be {phase}")
        if run_uid in self.published:
            self.broken(f"run {run_uid} is published twice: attempts {self.published[run_uid]} and {attempt}")
        self.published[run_uid] = attempt


_STOPPED: Final = {Reason.TIMEOUT, Reason.CANCELLED, Reason.REPLACED}
_KUEUE: Final = names.KUEUE_QUEUE_LABEL


def _is_kueues(run: dict[str, Any]) -> bool:
    labels = run["metadata"].get("labels") or {}
    return _KUEUE in labels
