"""Operators that divide namespaces among themselves: each its own, and only its standby takes over.

The operators of a test list both namespaces, so that they leave the Storages of other tests alone.
"""

from __future__ import annotations

import re
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.api.common import GROUP, VERSION
from componentrun.api.names import OPERATOR_LABEL
from componentrun.core.lease.shard import shard_of
from dev.cluster import waiting
from e2e import tenant as tenants
from e2e.tenant.holding import UNTIL_TOLD, let_go
from e2e.tenant.tenant import SMALL
from tests.integration.controller.conftest import OperatorProcess
from tests.integration.controller.seen import PodsSeen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dev.cluster.connection import Connection
    from e2e.tenant import Tenant

pytestmark = pytest.mark.disruptive

NAME = "sharded"
WORDS = "id,text\n1,one\n2,two\n"
COPY: dict[str, Any] = {
    "input": {"tables": [{"source": "in.c-main.words", "destination": "words.csv"}]},
    "output": {"tables": [{"source": "words.csv", "destination": "out.c-main.words", "incremental": True}]},
}


@dataclass
class Lab:
    """A namespace of each of two shards, and operators for both."""

    places: dict[int, Tenant]
    """By the shard of two that owns it."""
    settings: dict[str, str]
    image: str
    folder: Path
    stack: ExitStack
    _count: int = field(default=0)

    def start(self, shard: int, count: int) -> OperatorProcess:
        """Start an operator of this shard, and wait until it is ready."""
        self._count += 1
        environment = self.settings | {
            "COMPONENTRUN_NAMESPACES": ",".join(place.namespace for place in self.places.values()),
            "COMPONENTRUN_LEASE": f"{self.places[0].namespace}/operator",
            "COMPONENTRUN_OPERATOR_SHARD": str(shard),
            "COMPONENTRUN_OPERATOR_SHARDS": str(count),
        }
        made = OperatorProcess(environment, self.folder / f"{self._count}-{shard}-of-{count}.log", NAME)
        self.stack.callback(made.end)
        made.start()
        made.wait_ready()
        return made

    def submit(self, owner: int, name: str, *args: str, **spec: Any) -> None:
        """Create a run in the namespace of this shard of two."""
        body = {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": "ComponentRun",
            "metadata": {"name": name, "labels": {OPERATOR_LABEL: NAME}},
            "spec": {"image": self.image, "args": list(args), "resources": SMALL, "timeout": "4m", **spec},
        }
        namespace = self.places[owner].namespace
        self.places[owner].custom.create_namespaced_custom_object(
            GROUP, VERSION, namespace, "componentruns", body, field_validation="Strict"
        )


@pytest.fixture
def lab(connection: Connection, settings: dict[str, str], images: dict[str, str], tmp_path: Path) -> Iterator[Lab]:
    with ExitStack() as stack:
        places: dict[int, Tenant] = {}
        while set(places) != {0, 1}:
            made = tenants.create(connection, "shards")
            stack.callback(made.kubectl, "delete", "namespace", made.namespace, "--ignore-not-found", "--wait=false")
            places.setdefault(shard_of(made.namespace, 2), made)
        yield Lab(places, settings, images["test-components"], tmp_path, stack)


@pytest.fixture
def seen(lab: Lab) -> Iterator[dict[int, PodsSeen]]:
    with ExitStack() as stack:
        yield {owner: stack.enter_context(PodsSeen(place)) for owner, place in lab.places.items()}


def leads(operator: OperatorProcess) -> bool:
    return re.search(r'leader_election_master_status\{name="[^"]+"\} 1\.0', operator.ask("/metrics")[1]) is not None


def wait_until_it_leads(*operators: OperatorProcess) -> None:
    for operator in operators:
        waiting.until(lambda: None if leads(operator) else "stands by", what=operator.log.name, timeout=60)  # noqa: B023 - called before the loop goes on


def executed(operator: OperatorProcess) -> int:
    """Number of runs whose end this operator has counted."""
    found = re.findall(r"^componentrun_results_total\{.*\} (\S+)$", operator.ask("/metrics")[1], re.MULTILINE)
    return sum(int(float(count)) for count in found)


def wait_until_executed(*expected: tuple[OperatorProcess, int]) -> None:
    """Wait until each operator has counted its number of runs.

    An operator counts a run when it has the answer to its write, and others can see what was written before.
    """

    def problem() -> str | None:
        found, wanted = [executed(operator) for operator, _ in expected], [count for _, count in expected]
        return None if found == wanted else f"found {found}, expected {wanted}"

    waiting.until(problem, what="number of runs executed by each operator", timeout=30)


def has_a_pod(run: dict[str, Any]) -> bool:
    return bool(run.get("status", {}).get("attempts"))


def test_each_shard_executes_its_own_runs_and_is_replaced_by_its_own_standby(
    lab: Lab, seen: dict[int, PodsSeen]
) -> None:
    first, other = lab.start(0, 2), lab.start(1, 2)
    wait_until_it_leads(first, other)
    standby = lab.start(0, 2)
    for owner, place in lab.places.items():
        lab.submit(owner, "short", "sleep-for", "0")
        assert place.wait("short")["status"]["phase"] == "Succeeded"
    wait_until_executed((first, 1), (other, 1), (standby, 0))

    for owner, place in lab.places.items():
        lab.submit(owner, "long", command=["sh", "-c", UNTIL_TOLD])
        place.wait("long", lambda run: run.get("status", {}).get("phase") == "Running")
    first.kill()
    wait_until_it_leads(standby)
    for owner, place in lab.places.items():
        let_go(place, "long")
        assert place.wait("long")["status"]["phase"] == "Succeeded"
        assert len(seen[owner].of("long")) == 1
    wait_until_executed((other, 2), (standby, 1))

    # Nobody is left for shard 0, and shard 1 does not touch its namespace.
    standby.kill()
    lab.submit(0, "alone", "sleep-for", "0")
    lab.submit(1, "served", "sleep-for", "0")
    assert lab.places[1].wait("served")["status"]["phase"] == "Succeeded"
    assert not has_a_pod(lab.places[0].get("alone"))
    wait_until_it_leads(lab.start(0, 2))
    assert lab.places[0].wait("alone")["status"]["phase"] == "Succeeded"


def test_runs_go_on_once_while_two_shards_become_three(lab: Lab, seen: dict[int, PodsSeen]) -> None:
    old = [lab.start(number, 2) for number in range(2)]
    wait_until_it_leads(*old)
    for owner, place in lab.places.items():
        place.put_table("in.c-main.words", WORDS)
        lab.submit(owner, "before", command=["sh", "-c", f"{UNTIL_TOLD}; cp -r /data/in/tables /data/out"], **COPY)
        place.wait("before", lambda run: run.get("status", {}).get("phase") == "Running")

    # As a rollout does it: new pods are ready while old ones work, and these end one after the other.
    new = [lab.start(number, 3) for number in range(3)]
    for operator in new:
        waiting.until(lambda: waits_for(operator, "-of-2"), what="log", timeout=30)  # noqa: B023 - called before the loop goes on
    assert not any(leads(operator) for operator in new)
    assert all(leads(operator) for operator in old)
    assert old[0].terminate()[0] == 0
    for operator in new:
        waiting.until(lambda: waits_for(operator, "operator-1-of-2"), what="log", timeout=30)  # noqa: B023 - called before the loop goes on
    assert not any(leads(operator) for operator in new), "the second one of the old still works"
    lab.submit(1, "meanwhile", "sleep-for", "0")
    assert lab.places[1].wait("meanwhile")["status"]["phase"] == "Succeeded"
    assert old[1].terminate()[0] == 0
    wait_until_it_leads(*new)

    for owner, place in lab.places.items():
        let_go(place, "before")
        status = place.wait("before")["status"]
        assert (status["phase"], len(status["attempts"])) == ("Succeeded", 1), status
        assert len(seen[owner].of("before")) == 1
        assert sorted((place.table("out.c-main.words") or "").splitlines()) == sorted(WORDS.splitlines())
    owners = [shard_of(place.namespace, 3) for place in lab.places.values()]
    wait_until_executed(*((operator, owners.count(number)) for number, operator in enumerate(new)))


def waits_for(operator: OperatorProcess, lease: str) -> str | None:
    """None if the operator logged last that it waits for the holder of this Lease."""
    lines = [line for line in operator.log.read_text().splitlines() if "on standby for lease" in line]
    return None if lines and lease in lines[-1] else "another lease"
