"""Failures to create or start a pod: the message says what to do, and the wait is limited."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.api.common import GROUP, VERSION
from dev.cluster import waiting
from e2e.faults import Registry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dev.cluster.connection import Connection
    from tests.integration.controller.conftest import Place

SETTINGS = {"COMPONENTRUN_IMAGE_PULL_SECONDS": "8"}


class TestImages:
    def test_a_registry_that_is_away(self, place: Place) -> None:
        name = place.run("true", image="localhost:1/team/component:1")
        place.failed(
            name,
            "RegistryUnavailable",
            "localhost:1/team/component:1",
            "connection refused",
            "whether the nodes can reach",
        )

    @pytest.fixture
    def registry(self, connection: Connection) -> Iterator[Registry]:
        if not connection.own:
            pytest.skip("its nodes can't reach a registry on this machine's loopback address")
        with Registry() as made:
            yield made

    @pytest.mark.parametrize(
        ("repository", "said"), [("private", "authorization failed"), ("forbidden", "403 Forbidden")]
    )
    def test_a_registry_that_does_not_give_the_image(
        self, place: Place, registry: Registry, repository: str, said: str
    ) -> None:
        image = f"{registry.address}/{repository}/component:1"
        place.failed(place.run("true", image=image), "ImagePullFailed", image, said, "imagePullSecrets")

    def test_an_image_for_other_machines_only(self, place: Place, registry: Registry) -> None:
        image = f"{registry.address}/team/component:1"
        place.failed(
            place.run("true", image=image), "ImagePullFailed", "no match for platform", "the node's architecture"
        )


class TestAStorageWithoutACatalog:
    @pytest.fixture
    def storage(self, place: Place) -> Iterator[str]:
        tenant, name = place.tenant, "no-tables"
        spec = {key: value for key, value in tenant.storage_spec.items() if key not in {"catalog", "default"}}
        tenant.apply("Storage", name, spec | {"prefix": f"{spec.get('prefix', '')}/no-tables".strip("/")})
        yield name
        tenant.custom.delete_namespaced_custom_object(GROUP, VERSION, tenant.namespace, "storages", name)

    def test_is_ready_and_keeps_no_tables(self, place: Place, storage: str) -> None:
        output = {"tables": [{"source": "result.csv", "destination": "out.c-main.result"}]}
        name = place.run("true", storage=storage, output=output)
        told = (f"Storage `{storage}` has no `spec.catalog`", "writes table `out.c-main.result`", "docs/tables.md")
        status = place.failed(name, "InvalidSpec", *told)
        assert not status.get("attempts")
        assert not place.tenant.pods(name)

        ended = place.tenant.wait(place.run("true", storage=storage))["status"]
        assert ended["phase"] == "Succeeded", ended["message"]

        def untold() -> str | None:
            found = place.tenant.custom.get_namespaced_custom_object(
                GROUP, VERSION, place.tenant.namespace, "storages", storage
            )
            told = {item["type"]: item for item in found.get("status", {}).get("conditions", ())}
            is_told = told.get("Catalog", {}).get("reason") == "NoCatalog" and told["Ready"]["status"] == "True"
            return None if is_told else f"its conditions are {told}"

        waiting.until(untold, what="what the Storage says of its catalog", timeout=60)


class TestRulesOfTheNamespace:
    def test_a_limit_range(self, place: Place) -> None:
        limits = [{"type": "Container", "max": {"memory": "2Gi"}}]
        body = {"metadata": {"name": "at-most"}, "spec": {"limits": limits}}
        place.tenant.core.create_namespaced_limit_range(place.tenant.namespace, body)
        try:
            _await_refusal(place, "maximum memory usage", _container(limits={"memory": "3Gi"}))
            name = place.run("true", resources={"limits": {"memory": "3Gi"}})
            status = place.failed(name, "PodRejected", "maximum memory usage per Container is 2Gi, but limit is 3Gi")
        finally:
            place.tenant.core.delete_namespaced_limit_range("at-most", place.tenant.namespace)
        assert not status.get("attempts")
        assert not place.tenant.pods(name)

    @pytest.fixture
    def forbidden(self, place: Place) -> Iterator[str]:
        """A label that a cluster policy forbids for pods of the tests' namespace. The run must show its message."""
        name = f"test-{place.tenant.namespace}"
        spec = {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "resourceRules": [
                    {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}
                ]
            },
            "validations": [
                {
                    "expression": "!('example.com/forbidden' in object.metadata.labels)",
                    "message": "pods of this team must not say forbidden",
                }
            ],
        }
        where = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": place.tenant.namespace}}}
        binding = {"policyName": name, "validationActions": ["Deny"], "matchResources": where}
        documents = [
            {"kind": "ValidatingAdmissionPolicy", "spec": spec},
            {"kind": "ValidatingAdmissionPolicyBinding", "spec": binding},
        ]
        for document in documents:
            full = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": name}, **document}
            place.tenant.kubectl("create", "--filename=-", stdin=json.dumps(full))
        yield "example.com/forbidden"
        for document in documents:
            place.tenant.kubectl("delete", document["kind"], name, "--ignore-not-found")

    def test_an_admission_policy(self, place: Place, forbidden: str) -> None:
        _await_refusal(place, "must not say forbidden", _container(), labels={forbidden: "yes"})
        name = place.run("true", podTemplate={"labels": {forbidden: "yes"}})
        place.failed(name, "PodRejected", "pods of this team must not say forbidden", "admission")
        assert not place.tenant.pods(name)


def _await_refusal(place: Place, words: str, container: dict[str, Any], **metadata: Any) -> None:
    """Wait until pods like this are rejected, because the API server applies its new rule with a delay."""
    user = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    spec = {"securityContext": user, "containers": [container]}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "probe", **metadata}, "spec": spec}

    def missing() -> str | None:
        done = place.tenant.kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(pod), check=False)
        return None if words in done.stderr else done.stderr or "it is taken"

    waiting.until(missing, what=f"the rule that says {words!r}", timeout=120)


def _container(**resources: Any) -> dict[str, Any]:
    nothing = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    return {"name": "c", "image": "none", "securityContext": nothing, "resources": resources}
