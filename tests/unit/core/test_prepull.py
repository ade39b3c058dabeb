"""The DaemonSet that keeps an image on nodes, and what the status says about it."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from componentrun.api import names
from componentrun.api.component import ClusterComponent, Component
from componentrun.core.images.prepull import (
    PrePullSettings,
    build_daemon_set,
    build_pod,
    build_policy_of,
    daemon_set_name,
    image_of,
    namespace_of,
    pre_pull_channels,
)
from componentrun.core.images.prepullstatus import (
    PRE_PULLED,
    ChannelState,
    PrePullProblem,
    disabled_status,
    missing_pods,
    read_pod,
    state_of,
    status_with,
)
from componentrun.core.pod.identity import identity_of
from componentrun.errors import UserError

NOW = datetime(2026, 12, 2, 12, tzinfo=UTC)
SETTINGS = PrePullSettings(True, "system", "agents:1", ("agents-login",))
OLD, NEW = (f"h.io/team/app@sha256:{letter * 64}" for letter in "ab")
RELEASE = {"name": "release", "tag": "1.0", "prePull": True}


def component(*channels: dict[str, Any], name: str = "acme.ex-shop", **more: Any) -> Component:
    metadata = {"name": name, "namespace": "team", "uid": "u1", "generation": 2}
    spec = {"image": "h.io/team/app", "channels": channels or [RELEASE]}
    return Component.model_validate({"metadata": metadata, "spec": spec | more.pop("spec", {}), **more})


def daemon_set(image: str = NEW, desired: int | None = 2, observed: int = 1, **channel: Any) -> dict[str, Any]:
    owner = component(RELEASE | channel)
    made = build_daemon_set(owner, owner.spec.channels[0], image, "team", (), SETTINGS)
    made["metadata"] |= {"uid": "d1", "generation": 1}
    if desired is not None:
        made["status"] = {"observedGeneration": observed, "desiredNumberScheduled": desired}
    return made


def pod(node: str = "n1", image: str = NEW, *, ready: bool = False, **status: Any) -> dict[str, Any]:
    conditions = [{"type": "Ready", "status": str(ready)}]
    return {
        "metadata": {"name": "p"},
        "spec": {"nodeName": node, "volumes": [{"name": "image", "image": {"reference": image}}]},
        "status": {"conditions": conditions, **status},
    }


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"containerStatuses": [{"state": {"waiting": {"reason": reason, "message": message}}}]}


def state(ds: dict[str, Any] | None, *pods: dict[str, Any], problem: PrePullProblem | None = None) -> ChannelState:
    return state_of("release", ds, [read_pod(item) for item in pods], problem)


def test_only_channels_that_want_it_are_brought() -> None:
    both = component(RELEASE, {"name": "master", "tag": "main"})
    assert [channel.name for channel in pre_pull_channels(both)] == ["release"]


def test_the_pod_meets_the_restricted_standard_and_holds_nothing() -> None:
    spec = daemon_set()["spec"]["template"]["spec"]
    (container,) = spec["containers"]
    assert spec["securityContext"]["runAsNonRoot"]
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True,
    }  # fmt: skip
    assert spec["automountServiceAccountToken"] is False
    assert [volume["image"] for volume in spec["volumes"]] == [{"reference": NEW, "pullPolicy": "IfNotPresent"}]
    assert container["image"] == "agents:1", "nothing of the component's image is executed"
    assert image_of(spec) == NEW


def test_its_pods_are_not_those_of_a_run() -> None:
    labels = daemon_set()["spec"]["template"]["metadata"]["labels"]
    assert not {names.RUN_LABEL, names.STORAGE_LABEL, names.NETWORK_CLASS_LABEL} & labels.keys()
    owner = [{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "x", "uid": "d1"}]
    assert identity_of({"metadata": {"name": "x-1", "labels": labels, "ownerReferences": owner}}) is None


def test_the_component_owns_it() -> None:
    (owner,) = daemon_set()["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("Component", "acme.ex-shop", "u1")


def test_nodes_and_pull_secrets_are_those_of_the_component() -> None:
    nodes = {"nodeSelector": {"pool": "runs"}, "tolerations": [{"key": "runs", "operator": "Exists"}]}
    owner = component(RELEASE | {"prePullNodes": nodes}, spec={"imagePullSecrets": [{"name": "login"}]})
    made = build_daemon_set(owner, owner.spec.channels[0], NEW, "team", ("login", "agents-login"), SETTINGS)
    spec = made["spec"]["template"]["spec"]
    assert {key: spec[key] for key in nodes} == nodes
    assert spec["imagePullSecrets"] == [{"name": "login"}, {"name": "agents-login"}]


def test_names_are_short_and_tell_components_apart() -> None:
    long = component(name=f"vendor.{'x' * 200}")
    cluster = ClusterComponent.model_validate({"metadata": {"name": "acme.ex-shop"}, "spec": {"image": "a"}})
    found = [daemon_set_name(item, "release") for item in (component(), component(name="acme-ex-shop"), cluster, long)]
    assert len(set(found)) == len(found)
    assert all(len(name) <= 52 for name in found)
    assert found[0].startswith("pre-pull-acme-ex-shop-release-")


def test_a_cluster_component_belongs_to_the_operators_namespace() -> None:
    cluster = ClusterComponent.model_validate({"metadata": {"name": "a"}, "spec": {"image": "a"}})
    assert namespace_of(cluster, SETTINGS) == "system"
    assert namespace_of(component(), SETTINGS) == "team"
    with pytest.raises(UserError, match="does not know its own namespace"):
        namespace_of(cluster, PrePullSettings(is_enabled=True))


def test_its_pods_reach_nothing() -> None:
    policy = build_policy_of(daemon_set())
    assert (policy["spec"]["ingress"], policy["spec"]["egress"]) == ([], [])
    labels = daemon_set()["spec"]["template"]["metadata"]["labels"]
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    assert policy["metadata"]["ownerReferences"][0]["uid"] == "d1"


def test_the_pod_of_a_dry_run_is_that_of_the_daemon_set() -> None:
    made = build_pod(daemon_set())
    assert made["spec"] == daemon_set()["spec"]["template"]["spec"]
    assert made["metadata"]["labels"][names.PRE_PULL_LABEL] == daemon_set()["metadata"]["name"]


BACK_OFF = 'Back-off pulling image "x": ErrImagePull: rpc error: x: not found'


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (waiting("ContainerCreating"), ""),
        (waiting("ErrImagePull", "rpc error: x: not found"), "rpc error: x: not found"),
        (waiting("ImagePullBackOff", BACK_OFF), "rpc error: x: not found"),
        (waiting("CreateContainerError", "no space\nleft."), "no space left"),
        (waiting("InvalidImageName"), "InvalidImageName"),
        (
            {"conditions": [{"type": "PodScheduled", "status": "False", "message": "Insufficient cpu"}]},
            "Insufficient cpu",
        ),
        ({"phase": "Failed", "reason": "Evicted", "message": "The node was low on disk."}, "The node was low on disk"),
        ({}, ""),
    ],
)
def test_why_a_pod_does_not_run(status: dict[str, Any], expected: str) -> None:
    assert read_pod(pod(**status)).problem == expected


def test_a_pod_that_is_not_scheduled_names_the_node_that_it_is_for() -> None:
    raw = pod()
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["n7"]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    raw["spec"] = {"affinity": {"nodeAffinity": required}}
    assert read_pod(raw).node == "n7"


FAILS = waiting("ErrImagePull", "not found")
REFUSED = PrePullProblem("Refused", "refused: exceeded quota: pods.")


@pytest.mark.parametrize(
    ("found", "numbers", "reason", "words"),
    [
        (state(None), None, "Pulling", "has just been written"),
        (state(daemon_set(desired=None)), (0, 0), "Pulling", "has just been written"),
        (state(daemon_set(desired=2, observed=0), pod("n1", ready=True)), (2, 1), "Pulling", "has just been written"),
        (state(daemon_set(desired=0)), (0, 0), "NoNodes", "no node matches `prePullNodes`"),
        (state(daemon_set(), pod("n1"), pod("n2", ready=True)), (2, 1), "Pulling", "1 of 2 nodes have the image"),
        (
            state(daemon_set(), pod("n1"), pod("n2", **FAILS)),
            (2, 0),
            "NodesNotReady",
            "0 of 2 .*; node `n2`: not found",
        ),
        (state(daemon_set(), pod("n1", OLD, ready=True), pod("n2", ready=True)), (2, 1), "Pulling", "1 of 2"),
        (state(daemon_set(), pod("n1", ready=True), pod("n2", ready=True)), (2, 2), "Ready", "`release`: 2"),
        (
            state(daemon_set(desired=1), problem=REFUSED),
            (1, 0),
            "Refused",
            "exceeded quota: pods. Runs are not affected.",
        ),
        (
            state(None, problem=PrePullProblem("NotResolved", "no tag")),
            None,
            "NotResolved",
            "Channel `release`: no tag.",
        ),
    ],
)
def test_the_condition_says_how_far_it_is(
    found: ChannelState, numbers: tuple[int, int] | None, reason: str, words: str
) -> None:
    status = status_with(component(), [found], NOW)
    (condition,) = status.conditions
    assert (condition.type, condition.reason) == (PRE_PULLED, reason)
    assert condition.status == str(reason == "Ready")
    assert condition.observed_generation == 2
    assert re.search(words, condition.message), condition.message
    shown = [(item.pre_pull.desired, item.pre_pull.ready) for item in status.channels if item.pre_pull]
    assert shown == ([] if numbers is None else [numbers])


def test_a_node_with_two_pods_counts_once_by_the_present_image() -> None:
    found = state(daemon_set(desired=1), pod("n1", OLD, ready=True), pod("n1", NEW, ready=True)).status
    assert found is not None
    assert (found.ready, found.not_ready) == (1, ())


def test_at_most_ten_nodes_are_named_those_with_errors_first() -> None:
    pods = [pod(f"n{number:02}") for number in range(20)]
    found = state(daemon_set(desired=21), *pods, pod("z", **FAILS)).status
    assert found is not None
    assert [node.name for node in found.not_ready] == ["z", *(f"n{number:02}" for number in range(9))]
    assert found.not_ready[0].message == "not found"
    assert found.digest == NEW.partition("@")[2]


def test_pods_that_do_not_exist_are_counted() -> None:
    pods = [read_pod(pod("n1"))]
    assert missing_pods(daemon_set(desired=3), pods) == 2
    assert missing_pods(daemon_set(desired=3, observed=0), pods) == 0
    assert missing_pods(daemon_set(desired=1), pods) == 0


def test_the_worst_channel_gives_the_reason_and_each_is_told() -> None:
    states = [
        ChannelState("a", problem=PrePullProblem("NotResolved", "no such tag")),
        ChannelState("b", problem=REFUSED),
        state(daemon_set(desired=1), pod("n1", ready=True)),
    ]
    (condition,) = status_with(component(), states, NOW).conditions
    assert condition.reason == "Refused"
    assert condition.message.startswith("Channel `a`: no such tag; channel `b`: refused")


def test_nothing_new_is_an_equal_status() -> None:
    found = state(daemon_set(desired=1), pod("n1", ready=True))
    first = status_with(component(), [found], NOW)
    again = status_with(component(status=first.to_dict()), [found], NOW.replace(year=2027))
    assert again == first


def test_without_pre_pull_nothing_is_left_in_the_status() -> None:
    other = {"type": "Ready", "status": "True", "reason": "Ready", "message": "", "lastTransitionTime": NOW.isoformat()}
    first = status_with(component(status={"conditions": [other]}), [state(daemon_set(), pod("n1"))], NOW)
    after = status_with(component(status=first.to_dict()), [], NOW)
    assert [condition.type for condition in after.conditions] == ["Ready"]
    assert all(channel.pre_pull is None for channel in after.channels)


class TestDisabled:
    def test_the_condition_says_so(self) -> None:
        (condition,) = disabled_status(component(), NOW).conditions
        assert (condition.status, condition.reason) == ("False", "Disabled")
        assert "operator.prePull.enabled" in condition.message

    def test_what_another_operator_says_about_this_version_is_left_alone(self) -> None:
        there = status_with(component(), [state(daemon_set(), pod("n1"))], NOW)
        same = component(status=there.to_dict())
        assert disabled_status(same, NOW) == same.status

    def test_what_is_about_an_earlier_version_is_replaced(self) -> None:
        there = status_with(component(), [state(daemon_set(), pod("n1"))], NOW).to_dict()
        there["conditions"][0]["observedGeneration"] = 1
        assert disabled_status(component(status=there), NOW).conditions[0].reason == "Disabled"

    def test_it_goes_with_the_wish(self) -> None:
        there = disabled_status(component(), NOW).to_dict()
        without = component({"name": "release", "tag": "1.0"}, status=there)
        assert disabled_status(without, NOW).conditions == ()

    def test_the_condition_of_another_operator_is_not_removed(self) -> None:
        there = status_with(component(), [state(daemon_set(), pod("n1"))], NOW).to_dict()
        without = component({"name": "release", "tag": "1.0"}, status=there)
        assert disabled_status(without, NOW) == without.status
