"""Grace periods, eviction, binding, logs, quotas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.fakekube.conformance.api import eventually, pod

if TYPE_CHECKING:
    from tests.fakekube.conformance.api import Answer, Api


async def bound(api: Api, name: str) -> Answer:
    """A pod of a node that does not exist, so that no kubelet does anything about it."""
    created = await api.create("pods", pod(name))
    assert created.status == 201, created.document
    answer = await bind(api, name)
    assert answer.status == 201, answer.document
    return created


async def bind(api: Api, name: str) -> Answer:
    """Assign a pod to that node."""
    target = {"apiVersion": "v1", "kind": "Node", "name": "no-such-node"}
    body = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name}, "target": target}
    return await api.request("POST", api.path("pods", name, "binding"), body)


class Pods:
    async def test_a_new_pod_is_pending_and_has_defaults(self, api: Api) -> None:
        answer = await api.create("pods", pod("x"))
        assert answer.status == 201
        assert answer.document["status"]["phase"] == "Pending"
        assert answer.document["spec"]["terminationGracePeriodSeconds"] == 30
        assert answer.document["spec"]["restartPolicy"] == "Always"
        assert answer.metadata["generation"] == 1

    async def test_a_pod_without_a_node_is_deleted_at_once(self, api: Api) -> None:
        await api.create("pods", pod("x"))
        answer = await api.delete("pods", "x")
        assert (answer.status, answer.document["kind"]) == (200, "Pod")
        assert answer.metadata["deletionGracePeriodSeconds"] == 0
        assert (await api.get("pods", "x")).status == 404

    async def test_a_pod_of_a_node_has_time_to_end(self, api: Api) -> None:
        await bound(api, "x")
        answer = await api.delete("pods", "x", {})
        assert (answer.status, answer.document["kind"]) == (200, "Pod")
        assert answer.metadata["deletionGracePeriodSeconds"] == 30
        assert answer.metadata["deletionTimestamp"]
        assert answer.metadata["generation"] == 2
        assert (await api.get("pods", "x")).status == 200
        await api.delete("pods", "x", {"gracePeriodSeconds": 0})

    async def test_a_second_deletion_may_shorten_the_time_but_not_extend_it(self, api: Api) -> None:
        await bound(api, "x")
        await api.delete("pods", "x", {"gracePeriodSeconds": 20})
        answer = await api.delete("pods", "x", {"gracePeriodSeconds": 9})
        assert answer.metadata["deletionGracePeriodSeconds"] == 9
        assert answer.metadata["generation"] == 2
        again = await api.delete("pods", "x", {"gracePeriodSeconds": 15})
        assert again.metadata["deletionGracePeriodSeconds"] == 9
        answer = await api.delete("pods", "x", {"gracePeriodSeconds": 0})
        assert answer.status == 200
        assert (await api.get("pods", "x")).status == 404

    async def test_a_pod_that_has_ended_needs_no_time(self, api: Api) -> None:
        await bound(api, "x")
        await api.patch("pods", "x", {"status": {"phase": "Succeeded"}}, subresource="status")
        await api.delete("pods", "x")
        assert (await api.get("pods", "x")).status == 404

    async def test_a_pod_is_assigned_to_a_node_once(self, api: Api) -> None:
        await bound(api, "x")
        assert (await api.get("pods", "x")).document["spec"]["nodeName"] == "no-such-node"
        answer = await bind(api, "x")
        why = 'pod x is already assigned to node "no-such-node"'
        assert answer.refusal() == (409, "Conflict", f'Operation cannot be fulfilled on pods/binding "x": {why}')
        await api.delete("pods", "x", {"gracePeriodSeconds": 0})

    async def test_an_evicted_pod_is_deleted(self, api: Api) -> None:
        await api.create("pods", pod("x"))
        body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "x"}}
        answer = await api.request("POST", api.path("pods", "x", "eviction"), body)
        assert (answer.status, answer.document["status"], answer.document["code"]) == (201, "Success", 201)
        assert (await api.get("pods", "x")).status == 404

    async def test_the_status_of_a_pod_leaves_its_spec_alone(self, api: Api) -> None:
        await api.create("pods", pod("x"))
        patch = {"spec": {"activeDeadlineSeconds": 5}, "status": {"message": "m"}}
        answer = await api.patch("pods", "x", patch, subresource="status")
        assert answer.document["status"]["message"] == "m"
        assert "activeDeadlineSeconds" not in answer.document["spec"]


class Logs:
    async def test_a_pod_without_a_node_has_an_empty_log(self, api: Api) -> None:
        await api.create("pods", pod("x"))
        answer = await api.request("GET", api.path("pods", "x", "log"), container="main")
        assert (answer.status, answer.document) == (204, "")

    async def test_the_container_has_to_exist(self, api: Api) -> None:
        await api.create("pods", pod("x"))
        answer = await api.request("GET", api.path("pods", "x", "log"), container="y")
        assert answer.refusal() == (400, "BadRequest", "container y is not valid for pod x")

    async def test_of_several_containers_one_has_to_be_named(self, api: Api) -> None:
        await api.create("pods", pod("x", "a", "b"))
        answer = await api.request("GET", api.path("pods", "x", "log"))
        message = "a container name must be specified for pod x, choose one of: [a b]"
        assert answer.refusal() == (400, "BadRequest", message)

    async def test_the_pod_has_to_exist(self, api: Api) -> None:
        answer = await api.request("GET", api.path("pods", "x", "log"), container="main")
        assert answer.refusal() == (404, "NotFound", 'pods "x" not found')


class Quotas:
    async def test_a_pod_more_than_the_quota_is_forbidden(self, api: Api) -> None:
        await self.set_quota(api, 1)
        assert (await api.create("pods", pod("x"))).status == 201
        answer = await eventually(lambda: api.create("pods", pod("y")), lambda answer: answer.status == 403)
        why = "exceeded quota: pods, requested: pods=1, used: pods=1, limited: pods=1"
        assert answer.refusal() == (403, "Forbidden", f'pods "y" is forbidden: {why}')

    async def set_quota(self, api: Api, most: int) -> None:
        """Have the namespace take so many pods."""
        body: dict[str, Any] = {"metadata": {"name": "pods"}, "spec": {"hard": {"pods": str(most)}}}
        path = f"/api/v1/namespaces/{api.namespace}/resourcequotas"
        assert (await api.request("POST", path, body)).status == 201
        await eventually(lambda: api.request("GET", f"{path}/pods"), lambda answer: "used" in answer.document["status"])
