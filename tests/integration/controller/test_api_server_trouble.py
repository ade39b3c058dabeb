"""Faults of the API server and of the connection to it: each run still ends correctly."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from dev.cluster import waiting
from tests.integration.collector.front import kubeconfig
from tests.integration.controller import killing
from tests.integration.controller.apifront import LOST, ApiFront, Rule
from tests.integration.controller.conftest import has_been
from tests.integration.controller.seen import PodsSeen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dev.cluster.connection import Connection
    from e2e.tenant import Tenant
    from tests.integration.controller.conftest import OperatorProcess

WORDS = "id,text\n1,one\n2,two\n3,three\n"
COPY: dict[str, Any] = {
    "input": {"tables": [{"source": "in.c-main.words", "destination": "words.csv"}]},
    "output": {"tables": [{"source": "words.csv", "destination": "out.c-main.words", "incremental": True}]},
}
REFUSALS = {
    "busy, asks for a second": Rule(429, reason="TooManyRequests", headers=(("Retry-After", "1"),)),
    "busy with writes": Rule(429, "POST PATCH DELETE", reason="TooManyRequests"),
    "broken": Rule(500, reason="InternalError"),
    "conflict on every patch": Rule(409, "PATCH", reason="Conflict"),
    "etcd has no leader": Rule(503, "POST PATCH DELETE", reason="ServiceUnavailable"),
}


@pytest.fixture
def front(connection: Connection, operator: OperatorProcess, tmp_path: Path) -> Iterator[ApiFront]:
    """A proxy between operator and API server. Request this fixture before the operator is started."""
    with ApiFront(connection.kubeconfig) as made:
        path = tmp_path / "through-the-front"
        path.write_text(kubeconfig(made.url))
        operator.environment["KUBECONFIG"] = str(path)
        yield made


@pytest.fixture
def seen(tenant: Tenant) -> Iterator[PodsSeen]:
    with PodsSeen(tenant) as made:
        yield made


def ended_right(tenant: Tenant, seen: PodsSeen, *names: str) -> None:
    """Assert that each run was published once, by one pod."""
    for name in names:
        status = tenant.wait(name)["status"]
        assert (status["phase"], len(status["attempts"])) == ("Succeeded", 1), status
        assert len(seen.of(name)) == 1
    assert len((tenant.table("out.c-main.words") or "").splitlines()) == 1 + 3 * len(names)


@pytest.mark.long
@pytest.mark.parametrize("rule", REFUSALS.values(), ids=REFUSALS.keys())
def test_refusals_are_waited_out(
    tenant: Tenant, front: ApiFront, operator: OperatorProcess, submit: Any, seen: PodsSeen, rule: Rule
) -> None:
    tenant.put_table("in.c-main.words", WORDS)
    operator.start()
    operator.wait_ready()
    with front.rule(rule):
        first = submit("copy", **COPY)
        waiting.until(lambda: None if front.refused >= 12 else str(front.refused), what="refusals", timeout=90)
    second = submit("copy", **COPY)
    tenant.wait(second, lambda run: bool(run.get("status", {}).get("attempts")))
    before = front.refused
    with front.rule(rule):
        waiting.until(lambda: None if front.refused >= before + 5 else "few", what="more refusals", timeout=90)
    ended_right(tenant, seen, first, second)


@pytest.mark.long
def test_a_status_that_is_written_without_an_answer_is_written_again(
    tenant: Tenant, front: ApiFront, operator: OperatorProcess, submit: Any, seen: PodsSeen
) -> None:
    """The server hangs: it neither rejects requests nor closes connections."""
    tenant.put_table("in.c-main.words", WORDS)
    operator.start()
    operator.wait_ready()
    with front.rule(Rule(0, "PATCH", "/status")):
        name = submit("copy", **COPY)
        waiting.until(lambda: None if front.refused >= 2 else "first", what="a second try", timeout=90)
    ended_right(tenant, seen, name)


@pytest.mark.long
def test_writes_whose_answers_are_lost_are_known_for_its_own(
    tenant: Tenant, front: ApiFront, operator: OperatorProcess, submit: Any
) -> None:
    """The client repeats them and gets 409. The Lease's holder continues, and the run's end is reported and counted."""
    operator.start(COMPONENTRUN_LEASE=f"{tenant.namespace}/operator")
    operator.wait_ready()
    for path in ("/leases/", "/status"):
        with front.rule(Rule(LOST, "PATCH", path)):
            before = front.refused
            name = submit("sh", "-c", "exit 1")
            tenant.wait(name)
            # The Lease is renewed every few seconds, and the run may end before.
            waiting.until(lambda: None if front.refused > before else "none", what="a lost answer", timeout=60)  # noqa: B023 - called before the loop goes on
    counted = 'componentrun_results_total{component="image",reason="UserError"} 2.0'
    waiting.until(lambda: None if counted in operator.ask("/metrics")[1] else "no", what="both ends", timeout=30)
    waiting.until(lambda: None if _told(tenant, name) else "no", what="the Kubernetes Event", timeout=30)
    assert operator.process is not None
    assert operator.process.poll() is None, "it holds the Lease still"


def _told(tenant: Tenant, run: str) -> bool:
    """Whether a Kubernetes Event reports the run's end."""
    found = tenant.kubectl("get", "events.events.k8s.io", "-o=name").stdout
    return run in found


@pytest.mark.parametrize("expired", [False, True], ids=["dropped", "410 Gone"])
def test_watches_that_end_are_begun_again(
    tenant: Tenant, front: ApiFront, operator: OperatorProcess, submit: Any, seen: PodsSeen, expired: bool
) -> None:
    tenant.put_table("in.c-main.words", WORDS)
    operator.start()
    operator.wait_ready()
    name = submit("copy", **COPY)
    for phase in ("Pending", "StagingIn"):
        tenant.wait(name, partial(has_been, phase))
        dropped_at = front.watches
        front.drop_watches(expired=expired)
        waiting.until(partial(_none_since, front, dropped_at), what="watches", timeout=60)
    ended_right(tenant, seen, name)
    assert operator.process is not None
    assert operator.process.poll() is None


def test_events_that_come_late_make_no_second_pod(
    tenant: Tenant, front: ApiFront, operator: OperatorProcess, submit: Any, seen: PodsSeen
) -> None:
    """The cache is seconds behind the operator's own writes."""
    tenant.put_table("in.c-main.words", WORDS)
    operator.start()
    operator.wait_ready()
    front.late = 3.0
    names = [submit("copy", **COPY) for _ in range(2)]
    ended_right(tenant, seen, *names)


@pytest.mark.parametrize("minutes", [-10, 10])
def test_an_operator_whose_clock_is_wrong_ends_no_run_too_early_and_none_too_late(
    tenant: Tenant, operator: OperatorProcess, submit: Any, tmp_path: Path, minutes: int
) -> None:
    environment = {
        **operator.environment,
        "COMPONENTRUN_OPERATOR_NAME": operator.name,
        "COMPONENTRUN_PORT": str(operator.port),
        "COMPONENTRUN_EVENTS_WAIT_SECONDS": "1",
    }
    process = killing.start(environment, tmp_path, "skewed", ahead=timedelta(minutes=minutes))
    try:
        in_time, too_long = submit("sleep-for", "5"), submit("sleep-for", "60", timeout="10s")
        status = tenant.wait(in_time)["status"]
        assert status["phase"] == "Succeeded", status
        status = tenant.wait(too_long)["status"]
        assert status["reason"] == "Timeout", status
    finally:
        process.terminate()
        process.join()


def _none_since(front: ApiFront, watches: int) -> str | None:
    return None if front.watches > watches else "none was begun again"
