"""The tenants of the soak. Each works in its own thread until it is stopped."""

from __future__ import annotations

import random
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import kubernetes.client
import urllib3

from componentrun.api.names import KUEUE_QUEUE_LABEL, MANAGED_BY_LABEL, RUN_LABEL
from e2e.tenant.tenant import TERMINAL, phase_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from e2e.faults.wire import Wire
    from e2e.tenant import Tenant

__all__ = ["Edited", "Hanging", "Steady", "Submitted"]

TINY: Final = {"limits": {"cpu": "200m", "memory": "128Mi"}, "requests": {"cpu": "1m", "memory": "16Mi"}}
"""Requests so small that the pods of all tenants fit on a small node."""
LINES: Final = 40
LINES_A_SECOND: Final = 10
ROWS: Final = 25
TABLE: Final = "out.c-soak.rows"
_MOST_PODS: Final = 8
"""Maximum number of the steady tenant's runs that have a pod, so that a small node never makes a pod wait. Runs without
a pod don't count: a tenant that stopped creating runs while none starts would not detect the problem."""


@dataclass
class Submitted:
    """A run and its creation time (seconds of the monotonic clock)."""

    name: str
    kind: str
    created: float


@dataclass
class _Worker:
    """A thread that calls `step` repeatedly until `stop` is called."""

    tenant: Tenant
    every: float
    stopped: threading.Event = field(default_factory=threading.Event)
    refusals: list[str] = field(default_factory=list)
    """Requests that the API server rejected, with the reasons."""
    broken: str = ""
    """The error that ended the thread early; empty if there was none."""

    def start(self) -> None:
        """Start the thread."""
        self.thread = threading.Thread(target=self._repeat, daemon=True)
        self.thread.start()

    def stop(self) -> None:
        """Stop the thread after its current step."""
        self.stopped.set()
        self.thread.join()

    def step(self) -> None:
        """Do one unit of the tenant's work."""
        raise NotImplementedError

    def _repeat(self) -> None:
        while not self.stopped.wait(self.every):
            try:
                self.step()
            except (kubernetes.client.ApiException, urllib3.exceptions.HTTPError) as error:
                self.refusals.append(str(error).splitlines()[0])
            except Exception as error:  # noqa: BLE001 - top level of a thread; the report contains the error
                self.broken = repr(error)
                return

    def runs(self) -> list[dict[str, Any]]:
        """All runs of the tenant."""
        listing = self.tenant.custom.list_namespaced_custom_object(
            "componentrun.dev", "v1alpha1", self.tenant.namespace, "componentruns"
        )
        return list(listing["items"])

    def unfinished(self) -> int:
        """Number of the tenant's runs that have not ended."""
        return sum(phase_of(run) not in TERMINAL for run in self.runs())


def has_pod(run: Mapping[str, Any]) -> bool:
    """Whether the run has started but not ended."""
    return bool((run.get("status") or {}).get("attempts")) and phase_of(run) not in TERMINAL


@dataclass
class Steady(_Worker):
    """Alternately creates runs that print lines and runs that write a table."""

    image: str = ""
    submitted: list[Submitted] = field(default_factory=list)
    skipped: int = 0
    """Steps in which no run was created."""

    def step(self) -> None:
        """Create one run unless the maximum number of runs have a pod."""
        if sum(has_pod(run) for run in self.runs()) >= _MOST_PODS:
            self.skipped += 1
            return
        kind = "rows" if len(self.submitted) % 2 else "chatty"
        output = {"tables": [{"source": "result.csv", "destination": TABLE, "incremental": True}]}
        arguments = {"rows": ("rows", str(ROWS)), "chatty": ("chatty", str(LINES), str(LINES_A_SECOND))}[kind]
        name = f"r-{uuid.uuid4().hex[:8]}"
        created = time.monotonic()
        self.tenant.run(
            self.image, *arguments, name=name, resources=TINY, **({"output": output} if kind == "rows" else {})
        )
        self.submitted.append(Submitted(name, kind, created))


@dataclass
class Hanging(_Worker):
    """Keeps many runs open on a store that alternates between short healthy periods and longer hangs."""

    wire: Wire | None = None
    image: str = ""
    most: int = 60
    answers_for: float = 15
    hangs_for: float = 75
    hangs: int = 0
    """Number of times that the store began to hang."""
    _since: float = field(default_factory=time.monotonic)
    _hangs: bool = False

    def step(self) -> None:
        """Create runs up to the maximum, and switch the store's hanging on or off."""
        assert self.wire is not None
        if time.monotonic() - self._since > (self.hangs_for if self._hangs else self.answers_for):
            self._hangs, self._since = not self._hangs, time.monotonic()
            self.hangs += self._hangs
            (self.wire.hang if self._hangs else self.wire.mend)()
        for _ in range(self.most - self.unfinished()):
            output = {"tables": [{"source": "result.csv", "destination": TABLE}]}
            self.tenant.run(self.image, "rows", "5", output=output, resources=TINY, ttlAfterFinished="30s")

    def stop(self) -> None:
        """Stop the thread, and let the store answer again."""
        super().stop()
        assert self.wire is not None
        self.wire.mend()


@dataclass
class Edited(_Worker):
    """Creates more runs than its quota allows, and edits labels of runs and pods."""

    image: str = ""
    most: int = 12
    edits: int = 0
    """Number of edited labels."""
    moments: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311 - not used for security

    def quota(self, pods: int) -> None:
        """Set a quota of `pods` pods."""
        self.tenant.core.create_namespaced_resource_quota(
            self.tenant.namespace, {"metadata": {"name": "few"}, "spec": {"hard": {"pods": str(pods)}}}
        )

    def step(self) -> None:
        """Create runs up to the maximum, and edit the labels of one object."""
        runs = self.runs()
        open_runs = [run["metadata"]["name"] for run in runs if phase_of(run) not in TERMINAL]
        for _ in range(self.most - len(open_runs)):
            self.tenant.run(self.image, "sleep-for", "3", resources=TINY, ttlAfterFinished="30s")
        if open_runs:
            self._edit(self.moments.choice(open_runs))
            self.edits += 1

    def _edit(self, name: str) -> None:
        edit = self.moments.choice(("queue", "no queue", "managed-by", "run"))
        if edit in {"queue", "no queue"}:
            value = "team-a" if edit == "queue" else None
            body = {"metadata": {"labels": {KUEUE_QUEUE_LABEL: value}}}
            self.tenant.custom.patch_namespaced_custom_object(
                "componentrun.dev", "v1alpha1", self.tenant.namespace, "componentruns", name, body
            )
            return
        label = MANAGED_BY_LABEL if edit == "managed-by" else RUN_LABEL
        for pod in self.tenant.pods(name):
            self.tenant.core.patch_namespaced_pod(
                pod.metadata.name, self.tenant.namespace, {"metadata": {"labels": {label: None}}}
            )
