"""One of two operators is active. Failover times are logged (`--log-cli-level=INFO`); the active one is asserted."""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import kubernetes.client
import pytest

from componentrun.core.lease.holder import CONTAINER
from componentrun.process.launch import FAILED
from dev.cluster import waiting
from tests.integration.controller.seen import MARK, PodsSeen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.tenant import Tenant
    from tests.integration.controller.conftest import OperatorProcess

# An operator ends if it can't renew its Lease for two thirds of its duration. With the default duration, this would
# happen if other tests loaded the API server, and nothing restarts the operator here.
alone = pytest.mark.disruptive

log = logging.getLogger(__name__)
WORDS = "id,text\n1,one\n2,two\n3,three\n"
COPY: dict[str, Any] = {
    "input": {"tables": [{"source": "in.c-main.words", "destination": "words.csv"}]},
    "output": {"tables": [{"source": "words.csv", "destination": "out.c-main.words", "incremental": True}]},
}


@pytest.fixture
def seen(tenant: Tenant) -> Iterator[PodsSeen]:
    with PodsSeen(tenant) as made:
        yield made


@pytest.fixture
def pair(tenant: Tenant, operator: OperatorProcess, second: OperatorProcess) -> tuple[OperatorProcess, OperatorProcess]:
    """The active and the standby operator, with default settings of the Lease."""
    lease = {"COMPONENTRUN_LEASE": f"{tenant.namespace}/operator"}
    operator.start(**lease)
    operator.wait_ready()
    _wait_until_it_leads(operator)
    second.start(**lease)
    second.wait_ready()
    assert not _leads(second)
    return operator, second


def _leads(operator: OperatorProcess) -> bool:
    return 'leader_election_master_status{name="componentrun"} 1.0' in operator.ask("/metrics")[1]


def _wait_until_it_leads(operator: OperatorProcess) -> None:
    waiting.until(lambda: None if _leads(operator) else "stands by", what="the operator", timeout=120, every=0.02)


@alone
def test_after_a_kill_the_other_one_goes_on(
    tenant: Tenant, pair: tuple[OperatorProcess, OperatorProcess], submit: Any, seen: PodsSeen
) -> None:
    tenant.put_table("in.c-main.words", WORDS)
    first, other = pair
    names = [submit("copy", **COPY) for _ in range(3)]
    first.kill()
    began = time.monotonic()
    _wait_until_it_leads(other)
    log.info("failover after a kill: %.1f s", time.monotonic() - began)
    _ended_once(tenant, seen, names)


@alone
def test_after_a_clean_stop_the_other_one_goes_on_and_nothing_was_done_by_halves(
    tenant: Tenant, pair: tuple[OperatorProcess, OperatorProcess], submit: Any, seen: PodsSeen
) -> None:
    tenant.put_table("in.c-main.words", WORDS)
    first, other = pair
    names = [submit("copy", **COPY) for _ in range(3)]
    tenant.wait(names[0], lambda run: bool(run.get("status", {}).get("attempts")))
    began = time.monotonic()
    assert first.process is not None
    first.process.terminate()
    _wait_until_it_leads(other)
    log.info("failover after a clean stop: %.1f s", time.monotonic() - began)
    assert first.process.wait(timeout=60) == 0
    assert "in the middle of a run" not in first.log.read_text()
    _ended_once(tenant, seen, names)


class TestAHolderThatHasCertainlyEnded:
    """The Lease lasts longer here than any test waits, and is renewed every 25 s."""

    @pytest.fixture
    def pods(self, tenant: Tenant) -> Iterator[list[Any]]:
        """Two pods that represent those of the operators. No kubelet changes their status."""
        names = ("operator-a", "operator-b")
        core = tenant.core
        yield [
            core.create_namespaced_pod(tenant.namespace, {"metadata": {"name": name}, "spec": MARK}) for name in names
        ]
        for name in names:
            with suppress(kubernetes.client.ApiException):  # a test has deleted it
                core.delete_namespaced_pod(name, tenant.namespace, grace_period_seconds=0)

    @pytest.fixture
    def placed(
        self, tenant: Tenant, operator: OperatorProcess, second: OperatorProcess, pods: list[Any]
    ) -> tuple[OperatorProcess, OperatorProcess]:
        """The active and the standby operator, each of which considers one of the pods its own."""
        for process, pod in zip((operator, second), pods, strict=True):
            _start_in(process, tenant, pod)
            process.wait_ready()
            if process is operator:
                _wait_until_it_leads(operator)
        assert not _leads(second)
        return operator, second

    @pytest.mark.parametrize("how", ["its pod is deleted", "its container has ended"])
    def test_is_replaced_and_a_run_that_was_created_meanwhile_starts(
        self, tenant: Tenant, placed: tuple[OperatorProcess, OperatorProcess], submit: Any, seen: PodsSeen, how: str
    ) -> None:
        first, other = placed
        first.kill()
        began = time.monotonic()
        if how == "its pod is deleted":
            tenant.core.delete_namespaced_pod("operator-a", tenant.namespace, grace_period_seconds=0)
        else:
            ended = {"finishedAt": datetime.now(UTC) + timedelta(seconds=1), "exitCode": 137}
            status = {"name": CONTAINER, "image": "", "imageID": "", "ready": False, "restartCount": 0}
            tenant.core.patch_namespaced_pod_status(
                "operator-a",
                tenant.namespace,
                {"status": {"containerStatuses": [{**status, "state": {"terminated": ended}}]}},
            )
        name = submit("sleep-for", "0")
        tenant.wait(name, lambda run: bool(run.get("status", {}).get("attempts")))
        log.info("first pod after a kill, %s: %.2f s", how, time.monotonic() - began)
        assert _leads(other)
        assert tenant.wait(name)["status"]["phase"] == "Succeeded"
        assert len(seen.of(name)) == 1

    def test_is_replaced_by_the_next_process_of_its_container(
        self, tenant: Tenant, placed: tuple[OperatorProcess, OperatorProcess], pods: list[Any]
    ) -> None:
        first, other = placed
        first.kill()
        _start_in(first, tenant, pods[0])
        _wait_until_it_leads(first)
        assert not _leads(other)

    def test_that_lives_on_ends_when_another_one_has_taken_over(
        self, tenant: Tenant, placed: tuple[OperatorProcess, OperatorProcess], submit: Any, seen: PodsSeen
    ) -> None:
        """A force-deleted pod disappears before its process has ended."""
        first, other = placed
        tenant.put_table("in.c-main.words", WORDS)
        names = [submit("copy", **COPY) for _ in range(3)]
        tenant.core.delete_namespaced_pod("operator-a", tenant.namespace, grace_period_seconds=0)
        _wait_until_it_leads(other)
        assert first.process is not None
        assert first.process.wait(timeout=100) == FAILED
        assert "the operator restarts" in first.log.read_text()
        _ended_once(tenant, seen, names)


def _start_in(operator: OperatorProcess, tenant: Tenant, pod: Any) -> None:
    operator.start(
        COMPONENTRUN_LEASE=f"{tenant.namespace}/operator",
        COMPONENTRUN_LEASE_SECONDS="150",
        COMPONENTRUN_POD_NAME=pod.metadata.name,
        COMPONENTRUN_POD_UID=pod.metadata.uid,
    )


def _ended_once(tenant: Tenant, seen: PodsSeen, names: list[str]) -> None:
    for name in names:
        status = tenant.wait(name)["status"]
        assert (status["phase"], len(status["attempts"])) == ("Succeeded", 1), status
        assert len(seen.of(name)) == 1
    assert len((tenant.table("out.c-main.words") or "").splitlines()) == 1 + 3 * len(names)
