"""A build, and the states of its pod as kubelets report them."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from componentrun.api.build.componentbuild import ComponentBuild
from componentrun.core.builds.pod import build_inputs
from componentrun.core.builds.settings import BuildSettings

NOW: Final = datetime(2026, 12, 3, 12, tzinfo=UTC)
PARENT: Final = "registry.example.com/python@sha256:" + "1" * 64
DIGEST: Final = "sha256:" + "d" * 64
SETTINGS: Final = BuildSettings(
    is_enabled=True,
    namespace="builds",
    repository="registry.example.com/builds",
    push_secret="push",
    builder_image="registry.example.com/componentrun:1",
    builder_pull_secrets=("platform",),
    plain_http=("registry.example.com", "mirror.example.com:5000"),
    ca_bundle="-----BEGIN CERTIFICATE-----\n$(HOSTNAME) $$\n",
)


def build(name: str | None = None, namespace: str = "tenant", **spec: Any) -> ComponentBuild:
    """A ComponentBuild, as the operator creates it unless something is changed."""
    content = {
        "component": "app",
        "git": {
            "url": "https://git.example.com/team/app.git",
            "commit": "a" * 40,
            "secretRef": {"name": "git"},
            "contextDir": "orders",
        },
        "parent": PARENT,
        "platform": "linux/amd64",
        "folder": "/code",
        "commands": ["make", "make install"],
        "arguments": {"B": "2", "A": "1"},
        "entrypoint": ["python3", "/code/main.py"],
        "tools": {"builder": "1"},
        "target": f"registry.example.com/builds/{namespace}/app",
        "timeoutSeconds": 600,
        **spec,
    }
    metadata = {"name": "x", "namespace": namespace, "uid": "12345678-abcd-4000-8000-000000000000"}
    made = ComponentBuild.model_validate({"metadata": metadata, "spec": content})
    metadata["name"] = name or build_inputs(made.spec).name
    return ComponentBuild.model_validate({"metadata": metadata, "spec": content})


def at(seconds: float) -> str:
    """A time of the API, in seconds from the pod's creation."""
    return (NOW + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def waiting(name: str, reason: str = "PodInitializing", message: str = "", image: str = PARENT) -> dict[str, Any]:
    return {"name": name, "image": image, "state": {"waiting": {"reason": reason, "message": message}}}


def running(name: str, since: float = 2) -> dict[str, Any]:
    return {"name": name, "imageID": "i", "state": {"running": {"startedAt": at(since)}}}


def ended(
    name: str, code: int = 0, message: str = "", reason: str = "", since: float = 2, until: float = 4, **more: Any
) -> dict[str, Any]:
    state = {
        "exitCode": code,
        "reason": reason or ("Error" if code else "Completed"),
        "message": message,
        "startedAt": at(since),
        "finishedAt": at(until),
        **more,
    }
    return {"name": name, "imageID": "i", "containerID": "c", "state": {"terminated": state}}


def fetched() -> dict[str, Any]:
    return ended("fetch", message='{"ok":true}')


def built() -> dict[str, Any]:
    return ended("commands", since=5, until=8)


def report(**fields: Any) -> str:
    return json.dumps(fields)


def pod(
    *containers: dict[str, Any],
    phase: str = "Pending",
    node: str = "n1",
    metadata: dict[str, Any] | None = None,
    conditions: tuple[dict[str, Any], ...] = (),
    **status: Any,
) -> dict[str, Any]:
    """A pod with these statuses of containers."""
    scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": at(1)}
    return {
        "metadata": {"name": "build-1", "uid": "p1", "creationTimestamp": at(0), **(metadata or {})},
        "spec": {"nodeName": node} if node else {},
        "status": {
            "phase": phase,
            "initContainerStatuses": [item for item in containers if item["name"] != "push"],
            "containerStatuses": [item for item in containers if item["name"] == "push"],
            "conditions": [*([scheduled] if node else []), *conditions],
            **status,
        },
    }


def disruption(reason: str, message: str = "") -> dict[str, Any]:
    return {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": reason,
        "message": message,
        "lastTransitionTime": at(9),
    }
