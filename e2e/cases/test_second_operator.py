"""A second operator next to the first: its own namespaces and runs, Roles only, two replicas."""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING

import pytest

from componentrun.api.common import API_VERSION
from dev.cluster import waiting
from dev.images import ensure
from dev.install import IMAGES, install, uninstall
from e2e import tenant as tenants
from e2e.tenant.tenant import SMALL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dev.cluster.connection import Connection
    from e2e.tenant import Tenant


@pytest.fixture(scope="module")
def name() -> str:
    """Name of the operator and of its namespace."""
    return f"second-{uuid.uuid4().hex[:6]}"


@pytest.fixture(scope="module")
def served(connection: Connection, name: str) -> Iterator[Tenant]:
    """A tenant whose namespace is served by the second operator."""
    tenant = tenants.create(connection)
    values = {
        "operatorName": name,
        "fullnameOverride": name,
        "namespaces": [tenant.namespace],
        "operator": {"replicas": 2},
        # CRDs are cluster-wide, and the first operator installed them.
        "crds": {"install": False},
        "rbac": {"aggregate": False},
        "admissionPolicy": {"enabled": False},
        "collector": {"enabled": False},
        # Its pods must become ready with the policy in place.
        "networkPolicy": {"enabled": True},
    }
    install(connection, ensure(connection, IMAGES), values, namespace=name)
    yield tenant
    uninstall(connection, namespace=name)
    tenant.delete()


def run(tenant: Tenant, image: str, operator: str) -> str:
    """Create a run that only the operator with this name may process."""
    name = f"r-{uuid.uuid4().hex[:8]}"
    labels = {"componentrun.dev/operator": operator}
    output = {"defaultBucket": "out.c-main"}
    spec = {"image": image, "args": ["rows"], "output": output, "timeout": "1m", "resources": SMALL}
    body = {
        "apiVersion": API_VERSION,
        "kind": "ComponentRun",
        "metadata": {"name": name, "labels": labels},
        "spec": spec,
    }
    tenant.kubectl("create", "--filename=-", stdin=json.dumps(body))
    return name


def holder_of_lease(tenant: Tenant, name: str) -> str:
    """Holder of the Lease; empty if there is none."""
    path = "jsonpath={.spec.holderIdentity}"
    lease = ("get", "lease", f"{name}-operator", "--ignore-not-found", f"--output={path}")
    return tenant.kubectl("--namespace", name, *lease).stdout


def test_roles_of_its_namespaces_are_all_it_needs(served: Tenant, components: str, name: str) -> None:
    final_run = served.wait(run(served, components, name))
    assert final_run["status"]["phase"] == "Succeeded", final_run["status"]
    assert served.table("out.c-main.result")


def test_it_may_do_nothing_elsewhere(served: Tenant, name: str) -> None:
    account = f"--as=system:serviceaccount:{name}:{name}-operator"
    for verb, resource in (("get", "secrets"), ("create", "pods"), ("list", "componentruns.componentrun.dev")):
        result = served.kubectl("auth", "can-i", verb, resource, "--namespace=default", account, check=False)
        assert result.stdout.strip() == "no", f"{verb} {resource}"
    result = served.kubectl("auth", "can-i", "list", "secrets", account, check=False)
    assert result.stdout.strip() == "no", "not even in its own namespaces"


def test_runs_of_an_operator_that_is_not_there_wait(served: Tenant, components: str) -> None:
    waiting_run = run(served, components, "nobody")
    time.sleep(5)
    assert not served.get(waiting_run).get("status")
    assert not served.pods(waiting_run)


def test_the_other_replica_goes_on_when_the_first_one_dies(served: Tenant, components: str, name: str) -> None:
    # Replicas become ready before one of them becomes the leader.
    waiting.until(lambda: None if holder_of_lease(served, name) else "nobody", what="the Lease", timeout=60)
    first = holder_of_lease(served, name)
    pods = json.loads(served.kubectl("--namespace", name, "get", "pods", "--output=json").stdout)["items"]
    (holder,) = [pod["metadata"]["name"] for pod in pods if pod["metadata"]["name"] in first]
    # The pod gets no time to release the Lease, as if its node were lost.
    served.kubectl("--namespace", name, "delete", "pod", holder, "--grace-period=0", "--force")
    final_run = served.wait(run(served, components, name))
    assert final_run["status"]["phase"] == "Succeeded", final_run["status"]
    assert holder_of_lease(served, name) != first
