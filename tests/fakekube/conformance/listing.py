"""Selectors and pages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.fakekube.conformance.api import component, names, pod, secret
from tests.fakekube.conformance.patching import run

if TYPE_CHECKING:
    from tests.fakekube.conformance.api import Api


class ListingObjects:
    async def test_a_list_names_its_kind_and_version_and_sorts_by_name(self, api: Api) -> None:
        for name in ("b", "c", "a"):
            created = await api.create("secrets", secret(name))
        answer = await api.list("secrets")
        assert (answer.document["kind"], answer.document["apiVersion"]) == ("SecretList", "v1")
        assert names(answer) == ["a", "b", "c"]
        assert int(answer.version) >= int(created.version)

    async def test_items_of_a_built_in_kind_do_not_say_their_kind(self, api: Api) -> None:
        await api.create("secrets", secret("x"))
        (item,) = (await api.list("secrets")).document["items"]
        assert not {"kind", "apiVersion"} & set(item)

    async def test_items_of_a_custom_kind_say_their_kind(self, api: Api) -> None:
        await api.create("components", component("x"))
        answer = await api.list("components")
        (item,) = answer.document["items"]
        assert (item["kind"], item["apiVersion"]) == ("Component", "componentrun.dev/v1alpha1")
        assert answer.document["kind"] == "ComponentList"

    async def test_an_empty_list_is_no_error(self, api: Api) -> None:
        answer = await api.list("components")
        assert (answer.status, answer.document["items"]) == (200, [])
        assert int(answer.version)

    async def test_a_list_of_all_namespaces(self, api: Api) -> None:
        await api.create("secrets", secret("x", {"only-here": api.namespace}))
        answer = await api.request("GET", "/api/v1/secrets", labelSelector=f"only-here={api.namespace}")
        assert names(answer) == ["x"]

    @pytest.mark.parametrize(
        ("selector", "wanted"),
        [
            ("a", "pq"),
            ("!a", "r"),
            ("a=1", "p"),
            ("a==1", "p"),
            ("a!=1", "qr"),
            ("a in (1, 2)", "pq"),
            ("a notin (1,3)", "qr"),
            ("a,b!=1", "p"),
            ("a in (1,2),b", "q"),
            ("example.com/c=x.y-z", "r"),
        ],
    )
    async def test_label_selectors(self, api: Api, selector: str, wanted: str) -> None:
        await api.create("secrets", secret("p", {"a": "1"}))
        await api.create("secrets", secret("q", {"a": "2", "b": "1"}))
        await api.create("secrets", secret("r", {"example.com/c": "x.y-z"}))
        assert "".join(names(await api.list("secrets", labelSelector=selector))) == wanted

    @pytest.mark.parametrize("selector", ["a b", "a in b"])
    async def test_a_label_selector_that_can_not_be_parsed(self, api: Api, selector: str) -> None:
        answer = await api.list("secrets", labelSelector=selector)
        assert answer.refusal()[:2] == (400, "BadRequest")
        assert answer.refusal()[2].startswith("unable to parse requirement: ")

    async def test_field_selectors(self, api: Api) -> None:
        for name in ("x", "y"):
            await api.create("pods", pod(name))
        await api.patch("pods", "y", {"status": {"phase": "Failed"}}, subresource="status")
        assert names(await api.list("pods", fieldSelector="status.phase=Failed")) == ["y"]
        assert names(await api.list("pods", fieldSelector="status.phase!=Failed")) == ["x"]
        assert names(await api.list("pods", fieldSelector="spec.nodeName=,metadata.name=x")) == ["x"]

    async def test_field_selectors_of_a_custom_kind(self, api: Api) -> None:
        for name in ("x", "y"):
            await api.create("componentruns", run(name))
        await api.patch("componentruns", "y", {"status": {"phase": "Queued"}}, subresource="status")
        assert names(await api.list("componentruns", fieldSelector="status.phase=Queued")) == ["y"]
        assert names(await api.list("componentruns", fieldSelector="metadata.name=x")) == ["x"]

    @pytest.mark.parametrize("plural", ["pods", "componentruns"])
    async def test_a_field_that_can_not_be_selected_by(self, api: Api, plural: str) -> None:
        answer = await api.list(plural, fieldSelector="spec.no-such=x")
        assert answer.refusal()[:2] == (400, "BadRequest")
        answer = await api.list(plural, fieldSelector="spec.none=x")
        assert answer.refusal() == (400, "BadRequest", "field label not supported: spec.none")


class Pages:
    async def test_a_list_can_be_read_in_pages_of_one_state(self, api: Api) -> None:
        for name in "abcde":
            await api.create("secrets", secret(name))
        first = await api.list("secrets", limit="2")
        assert names(first) == ["a", "b"]
        assert first.metadata["remainingItemCount"] == 3
        await api.create("secrets", secret("cc"))
        await api.delete("secrets", "d")
        second = await api.list("secrets", limit="2", **{"continue": first.metadata["continue"]})
        assert names(second) == ["c", "d"]
        third = await api.list("secrets", limit="2", **{"continue": second.metadata["continue"]})
        assert names(third) == ["e"]
        assert not third.metadata.get("continue")
        assert {first.version, second.version, third.version} == {first.version}

    async def test_selected_objects_can_be_read_in_pages(self, api: Api) -> None:
        for name in "abcd":
            await api.create("secrets", secret(name, {"odd": str(name in "ac").lower()}))
        first = await api.list("secrets", limit="1", labelSelector="odd=true")
        assert names(first) == ["a"]
        rest = {"limit": "5", "labelSelector": "odd=true", "continue": first.metadata["continue"]}
        assert names(await api.list("secrets", **rest)) == ["c"]

    async def test_a_token_that_the_server_did_not_give_is_refused(self, api: Api) -> None:
        answer = await api.list("secrets", limit="2", **{"continue": "abc"})
        assert answer.refusal()[:2] == (400, "BadRequest")
        assert answer.refusal()[2].startswith("invalid continue token: continue key is not valid")
