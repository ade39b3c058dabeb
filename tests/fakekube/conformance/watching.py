"""Events, selectors, bookmarks, expired versions."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tests.fakekube.conformance.api import WAIT_SECONDS, component, secret, take

if TYPE_CHECKING:
    from tests.fakekube.conformance.api import Api


def outline(events: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """Types of events, and names of their objects."""
    return [(event["type"], event["object"]["metadata"]["name"]) for event in events]


class WatchingObjects:
    async def test_everything_behind_a_version_is_sent_in_its_order(self, api: Api) -> None:
        await api.create("secrets", secret("before"))
        version = (await api.list("secrets")).version
        created = await api.create("secrets", secret("x"))
        async with api.watch("secrets", resourceVersion=version) as events:
            (first,) = await take(events, 1)
            assert first == {"type": "ADDED", "object": created.document}
            changed = await api.patch("secrets", "x", {"metadata": {"labels": {"a": "1"}}})
            await api.delete("secrets", "x")
            second, third = await take(events, 2)
        assert (second["type"], second["object"]) == ("MODIFIED", changed.document)
        assert (third["type"], third["object"]["metadata"]["name"]) == ("DELETED", "x")
        assert third["object"]["metadata"]["labels"] == {"a": "1"}
        assert int(third["object"]["metadata"]["resourceVersion"]) > int(changed.version)

    async def test_objects_of_a_watch_say_their_kind(self, api: Api) -> None:
        version = (await api.list("secrets")).version
        await api.create("secrets", secret("x"))
        async with api.watch("secrets", resourceVersion=version) as events:
            (event,) = await take(events, 1)
        assert (event["object"]["kind"], event["object"]["apiVersion"]) == ("Secret", "v1")

    async def test_without_a_version_it_begins_with_what_there_is(self, api: Api) -> None:
        for name in ("b", "a"):
            await api.create("components", component(name))
        async with api.watch("components") as events:
            assert sorted(outline(await take(events, 2))) == [("ADDED", "a"), ("ADDED", "b")]
            await api.delete("components", "a")
            assert outline(await take(events, 1)) == [("DELETED", "a")]

    async def test_an_object_that_is_selected_no_more_is_deleted_for_the_watch(self, api: Api) -> None:
        version = (await api.list("secrets")).version
        async with api.watch("secrets", resourceVersion=version, labelSelector="a=1") as events:
            await api.create("secrets", secret("other", {"a": "2"}))
            await api.create("secrets", secret("x", {"a": "1"}))
            gone = await api.patch("secrets", "x", {"metadata": {"labels": {"a": "2"}}})
            await api.patch("secrets", "x", {"metadata": {"labels": {"b": "1"}}})
            await api.patch("secrets", "x", {"metadata": {"labels": {"a": "1"}}})
            found = await take(events, 3)
        assert outline(found) == [("ADDED", "x"), ("DELETED", "x"), ("ADDED", "x")]
        assert found[1]["object"]["metadata"]["resourceVersion"] == gone.version
        assert found[1]["object"]["metadata"]["labels"] == {"a": "1"}

    async def test_a_watch_by_name(self, api: Api) -> None:
        version = (await api.list("secrets")).version
        async with api.watch("secrets", resourceVersion=version, fieldSelector="metadata.name=y") as events:
            for name in ("x", "y"):
                await api.create("secrets", secret(name))
            assert outline(await take(events, 1)) == [("ADDED", "y")]

    async def test_a_deletion_that_waits_for_a_finalizer_is_a_change(self, api: Api) -> None:
        body = secret("x")
        body["metadata"]["finalizers"] = ["example.com/f"]
        version = (await api.create("secrets", body)).version
        async with api.watch("secrets", resourceVersion=version) as events:
            await api.delete("secrets", "x")
            await api.patch("secrets", "x", {"metadata": {"finalizers": None}})
            found = await take(events, 2)
        assert outline(found) == [("MODIFIED", "x"), ("DELETED", "x")]
        assert "deletionTimestamp" in found[0]["object"]["metadata"]

    async def test_a_patch_that_changes_nothing_is_no_event(self, api: Api) -> None:
        version = (await api.create("secrets", secret("x", {"a": "1"}))).version
        async with api.watch("secrets", resourceVersion=version) as events:
            await api.patch("secrets", "x", {"metadata": {"labels": {"a": "1"}}})
            await api.create("secrets", secret("y"))
            assert outline(await take(events, 1)) == [("ADDED", "y")]

    async def test_a_version_that_is_too_old_is_an_error_in_the_stream(self, api: Api) -> None:
        async with api.watch("secrets", resourceVersion="1") as events:
            (event,) = await take(events, 1)
            assert event["type"] == "ERROR"
            status = event["object"]
            assert (status["kind"], status["code"], status["reason"]) == ("Status", 410, "Expired")
            assert status["message"].startswith("too old resource version: 1 (")

    async def test_a_watch_from_a_version_that_is_still_to_come_waits(self, api: Api) -> None:
        version = int((await api.list("secrets")).version) + 1_000_000
        query = {"resourceVersion": str(version), "timeoutSeconds": "10"}
        async with api.watch("secrets", **query) as events:
            reading = asyncio.ensure_future(anext(events, None))
            assert (await api.create("secrets", secret("x"))).status == 201
            assert not reading.done()
            reading.cancel()

    async def test_a_version_that_is_no_number_is_refused(self, api: Api) -> None:
        answer = await api.list("secrets", watch="true", resourceVersion="abc")
        why = 'resourceVersion: Invalid value: "abc": strconv.ParseUint: parsing "abc": invalid syntax'
        assert answer.refusal() == (500, "", why)

    async def test_a_wrong_selector_is_refused(self, api: Api) -> None:
        answer = await api.list("secrets", watch="true", fieldSelector="spec.none=x")
        assert answer.refusal() == (400, "BadRequest", "field label not supported: spec.none")

    async def test_it_ends_when_its_time_is_over_with_a_bookmark_before_that(self, api: Api) -> None:
        created = await api.create("secrets", secret("x"))
        query = {"resourceVersion": created.version, "timeoutSeconds": "3", "allowWatchBookmarks": "true"}
        async with asyncio.timeout(WAIT_SECONDS), api.watch("secrets", **query) as events:
            found = [event async for event in events]
        assert {event["type"] for event in found} == {"BOOKMARK"}
        bookmark = found[-1]["object"]
        assert (bookmark["kind"], bookmark["apiVersion"]) == ("Secret", "v1")
        assert int(bookmark["metadata"]["resourceVersion"]) >= int(created.version)

    async def test_bookmarks_are_sent_only_if_they_are_allowed(self, api: Api) -> None:
        created = await api.create("secrets", secret("x"))
        query = {"resourceVersion": created.version, "timeoutSeconds": "2"}
        async with asyncio.timeout(WAIT_SECONDS), api.watch("secrets", **query) as events:
            assert [event async for event in events] == []

    async def test_initial_events_end_with_a_bookmark(self, api: Api) -> None:
        await api.create("components", component("x"))
        query = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true"}
        found: list[dict[str, Any]] = []
        async with asyncio.timeout(WAIT_SECONDS), api.watch("components", **query) as events:
            async for event in events:
                found.append(event)
                if event["type"] == "BOOKMARK":
                    break
        assert [event["type"] for event in found] == ["ADDED", "BOOKMARK"]
        assert found[1]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
