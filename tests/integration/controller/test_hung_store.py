"""Many runs of a tenant whose store accepts connections and never answers do not affect other tenants.

There are as many runs for each of the operator's workers as with a thousand runs and the default number of workers. The
unit test of the same name has a thousand.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import pytest

from componentrun.api.common import API_VERSION, GROUP, VERSION
from componentrun.api.names import OPERATOR_LABEL
from dev.cluster import waiting
from e2e import tenant as tenants
from e2e.faults.wire import Wire
from e2e.tenant.holding import UNTIL_TOLD
from e2e.tenant.tenant import SMALL, STORAGE, phase_of
from tests.integration.controller.conftest import OperatorProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dev.cluster.connection import Connection
    from e2e.tenant import Tenant

RUNS: Final = 252
WORKERS: Final = 16
NEW: Final = "new"
"""A second Storage of the tenant, whose store has not been checked yet."""
SENDERS: Final = 8
ON_THE_HOUR: Final = 3600


@pytest.fixture
def store_wire(connection: Connection) -> Iterator[Wire]:
    """Proxy to the store of the tenant that will hang, also for its pods."""
    if not connection.own:
        pytest.skip("a stranger's pods may not reach this machine")
    there = urlsplit(connection.lake.endpoint)
    with Wire(there.hostname or "", there.port or 80, here=there.hostname or "") as made:
        yield made


@pytest.fixture
def hung(connection: Connection, store_wire: Wire) -> Iterator[Tenant]:
    host = urlsplit(connection.lake.endpoint).hostname
    # Hanging catalogs are covered by the loader's tests.
    chosen: dict[str, Any] = {"endpoint": f"http://{host}:{store_wire.port}", "catalog": None}
    made = tenants.create(connection, "hung", **chosen)
    spec = {**made.storage_spec, **chosen, "default": False}
    made.apply("Storage", NEW, {field: value for field, value in spec.items() if value is not None})
    yield made
    made.delete()


@pytest.fixture
def operator(settings: dict[str, str], tenant: Tenant, hung: Tenant, tmp_path: Path) -> Iterator[OperatorProcess]:
    """One operator for both namespaces."""
    namespaces = {"COMPONENTRUN_NAMESPACES": f"{tenant.namespace},{hung.namespace}"}
    limits = {"COMPONENTRUN_START_RETRY_SECONDS": str(ON_THE_HOUR), "COMPONENTRUN_WORKERS": str(WORKERS)}
    environment = settings | namespaces | limits
    made = OperatorProcess(environment, tmp_path / "operator.log")
    yield made
    made.end()


def scope_is_known(hung: Tenant) -> None:
    """Write the default Storage's status as if its store had been checked before it began to hang."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    words = {"Scoped": "SignedForms", "Versioned": "VersionsKept", "Ready": "Scoped"}
    conditions = [
        {"type": kind, "status": "True", "reason": reason, "message": "seen", "lastTransitionTime": now}
        for kind, reason in words.items()
    ]
    status = {"conditions": conditions, "checked": now, "observedGeneration": 1}
    hung.custom.patch_namespaced_custom_object_status(
        GROUP, VERSION, hung.namespace, "storages", STORAGE, {"status": status}
    )


def submit_many(hung: Tenant, operator: OperatorProcess, image: str) -> list[str]:
    """Create runs that start, that publish, and that start on an unchecked Storage. No operator runs yet."""
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    client = hung.custom  # created before the threads

    def submit(number: int) -> str:
        name = f"hung-{number:04}"
        spec: dict[str, Any] = {"image": image, "args": ["true"], "resources": SMALL, "retry": {"limit": 0}}
        spec |= {"storage": NEW} if number % 3 == 2 else {}
        metadata = {"name": name, "labels": {OPERATOR_LABEL: operator.name}}
        body = {"apiVersion": API_VERSION, "kind": "ComponentRun", "metadata": metadata, "spec": spec}
        client.create_namespaced_custom_object(GROUP, VERSION, hung.namespace, "componentruns", body)
        if number % 3 == 1:
            attempt = {"number": 1, "pod": f"{name}-1", "podUid": "gone", "startTime": now, "reason": "Succeeded"}
            phases = [{"phase": phase, "startTime": now} for phase in ("Queued", "Pending", "Publishing")]
            status = {"phase": "Publishing", "attempts": [attempt], "phases": phases, "storage": STORAGE}
            client.patch_namespaced_custom_object_status(
                GROUP, VERSION, hung.namespace, "componentruns", name, {"status": status}
            )
        return name

    with ThreadPoolExecutor(SENDERS) as senders:
        return list(senders.map(submit, range(RUNS)))


def gauge(operator: OperatorProcess, name: str) -> float:
    found = re.search(rf"^{re.escape(name)} (\S+)$", operator.ask("/metrics")[1], re.MULTILINE)
    return float(found[1]) if found else 0.0


def is_down(hung: Tenant, storage: str) -> bool:
    raw = hung.custom.get_namespaced_custom_object(GROUP, VERSION, hung.namespace, "storages", storage)
    told = {item["type"]: item for item in raw.get("status", {}).get("conditions", [])}
    return "has not responded since" in told.get("Ready", {}).get("message", "")


def message_of(run: dict[str, Any]) -> str:
    """Message of the run's condition `Published`, if it has one, else of the run."""
    status = run.get("status", {})
    published = [item["message"] for item in status.get("conditions", []) if item["type"] == "Published"]
    return str(published[0] if published else status.get("message", ""))


@pytest.mark.long
def test_a_tenant_whose_store_hangs_holds_up_nobody_and_can_stop_its_runs(
    tenant: Tenant, hung: Tenant, store_wire: Wire, operator: OperatorProcess, submit: Any, images: dict[str, str]
) -> None:
    scope_is_known(hung)
    store_wire.hang()
    names = submit_many(hung, operator, images["test-components"])
    operator.start()
    operator.wait_ready()

    # Other runs start, publish, are cancelled and time out, while none of the tenant's runs can end.
    runs = submit("sh", "-c", UNTIL_TOLD)
    late = submit("sh", "-c", UNTIL_TOLD, timeout="10s")
    for _ in range(5):
        published = tenant.wait(submit("copy"))["status"]
        assert published["phase"] == "Succeeded", published
    tenant.wait(runs, lambda run: phase_of(run) == "Running")
    tenant.patch(runs, {"cancel": True})
    assert tenant.wait(runs)["status"]["phase"] == "Cancelled"
    assert tenant.wait(late)["status"]["reason"] == "Timeout"
    listed = hung.custom.list_namespaced_custom_object(GROUP, VERSION, hung.namespace, "componentruns")["items"]
    assert {phase_of(run) for run in listed} <= {None, "Queued", "Publishing"}

    # The problem is reported in the runs, in both Storages, and in the metrics.
    for name in (names[0], names[1], names[2], names[-1]):
        hung.wait(name, lambda run: "has not responded since" in message_of(run))
    for storage in (STORAGE, NEW):
        waiting.until(
            lambda storage=storage: None if is_down(hung, storage) else "says nothing", what=f"Storage {storage}",
            timeout=120,
        )  # fmt: skip
        labels = f'namespace="{hung.namespace}",storage="{storage}"'
        assert gauge(operator, f"componentrun_storage_unresponsive{{{labels}}}") == 1.0

    # The tenant's own runs can be cancelled, and the remaining runs continue automatically.
    left = [names[0], names[2]]
    hung.patch(names[3], {"cancel": True})
    assert hung.wait(names[3])["status"]["phase"] == "Cancelled"
    client = hung.custom

    def delete(name: str) -> None:
        client.delete_namespaced_custom_object(GROUP, VERSION, hung.namespace, "componentruns", name)

    with ThreadPoolExecutor(SENDERS) as senders:
        list(senders.map(delete, [name for name in names if name not in left]))
    store_wire.mend()
    for name in left:
        assert hung.wait(name)["status"]["phase"] == "Succeeded"
    for storage in (STORAGE, NEW):
        waiting.until(
            lambda storage=storage: "is down" if is_down(hung, storage) else None, what=f"Storage {storage}",
            timeout=120,
        )  # fmt: skip
    assert "componentrun_storage_unresponsive{" not in operator.ask("/metrics")[1]
