"""The plan of a sync: what is written, what is deleted, and what is not ours."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun.api.names import CATALOGUE_DIGEST_ANNOTATION, CATALOGUE_LABEL
from componentrun.catalogue.sync import SyncPlan, plan_sync
from tests.unit.catalogue.make import catalogue, component

if TYPE_CHECKING:
    from componentrun.catalogue.entry import Catalogue


class Server:
    """Objects as an API server has them after plans were carried out."""

    def __init__(self, *objects: dict[str, Any]) -> None:
        self.objects = {(item["kind"], item["metadata"]["name"]): copy.deepcopy(item) for item in objects}

    def carry_out(self, plan: SyncPlan) -> None:
        assert plan.conflicts == ()
        for write in plan.writes:
            found = self.objects.setdefault((write.kind, write.name), {**write.manifest, "spec": {}})
            found["spec"] = {"added": "by others"} | copy.deepcopy(write.manifest["spec"])
            found["metadata"] = copy.deepcopy(write.manifest["metadata"]) | {"uid": f"uid-{write.name}"}
        for prune in plan.prunes:
            assert self.objects.pop((prune.kind, prune.name))["metadata"]["uid"] == prune.uid

    def plan(self, wanted: Catalogue, name: str = "sales", **options: bool) -> SyncPlan:
        return plan_sync(wanted, name, self.objects.values(), **options)

    def sync(self, wanted: Catalogue, name: str = "sales", **options: bool) -> SyncPlan:
        plan = self.plan(wanted, name, **options)
        self.carry_out(plan)
        return plan


def actions(plan: SyncPlan) -> list[tuple[str, str]]:
    return [(write.action, write.name) for write in plan.writes] + [("removed", prune.name) for prune in plan.prunes]


def test_the_second_sync_writes_nothing() -> None:
    server, wanted = Server(), catalogue(component("a"), component("b"))
    assert actions(server.sync(wanted)) == [("added", "a"), ("added", "b")]
    again = server.plan(wanted)
    assert (again.is_empty, again.unchanged) == (True, 2)


def test_nulls_are_not_applied_except_in_fields_that_hold_any_json() -> None:
    egress = [{"cidr": "10.0.0.0/8", "port": None}]
    manifest = component("a", network={"mode": "custom", "egress": egress}, tag=None, imageParameters={"a": None})
    (write,) = Server().plan(catalogue(manifest)).writes
    assert write.manifest["spec"]["network"]["egress"] == [{"cidr": "10.0.0.0/8"}]
    assert write.manifest["spec"]["imageParameters"] == {"a": None}
    assert "tag" not in write.manifest["spec"]


def test_what_is_applied_has_the_label_and_the_digest() -> None:
    manifest = component("a") | {"metadata": {"name": "a", "labels": {"team": "x"}}}
    (write,) = Server().plan(catalogue(manifest)).writes
    assert write.manifest["metadata"]["labels"] == {"team": "x", CATALOGUE_LABEL: "sales"}
    assert write.manifest["metadata"]["annotations"][CATALOGUE_DIGEST_ANNOTATION].startswith("sha256:")
    assert manifest["metadata"] == {"name": "a", "labels": {"team": "x"}}, "the manifest itself stays"


@pytest.mark.parametrize(
    "change",
    [
        lambda item: item["spec"].update(tag="theirs"),
        lambda item: item["spec"].pop("title"),
        lambda item: item["metadata"]["annotations"].pop(CATALOGUE_DIGEST_ANNOTATION),
    ],
    ids=["changed", "removed", "digest"],
)
def test_what_somebody_changed_in_the_cluster_is_changed_back(change: Any) -> None:
    server, wanted = Server(), catalogue(component("a", tag="1"))
    server.sync(wanted)
    change(server.objects["Component", "a"])
    assert actions(server.sync(wanted)) == [("changed", "a")]
    assert server.plan(wanted).is_empty


def test_what_somebody_added_in_the_cluster_stays() -> None:
    server, wanted = Server(), catalogue(component("a"))
    server.sync(wanted)
    server.objects["Component", "a"]["spec"]["timeout"] = "5m"
    server.objects["Component", "a"]["metadata"]["labels"]["theirs"] = "1"
    assert server.plan(wanted).is_empty


def test_a_field_that_the_catalogue_dropped_is_applied_again() -> None:
    server = Server()
    server.sync(catalogue(component("a", tag="1")))
    (write,) = server.plan(catalogue(component("a"))).writes
    assert "tag" not in write.manifest["spec"]


def test_components_that_the_catalogue_no_longer_has_are_deleted_and_no_others() -> None:
    foreign = component("foreign")
    other = component("other") | {"metadata": {"name": "other", "uid": "u", "labels": {CATALOGUE_LABEL: "hr"}}}
    server = Server(foreign, other)
    server.sync(catalogue(component("a"), component("b"), component("c", "ClusterComponent")))
    smaller = catalogue(component("a"))
    assert actions(server.plan(smaller, prune=False)) == []
    assert actions(server.sync(smaller)) == [("removed", "c"), ("removed", "b")]
    assert {name for _, name in server.objects} == {"foreign", "other", "a"}


def test_a_component_and_a_cluster_component_of_a_name_are_two() -> None:
    server = Server()
    server.sync(catalogue(component("a")))
    assert actions(server.sync(catalogue(component("a", "ClusterComponent")))) == [("added", "a"), ("removed", "a")]
    assert list(server.objects) == [("ClusterComponent", "a")]


def test_two_catalogues_that_have_one_name() -> None:
    server, wanted = Server(), catalogue(component("a"), component("b"))
    server.sync(catalogue(component("a")), "hr")
    plan = server.plan(wanted)
    (conflict,) = plan.conflicts
    assert (conflict.rule, conflict.subject) == ("OtherCatalogue", "Component `a`")
    assert "belongs to the catalogue `hr`" in conflict.message
    server.sync(wanted, adopt=True)
    assert server.plan(wanted).is_empty
    assert server.plan(catalogue(component("a")), "hr").conflicts


def test_a_component_that_no_catalogue_created_is_not_touched() -> None:
    server = Server(component("a", tag="theirs"))
    (conflict,) = server.plan(catalogue(component("a"))).conflicts
    assert (conflict.rule, "no catalogue created it" in conflict.message) == ("NotOwned", True)
    assert actions(server.plan(catalogue(component("a")), adopt=True)) == [("changed", "a")]
    assert server.plan(catalogue(component("b"))).prunes == ()


def test_fields_that_are_null_are_not_applied_because_the_server_drops_them() -> None:
    manifest = component("a", imageParameters={"keep": None})
    manifest["spec"] |= {"timeout": None, "network": {"mode": "none", "egress": None}}
    (write,) = Server().plan(catalogue(manifest)).writes
    assert "timeout" not in write.manifest["spec"]
    assert write.manifest["spec"]["network"] == {"mode": "none"}
    assert write.manifest["spec"]["imageParameters"] == {"keep": None}


def test_the_plan_says_what_changes() -> None:
    server = Server()
    server.sync(catalogue(component("a", tag="1")))
    (write,) = server.plan(catalogue(component("a", tag="2"))).writes
    assert 'spec.tag: "1" -> "2"' in [str(field) for field in write.fields]


_NAMES = st.sampled_from(["a", "b", "c"])
_CATALOGUES = st.lists(
    st.tuples(_NAMES, st.sampled_from(["Component", "ClusterComponent"]), st.sampled_from([None, "1", "2"])),
    max_size=4, unique_by=lambda item: item[:2],
)  # fmt: skip


@given(st.lists(_CATALOGUES, max_size=4))
def test_after_a_sync_the_cluster_has_the_catalogue_and_a_second_one_writes_nothing(rounds: list[Any]) -> None:
    server = Server(component("theirs"))
    for items in rounds:
        wanted = catalogue(*(component(name, kind, tag=tag) for name, kind, tag in items))
        server.sync(wanted)
        assert set(server.objects) == {("Component", "theirs"), *((kind, name) for name, kind, _ in items)}
        assert server.plan(wanted).is_empty
        for name, kind, tag in items:
            assert server.objects[kind, name]["spec"].get("tag") == tag
