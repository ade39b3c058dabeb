"""Preconditions, finalizers, owners, namespaces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from componentrun.api.common import API_VERSION
from tests.fakekube.conformance.api import component, eventually, names, secret

if TYPE_CHECKING:
    from tests.fakekube.conformance.api import Api


def kept(name: str, *finalizers: str) -> dict[str, Any]:
    """A Secret with finalizers."""
    body = secret(name)
    body["metadata"]["finalizers"] = list(finalizers or ["example.com/f"])
    return body


class DeletingObjects:
    @pytest.mark.parametrize("plural", ["secrets", "components"])
    async def test_a_deletion_is_answered_with_a_status(self, api: Api, plural: str) -> None:
        created = await api.create(plural, secret("x") if plural == "secrets" else component("x"))
        answer = await api.delete(plural, "x")
        group = {} if plural == "secrets" else {"group": "componentrun.dev"}
        assert (answer.status, answer.document["status"]) == (200, "Success")
        assert answer.document["details"] == {"name": "x", **group, "kind": plural, "uid": created.metadata["uid"]}
        assert (await api.get(plural, "x")).status == 404

    async def test_what_does_not_exist_is_not_found(self, api: Api) -> None:
        answer = await api.delete("components", "x")
        assert answer.refusal() == (404, "NotFound", 'components.componentrun.dev "x" not found')

    async def test_another_uid_is_a_conflict(self, api: Api) -> None:
        created = await api.create("secrets", secret("x"))
        answer = await api.delete("secrets", "x", {"preconditions": {"uid": "7"}})
        uid = created.metadata["uid"]
        why = f"the UID in the precondition (7) does not match the UID in record ({uid})"
        fate = "The object might have been deleted and then recreated"
        message = f'Operation cannot be fulfilled on Secret "x": {why}. {fate}'
        assert answer.refusal() == (409, "Conflict", message)
        assert answer.document["details"] == {"name": "x", "kind": "Secret"}
        assert (await api.delete("secrets", "x", {"preconditions": {"uid": uid}})).status == 200

    async def test_another_version_is_a_conflict(self, api: Api) -> None:
        version = (await api.create("components", component("x"))).version
        answer = await api.delete("components", "x", {"preconditions": {"resourceVersion": "7"}})
        assert answer.refusal()[:2] == (409, "Conflict")
        why = f"the ResourceVersion in the precondition (7) does not match the ResourceVersion in record ({version})"
        assert why in answer.refusal()[2]
        assert (await api.delete("components", "x", {"preconditions": {"resourceVersion": version}})).status == 200

    async def test_a_collection_is_deleted_by_its_selector(self, api: Api) -> None:
        for name, label in (("x", "1"), ("y", "2"), ("z", "1")):
            await api.create("secrets", secret(name, {"a": label}))
        answer = await api.request("DELETE", api.path("secrets"), labelSelector="a=1")
        assert answer.status == 200
        assert names(await api.list("secrets")) == ["y"]


class Finalizers:
    async def test_an_object_with_a_finalizer_is_marked(self, api: Api) -> None:
        created = await api.create("secrets", kept("x"))
        answer = await api.delete("secrets", "x")
        assert (answer.status, answer.document["kind"]) == (200, "Secret")
        assert answer.metadata["deletionTimestamp"]
        assert answer.metadata["deletionGracePeriodSeconds"] == 0
        found = await api.get("secrets", "x")
        assert found.metadata["deletionTimestamp"]
        assert int(found.version) > int(created.version)
        await api.patch("secrets", "x", {"metadata": {"finalizers": None}})

    async def test_it_goes_with_its_last_finalizer(self, api: Api) -> None:
        await api.create("secrets", kept("x", "example.com/f", "example.com/g"))
        await api.delete("secrets", "x")
        answer = await api.patch("secrets", "x", {"metadata": {"finalizers": ["example.com/g"]}})
        assert answer.metadata["finalizers"] == ["example.com/g"]
        answer = await api.patch("secrets", "x", {"metadata": {"finalizers": None}})
        assert (answer.status, answer.document["kind"]) == (200, "Secret")
        assert (await api.get("secrets", "x")).status == 404

    async def test_it_gets_no_new_finalizers(self, api: Api) -> None:
        await api.create("secrets", kept("x"))
        await api.delete("secrets", "x")
        answer = await api.patch("secrets", "x", {"metadata": {"finalizers": ["example.com/f", "example.com/g"]}})
        assert answer.refusal()[:2] == (422, "Invalid")
        assert "no new finalizers can be added if the object is being deleted" in answer.refusal()[2]
        await api.patch("secrets", "x", {"metadata": {"finalizers": None}})

    async def test_its_name_is_taken_until_it_is_gone(self, api: Api) -> None:
        await api.create("secrets", kept("x"))
        await api.delete("secrets", "x")
        answer = await api.create("secrets", secret("x"))
        message = 'object is being deleted: secrets "x" already exists'
        assert answer.refusal() == (409, "AlreadyExists", message)
        await api.patch("secrets", "x", {"metadata": {"finalizers": None}})
        assert (await api.create("secrets", secret("x"))).status == 201

    async def test_its_mark_can_not_be_removed(self, api: Api) -> None:
        await api.create("secrets", kept("x"))
        await api.delete("secrets", "x")
        answer = await api.patch("secrets", "x", {"metadata": {"deletionTimestamp": None}})
        assert "deletionTimestamp" in answer.metadata
        await api.patch("secrets", "x", {"metadata": {"finalizers": None}})

    async def test_a_deletion_counts_up_the_generation_of_a_custom_resource(self, api: Api) -> None:
        await api.create("components", component("x", metadata={"finalizers": ["example.com/f"]}))
        answer = await api.delete("components", "x")
        assert answer.metadata["generation"] == 2
        again = await api.delete("components", "x")
        assert (again.status, again.version) == (200, answer.version)
        await api.patch("components", "x", {"metadata": {"finalizers": None}})


class Owners:
    async def test_what_an_object_owns_is_collected_behind_it(self, api: Api) -> None:
        owners = []
        for name in ("x", "y"):
            uid = (await api.create("components", component(name))).metadata["uid"]
            owners.append({"apiVersion": API_VERSION, "kind": "Component", "name": name, "uid": uid})
        for name, of in (("one", owners[:1]), ("both", owners)):
            body = secret(name)
            body["metadata"]["ownerReferences"] = of
            await api.create("secrets", body)
        await api.delete("components", "x", {"propagationPolicy": "Background"})
        await api.wait_until_gone("secrets", "one")
        assert (await api.get("secrets", "both")).status == 200
        await api.delete("components", "y", {"propagationPolicy": "Background"})
        await api.wait_until_gone("secrets", "both")


class Namespaces:
    async def test_nothing_is_created_in_a_namespace_that_is_being_deleted(self, api: Api) -> None:
        await api.create("secrets", kept("x"))
        await api.create("secrets", secret("y"))
        answer = await api.request("DELETE", f"/api/v1/namespaces/{api.namespace}")
        assert answer.status == 200
        assert answer.metadata["deletionTimestamp"]
        assert answer.document["status"]["phase"] == "Terminating"
        answer = await api.create("secrets", secret("new"))
        why = f"unable to create new content in namespace {api.namespace} because it is being terminated"
        assert answer.refusal() == (403, "Forbidden", f'secrets "new" is forbidden: {why}')
        assert answer.document["details"]["causes"] == [
            {
                "reason": "NamespaceTerminating",
                "message": f"namespace {api.namespace} is being terminated",
                "field": "metadata.namespace",
            }
        ]
        await api.wait_until_gone("secrets", "y")
        await api.patch("secrets", "x", {"metadata": {"finalizers": None}})
        path = f"/api/v1/namespaces/{api.namespace}"
        await eventually(lambda: api.request("GET", path), lambda answer: answer.status == 404)
