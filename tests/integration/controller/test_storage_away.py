"""A store that is temporarily unavailable at each step of a run, for the operator and for the agents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from dev.cluster import waiting
from e2e import tenant as tenants
from e2e.faults.wire import Wire
from e2e.tenant.holding import UNTIL_TOLD, let_go
from e2e.tenant.tenant import phase_of
from tests.integration.controller import killing
from tests.integration.controller.conftest import left
from tests.integration.controller.killing import Death
from tests.integration.controller.seen import PodsSeen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dev.cluster.connection import Connection
    from e2e.tenant import Tenant
    from tests.integration.controller.conftest import OperatorProcess

WORDS = "id,text\n1,one\n2,two\n3,three\n"
INPUT = {"tables": [{"source": "in.c-main.words", "destination": "words.csv"}]}
OUTPUT = {"tables": [{"source": "words.csv", "destination": "out.c-main.words", "incremental": True}]}


@pytest.fixture
def store_wire(connection: Connection) -> Iterator[Wire]:
    """Proxy to the store, also for pods."""
    if not connection.own:
        pytest.skip("a stranger's pods may not reach this machine")
    there = urlsplit(connection.lake.endpoint)
    host = there.hostname or ""
    with Wire(host, there.port or 80, here=host) as made:
        yield made


@pytest.fixture
def tenant(connection: Connection, store_wire: Wire) -> Iterator[Tenant]:
    host = urlsplit(connection.lake.endpoint).hostname
    made = tenants.create(connection, "ctl", endpoint=f"http://{host}:{store_wire.port}")
    made.put_table("in.c-main.words", WORDS)
    with PodsSeen(made) as seen:
        yield made
        assert all(len(seen.of(run["metadata"]["name"])) <= 1 for run in _runs(made))
    made.delete()


def _runs(tenant: Tenant) -> list[dict[str, Any]]:
    return list(
        tenant.custom.list_namespaced_custom_object("componentrun.dev", "v1alpha1", tenant.namespace, "componentruns")[
            "items"
        ]
    )


def ended_right(tenant: Tenant, name: str) -> None:
    status = tenant.wait(name)["status"]
    assert (status["phase"], len(status["attempts"])) == ("Succeeded", 1), status
    assert tenant.table("out.c-main.words") == WORDS


def test_before_the_start(tenant: Tenant, store_wire: Wire, operator: OperatorProcess, submit: Any) -> None:
    operator.start()
    operator.wait_ready()
    store_wire.cut()
    name = submit("copy", input=INPUT, output=OUTPUT)
    run = tenant.wait(name, lambda run: phase_of(run) == "Queued")
    assert "store" in run["status"]["message"].lower(), run["status"]
    store_wire.mend()
    ended_right(tenant, name)


def test_for_too_long_before_the_start(
    tenant: Tenant, store_wire: Wire, operator: OperatorProcess, submit: Any
) -> None:
    operator.start(COMPONENTRUN_START_RETRY_SECONDS="3")
    operator.wait_ready()
    store_wire.cut()
    status = tenant.wait(submit("copy", input=INPUT, output=OUTPUT))["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "StorageUnavailable"), status


def test_while_the_component_runs_and_its_output_is_to_be_uploaded(
    tenant: Tenant, store_wire: Wire, operator: OperatorProcess, submit: Any
) -> None:
    operator.start()
    name = submit("sh", "-c", f"{UNTIL_TOLD}; copy", input=INPUT, output=OUTPUT)
    tenant.wait(name, lambda run: phase_of(run) == "Running")
    store_wire.cut()
    let_go(tenant, name)
    # stage-out can't end while the store is unavailable, so the pod exists until then.
    waiting.until(lambda: None if _has_ended(tenant, name, "component") else "runs", what="the component", timeout=120)
    assert not _has_ended(tenant, name, "stage-out")
    store_wire.mend()
    ended_right(tenant, name)


@pytest.fixture
def publishing(tenant: Tenant, store_wire: Wire, operator: OperatorProcess, submit: Any, tmp_path: Path) -> str:
    """A run to publish when the store is available again. Its operator died before the first write of publishing."""
    environment = {
        **operator.environment,
        "COMPONENTRUN_OPERATOR_NAME": operator.name,
        "COMPONENTRUN_PORT": str(operator.port),
    }
    first = killing.start(environment, tmp_path, "first", Death(1, before=True, of="load"))
    name = str(submit("copy", input=INPUT, output=OUTPUT))
    first.join(timeout=120)
    assert not first.is_alive()
    store_wire.cut()
    operator.start(COMPONENTRUN_START_RETRY_SECONDS="600")
    tenant.wait(name, _waits_for_the_store)
    return name


def test_while_it_is_published(tenant: Tenant, store_wire: Wire, publishing: str) -> None:
    store_wire.mend()
    ended_right(tenant, publishing)


def test_a_cancel_while_it_is_published_comes_too_late_and_that_is_said(
    tenant: Tenant, store_wire: Wire, publishing: str
) -> None:
    tenant.patch(publishing, {"cancel": True})
    store_wire.mend()
    ended_right(tenant, publishing)
    status = tenant.get(publishing)["status"]
    assert status["result"] == "Warning"
    assert any("came too late" in warning for warning in status["warnings"])


def test_deleted_while_it_is_published_it_leaves_nothing_and_no_half_of_it(
    tenant: Tenant, store_wire: Wire, publishing: str
) -> None:
    tenant.kubectl("delete", "componentrun", publishing, "--wait=false")
    waiting.until(lambda: left(tenant, publishing), what=f"the end of what {publishing} left", timeout=120)
    store_wire.mend()
    assert tenant.table("out.c-main.words") in {None, WORDS}


def _waits_for_the_store(run: dict[str, Any]) -> bool:
    told = [item["message"] for item in run.get("status", {}).get("conditions", []) if item["type"] == "Published"]
    return phase_of(run) == "Publishing" and any("It will be tried again" in message for message in told)


def _has_ended(tenant: Tenant, name: str, container: str) -> bool:
    (pod,) = tenant.pods(name)
    told = [*(pod.status.init_container_statuses or []), *(pod.status.container_statuses or [])]
    return any(item.name == container and item.state.terminated is not None for item in told)
