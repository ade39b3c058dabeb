"""Server-side apply: owners of fields, conflicts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from tests.fakekube.applying import APPLY_PATCH
from tests.fakekube.conformance.api import component

if TYPE_CHECKING:
    from tests.fakekube.conformance.api import Answer, Api

FIRST: Final = "first"
SECOND: Final = "second"


async def apply(api: Api, body: dict[str, Any], manager: str = FIRST, **query: str) -> Answer:
    name = body["metadata"]["name"]
    path = api.path("components", name)
    return await api.request("PATCH", path, body, kind=APPLY_PATCH, fieldManager=manager, **query)


def tagged(tag: str | None, **metadata: Any) -> dict[str, Any]:
    """A Component, with this tag if there is one."""
    body = component("x", metadata=metadata) if metadata else component("x")
    return body | {"spec": {"image": "i"} | ({"tag": tag} if tag else {})}


class ApplyingObjects:
    async def test_what_does_not_exist_is_created(self, api: Api) -> None:
        answer = await apply(api, tagged("1"))
        assert (answer.status, answer.metadata["generation"]) == (201, 1)
        assert answer.document["spec"].items() >= {"image": "i", "tag": "1"}.items()  # besides defaults
        assert (await api.get("components", "x")).version == answer.version

    async def test_the_same_again_changes_nothing(self, api: Api) -> None:
        created = await apply(api, tagged("1"))
        again = await apply(api, tagged("1"))
        assert (again.status, again.version) == (200, created.version)

    async def test_a_manager_is_required(self, api: Api) -> None:
        answer = await api.request("PATCH", api.path("components", "x"), tagged("1"), kind=APPLY_PATCH)
        assert (answer.status, answer.document["reason"]) == (422, "Invalid")
        assert "fieldManager: Required value: is required for apply patch" in answer.document["message"]

    async def test_a_field_that_is_no_longer_applied_is_removed(self, api: Api) -> None:
        await apply(api, tagged("1", labels={"a": "1", "b": "2"}))
        answer = await apply(api, tagged(None, labels={"b": "2"}))
        assert "tag" not in answer.document["spec"] or answer.document["spec"]["tag"] == "latest"
        assert answer.metadata["labels"] == {"b": "2"}
        assert answer.metadata["generation"] == 2

    async def test_fields_of_others_stay(self, api: Api) -> None:
        await apply(api, tagged("1"))
        await api.patch("components", "x", {"metadata": {"labels": {"theirs": "1"}}, "spec": {"timeout": "5m"}})
        answer = await apply(api, tagged("2"))
        assert answer.metadata["labels"] == {"theirs": "1"}
        assert answer.document["spec"].items() >= {"image": "i", "tag": "2", "timeout": "5m"}.items()

    async def test_a_field_with_another_owner_and_value_is_a_conflict(self, api: Api) -> None:
        await apply(api, tagged("1"))
        answer = await apply(api, tagged("2"), SECOND)
        code, reason, message = answer.refusal()
        assert (code, reason) == (409, "Conflict")
        assert message.startswith(f'Apply failed with 1 conflict: conflict with "{FIRST}"')
        assert message.endswith(": .spec.tag")
        causes = [cause["field"] for cause in answer.document["details"]["causes"]]
        assert causes == [".spec.tag"]
        assert (await api.get("components", "x")).document["spec"]["tag"] == "1"

    async def test_the_same_value_has_two_owners_and_stays_until_the_last_one_drops_it(self, api: Api) -> None:
        await apply(api, tagged("1"))
        assert (await apply(api, tagged("1"), SECOND)).status == 200
        assert (await apply(api, tagged(None))).document["spec"]["tag"] == "1"
        dropped = (await apply(api, tagged(None), SECOND)).document["spec"]
        assert dropped.get("tag", "latest") == "latest"

    async def test_force_takes_a_field_over(self, api: Api) -> None:
        await apply(api, tagged("1"))
        await api.patch("components", "x", {"spec": {"tag": "theirs"}})
        assert (await apply(api, tagged("1"))).status == 409
        assert (await apply(api, tagged("1"), force="true")).document["spec"]["tag"] == "1"
        assert (await apply(api, tagged("2"))).document["spec"]["tag"] == "2"

    async def test_a_dry_run_stores_nothing(self, api: Api) -> None:
        assert (await apply(api, tagged("1"), dryRun="All")).status == 201
        assert (await api.get("components", "x")).status == 404
        created = await apply(api, tagged("1"))
        assert (await apply(api, tagged("2"), dryRun="All")).document["spec"]["tag"] == "2"
        assert (await api.get("components", "x")).version == created.version
