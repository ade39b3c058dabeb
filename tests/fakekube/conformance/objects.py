"""Create, get, replace."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from tests.fakekube.conformance.api import component, secret

if TYPE_CHECKING:
    from tests.fakekube.conformance.api import Api


class CreatingObjects:
    async def test_an_object_that_does_not_exist_is_not_found(self, api: Api) -> None:
        answer = await api.get("secrets", "x")
        assert answer.refusal() == (404, "NotFound", 'secrets "x" not found')
        assert answer.document["details"] == {"name": "x", "kind": "secrets"}
        answer = await api.get("components", "x")
        assert answer.refusal() == (404, "NotFound", 'components.componentrun.dev "x" not found')
        assert answer.document["details"] == {"name": "x", "group": "componentrun.dev", "kind": "components"}

    @pytest.mark.parametrize("path", ["/apis/no-such-group.dev/v1/x", "/apis/componentrun.dev/v1alpha1/x"])
    async def test_a_path_that_does_not_exist_is_no_status(self, api: Api, path: str) -> None:
        answer = await api.request("GET", path)
        assert (answer.status, answer.document) == (404, "404 page not found\n")

    async def test_a_kind_that_does_not_exist_in_the_core_group_is_a_status(self, api: Api) -> None:
        answer = await api.request("GET", "/api/v1/x")
        assert answer.refusal() == (404, "NotFound", "the server could not find the requested resource")

    async def test_a_created_object_gets_uid_version_and_time(self, api: Api) -> None:
        answer = await api.create("secrets", secret("x", a="b"))
        assert answer.status == 201
        metadata = answer.metadata
        assert (metadata["name"], metadata["namespace"]) == ("x", api.namespace)
        assert metadata["uid"]
        assert int(metadata["resourceVersion"])
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", metadata["creationTimestamp"])
        assert "generation" not in metadata
        assert (answer.document["kind"], answer.document["apiVersion"]) == ("Secret", "v1")
        assert (await api.get("secrets", "x")).document == answer.document

    async def test_a_secrets_texts_become_data(self, api: Api) -> None:
        document = (await api.create("secrets", secret("x", a="b"))).document
        assert document["data"] == {"a": "Yg=="}
        assert "stringData" not in document

    async def test_a_custom_resource_begins_with_generation_1_and_without_status(self, api: Api) -> None:
        answer = await api.create("components", component("x", status={"observedGeneration": 3}))
        assert answer.status == 201
        assert answer.metadata["generation"] == 1
        assert "status" not in answer.document

    async def test_a_custom_resource_gets_the_defaults_of_its_schema(self, api: Api) -> None:
        spec = {"image": "i", "network": {}, "retry": {"backoff": {}}, "title": None}
        stored = (await api.create("components", component("x", spec=spec))).document["spec"]
        assert (stored["image"], stored["tag"], stored["readOnlyRootFilesystem"]) == ("i", "latest", False)
        assert stored["network"]["mode"] == "none"
        assert stored["retry"] == {"limit": 3, "backoff": {"initial": "10s", "max": "5m"}}
        assert "configuration" not in stored, "what is not sent gets no defaults within"
        assert "title" not in stored
        assert (await api.get("components", "x")).document["spec"] == stored

    async def test_what_the_server_sets_can_not_be_chosen(self, api: Api) -> None:
        chosen = {"uid": "mine", "creationTimestamp": "2001-01-01T00:00:00Z", "generation": 7}
        metadata = (await api.create("components", component("x", metadata=chosen))).metadata
        assert metadata["uid"] != "mine"
        assert not metadata["creationTimestamp"].startswith("2001")
        assert metadata["generation"] == 1

    async def test_a_name_is_taken_once(self, api: Api) -> None:
        await api.create("secrets", secret("x"))
        answer = await api.create("secrets", secret("x"))
        assert answer.refusal() == (409, "AlreadyExists", 'secrets "x" already exists')
        await api.create("components", component("x"))
        answer = await api.create("components", component("x"))
        assert answer.refusal() == (409, "AlreadyExists", 'components.componentrun.dev "x" already exists')

    async def test_a_name_can_be_generated(self, api: Api) -> None:
        body = {"metadata": {"generateName": "x-"}}
        found = {(await api.create("secrets", body)).metadata["name"] for _ in range(3)}
        assert len(found) == 3
        assert all(re.fullmatch(r"x-[bcdfghjklmnpqrstvwxz2456789]{5}", name) for name in found)

    async def test_an_object_needs_a_name(self, api: Api) -> None:
        answer = await api.create("secrets", {"metadata": {}})
        why = "metadata.name: Required value: name or generateName is required"
        assert answer.refusal() == (422, "Invalid", f'Secret "" is invalid: {why}')
        assert [cause["field"] for cause in answer.document["details"]["causes"]] == ["metadata.name"]

    async def test_a_custom_resource_needs_a_kind(self, api: Api) -> None:
        answer = await api.create("components", {"metadata": {"name": "x"}, "spec": {"image": "i"}})
        assert answer.refusal()[:2] == (400, "BadRequest")
        assert "Object 'Kind' is missing" in answer.refusal()[2]

    async def test_the_namespace_is_that_of_the_path(self, api: Api) -> None:
        answer = await api.create("secrets", {"metadata": {"name": "x", "namespace": "another"}})
        why = "the namespace of the provided object does not match the namespace sent on the request"
        assert answer.refusal() == (400, "BadRequest", why)

    @pytest.mark.parametrize("root", ["/api/v1", "/apis/componentrun.dev/v1alpha1"])
    async def test_the_namespace_must_exist(self, api: Api, root: str) -> None:
        body = component("x") if "apis" in root else secret("x")
        plural = "components" if "apis" in root else "secrets"
        answer = await api.request("POST", f"{root}/namespaces/no-such/{plural}", body)
        assert answer.refusal() == (404, "NotFound", 'namespaces "no-such" not found')
        assert answer.document["details"] == {"name": "no-such", "kind": "namespaces"}

    async def test_a_dry_run_stores_nothing(self, api: Api) -> None:
        answer = await api.create("secrets", secret("x"), dryRun="All")
        assert answer.status == 201
        assert answer.metadata["name"] == "x"
        assert (await api.get("secrets", "x")).status == 404

    async def test_an_object_can_not_be_posted_to_its_own_path(self, api: Api) -> None:
        answer = await api.request("POST", api.path("secrets", "x"), secret("x"))
        why = "the server does not allow this method on the requested resource"
        assert answer.refusal() == (405, "MethodNotAllowed", why)

    async def test_the_server_tells_its_version_and_the_kinds_of_a_group(self, api: Api) -> None:
        assert (await api.request("GET", "/version")).document["gitVersion"].startswith("v1.")
        answer = await api.request("GET", "/apis/componentrun.dev/v1alpha1")
        assert answer.document["kind"] == "APIResourceList"
        found = {item["name"] for item in answer.document["resources"]}
        assert found >= {"componentruns", "componentruns/status", "components", "storages"}

    async def test_a_token_that_nobody_was_given_is_not_authenticated(self, api: Api) -> None:
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": "made-up"}}
        answer = await api.request("POST", "/apis/authentication.k8s.io/v1/tokenreviews", body)
        assert answer.status == 201
        assert not answer.document["status"].get("authenticated")
        assert answer.document["status"]["error"]

    async def test_who_asks_is_told_who_they_are(self, api: Api) -> None:
        body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
        answer = await api.request("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", body)
        assert answer.status == 201
        assert answer.document["status"]["userInfo"]["username"]


class ReplacingObjects:
    async def test_an_object_is_replaced_in_the_version_that_was_read(self, api: Api) -> None:
        created = await api.create("components", component("x", metadata={"labels": {"a": "b"}}))
        body = component("x", metadata={"resourceVersion": created.version})
        answer = await api.replace("components", "x", body)
        assert answer.status == 200
        assert "labels" not in answer.metadata
        assert answer.metadata["uid"] == created.metadata["uid"]
        assert int(answer.version) > int(created.version)

    @pytest.mark.parametrize("plural", ["secrets", "components"])
    async def test_another_version_is_a_conflict(self, api: Api, plural: str) -> None:
        made = secret if plural == "secrets" else component
        await api.create(plural, made("x"))
        body = made("x")
        body["metadata"]["resourceVersion"] = "7"
        answer = await api.replace(plural, "x", body)
        what = "secrets" if plural == "secrets" else "components.componentrun.dev"
        why = "the object has been modified; please apply your changes to the latest version and try again"
        message = f'Operation cannot be fulfilled on {what} "x": {why}'
        assert answer.refusal() == (409, "Conflict", message)

    async def test_a_custom_resource_needs_the_version(self, api: Api) -> None:
        await api.create("components", component("x"))
        answer = await api.replace("components", "x", component("x"))
        why = "metadata.resourceVersion: Invalid value: 0: must be specified for an update"
        assert answer.refusal() == (422, "Invalid", f'components.componentrun.dev "x" is invalid: {why}')

    async def test_a_built_in_object_can_be_replaced_without_a_version(self, api: Api) -> None:
        await api.create("secrets", secret("x", a="b"))
        answer = await api.replace("secrets", "x", secret("x", c="d"))
        assert answer.status == 200
        assert answer.document["data"] == {"c": "ZA=="}

    async def test_what_does_not_exist_is_not_found(self, api: Api) -> None:
        answer = await api.replace("secrets", "x", secret("x"))
        assert answer.refusal() == (404, "NotFound", 'secrets "x" not found')

    async def test_a_replacement_that_changes_nothing_keeps_the_version(self, api: Api) -> None:
        created = await api.create("secrets", secret("x", a="b"))
        answer = await api.replace("secrets", "x", created.document)
        assert answer.version == created.version
