"""ComponentBuilds are executed, on the fake API server."""

from __future__ import annotations

import base64
import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Final

import pytest

from componentrun.api import names
from componentrun.controller.watching.caches import Key, ObjectCache
from componentrun.core.builds.dependencies.layer import DependencyLayer
from componentrun.core.builds.exchange import COMMANDS, FETCH, INPUTS_FILE, LAYERS_FILE, PULL_FILE, PUSH, PUSH_FILE
from componentrun.core.builds.lifecycle.history import KEPT
from componentrun.core.builds.lifecycle.status import MOST_PODS
from componentrun.core.builds.settings import BuildSettings, RemoteBuilder
from componentrun.core.lease.shard import Shard, shard_of
from componentrun.process.kubernetes.errors import AlreadyExistsError, ForbiddenError, QuotaExceededError
from tests.unit.controller.building import DIGEST, EVENTS_WAIT, PLACE, SETTINGS, Cluster, wanted
from tests.unit.controller.fakekube import NAMESPACE, Crash

if TYPE_CHECKING:
    from componentrun.api.build.componentbuild import ComponentBuild


@pytest.fixture
async def cluster() -> Cluster:
    return Cluster()


def condition(cluster: Cluster) -> tuple[str, str]:
    (found,) = cluster.status["conditions"]
    return found["status"], found["reason"]


def metric(cluster: Cluster, reason: str) -> float | None:
    return cluster.metrics.registry.get_sample_value("componentrun_builds_total", {"reason": reason})


async def test_a_build_gets_its_pod_then_its_status_then_its_secrets(cluster: Cluster) -> None:
    await cluster.create()
    cluster.writes.log.clear()
    await cluster.settle()
    writes = [what for what in cluster.writes.log if what != "get"]
    assert writes == ["create pods", "patch componentbuilds/status", *["create secrets"] * 3]
    (pod,) = cluster.pods
    assert pod["metadata"]["namespace"] == PLACE
    assert cluster.status["pod"] == {key: pod["metadata"][key] for key in ("name", "namespace", "uid")}
    assert (cluster.status["phase"], cluster.status["attempts"]) == ("Pending", 1)
    assert cluster.status["startTime"]
    assert condition(cluster) == ("Unknown", "Building")


async def test_each_step_gets_its_own_logins_only(cluster: Cluster) -> None:
    await cluster.create()
    await cluster.settle()
    fetch, push, pull = (cluster.secrets[name] for name in ("fetch", "push", "pull"))
    assert fetch.keys() == {INPUTS_FILE, LAYERS_FILE, "username", "password"}
    assert fetch["password"] == b"git-pw"
    assert push.keys() == {INPUTS_FILE, PULL_FILE, PUSH_FILE}
    assert list(json.loads(push[PUSH_FILE])["auths"]) == [f"registry.example.com/builds/{NAMESPACE}/app"]
    for content in (push[PULL_FILE], pull[".dockerconfigjson"]):
        assert list(json.loads(content)["auths"]) == ["registry.example.com/base"]
    everything = json.dumps(cluster.pods) + json.dumps(cluster.build)
    assert "git-pw" not in everything
    assert "password-of" not in everything


async def test_the_status_follows_the_pod_to_its_end(cluster: Cluster) -> None:
    await cluster.create()
    await cluster.settle()
    for steps, phase in (((), "Fetching"), ((FETCH,), "Building"), ((FETCH, COMMANDS), "Pushing")):
        cluster.run_steps(*steps)
        await cluster.settle()
        assert cluster.status["phase"] == phase
    cluster.pass_by(7)
    cluster.run_steps(FETCH, COMMANDS, PUSH, phase="Succeeded")
    await cluster.settle()
    status = cluster.status
    assert (status["phase"], status["digest"], condition(cluster)) == ("Succeeded", DIGEST, ("True", "Succeeded"))
    assert [step["name"] for step in status["steps"]] == ["fetch", "commands", "push"]
    assert status["completionTime"] > status["startTime"]
    assert cluster.pods == []
    assert cluster.secrets == {}
    assert metric(cluster, "Succeeded") == 1
    assert cluster.metrics.registry.get_sample_value("componentrun_build_duration_seconds_sum") == 7


async def test_a_later_build_of_the_component_is_told_of_the_layer_with_the_dependencies(cluster: Cluster) -> None:
    layer = DependencyLayer("k", DIGEST, 5, "sha256:" + "2" * 64)
    await cluster.create()
    await cluster.settle()
    assert json.loads(cluster.secrets["fetch"][LAYERS_FILE]) == []
    cluster.run_steps(FETCH, COMMANDS, PUSH, phase="Succeeded", dependencies=layer)
    await cluster.settle()
    assert cluster.status["dependencies"]["state"] == "Installed"
    git = {"url": "https://git.example.com/team/app", "commit": "c" * 40}
    await cluster.create(wanted(git=git))
    await cluster.settle()
    assert json.loads(cluster.secrets["fetch"][LAYERS_FILE]) == [asdict(layer)]


async def test_commands_that_fail_end_the_build_with_their_last_words(cluster: Cluster) -> None:
    await cluster.create()
    await cluster.settle()
    cluster.run_steps(FETCH, COMMANDS, failing=COMMANDS, phase="Failed")
    await cluster.settle()
    assert (cluster.status["phase"], condition(cluster)) == ("Failed", ("False", "BuildFailed"))
    assert "no rule" in cluster.status["lastWords"]
    assert cluster.status["advice"]
    assert cluster.pods == []
    assert metric(cluster, "BuildFailed") == 1


class TestUnread:
    """The pod of a build is kept until its lines are among the events of the runs that waited for it."""

    @staticmethod
    async def ended(cluster: Cluster, *runs: str, **events: Any) -> None:
        """A build that has succeeded, and runs that waited for it."""
        made = await cluster.create()
        await cluster.settle()
        waited = {"phase": "Building", "build": {"name": made.metadata.name, "component": "app"}}
        for run in runs:
            cluster.run(run, **waited | events)
        cluster.run_steps(FETCH, COMMANDS, PUSH, phase="Succeeded")
        await cluster.settle()
        assert cluster.status["phase"] == "Succeeded"

    async def test_until_all_runs_have_reported_it(self, cluster: Cluster) -> None:
        await self.ended(cluster, "one", "two")
        name = cluster.build["metadata"]["name"]
        build = {"name": name, "component": "app"}
        assert len(cluster.pods) == 1
        cluster.run("one", phase="Running", build=build, events={"count": 3, "builds": [name]})
        await cluster.settle()
        assert len(cluster.pods) == 1
        cluster.run("two", phase="Failed", build=build, events={"count": 3, "delivered": True})
        await cluster.settle()
        assert cluster.pods == []
        assert cluster.secrets == {}

    async def test_no_longer_than_other_finished_pods(self, cluster: Cluster) -> None:
        await self.ended(cluster, "one")
        cluster.pass_by(EVENTS_WAIT - 1)
        await cluster.settle()
        assert len(cluster.pods) == 1
        cluster.pass_by(1)
        await cluster.settle()
        assert cluster.pods == []

    async def test_the_next_operator_keeps_it_too(self, cluster: Cluster) -> None:
        await self.ended(cluster, "one")
        cluster.start()
        await cluster.settle()
        assert len(cluster.pods) == 1
        cluster.kube.remove("componentruns", NAMESPACE, "one")
        await cluster.settle()
        assert cluster.pods == []

    async def test_a_run_that_waits_for_something_else_keeps_nothing(self, cluster: Cluster) -> None:
        cluster.run("other", phase="Building", build={"name": "b-other", "component": "app"})
        await self.ended(cluster)
        assert cluster.pods == []

    async def test_a_pod_that_still_runs_is_not_kept(self, cluster: Cluster) -> None:
        made = await cluster.create()
        await cluster.settle()
        cluster.run("one", phase="Building", build={"name": made.metadata.name, "component": "app"})
        cluster.run_steps(FETCH)
        cluster.kube.change("componentbuilds", made.metadata.name, {"spec": {"cancel": True}})
        await cluster.settle()
        assert condition(cluster) == ("False", "BuildCancelled")
        assert cluster.pods == []

    async def test_a_step_that_has_failed_is_the_last_one(self, cluster: Cluster) -> None:
        """The kubelet reports the end of the pod after that of its container."""
        made = await cluster.create()
        await cluster.settle()
        cluster.run("one", phase="Building", build={"name": made.metadata.name, "component": "app"})
        cluster.run_steps(FETCH, COMMANDS, failing=COMMANDS, phase="Pending")
        await cluster.settle()
        assert condition(cluster) == ("False", "BuildFailed")
        assert len(cluster.pods) == 1


class TestRefused:
    """A tenant who may create ComponentBuilds can't have anything built that the operator would not build."""

    @pytest.mark.parametrize(
        ("name", "changes", "expected"),
        [
            ("latest", {}, "its name is not the hash"),
            (None, {"target": "registry.example.com/builds/other/app"}, "spec.target"),
            (None, {"target": f"evil.example.com/builds/{NAMESPACE}/app"}, "spec.target"),
            (None, {"component": "other"}, "spec.target"),
            (None, {"parent": "registry.example.com/base:1"}, "digest"),
        ],
    )
    async def test_by_the_spec(self, cluster: Cluster, name: str | None, changes: Any, expected: str) -> None:
        await cluster.create(wanted(name, **changes))
        await cluster.settle()
        assert (cluster.status["phase"], condition(cluster)) == ("Failed", ("False", "InvalidSpec"))
        assert expected in cluster.status["message"]
        assert not any(created.startswith("pods/") for created in cluster.kube.created)

    async def test_by_the_host(self, cluster: Cluster) -> None:
        cluster.start(BuildSettings(**{**vars_of(SETTINGS), "git_hosts": ("other.example.com",)}))
        await cluster.create()
        await cluster.settle()
        assert condition(cluster)[1] == "InvalidSpec"
        assert "git.example.com" in cluster.status["message"]

    async def test_by_the_registry_of_the_parent(self, cluster: Cluster) -> None:
        assert cluster.builds is not None
        cluster.builds._allowed = ("other.example.com",)
        await cluster.create()
        await cluster.settle()
        assert condition(cluster) == ("False", "ImageNotAllowed")


def vars_of(settings: BuildSettings) -> dict[str, Any]:
    return {name: getattr(settings, name) for name in settings.__dataclass_fields__}


DOCKERFILES: Final = replace(
    SETTINGS, dockerfile_image="registry.example.com/buildkit:1", seccomp_profile="buildkit.json"
)
REMOTE: Final = replace(DOCKERFILES, remote_builders=(RemoteBuilder(NAMESPACE, "client", "builder.builds.svc:1234"),))


def dockerfile(**changes: Any) -> ComponentBuild:
    return wanted(engine="dockerfile", dockerfile="Dockerfile", parent=None, commands=[], **changes)


def secret(name: str, labels: dict[str, str] | None = None, /, **content: str) -> dict[str, Any]:
    data = {key: base64.b64encode(value.encode()).decode() for key, value in content.items()}
    return {"metadata": {"name": name, "labels": labels or {}}, "type": "Opaque", "data": data}


class TestLogins:
    async def test_a_missing_secret_of_git_is_the_end(self, cluster: Cluster) -> None:
        cluster.kube.remove("secrets", NAMESPACE, "git")
        await cluster.create()
        await cluster.settle()
        assert condition(cluster) == ("False", "SourceUnavailable")
        assert "`git` does not exist in namespace `team`" in cluster.status["message"]
        assert cluster.pods == []

    async def test_a_missing_secret_of_the_registry_is_the_end(self, cluster: Cluster) -> None:
        cluster.kube.remove("secrets", PLACE, "push")
        await cluster.create()
        await cluster.settle()
        assert condition(cluster) == ("False", "PushRefused")

    async def test_steps_of_a_dockerfile_get_the_secrets_that_the_component_names(self, cluster: Cluster) -> None:
        cluster.start(DOCKERFILES)
        cluster.kube.put("secrets", secret("index", password="index-pw", other="other-pw"))
        await cluster.create(dockerfile(secrets={"token": {"name": "index", "key": "password"}}))
        await cluster.settle()
        assert cluster.secrets["secrets"] == {"token": b"index-pw"}
        everything = json.dumps(cluster.pods) + json.dumps(cluster.build)
        assert "index-pw" not in everything

    @pytest.mark.parametrize(
        ("name", "reason", "words"),
        [
            ("missing", "SecretNotFound", "there is no such Secret"),
            ("index", "SecretNotFound", "no such key (it has: `other`)"),
            ("store-keys", "InvalidSpec", "`store-keys` holds keys of Storage `main`"),
            ("grants", "InvalidSpec", "which holds the grants of a run"),
        ],
    )
    async def test_a_secret_that_no_step_may_have_is_the_end(
        self, cluster: Cluster, name: str, reason: str, words: str
    ) -> None:
        cluster.start(DOCKERFILES)
        cluster.kube.put("secrets", secret("index", other="pw"))
        cluster.kube.put("secrets", secret("store-keys", password="pw"))
        cluster.kube.put("secrets", secret("grants", {names.ATTEMPT_LABEL: "1"}, password="pw"))
        spec = {"bucket": "lake", "credentials": {"secretName": "store-keys"}}
        cluster.kube.put("storages", {"metadata": {"name": "main"}, "spec": spec})
        await cluster.create(dockerfile(secrets={"token": {"name": name, "key": "password"}}))
        await cluster.settle()
        assert condition(cluster) == ("False", reason)
        assert words in cluster.status["message"]
        assert cluster.pods == []

    async def test_a_client_of_a_builder_that_stays_has_its_certificate(self, cluster: Cluster) -> None:
        cluster.start(REMOTE)
        files = {"ca.crt": "authority", "tls.crt": "certificate", "tls.key": "key"}
        client = secret("client", **files, other="x")
        cluster.kube.put("secrets", client | {"metadata": {**client["metadata"], "namespace": REMOTE.namespace}})
        await cluster.create(dockerfile())
        await cluster.settle()
        assert cluster.secrets["builder"] == {key: text.encode() for key, text in files.items()}

    async def test_without_this_certificate_nothing_starts(self, cluster: Cluster) -> None:
        cluster.start(REMOTE)
        await cluster.create(dockerfile())
        await cluster.settle()
        assert condition(cluster) == ("False", "BuilderUnavailable")
        assert "Secret `client`" in cluster.status["message"]
        assert cluster.pods == []

    async def test_none_are_needed(self, cluster: Cluster) -> None:
        cluster.start(BuildSettings(**{**vars_of(SETTINGS), "push_secret": None}))
        cluster.kube.remove("components", NAMESPACE, "app")
        git = {"url": "https://git.example.com/team/app", "commit": "a" * 40}
        await cluster.create(wanted(git=git))
        await cluster.settle()
        assert cluster.secrets["fetch"].keys() == {INPUTS_FILE, LAYERS_FILE}
        assert json.loads(cluster.secrets["pull"][".dockerconfigjson"]) == {"auths": {}}


class TestLostPods:
    async def lose(self, cluster: Cluster) -> None:
        cluster.run_steps(FETCH)
        await cluster.settle()
        (pod,) = cluster.pods
        cluster.kube.remove("pods", PLACE, pod["metadata"]["name"])
        cluster.pass_by(1)
        await cluster.settle()

    async def test_another_pod_builds_the_image(self, cluster: Cluster) -> None:
        await cluster.create()
        await cluster.settle()
        began = cluster.status["startTime"]
        await self.lose(cluster)
        assert (cluster.status["attempts"], cluster.status["phase"]) == (2, "Pending")
        assert (cluster.status["startTime"], cluster.status.get("steps", [])) == (began, [])
        cluster.run_steps(FETCH, COMMANDS, PUSH, phase="Succeeded")
        await cluster.settle()
        assert cluster.status["digest"] == DIGEST
        assert cluster.pods == []

    async def test_there_are_at_most_three(self, cluster: Cluster) -> None:
        await cluster.create()
        await cluster.settle()
        for _ in range(MOST_PODS):
            await self.lose(cluster)
        assert condition(cluster) == ("False", "PodDeleted")
        assert cluster.status["message"].startswith("3 pods of the build were lost.")
        assert cluster.pods == []
        assert sum(created.startswith("pods/") for created in cluster.kube.created) == MOST_PODS

    async def test_an_evicted_pod_is_removed_before_the_next_one(self, cluster: Cluster) -> None:
        await cluster.create()
        await cluster.settle()
        cluster.run_steps(FETCH)
        cluster.tell({"phase": "Failed", "reason": "Evicted", "message": "The node was low on resource: memory."})
        await cluster.settle()
        (pod,) = cluster.pods
        assert pod["metadata"]["uid"] == cluster.status["pod"]["uid"]
        assert cluster.status["attempts"] == 2

    async def test_an_image_that_was_pushed_counts_although_the_pod_is_lost_afterwards(self, cluster: Cluster) -> None:
        await cluster.create()
        await cluster.settle()
        cluster.run_steps(FETCH, COMMANDS, PUSH, phase="Succeeded")
        cluster.tell({"reason": "NodeLost"})
        await cluster.settle()
        assert cluster.status["digest"] == DIGEST


class TestCancelled:
    async def test_by_the_spec(self, cluster: Cluster) -> None:
        await cluster.create()
        await cluster.settle()
        cluster.run_steps(FETCH)
        cluster.kube.change("componentbuilds", cluster.key.name, {"spec": {"cancel": True}})
        await cluster.settle()
        assert (cluster.status["phase"], condition(cluster)) == ("Cancelled", ("False", "BuildCancelled"))
        assert cluster.pods == []

    async def test_before_there_is_a_pod(self, cluster: Cluster) -> None:
        await cluster.create(wanted(cancel=True))
        await cluster.settle()
        assert condition(cluster) == ("False", "BuildCancelled")
        assert not any(created.startswith("pods/") for created in cluster.kube.created)

    async def test_because_nobody_waits_any_more(self, cluster: Cluster) -> None:
        cluster.waiting = False
        await cluster.create()
        await cluster.settle()
        cluster.pass_by(29)
        await cluster.settle()
        assert condition(cluster)[0] == "Unknown"
        cluster.pass_by(1)
        await cluster.settle()
        assert condition(cluster) == ("False", "BuildCancelled")
        assert "no run waits" in cluster.status["message"]
        assert cluster.pods == []

    async def test_not_if_the_image_is_there_already(self, cluster: Cluster) -> None:
        await cluster.create()
        await cluster.settle()
        cluster.run_steps(FETCH, COMMANDS, PUSH, phase="Succeeded")
        cluster.kube.change("componentbuilds", cluster.key.name, {"spec": {"cancel": True}})
        await cluster.settle()
        assert cluster.status["digest"] == DIGEST

    async def test_never_deletes_a_pod_of_another_namespace(self, cluster: Cluster) -> None:
        """Whoever may write a status could name any pod in it."""
        await cluster.create()
        await cluster.settle()
        own = cluster.pods[0]["metadata"]["name"]
        cluster.kube.put("pods", {"metadata": {"name": own}})
        forged = {
            "namespace": NAMESPACE,
            "name": own,
            "uid": cluster.kube.objects["pods", NAMESPACE, own]["metadata"]["uid"],
        }
        cluster.kube.change("componentbuilds", cluster.key.name, {"spec": {"cancel": True}, "status": {"pod": forged}})
        await cluster.settle()
        assert condition(cluster) == ("False", "BuildCancelled")
        assert [pod["metadata"]["namespace"] for pod in cluster.pods] == [NAMESPACE]

    async def test_by_deletion(self, cluster: Cluster) -> None:
        await cluster.create()
        await cluster.settle()
        cluster.kube.remove("componentbuilds", *cluster.key)
        await cluster.settle()
        assert cluster.pods == []
        assert cluster.secrets == {}


class TestPodsWithoutABuild:
    async def orphan(self, cluster: Cluster) -> None:
        """A pod whose build is deleted while no operator works."""
        await cluster.create()
        await cluster.settle()
        cluster.builds = None
        cluster.kube.remove("componentbuilds", *cluster.key)

    async def test_are_deleted(self, cluster: Cluster) -> None:
        await self.orphan(cluster)
        cluster.start()
        await cluster.settle()
        assert cluster.pods == []

    async def test_are_deleted_if_there_is_another_build_of_the_name(self, cluster: Cluster) -> None:
        await self.orphan(cluster)
        (old,) = cluster.pods
        cluster.start()
        await cluster.create()
        await cluster.settle()
        (pod,) = cluster.pods
        assert pod["metadata"]["uid"] != old["metadata"]["uid"]
        assert pod["metadata"]["labels"][names.BUILD_UID_LABEL] == cluster.build["metadata"]["uid"]

    async def test_are_kept_if_the_cache_does_not_know_their_build_yet(self, cluster: Cluster) -> None:
        """Pods and ComponentBuilds have different watches, so the pod's event may come first."""
        await cluster.create()
        await cluster.settle()
        (pod,) = cluster.pods
        builds = cluster.start()
        cluster.seen._builds = ObjectCache()
        await builds.reconcile(cluster.key)
        assert cluster.pods == [pod]
        assert cluster.seen.get(cluster.key) is not None

    async def test_are_left_to_the_shard_that_owns_their_namespace(self, cluster: Cluster) -> None:
        await self.orphan(cluster)
        number = shard_of(NAMESPACE, 2)
        cluster.start(shard=Shard(1 - number, 2))
        await cluster.settle()
        assert len(cluster.pods) == 1
        cluster.start(shard=Shard(number, 2))
        await cluster.settle()
        assert cluster.pods == []

    async def test_are_left_to_the_operator_of_their_namespace(self, cluster: Cluster) -> None:
        await self.orphan(cluster)
        cluster.start(namespaces=("another",))
        await cluster.settle()
        assert len(cluster.pods) == 1


class TestPodsThatAreRefused:
    async def test_by_admission_end_the_build(self, cluster: Cluster) -> None:
        cluster.kube.refusals["create", "pods"] = [
            ForbiddenError("create pods builds/x: 403: violates PodSecurity", 403)
        ]
        await cluster.create()
        await cluster.settle()
        assert condition(cluster) == ("False", "PodRejected")
        assert "PodSecurity" in cluster.status["message"]

    async def test_because_one_of_the_name_was_deleted_just_now_are_created_again(self, cluster: Cluster) -> None:
        await cluster.create()
        cluster.kube.refusals["create", "pods"] = [AlreadyExistsError("create pods builds/x: 409", 409)]
        await cluster.settle()
        assert cluster.status == {}
        await cluster.settle()
        assert len(cluster.pods) == 1

    async def test_by_a_quota_wait(self, cluster: Cluster) -> None:
        await cluster.create()
        cluster.kube.refusals["create", "pods"] = [QuotaExceededError("exceeded quota", 403)]
        assert cluster.builds is not None
        with pytest.raises(QuotaExceededError):
            await cluster.builds.reconcile(cluster.key)
        assert cluster.status == {}
        await cluster.settle()
        assert len(cluster.pods) == 1


class TestWhoWorks:
    async def test_a_standby_writes_nothing(self, cluster: Cluster) -> None:
        assert cluster.builds is not None
        cluster.builds.activate(False)
        await cluster.create()
        await cluster.settle()
        assert cluster.status == {}
        cluster.builds.activate(True)
        await cluster.settle()
        assert len(cluster.pods) == 1

    async def test_another_operators_build_is_left_alone(self, cluster: Cluster) -> None:
        cluster.start(operator_name="canary")
        await cluster.create()
        assert cluster.build["metadata"]["labels"] == {names.OPERATOR_LABEL: "canary"}
        cluster.start()
        await cluster.settle()
        assert cluster.status == {}
        cluster.start(operator_name="canary")
        await cluster.settle()
        assert len(cluster.pods) == 1

    async def test_nothing_is_built_if_builds_are_disabled(self, cluster: Cluster) -> None:
        builds = cluster.start(BuildSettings())
        await cluster.create()
        await cluster.settle()
        assert cluster.status == {}
        await builds.run()  # returns at once


class TestCallers:
    async def test_all_share_one_build(self, cluster: Cluster) -> None:
        heard: list[Key] = []
        cluster.seen.listen(heard.append)
        first = await cluster.create()
        again = [await cluster.create() for _ in range(3)]
        assert {item.metadata.uid for item in again} == {first.metadata.uid}
        assert heard == [cluster.key]
        found = cluster.seen.get(cluster.key)
        assert found is not None
        assert found.spec == first.spec

    async def test_one_that_is_at_work_is_not_replaced(self, cluster: Cluster) -> None:
        first = await cluster.create()
        await cluster.settle()
        assert (await cluster.seen.replace(wanted(), first)).metadata.uid == first.metadata.uid

    async def test_one_whose_image_was_deleted_is_replaced_once(self, cluster: Cluster) -> None:
        first = await cluster.create()
        await cluster.settle()
        cluster.run_steps(FETCH, COMMANDS, PUSH, phase="Succeeded")
        await cluster.settle()
        second = await cluster.seen.replace(wanted(), first)
        third = await cluster.seen.replace(wanted(), first)
        assert second.metadata.uid == third.metadata.uid != first.metadata.uid
        assert second.status.digest is None

    async def test_one_that_has_failed_is_replaced_once(self, cluster: Cluster) -> None:
        first = await cluster.create(wanted(cancel=True))
        await cluster.settle()
        second = await cluster.seen.replace(wanted(), first)
        third = await cluster.seen.replace(wanted(), first)
        assert second.metadata.uid == third.metadata.uid != first.metadata.uid
        await cluster.settle()
        assert len(cluster.pods) == 1

    async def test_a_deleted_build_is_gone(self, cluster: Cluster) -> None:
        await cluster.create()
        cluster.kube.remove("componentbuilds", *cluster.key)
        assert cluster.seen.get(cluster.key) is None


async def test_old_builds_are_deleted(cluster: Cluster) -> None:
    assert cluster.builds is not None
    for number in range(KEPT + 2):
        await cluster.create(wanted(commands=[f"make {number}"], cancel=True))
        await cluster.settle()
        cluster.pass_by(3600)
    await cluster.builds.prune()
    assert len(cluster.kube.of("componentbuilds")) == KEPT + 2
    cluster.pass_by(8 * 24 * 3600)
    first = cluster.kube.of("componentbuilds")[0]["metadata"]["name"]
    await cluster.builds.prune()
    left = {item["metadata"]["name"] for item in cluster.kube.of("componentbuilds")}
    assert len(left) == KEPT
    assert first not in left


async def killed_at(write: int, *, failing: str = "") -> tuple[Cluster, bool]:
    """A whole build whose operator ends right after this write, and another one goes on. Returns whether it did end."""
    cluster, was_killed = Cluster(), False
    await cluster.create()
    cluster.writes.count, cluster.writes.crash_at = 0, write
    ends = (FETCH, COMMANDS) if failing else (FETCH, COMMANDS, PUSH)
    for steps in (None, (), (FETCH,), ends):
        if steps is not None and cluster.pods:
            phase = "Running" if steps != ends else "Failed" if failing else "Succeeded"
            cluster.run_steps(*steps, failing=failing, phase=phase)
        try:
            await cluster.settle()
        except Crash:
            was_killed = True
            cluster.builds = None
            cluster.pass_by(60)
            cluster.start()
            await cluster.settle()
    return cluster, was_killed


@pytest.mark.parametrize("failing", ["", COMMANDS])
async def test_an_operator_that_is_killed_after_any_write_leaves_one_image_or_one_reason(failing: str) -> None:
    write, was_killed = 1, True
    while was_killed:
        cluster, was_killed = await killed_at(write, failing=failing)
        expected = ("False", "BuildFailed") if failing else ("True", "Succeeded")
        assert condition(cluster) == expected, f"killed after write {write}: {cluster.writes.log}"
        assert cluster.status["attempts"] == 1
        assert cluster.pods == []
        assert cluster.secrets == {}
        assert sum(created.startswith("pods/") for created in cluster.kube.created) == 1
        write += 1
    assert write > 8, "pod, status, three Secrets, phases and the end are written"


@pytest.mark.parametrize("write", range(1, 10))
async def test_a_lost_answer_changes_nothing(write: int) -> None:
    cluster = Cluster()
    await cluster.create()
    cluster.writes.count, cluster.writes.lose_at = 0, write
    await cluster.settle()
    for steps in ((), (FETCH,), (FETCH, COMMANDS, PUSH)):
        cluster.run_steps(*steps, phase="Succeeded" if PUSH in steps else "Running")
        await cluster.settle()
    assert condition(cluster) == ("True", "Succeeded")
    assert (cluster.status["attempts"], cluster.pods, cluster.secrets) == (1, [], {})
