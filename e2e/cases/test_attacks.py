"""From the attacker's side: what a component finds, reaches and can make the platform do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from e2e.cluster.connection import Connection
    from e2e.tenant import Tenant

PASSWORD = "correct horse battery staple 7"


def findings(tenant: Tenant, name: str) -> list[dict[str, Any]]:
    """What the probe printed, one JSON object a line."""
    log = tenant.kubectl("logs", f"{name}-1", "-c", "component").stdout
    return [json.loads(line) for line in log.splitlines()]


def probe(tenant: Tenant, components: str, *arguments: str, **spec: Any) -> list[dict[str, Any]]:
    name = tenant.run(components, "probe", *arguments, suspend=True, **spec)
    # The pod goes once its events are delivered, so the log is followed from its start.
    tenant.patch(name, {"suspend": False})
    run = tenant.wait(name)
    assert run["status"]["phase"] == "Succeeded", run["status"]
    tenant.wait(name, lambda run: (run["status"].get("events") or {}).get("delivered", False))
    return [
        {"kind": event.params.get("kind"), "what": event.params.get("what"), "found": event.params.get("found")}
        if event.params.get("kind")
        else json.loads(event.message)
        for event in tenant.events(name)
        if event.source == "component"
    ]


@pytest.fixture
def with_secret(tenant: Tenant) -> Tenant:
    tenant.put_table("in.c-main.words", "id\n1\n")
    tenant.secret("login", {"password": PASSWORD})
    return tenant


CONFIGURATION = {"secrets": [{"path": "#password", "secretKeyRef": {"name": "login", "key": "password"}}]}


def test_a_component_finds_no_grant_no_token_no_key_and_no_privilege(
    with_secret: Tenant, components: str, connection: Connection
) -> None:
    store = urlsplit(connection.store_endpoint)
    found = probe(
        with_secret, components, f"{store.hostname}:{store.port}",
        input={"tables": [{"source": "in.c-main.words"}]}, configuration=CONFIGURATION,
    )  # fmt: skip
    assert found[-1]["kind"] == "end", found
    assert [item for item in found if item["kind"] not in {"end", "network"}] == []
    # The store is open to the pod as a whole (docs/security.md says why); nothing else is.
    assert {item["what"] for item in found if item["kind"] == "network"} <= {f"{store.hostname}:{store.port}"}


def test_the_network_is_closed_unless_asked_for(tenant: Tenant, components: str, connection: Connection) -> None:
    store = urlsplit(connection.store_endpoint)
    registry = f"{store.hostname}:{(connection.registry or ':5000').rsplit(':', 1)[1].split('/')[0]}"
    closed = probe(tenant, components, registry)
    assert not [item for item in closed if item["what"] == registry]
    opened = probe(tenant, components, registry, network={"mode": "bridge"})
    reached = {item["what"] for item in opened if item["kind"] == "network"}
    assert registry in reached
    assert "169.254.169.254:80" not in reached
    single = {"egress": [{"cidr": f"{store.hostname}/32", "port": int(registry.rsplit(":", 1)[1])}]}
    assert registry in {item["what"] for item in probe(tenant, components, registry, network=single)}


def test_secrets_appear_in_config_json_and_nowhere_else(with_secret: Tenant, components: str) -> None:
    name = with_secret.run(components, "logs", configuration=CONFIGURATION)
    with_secret.wait(name)
    with_secret.wait(name, lambda run: (run["status"].get("events") or {}).get("delivered", False))
    events = with_secret.events(name)
    told = " ".join(f"{event.message} {event.params}" for event in events)
    assert "the secret #password is [redacted]" in told
    assert PASSWORD not in told
    assert PASSWORD not in json.dumps(with_secret.get(name))
    assert PASSWORD not in with_secret.kubectl("get", "events", "-o", "json").stdout
    for place in ("deployment/componentrun-operator", "deployment/componentrun-collector"):
        log = with_secret.kubectl("logs", "-n", "componentrun-system", place, "--tail=-1").stdout
        assert PASSWORD not in log
        assert "X-Amz-Signature" not in log
        assert "x-amz-signature" not in log


def test_the_pod_object_holds_no_secret_and_passes_the_restricted_standard(
    with_secret: Tenant, components: str
) -> None:
    name = with_secret.run(components, "sleep-for", "60", configuration=CONFIGURATION)
    with_secret.wait(name, lambda run: (run.get("status") or {}).get("phase") == "Running")
    pod = with_secret.kubectl("get", "pod", f"{name}-1", "-o", "json").stdout
    assert PASSWORD not in pod
    assert "X-Amz" not in pod
    spec = json.loads(pod)["spec"]
    assert spec["automountServiceAccountToken"] is False
    mounts = {
        container["name"]: {mount["name"] for mount in container["volumeMounts"]}
        for container in spec["containers"] + spec["initContainers"]
    }
    assert not {"grant-in", "grant-out"} & mounts["component"]
    assert "grant-out" not in mounts["stage-in"]
    assert "grant-in" not in mounts["stage-out"]
    with_secret.patch(name, {"cancel": True})
