"""A cluster in which one operator executes builds. The test plays kubelet, scheduler and the steps of a build."""

from __future__ import annotations

import base64
import copy
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from componentrun.api import names
from componentrun.api.build.componentbuild import ComponentBuild, ComponentBuildSpec
from componentrun.api.common import ObjectMeta
from componentrun.controller.builds.builds import Builds
from componentrun.controller.builds.seen import BuildsSeen, build_of_pod
from componentrun.controller.builds.unread import UnreadBuilds
from componentrun.controller.metrics import Metrics
from componentrun.controller.storages.references import References
from componentrun.controller.watching.caches import Caches, Key
from componentrun.controller.watching.events import take_in
from componentrun.controller.work.queue import WorkQueue
from componentrun.core.builds.exchange import COMMANDS, FETCH, PUSH, StepReport
from componentrun.core.builds.pod import build_inputs
from componentrun.core.builds.settings import BuildSettings
from componentrun.core.lease.shard import WHOLE, Shard
from componentrun.process.kubernetes.errors import ConflictError, UnavailableError
from componentrun.wire.documents import to_json
from tests.unit.controller.fakekube import NAMESPACE, FakeKube, Writes

if TYPE_CHECKING:
    from componentrun.core.builds.dependencies.layer import DependencyLayer
    from tests.fakekube.storage import Change

PLACE: Final = "builds"
"""Namespace of the pods."""
EVENTS_WAIT: Final = 900.0
"""Seconds that a pod is kept for the collector."""
DIGEST: Final = "sha256:" + "d" * 64
SETTINGS: Final = BuildSettings(
    is_enabled=True,
    namespace=PLACE,
    repository="registry.example.com/builds",
    push_secret="push",
    builder_image="registry.example.com/builder:1",
)


def docker_secret(name: str, **auths: str) -> dict[str, Any]:
    """A pull secret with a user name by host."""
    entries = {host: {"username": user, "password": f"password-of-{user}"} for host, user in auths.items()}
    content = base64.b64encode(json.dumps({"auths": entries}).encode()).decode()
    return {
        "metadata": {"name": name},
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": content},
    }


def spec_of(**changes: Any) -> ComponentBuildSpec:
    return ComponentBuildSpec.model_validate(
        {
            "component": "app",
            "git": {"url": "https://git.example.com/team/app", "commit": "a" * 40, "secretRef": {"name": "git"}},
            "parent": "registry.example.com/base@sha256:" + "b" * 64,
            "platform": "linux/amd64",
            "folder": "/code",
            "commands": ["make"],
            "target": f"registry.example.com/builds/{NAMESPACE}/app",
        }
        | changes
    )


def wanted(name: str | None = None, **changes: Any) -> ComponentBuild:
    """A ComponentBuild as a run creates it."""
    spec = spec_of(**changes)
    return ComponentBuild(metadata=ObjectMeta(name=name or build_inputs(spec).name, namespace=NAMESPACE), spec=spec)


class Cluster:
    """See the module.

    Attributes:
        waiting: what `is_wanted` answers.
    """

    def __init__(self) -> None:
        self.now = datetime(2026, 12, 3, 12, tzinfo=UTC)
        self.builds: Builds | None = None
        self.writes = Writes()
        self.kube = FakeKube(self.writes)
        self.kube.server.writer.now = lambda: self.now
        self.kube.server.storage.listeners.append(self._heard)
        self.kube.put("namespaces", {"metadata": {"name": PLACE}})
        self.waiting = True
        self.put_in(PLACE, "secrets", docker_secret("push", **{"registry.example.com": "pusher"}))
        git = {key: base64.b64encode(value).decode() for key, value in (("username", b"u"), ("password", b"git-pw"))}
        self.kube.put("secrets", {"metadata": {"name": "git"}, "type": "kubernetes.io/basic-auth", "data": git})
        self.kube.put("secrets", docker_secret("pull", **{"registry.example.com": "puller", "other.test": "other"}))
        spec = {"image": "registry.example.com/base", "imagePullSecrets": [{"name": "pull"}]}
        self.kube.put("components", {"metadata": {"name": "app"}, "spec": spec})
        self.start()

    def start(self, settings: BuildSettings = SETTINGS, shard: Shard = WHOLE, **options: Any) -> Builds:
        """A new operator, which lists what there is."""
        self.metrics = Metrics()
        self.caches = Caches(shard=shard)
        self.queue: WorkQueue[Key] = WorkQueue()
        self.seen = BuildsSeen(self.kube, shard, **options)
        self.builds = Builds(
            self.kube,
            self.seen,
            References(self.kube, self.caches),
            settings,
            self.metrics,
            lambda: self.now,
            is_wanted=lambda _key, _build: self.waiting,
            unread=UnreadBuilds(self.caches.runs, EVENTS_WAIT, lambda: self.now),
        )
        for watch in self.builds._watches:
            watch.begin_at("1", set())
        for (plural, _, _), obj in list(self.kube.objects.items()):
            self._event("ADDED", plural, obj)
        self.builds.activate(True)
        return self.builds

    def put_in(self, namespace: str, plural: str, obj: dict[str, Any]) -> None:
        self.kube.server.put(plural, obj, namespace)

    def _heard(self, change: Change) -> None:
        event = change.event(lambda _: True)
        if event is not None and self.builds is not None:
            self._event(event["type"], change.plural, event["object"])

    def _event(self, kind: str, plural: str, obj: dict[str, Any]) -> None:
        obj, is_gone = copy.deepcopy(obj), kind == "DELETED"
        key, uid = Key.of(obj), obj["metadata"]["uid"]
        if plural == "componentbuilds":
            self.seen.lost_build(key, uid) if is_gone else self.seen.saw_build(obj)
        elif plural == "pods" and names.BUILD_LABEL in (obj["metadata"].get("labels") or {}):
            self.seen.lost_pod(build_of_pod(obj), uid) if is_gone else self.seen.saw_pod(obj)
        elif plural in {"components", "componentruns"}:
            take_in(self.caches, self.queue, plural, kind, obj)

    # What a run, a user and time do

    async def create(self, build: ComponentBuild | None = None) -> ComponentBuild:
        made = await self.seen.create(build or wanted())
        self.key = Key(NAMESPACE, made.metadata.name)
        return made

    async def settle(self, rounds: int = 20) -> None:
        """Let the operator work until it writes nothing more."""
        assert self.builds is not None
        for _ in range(rounds):
            before = self.kube.server.storage.version
            for key in self.seen.all_keys():
                try:
                    await self.builds.reconcile(key)
                except (ConflictError, UnavailableError):
                    continue  # the queue tries again
            if self.kube.server.storage.version == before:
                return
        raise AssertionError("the operator does not come to rest")

    def run(self, name: str, **status: Any) -> None:
        """A run as operator and collector have left it."""
        spec = {"component": "app"}
        self.kube.put("componentruns", {"metadata": {"name": name}, "spec": spec, "status": status})

    def pass_by(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    # What there is

    @property
    def build(self) -> dict[str, Any]:
        return self.kube.objects["componentbuilds", *self.key]

    @property
    def status(self) -> dict[str, Any]:
        return dict(self.build.get("status") or {})

    @property
    def pods(self) -> list[dict[str, Any]]:
        return self.kube.of("pods")

    @property
    def secrets(self) -> dict[str, dict[str, bytes]]:
        """Content of the Secrets of pods, by the end of their names."""
        found = {}
        for secret in self.kube.of("secrets"):
            metadata = secret["metadata"]
            if metadata["namespace"] == PLACE and metadata.get("ownerReferences"):
                ending = metadata["name"].rpartition("-")[2]
                found[ending] = {key: base64.b64decode(value) for key, value in secret["data"].items()}
        return found

    # What the kubelet does

    def run_steps(
        self,
        *steps: str,
        failing: str = "",
        phase: str = "Running",
        digest: str = DIGEST,
        dependencies: DependencyLayer | None = None,
    ) -> None:
        """The pod's status after these steps have ended, and the next one runs."""
        (pod,) = self.pods
        assert self.secrets, "a pod without its Secrets does not start"
        self.tell(self.steps_status(steps, failing, phase, digest, dependencies))
        assert pod["metadata"]["uid"] == self.pods[0]["metadata"]["uid"]

    def steps_status(
        self,
        steps: tuple[str, ...],
        failing: str,
        phase: str,
        digest: str,
        dependencies: DependencyLayer | None = None,
    ) -> dict[str, Any]:
        stamp = self.now.strftime("%Y-%m-%dT%H:%M:%SZ")
        begun = {"startedAt": stamp}
        statuses = []
        for step in (FETCH, COMMANDS, PUSH):
            state: dict[str, Any] = {"waiting": {"reason": "PodInitializing"}}
            if step in steps:
                code = 1 if step == failing else 0
                pushed = {"digest": digest, "dependencies": dependencies} if step == PUSH else {}
                report = StepReport(ok=not code, reason="SourceUnavailable", **pushed)
                message = "make: *** no rule" if step == COMMANDS else to_json(report)
                state = {"terminated": {"exitCode": code, "message": message, "finishedAt": stamp, **begun}}
            elif len(statuses) == len(steps) and phase == "Running":
                state = {"running": begun}
            statuses.append({"name": step, "state": state, "image": "i", "imageID": "", "ready": False})
        return {
            "phase": phase,
            "startTime": stamp,
            "initContainerStatuses": statuses[:2],
            "containerStatuses": statuses[2:],
        }

    def tell(self, status: dict[str, Any]) -> None:
        """The kubelet writes the status of the pod."""
        (pod,) = self.pods
        self.kube.server.change("pods", PLACE, pod["metadata"]["name"], {"status": status})
