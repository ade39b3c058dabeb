"""The DaemonSet that brings the image of a channel to nodes and keeps it there (decision 0110). Pure.

Its pods mount the image as a volume, so the image needs neither a shell nor an entrypoint, and nothing of it runs. The
kubelet's garbage collection spares images that a pod mounts.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from componentrun.api import names
from componentrun.api.common import API_VERSION
from componentrun.core.pod.metadata import label_value
from componentrun.core.pod.security import container_security, pod_security
from componentrun.errors import Reason, UserError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from componentrun.api.channels import Channel
    from componentrun.api.component import Component

__all__ = [
    "PrePullSettings",
    "build_daemon_set",
    "build_pod",
    "build_policy_of",
    "daemon_set_name",
    "image_of",
    "namespace_of",
    "pre_pull_channels",
]

_PREFIX: Final = "pre-pull"
_MOST_CHARACTERS: Final = 52
"""Of the name of a DaemonSet, which its pods' names and a label contain."""
_HASH_LENGTH: Final = 8
_NOT_IN_A_NAME: Final = re.compile(r"[^a-z0-9]+")
_COMMAND: Final = ("/bin/sh", "-c", "trap 'exit 0' TERM; sleep infinity & wait")
"""Waits for SIGTERM and ends at once; a shell that is the first process of a container would ignore it."""
_USER: Final = 1000
_RESOURCES: Final = {
    # The shell needs less than 1 MiB. The limit leaves room for the container runtime's own start of the container.
    "requests": {"cpu": "1m", "memory": "8Mi"},
    "limits": {"cpu": "100m", "memory": "32Mi"},
}
_AT_ONCE: Final = "25%"
"""Nodes that a new image is brought to at the same time. All at once would hit the registry; one after the other would
take hours in a large cluster, and one broken node would stop it."""


@dataclass(frozen=True, slots=True)
class PrePullSettings:
    """Settings of the chart."""

    is_enabled: bool = False
    namespace: str | None = None
    """Namespace for the DaemonSets of ClusterComponents; None: there can be none."""
    agent_image: str = ""
    """Image of the container that waits; all nodes that run components have it."""
    pull_secrets: tuple[str, ...] = ()
    """Pull secrets of that image."""


def pre_pull_channels(component: Component) -> tuple[Channel, ...]:
    """The channels whose images are brought to nodes."""
    return tuple(channel for channel in component.spec.channels if channel.pre_pull)


def namespace_of(component: Component, settings: PrePullSettings) -> str:
    """Namespace of the DaemonSets of a Component.

    Raises:
        UserError: (InvalidSpec) it is a ClusterComponent, and the operator has no namespace for it.
    """
    namespace = component.metadata.namespace or settings.namespace
    if not namespace:
        raise UserError(
            "the operator does not know its own namespace, in which it creates the DaemonSets of ClusterComponents",
            Reason.INVALID_SPEC,
            advice="Set COMPONENTRUN_PRE_PULL_NAMESPACE, as the chart does.",
        )
    return namespace


def daemon_set_name(component: Component, channel: str) -> str:
    """Name of the DaemonSet of a channel: readable, and unique by a hash.

    A Component may have the name of a ClusterComponent whose DaemonSet is in the same namespace.
    """
    metadata = component.metadata
    identity = f"{component.KIND}\n{metadata.namespace}\n{metadata.name}\n{channel}"
    digest = hashlib.sha256(identity.encode()).hexdigest()[:_HASH_LENGTH]
    readable = _NOT_IN_A_NAME.sub("-", f"{_PREFIX}-{metadata.name}-{channel}")
    return f"{readable[: _MOST_CHARACTERS - _HASH_LENGTH - 1].strip('-')}-{digest}"


def build_daemon_set(
    component: Component,
    channel: Channel,
    image: str,
    namespace: str,
    pull_secrets: Sequence[str],
    settings: PrePullSettings,
) -> dict[str, Any]:
    """The DaemonSet of a channel, owned by the Component. Its pods meet the restricted pod security standard.

    Args:
        component: owner of the DaemonSet.
        channel: one of its channels.
        image: reference with a digest.
        namespace: that of the Component; for a ClusterComponent, the operator's own.
        pull_secrets: names of the pull secrets of both images.
        settings: of the chart.
    """
    name = daemon_set_name(component, channel.name)
    labels = {
        names.MANAGED_BY_LABEL: names.MANAGED_BY,
        names.PRE_PULL_LABEL: name,
        names.COMPONENT_LABEL: label_value(component.metadata.name),
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "labels": labels,
            "ownerReferences": [_owner(component)],
        },
        "spec": {
            "selector": {"matchLabels": {names.PRE_PULL_LABEL: name}},
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": _AT_ONCE}},
            "revisionHistoryLimit": 1,
            "template": {"metadata": {"labels": labels}, "spec": _pod_spec(channel, image, pull_secrets, settings)},
        },
    }


def _owner(component: Component) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": component.KIND,
        "name": component.metadata.name,
        "uid": component.metadata.uid,
        "controller": True,
    }


def _pod_spec(channel: Channel, image: str, pull_secrets: Sequence[str], settings: PrePullSettings) -> dict[str, Any]:
    nodes = channel.pre_pull_nodes.to_dict() if channel.pre_pull_nodes else {}
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 5,
        "securityContext": pod_security(_USER),
        "containers": [
            {
                "name": names.PRE_PULL,
                "image": settings.agent_image,
                "imagePullPolicy": "IfNotPresent",
                "command": list(_COMMAND),
                "resources": _RESOURCES,
                "securityContext": container_security(read_only_root=True),
                "volumeMounts": [{"name": names.IMAGE_VOLUME, "mountPath": "/image", "readOnly": True}],
            }
        ],
        "volumes": [{"name": names.IMAGE_VOLUME, "image": {"reference": image, "pullPolicy": "IfNotPresent"}}],
        **({"imagePullSecrets": [{"name": name} for name in pull_secrets]} if pull_secrets else {}),
        **{key: nodes[key] for key in ("nodeSelector", "tolerations") if nodes.get(key)},
    }


def build_policy_of(daemon_set: Mapping[str, Any]) -> dict[str, Any]:
    """The NetworkPolicy that denies all connections of the pods of a DaemonSet, which owns it.

    Args:
        daemon_set: as the API server returned it.
    """
    metadata = daemon_set["metadata"]
    labels = {key: metadata["labels"][key] for key in (names.MANAGED_BY_LABEL, names.PRE_PULL_LABEL)}
    owner = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": metadata["name"], "uid": metadata["uid"]}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "labels": labels,
            "ownerReferences": [owner],
        },
        "spec": {
            "podSelector": {"matchLabels": {names.PRE_PULL_LABEL: metadata["name"]}},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [],
            "egress": [],
        },
    }


def build_pod(daemon_set: Mapping[str, Any]) -> dict[str, Any]:
    """A pod like those of a DaemonSet, to find out by a dry run whether the API server would refuse them."""
    metadata, template = daemon_set["metadata"], daemon_set["spec"]["template"]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"{metadata['name']}-check", "namespace": metadata["namespace"], **template["metadata"]},
        "spec": template["spec"],
    }


def image_of(spec: Mapping[str, Any]) -> str:
    """The image that the pod of this spec keeps; empty if it has none, because somebody has edited the DaemonSet."""
    volumes = (volume for volume in spec.get("volumes") or () if volume.get("name") == names.IMAGE_VOLUME)
    return str(next((volume.get("image") or {} for volume in volumes), {}).get("reference", ""))
