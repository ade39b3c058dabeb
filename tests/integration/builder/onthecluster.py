"""Builds in a namespace of the real cluster, without an operator: pods by `build_pod`, Secrets by `build_secrets`."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from componentrun.api.build.componentbuild import ComponentBuild
from componentrun.core.builds.observed import BuildPodState, read_build_pod
from componentrun.core.builds.pod import build_inputs, build_pod, build_secrets, check_build
from componentrun.core.builds.settings import FOLDER
from dev.cluster import waiting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from componentrun.core.builds.settings import BuildSettings
    from e2e.tenant import Tenant

__all__ = ["Bench", "Built"]

TENANT: Final = "tenant"
_SECONDS: Final = 120


@dataclass(frozen=True)
class Built:
    """A build that has ended."""

    build: ComponentBuild
    pod: dict[str, Any]
    state: BuildPodState
    seen: tuple[str, ...]
    """Phases in their order."""


@dataclass
class Bench:
    """A namespace for the pods of builds, which enforces the restricted pod security standard."""

    place: Tenant
    settings: BuildSettings
    created: list[str] = field(default_factory=list)

    def kubectl(self, *arguments: str, stdin: Any = None) -> str:
        return self.place.kubectl(*arguments, stdin=None if stdin is None else json.dumps(stdin)).stdout

    def run(
        self,
        git: Mapping[str, Any],
        parent: str,
        *,
        login: Mapping[str, bytes] | None = None,
        registry: bytes | None = None,
        pulls: bytes | None = None,
        **spec: Any,
    ) -> Built:
        """Build, and wait for the end.

        Args:
            git: `spec.git`.
            parent: the parent image with its digest.
            login: content of the Secret with the git login.
            registry: docker configuration that may push.
            pulls: docker configuration that may read the parent.
            spec: other fields of the spec, in camelCase.
        """
        build = self.new(git, parent, **spec)
        check_build(build, self.settings)
        pod = json.loads(self.kubectl("create", "-o", "json", "-f", "-", stdin=build_pod(build, self.settings)))
        for secret in build_secrets(build, pod, login, registry, pulls):
            self.kubectl("create", "-f", "-", stdin=secret)
        return self.finished(build, pod["metadata"]["name"])

    def new(self, git: Mapping[str, Any], parent: str, **spec: Any) -> ComponentBuild:
        """A ComponentBuild that the API server does not know. Its name is the hash of its input."""
        component = f"app-{uuid.uuid4().hex[:8]}"
        content = {
            "component": component,
            "git": dict(git),
            "parent": parent,
            "platform": self.settings.platform,
            "folder": FOLDER,
            "target": f"{self.settings.repository}/{TENANT}/{component}",
            **spec,
        }
        metadata = {"name": "x", "namespace": TENANT, "uid": str(uuid.uuid4())}
        build = ComponentBuild.model_validate({"metadata": metadata, "spec": content})
        name = build_inputs(build.spec).name
        return ComponentBuild.model_validate({"metadata": metadata | {"name": name}, "spec": content})

    def finished(self, build: ComponentBuild, name: str) -> Built:
        """Wait until the build has ended, by what its pod says."""
        seen: dict[str, None] = {}
        last: list[tuple[dict[str, Any], BuildPodState]] = []

        def missing() -> str | None:
            pod = json.loads(self.kubectl("get", "pod", name, "-o", "json"))
            state = read_build_pod(pod, build.spec, datetime.now(UTC))
            seen[state.phase] = None
            last[:] = [(pod, state)]
            return None if state.phase in {"Succeeded", "Failed"} else f"{state.phase}: {json.dumps(pod['status'])}"

        waiting.until(missing, what=f"build {name}", timeout=_SECONDS)
        return Built(build, *last[0], tuple(seen))

    def log(self, built: Built, step: str) -> str:
        """What a step has printed."""
        return self.kubectl("logs", built.pod["metadata"]["name"], "--container", step)

    def started(self, image: str, *arguments: str) -> str:
        """What an image prints that runs as a pod of its own, with its entrypoint."""
        name = f"run-{uuid.uuid4().hex[:8]}"
        container = {
            "name": "main",
            "image": image,
            "args": list(arguments),
            "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        }
        security = {"runAsNonRoot": True, "runAsUser": 12345, "seccompProfile": {"type": "RuntimeDefault"}}
        spec = {"restartPolicy": "Never", "securityContext": security, "containers": [container]}
        self.kubectl("create", "-f", "-", stdin={
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec,
        })  # fmt: skip

        def missing() -> str | None:
            status = json.loads(self.kubectl("get", "pod", name, "-o", "json"))["status"]
            return None if status["phase"] in {"Succeeded", "Failed"} else json.dumps(status)

        waiting.until(missing, what=f"pod {name}", timeout=_SECONDS)
        return self.kubectl("logs", name)

    def pushing_to(self, repository: str, authorities: str) -> Bench:
        """The same namespace with another registry for what is built."""
        return replace(self, settings=replace(self.settings, repository=repository, ca_bundle=authorities))
