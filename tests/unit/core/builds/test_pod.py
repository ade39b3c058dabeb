"""The pod of a build and its Secrets."""

from __future__ import annotations

import base64
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.api import names
from componentrun.core.builds.errors import BuildError
from componentrun.core.builds.exchange import (
    CONTROL_MOUNT,
    INPUTS_FILE,
    LAYERS_FILE,
    PULL_FILE,
    PUSH_FILE,
    SOURCE_MOUNT,
)
from componentrun.core.builds.identity import BuildInputs
from componentrun.core.builds.pod import build_inputs, build_pod, build_secrets, check_build, pod_name
from componentrun.errors import ComponentRunError, Reason
from tests.unit.core.builds.podexamples import PARENT, SETTINGS, build

if TYPE_CHECKING:
    from componentrun.api.build.componentbuild import ComponentBuild

LOGIN = {"username": b"ann", "password": b"git-password", "unrelated": b"unrelated-value"}
REGISTRY = b'{"auths":{"registry.example.com":{"username":"push","password":"push-password"}}}'
PULLS = b'{"auths":{"registry.example.com":{"username":"pull","password":"pull-password"}}}'


def containers(pod: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {item["name"]: item for item in (*pod["spec"]["initContainers"], *pod["spec"]["containers"])}


def created(pod: dict[str, Any]) -> dict[str, Any]:
    return pod | {"metadata": pod["metadata"] | {"uid": "p1"}}


def secrets(**logins: Any) -> dict[str, dict[str, Any]]:
    made = build()
    given = {"git_login": LOGIN, "registry": REGISTRY, "pulls": PULLS} | logins
    found = build_secrets(made, created(build_pod(made, SETTINGS)), **given)
    return {item["metadata"]["name"].rpartition("-")[2]: item for item in found}


def content(secret: dict[str, Any]) -> dict[str, bytes]:
    return {key: base64.b64decode(value) for key, value in secret["data"].items()}


def mounts(pod: dict[str, Any], container: str) -> dict[str, tuple[dict[str, Any], bool]]:
    """Volumes that a container mounts by path, and whether it can write there."""
    volumes = {item["name"]: item for item in pod["spec"]["volumes"]}
    return {
        item["mountPath"]: (volumes[item["name"]], not item.get("readOnly", False))
        for item in containers(pod)[container]["volumeMounts"]
    }


class TestInputs:
    def test_all_of_the_spec_that_counts(self) -> None:
        assert build_inputs(build().spec) == BuildInputs(
            url="https://git.example.com/team/app.git",
            commit="a" * 40,
            context_dir="orders",
            parent=PARENT,
            platform="linux/amd64",
            folder="/code",
            commands=("make", "make install"),
            arguments=(("A", "1"), ("B", "2")),
            entrypoint=("python3", "/code/main.py"),
            tools=(("builder", "1"),),
            target="registry.example.com/builds/tenant/app",
        )

    def test_the_name_of_the_secret_and_the_timeout_do_not_count(self) -> None:
        git = {"url": "https://git.example.com/team/app.git", "commit": "a" * 40, "contextDir": "orders"}
        assert build(git=git, timeoutSeconds=3).metadata.name == build().metadata.name

    def test_a_build_of_the_operator_is_accepted(self) -> None:
        assert check_build(build(), SETTINGS) == build_inputs(build().spec)
        assert check_build(build(), replace(SETTINGS, git_hosts=("git.example.com",)))

    @pytest.mark.parametrize(
        ("wrong", "words"),
        [
            (build("build-of-somebody-else"), "its name is not the hash of its input"),
            (build(target="registry.example.com/builds/other/app"), "spec.target"),
            (build(target="registry.example.com/builds/tenant/other"), "spec.target"),
            (build(component="other"), "spec.target"),
            (build(folder="/run/componentrun/control"), "spec.folder"),
            (build(parent="registry.example.com/python:3.12"), "an image with a digest"),
            (build(git={"url": "https://GIT.example.com/a.git", "commit": "a" * 40}), "normal form"),
            (build(git={"url": "https://ann:pw@git.example.com/a.git", "commit": "a" * 40}), "a user or a password"),
        ],
    )
    def test_what_the_operator_would_not_write_is_refused(self, wrong: ComponentBuild, words: str) -> None:
        with pytest.raises(ComponentRunError, match=words) as caught:
            check_build(wrong, SETTINGS)
        assert "ann:pw" not in caught.value.message
        is_url = isinstance(caught.value, BuildError)
        assert caught.value.reason is (Reason.SOURCE_UNAVAILABLE if is_url else Reason.INVALID_SPEC)

    @pytest.mark.parametrize(
        "url", ["https://git.example.com:8443/team/app.git", "https://evil.com/git.example.com.git"]
    )
    def test_another_host_than_those_of_the_platform_is_refused(self, url: str) -> None:
        with pytest.raises(ComponentRunError, match="does not allow repositories on"):
            check_build(build(git={"url": url, "commit": "a" * 40}), replace(SETTINGS, git_hosts=("git.example.com",)))


class TestNames:
    def test_the_same_build_created_anew_has_another_pod(self) -> None:
        first = build()
        second = first.model_copy(update={"metadata": first.metadata.model_copy(update={"uid": "87654321-0"})})
        assert pod_name(first) == f"{first.metadata.name}-12345678"
        assert pod_name(second) != pod_name(first)
        assert pod_name(first, 2) == f"{pod_name(first)}-2"

    def test_names_and_labels_are_short_enough(self) -> None:
        longest = build(namespace="n" * 63)
        pod = build_pod(longest, SETTINGS, attempt=3)
        assert len(pod["metadata"]["name"]) <= 63, "the host name of its containers"
        labels = pod["metadata"]["labels"]
        assert max(map(len, labels.values())) <= 63
        assert labels[names.BUILD_NAMESPACE_LABEL] == "n" * 63
        assert labels[names.BUILD_LABEL] == longest.metadata.name
        assert labels[names.BUILD_UID_LABEL] == longest.metadata.uid
        assert names.RUN_LABEL not in labels, "it is no pod of a run"
        for secret in secrets().values():
            assert len(secret["metadata"]["name"]) <= 253


class TestPod:
    pod = build_pod(build(), SETTINGS)

    def test_it_is_restricted(self) -> None:
        """https://kubernetes.io/docs/concepts/security/pod-security-standards/. The API server checks it in tests of
        the cluster."""
        spec = self.pod["spec"]
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert (spec["automountServiceAccountToken"], spec["enableServiceLinks"]) == (False, False)
        assert not {"hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace", "serviceAccountName"} & set(spec)
        for container in containers(self.pod).values():
            context = container["securityContext"]
            assert (context["allowPrivilegeEscalation"], context["capabilities"]) == (False, {"drop": ["ALL"]})
            assert not {"privileged", "seccompProfile", "procMount"} & set(context)
        assert {kind for volume in spec["volumes"] for kind in volume if kind != "name"} == {"emptyDir", "secret"}

    def test_only_the_commands_can_write_to_the_root_of_their_container(self) -> None:
        roots = {name: item["securityContext"]["readOnlyRootFilesystem"] for name, item in containers(self.pod).items()}
        assert roots == {"fetch": True, "commands": False, "push": True}

    def test_each_step_has_its_image_and_they_run_in_order(self) -> None:
        assert list(containers(self.pod)) == ["fetch", "commands", "push"]
        assert [item["image"] for item in containers(self.pod).values()] == [
            SETTINGS.builder_image, PARENT, SETTINGS.builder_image,
        ]  # fmt: skip
        assert containers(self.pod)["commands"]["command"] == ["/bin/sh", f"{CONTROL_MOUNT}/script"]
        assert self.pod["spec"]["restartPolicy"] == "Never"
        assert self.pod["spec"]["activeDeadlineSeconds"] == 600
        assert self.pod["spec"]["nodeSelector"]["kubernetes.io/arch"] == "amd64"

    def test_each_volume_and_each_container_has_limits(self) -> None:
        for volume in self.pod["spec"]["volumes"]:
            assert "secret" in volume or volume["emptyDir"]["sizeLimit"]
        for container in containers(self.pod).values():
            resources = container["resources"]
            assert set(resources["limits"]) == {"cpu", "memory", "ephemeral-storage"}
            assert set(resources["requests"]) == set(resources["limits"])

    def test_no_more_is_requested_than_allowed(self) -> None:
        small = replace(SETTINGS, cpu_limit="50m", memory_limit="64Mi", disk_limit="32Mi")
        for name, container in containers(build_pod(build(), small)).items():
            requests = {"cpu": "50m", "memory": "64Mi", "ephemeral-storage": "64Mi"}
            if name != "push":
                requests["ephemeral-storage"] = str(32 * 2**20)
            assert container["resources"]["requests"] == requests

    def test_all_folders_together_fit_into_the_limit_of_the_pod(self) -> None:
        """The kubelet counts all volumes against the largest limit of a container."""
        limit = int(containers(self.pod)["push"]["resources"]["limits"]["ephemeral-storage"])
        assert limit == 5 * 4 * 2**30

    def test_kubernetes_does_not_expand_variables_in_the_settings(self) -> None:
        for name in ("fetch", "push"):
            values = {item["name"]: item["value"] for item in containers(self.pod)[name]["env"]}
            assert values["COMPONENTRUN_BUILD_CA_BUNDLE"] == "-----BEGIN CERTIFICATE-----\n$$(HOSTNAME) $$$$\n"
            assert values["COMPONENTRUN_BUILD_PLAIN_HTTP"] == "registry.example.com,mirror.example.com:5000"


class TestWhatTheCommandsReach:
    pod = build_pod(build(), SETTINGS)

    def test_no_secret(self) -> None:
        found = mounts(self.pod, "commands")
        assert [volume for volume, _ in found.values() if "emptyDir" not in volume] == []
        container = containers(self.pod)["commands"]
        assert "envFrom" not in container
        assert [item for item in container["env"] if item["value"]] == []

    def test_nothing_that_push_reads_besides_the_code(self) -> None:
        writable = {volume["name"] for volume, is_writable in mounts(self.pod, "commands").values() if is_writable}
        assert writable == {"code", "home"}
        read = {volume["name"]: path for path, (volume, _) in mounts(self.pod, "push").items()}
        assert writable & set(read) == {"code"}
        assert mounts(self.pod, "commands")[CONTROL_MOUNT][1] is False

    def test_nothing_that_another_step_has_written_besides_code_and_control(self) -> None:
        """A program in the parent image must not find what fetch left in its /tmp, such as a login."""
        written = {volume["name"] for volume, is_writable in mounts(self.pod, "fetch").values() if is_writable}
        seen = {volume["name"] for volume, _ in mounts(self.pod, "commands").values()}
        assert written & seen == {"code", "control"}

    def test_with_a_convention_the_repository_is_beside_the_folder_of_the_code_and_can_not_be_changed(self) -> None:
        pod = build_pod(build(commands=[]), SETTINGS)
        volume, is_writable = mounts(pod, "commands")[SOURCE_MOUNT]
        assert (volume, is_writable) == (mounts(pod, "fetch")[SOURCE_MOUNT][0], False)
        assert volume["emptyDir"]["sizeLimit"] == SETTINGS.disk_limit
        assert SOURCE_MOUNT not in mounts(pod, "push")
        assert SOURCE_MOUNT not in mounts(self.pod, "fetch")

    def test_each_secret_is_mounted_in_one_container(self) -> None:
        by_secret: dict[str, list[str]] = {}
        for name in containers(self.pod):
            for volume, is_writable in mounts(self.pod, name).values():
                if "secret" in volume:
                    assert not is_writable
                    by_secret.setdefault(volume["secret"]["secretName"].rpartition("-")[2], []).append(name)
        assert by_secret == {"fetch": ["fetch"], "push": ["push"]}


class TestSecrets:
    def test_the_pod_owns_them_and_they_can_not_be_changed(self) -> None:
        for secret in secrets().values():
            metadata = secret["metadata"]
            assert (metadata["namespace"], secret["immutable"]) == ("builds", True)
            assert [(owner["kind"], owner["uid"]) for owner in metadata["ownerReferences"]] == [("Pod", "p1")]
            assert metadata["labels"] == build_pod(build(), SETTINGS)["metadata"]["labels"]

    def test_each_step_has_what_it_needs_and_no_more(self) -> None:
        inputs = build_inputs(build().spec).canonical()
        found = secrets()
        login = {"username": b"ann", "password": b"git-password"}
        assert content(found["fetch"]) == {INPUTS_FILE: inputs, LAYERS_FILE: b"[]", **login}
        assert content(found["push"]) == {INPUTS_FILE: inputs, PUSH_FILE: REGISTRY, PULL_FILE: PULLS}
        assert content(found["pull"]) == {".dockerconfigjson": PULLS}
        assert found["pull"]["type"] == "kubernetes.io/dockerconfigjson"

    def test_without_logins_they_are_there_all_the_same_because_the_pod_waits_for_them(self) -> None:
        found = secrets(git_login=None, registry=None, pulls=None)
        assert set(content(found["fetch"])) == {INPUTS_FILE, LAYERS_FILE}
        assert json.loads(content(found["push"])[PUSH_FILE]) == {"auths": {}}
        assert json.loads(content(found["pull"])[".dockerconfigjson"]) == {"auths": {}}

    def test_the_one_that_the_kubelet_does_not_wait_for_comes_first(self) -> None:
        pod = build_pod(build(), SETTINGS)
        waited_for = {item["secret"]["secretName"] for item in pod["spec"]["volumes"] if "secret" in item}
        pulls = [item["name"] for item in pod["spec"]["imagePullSecrets"]]
        assert pulls[1:] == ["platform"]
        ordered = [item["metadata"]["name"] for item in build_secrets(build(), created(pod), None, None, None)]
        assert ordered[0] == pulls[0]
        assert set(ordered[1:]) == waited_for
