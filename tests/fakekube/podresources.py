"""Subresources of pods: log, eviction, binding."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tests.fakekube import refusals
from tests.fakekube.messages import Response, json_response
from tests.fakekube.patches import merge

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.fakekube.kinds import Target
    from tests.fakekube.writing import Writer

_SUCCESS = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}


@dataclass
class PodResources:
    """Answers requests for subresources of pods. Tests whose containers print something override `log`."""

    writer: Writer

    def log(self, target: Target, query: Mapping[str, str]) -> Response:
        """The log of a container.

        Raises:
            Refused: there is no such pod or container, or the container has not started.
        """
        pod = self.writer.find(target)
        container = _container(pod, query.get("container", ""))
        if not (pod.get("spec") or {}).get("nodeName"):
            return Response(204)
        why = f'container "{container}" in pod "{target.name}" is waiting to start: ContainerCreating'
        raise refusals.bad_request(why)

    def evict(self, target: Target, body: Mapping[str, Any]) -> Response:
        """Delete a pod as a drained node would; there are no disruption budgets."""
        pod = self.writer.find(target)
        options = body.get("deleteOptions") or {}
        self.writer.begin_deletion(target.kind, pod, options.get("gracePeriodSeconds"))
        return json_response(201, _SUCCESS)

    def bind(self, target: Target, body: Mapping[str, Any]) -> Response:
        """Assign a pod to a node, as the scheduler does."""
        pod = self.writer.find(target)
        if node := (pod.get("spec") or {}).get("nodeName"):
            kind = replace(target.kind, plural="pods/binding")
            raise refusals.conflict(kind, target.name, f'pod {target.name} is already assigned to node "{node}"')
        assigned = merge(pod, {"spec": {"nodeName": body["target"]["name"]}})
        self.writer.storage.write(target.kind.plural, pod, assigned)
        return json_response(201, _SUCCESS)


def _container(pod: Mapping[str, Any], wanted: str) -> str:
    """The container that is meant; the only one if the request names none."""
    name, spec = pod["metadata"]["name"], pod.get("spec") or {}
    there = [item["name"] for item in (*spec.get("containers", ()), *spec.get("initContainers", ()))]
    if wanted and wanted not in there:
        raise refusals.bad_request(f"container {wanted} is not valid for pod {name}")
    if not wanted and len(there) != 1:
        choice = " ".join(there)
        raise refusals.bad_request(f"a container name must be specified for pod {name}, choose one of: [{choice}]")
    return wanted or there[0]
