"""Merge patch, JSON patch, the status, generations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.fakekube.conformance.api import JSON_PATCH, component, secret

if TYPE_CHECKING:
    from tests.fakekube.conformance.api import Api

_REJECTED = "the server rejected our request due to an error in our request"


class PatchingObjects:
    async def test_a_merge_patch_sets_and_removes_fields(self, api: Api) -> None:
        await api.create("secrets", secret("x", {"a": "1", "b": "2"}, c="d"))
        answer = await api.patch("secrets", "x", {"metadata": {"labels": {"a": None, "e": "3"}}})
        assert answer.status == 200
        assert answer.metadata["labels"] == {"b": "2", "e": "3"}
        assert answer.document["data"] == {"c": "ZA=="}

    async def test_a_patch_that_changes_nothing_keeps_the_version(self, api: Api) -> None:
        created = await api.create("secrets", secret("x", {"a": "1"}))
        answer = await api.patch("secrets", "x", {"metadata": {"labels": {"a": "1"}}})
        assert (answer.status, answer.version) == (200, created.version)

    async def test_each_change_has_a_later_version(self, api: Api) -> None:
        created = await api.create("secrets", secret("x"))
        answer = await api.patch("secrets", "x", {"metadata": {"labels": {"a": "1"}}})
        assert int(answer.version) > int(created.version)

    async def test_a_patch_of_another_version_is_a_conflict(self, api: Api) -> None:
        await api.create("secrets", secret("x"))
        answer = await api.patch("secrets", "x", {"metadata": {"resourceVersion": "7", "labels": {"a": "1"}}})
        why = "the object has been modified; please apply your changes to the latest version and try again"
        assert answer.refusal() == (409, "Conflict", f'Operation cannot be fulfilled on secrets "x": {why}')
        assert answer.document["details"] == {"name": "x", "kind": "secrets"}

    async def test_a_patch_of_the_current_version_is_carried_out(self, api: Api) -> None:
        created = await api.create("components", component("x"))
        patch = {"metadata": {"resourceVersion": created.version}, "spec": {"image": "j"}}
        assert (await api.patch("components", "x", patch)).status == 200
        assert (await api.patch("components", "x", patch)).status == 409

    @pytest.mark.parametrize("plural", ["secrets", "components"])
    async def test_the_uid_can_not_be_changed(self, api: Api, plural: str) -> None:
        subject = "Secret" if plural == "secrets" else "Component.componentrun.dev"
        await api.create(plural, secret("x") if plural == "secrets" else component("x"))
        answer = await api.patch(plural, "x", {"metadata": {"uid": "7", "labels": {"a": "1"}}})
        why = 'metadata.uid: Invalid value: "7": field is immutable'
        assert answer.refusal() == (422, "Invalid", f'{subject} "x" is invalid: {why}')

    async def test_what_does_not_exist_is_not_found(self, api: Api) -> None:
        answer = await api.patch("components", "x", {"spec": {"image": "j"}})
        assert answer.refusal() == (404, "NotFound", 'components.componentrun.dev "x" not found')

    async def test_json_patches(self, api: Api) -> None:
        await api.create("components", component("x", metadata={"labels": {"a/b": "1", "c": "2"}}))
        operations: list[dict[str, Any]] = [
            {"op": "test", "path": "/spec/image", "value": "i"},
            {"op": "replace", "path": "/spec/image", "value": "j"},
            {"op": "remove", "path": "/metadata/labels/a~1b"},
            {"op": "copy", "from": "/metadata/labels/c", "path": "/metadata/labels/d"},
            {"op": "move", "from": "/metadata/labels/c", "path": "/metadata/labels/e"},
            {"op": "replace", "path": "/metadata/labels/new", "value": "3"},
            {"op": "add", "path": "/metadata/finalizers", "value": []},
            {"op": "add", "path": "/metadata/finalizers/-", "value": "example.com/f"},
        ]
        answer = await api.patch("components", "x", operations, JSON_PATCH)
        assert answer.status == 200
        assert answer.document["spec"]["image"] == "j"
        assert answer.metadata["labels"] == {"d": "2", "e": "2", "new": "3"}
        assert answer.metadata["finalizers"] == ["example.com/f"]
        await api.patch("components", "x", {"metadata": {"finalizers": None}})

    @pytest.mark.parametrize(
        "operation",
        [
            {"op": "remove", "path": "/spec/no-such"},
            {"op": "test", "path": "/spec/image", "value": "k"},
            {"op": "add", "path": "/no-such/field", "value": 1},
        ],
        ids=lambda operation: operation["op"],
    )
    async def test_a_json_patch_that_can_not_be_applied_changes_nothing(self, api: Api, operation: Any) -> None:
        created = await api.create("components", component("x"))
        first = {"op": "replace", "path": "/spec/image", "value": "j"}
        operations = [operation] if operation["op"] == "test" else [first, operation]
        answer = await api.patch("components", "x", operations, JSON_PATCH)
        assert answer.refusal() == (422, "Invalid", _REJECTED)
        assert (await api.get("components", "x")).version == created.version

    @pytest.mark.parametrize("kind", ["application/strategic-merge-patch+json", "application/json"])
    async def test_other_formats_are_refused_for_custom_resources(self, api: Api, kind: str) -> None:
        await api.create("components", component("x"))
        answer = await api.patch("components", "x", {}, kind)
        why = "the body of the request was in an unknown format - accepted media types include: "
        known = "application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"
        assert answer.refusal() == (415, "UnsupportedMediaType", why + known)


class Statuses:
    async def test_the_status_has_a_path_of_its_own(self, api: Api) -> None:
        created = await api.create("componentruns", run("x"))
        patch = {"spec": {"image": "j"}, "status": {"phase": "Queued"}}
        answer = await api.patch("componentruns", "x", patch, subresource="status")
        assert (answer.status, answer.document["status"]) == (200, {"phase": "Queued"})
        assert answer.document["spec"] == created.document["spec"]
        answer = await api.patch("componentruns", "x", {"status": {"phase": "Running"}, "spec": {"suspend": True}})
        assert answer.document["status"] == {"phase": "Queued"}
        assert answer.document["spec"]["suspend"] is True

    async def test_a_status_has_the_version_of_the_object(self, api: Api) -> None:
        created = await api.create("componentruns", run("x"))
        patch = {"metadata": {"resourceVersion": created.version}, "status": {"phase": "Queued"}}
        assert (await api.patch("componentruns", "x", patch, subresource="status")).status == 200
        answer = await api.patch("componentruns", "x", patch, subresource="status")
        assert answer.refusal()[:2] == (409, "Conflict")

    async def test_labels_can_not_be_changed_with_the_status(self, api: Api) -> None:
        await api.create("componentruns", run("x"))
        patch = {"metadata": {"labels": {"a": "1"}}, "status": {"phase": "Queued"}}
        answer = await api.patch("componentruns", "x", patch, subresource="status")
        assert "labels" not in answer.metadata or "a" not in answer.metadata["labels"]

    async def test_the_generation_counts_changes_of_the_spec(self, api: Api) -> None:
        await api.create("componentruns", run("x"))
        answer = await api.patch("componentruns", "x", {"metadata": {"labels": {"a": "1"}}})
        assert answer.metadata["generation"] == 1
        answer = await api.patch("componentruns", "x", {"status": {"phase": "Queued"}}, subresource="status")
        assert answer.metadata["generation"] == 1
        answer = await api.patch("componentruns", "x", {"spec": {"suspend": True}})
        assert answer.metadata["generation"] == 2

    async def test_a_kind_without_a_status_has_no_such_path(self, api: Api) -> None:
        await api.create("secrets", secret("x"))
        answer = await api.patch("secrets", "x", {"status": {}}, subresource="status")
        assert answer.status == 404


def run(name: str) -> dict[str, Any]:
    """A run that no operator takes."""
    labels = {"componentrun.dev/operator": "no-such-operator"}
    body = component(name, kind="ComponentRun", metadata={"labels": labels})
    return body | {"spec": {"image": "i"}}
