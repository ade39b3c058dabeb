"""The engine `dockerfile`: its script, its pod, and what of a spec goes with it."""

from __future__ import annotations

import itertools
import shlex
import subprocess
import tomllib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.core.builds.dockerfile import NO_BUILDER, buildkit_configuration, client_script, dockerfile_script
from componentrun.core.builds.failures.commands import command_failure
from componentrun.core.builds.identity import BuildInputs
from componentrun.core.builds.pod import build_inputs, build_pod, build_secrets, check_build, pod_name
from componentrun.core.builds.settings import RemoteBuilder
from componentrun.core.podstatus.view import ContainerView
from componentrun.errors import Reason, UserError
from tests.unit.core.builds.podexamples import PARENT, SETTINGS, build

if TYPE_CHECKING:
    from pathlib import Path

    from componentrun.api.build.componentbuild import ComponentBuild

BASES = {"python:3.12-slim": PARENT}
TOKEN: dict[str, Any] = {"token": {"name": "index", "key": "password"}}
VALUE = {"token": b"pass"}
LAB = replace(
    SETTINGS, dockerfile_image="registry.example.com/buildkit:1", seccomp_profile="componentrun/buildkit.json"
)


def dockerfile_build(**spec: Any) -> ComponentBuild:
    of_layers = {"parent": None, "commands": [], "entrypoint": []}
    return build(**{"engine": "dockerfile", "dockerfile": "Dockerfile", "bases": BASES, **of_layers, **spec})


def command(**spec: Any) -> list[str]:
    """Words of the command that builds, as a shell reads them."""
    inputs = build_inputs(dockerfile_build(**spec).spec)
    script = dockerfile_script(inputs, "/home", "/image", "/control", (("source", "a b"),), ["registry.example.com"])
    subprocess.run(["sh", "-n"], input=script, text=True, check=True)
    return shlex.split(script.rstrip().rpartition("\n")[2])


def options(**spec: Any) -> list[str]:
    """Options of BuildKit's frontend."""
    return [value for option, value in itertools.pairwise(command(**spec)) if option == "--opt"]


class TestScript:
    def test_it_has_what_the_channel_says(self) -> None:
        found = options(dockerfile="docker/Dockerfile", stage="first", arguments={"GREETING": "it's $(HOME); true"})
        assert {
            "filename=docker/Dockerfile",
            "target=first",
            "build-arg:GREETING=it's $(HOME); true",
            f"context:python:3.12-slim=docker-image://{PARENT}",
            "label:source=a b",
            "platform=linux/amd64",
        } <= set(found)

    @pytest.mark.parametrize(
        ("name", "asked_for"),
        [
            ("docker.io/library/python:3.12-slim", "python:3.12-slim"),
            ("index.docker.io/library/python", "python"),
            ("docker.io/team/app:latest", "team/app"),
            ("ghcr.io/astral-sh/uv:latest", "ghcr.io/astral-sh/uv"),
            ("registry.example.com/library/python:latest", "registry.example.com/library/python"),
            ("first", "first"),
        ],
    )
    def test_a_base_is_named_as_buildkit_looks_for_it(self, name: str, asked_for: str) -> None:
        assert f"context:{asked_for}=docker-image://{PARENT}" in options(bases={name: PARENT})

    def test_the_last_stage_is_the_default(self) -> None:
        assert not [option for option in options() if option.startswith("target=")]

    def test_secrets_are_files_that_steps_can_mount(self) -> None:
        assert "--secret=id=token,src=/run/componentrun/secrets/token" in command(secrets=TOKEN)

    def test_no_frontend_is_pulled(self) -> None:
        assert "cmdline=dockerfile.v0" in options()
        assert tomllib.loads(buildkit_configuration([]))["frontend"]["gateway.v0"] == {"enabled": False}

    def test_registries_without_tls(self) -> None:
        found = tomllib.loads(buildkit_configuration(["b.example.com:5000", "a.example.com"]))["registry"]
        assert found == {"a.example.com": {"http": True}, "b.example.com:5000": {"http": True}}


class TestPod:
    def test_only_buildkit_gets_more_than_restricted_allows(self) -> None:
        pod = build_pod(dockerfile_build(), LAB)["spec"]
        fetch, buildkit = pod["initContainers"]
        assert buildkit["image"] == LAB.dockerfile_image
        assert buildkit["securityContext"] == {
            "allowPrivilegeEscalation": True,
            "capabilities": {"drop": ["ALL"], "add": ["SETUID", "SETGID"]},
            "seccompProfile": {"type": "Localhost", "localhostProfile": "componentrun/buildkit.json"},
        }
        for container in (fetch, *pod["containers"]):
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert "hostUsers" not in pod

    def test_without_a_profile(self) -> None:
        pod = build_pod(dockerfile_build(), replace(LAB, seccomp_profile="Unconfined"))["spec"]
        assert pod["initContainers"][1]["securityContext"]["seccompProfile"] == {"type": "Unconfined"}

    def test_buildkit_has_no_login_and_can_write_what_push_does_not_trust_only(self) -> None:
        pod = build_pod(dockerfile_build(), LAB)["spec"]
        secret = {volume["name"] for volume in pod["volumes"] if "secret" in volume}
        mounts = {mount["name"]: mount.get("readOnly", False) for mount in pod["initContainers"][1]["volumeMounts"]}
        assert not secret & mounts.keys()
        assert {name for name, is_read_only in mounts.items() if not is_read_only} == {"home", "image"}
        assert {mount["name"] for mount in pod["containers"][0]["volumeMounts"]} >= {"image", "grant-push"}

    def test_secrets_reach_buildkit_only(self) -> None:
        made = dockerfile_build(secrets=TOKEN)
        pod = build_pod(made, LAB)
        (volume,) = (item for item in pod["spec"]["volumes"] if item["name"] == "secrets")
        assert volume["secret"]["secretName"] == f"{pod_name(made)}-secrets"
        containers = (*pod["spec"]["initContainers"], *pod["spec"]["containers"])
        mounting = [item["name"] for item in containers if "secrets" in {at["name"] for at in item["volumeMounts"]}]
        assert mounting == ["commands"]
        (secret,) = (
            item
            for item in build_secrets(
                made, pod | {"metadata": {**pod["metadata"], "uid": "1"}}, None, None, None, VALUE
            )
            if item["metadata"]["name"] == volume["secret"]["secretName"]
        )
        assert secret["data"] == {"token": "cGFzcw=="}

    def test_layers_are_as_before(self) -> None:
        assert build_pod(build(), LAB) == build_pod(build(), SETTINGS)


class TestRemoteBuilder:
    """A BuildKit that stays, of which the build is a client."""

    REMOTE = replace(LAB, remote_builders=(RemoteBuilder("tenant", "client", "builder.builds.svc:1234"),))

    def test_its_clients_are_restricted(self) -> None:
        pod = build_pod(dockerfile_build(), self.REMOTE)["spec"]
        for container in (*pod["initContainers"], *pod["containers"]):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
            }
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}

    def test_the_client_alone_has_the_certificate(self) -> None:
        made = dockerfile_build(secrets=TOKEN)
        pod = build_pod(made, self.REMOTE)
        containers = (*pod["spec"]["initContainers"], *pod["spec"]["containers"])
        mounting = [item["name"] for item in containers if "builder" in {at["name"] for at in item["volumeMounts"]}]
        assert mounting == ["commands"]
        files = {"ca.crt": b"a", "tls.crt": b"b", "tls.key": b"c"}
        created = pod | {"metadata": {**pod["metadata"], "uid": "1"}}
        secrets = build_secrets(made, created, None, None, None, VALUE, certificate=files)
        found = [item["metadata"]["name"] for item in secrets if "tls.key" in item["data"]]
        assert found == [f"{pod_name(made)}-builder"]
        (volume,) = (item for item in pod["spec"]["volumes"] if item["name"] == "builder")
        assert volume["secret"]["secretName"] == found[0]

    def test_fetch_is_told_where_it_is(self) -> None:
        fetch = build_pod(dockerfile_build(), self.REMOTE)["spec"]["initContainers"][0]
        found = {variable["name"]: variable["value"] for variable in fetch["env"]}
        assert found["COMPONENTRUN_BUILD_BUILDER"] == "builder.builds.svc:1234"

    def test_layers_and_other_namespaces_are_as_before(self) -> None:
        assert build_pod(build(), self.REMOTE) == build_pod(build(), LAB)
        other = {"namespace": "other"}
        assert build_pod(dockerfile_build(**other), self.REMOTE) == build_pod(dockerfile_build(**other), LAB)

    def test_it_builds_the_same_with_another_buildkit(self) -> None:
        inputs = build_inputs(dockerfile_build(secrets=TOKEN).spec)
        script = client_script(inputs, "/home", "/image", "b:1234", (("source", "a b"),))
        words = shlex.split(script.rstrip().rpartition("\n")[2])
        assert words[:5] == [
            "buildctl",
            "--addr=tcp://b:1234",
            "--tlscacert=/run/componentrun/builder/ca.crt",
            "--tlscert=/run/componentrun/builder/tls.crt",
            "--tlskey=/run/componentrun/builder/tls.key",
        ]
        assert words[5:] == command(secrets=TOKEN)[1:]

    def test_one_that_does_not_respond_is_waited_for_and_named(self, tmp_path: Path) -> None:
        """The first request is refused, the second one is answered; then the build is started."""
        code = self.run(tmp_path, '[ -e "$HOME/asked" ] || { touch "$HOME/asked"; exit 1; }')
        assert code == 0
        assert "build --progress=plain" in (tmp_path / "calls").read_text().splitlines()[-1]

    def run(self, folder: Path, answer: str) -> int:
        program = folder / "bin/buildctl"
        program.parent.mkdir()
        program.write_text(f'#!/bin/sh\necho "$@" >> "$HOME/calls"\n{answer}\n')
        program.chmod(0o755)
        script = client_script(build_inputs(dockerfile_build().spec), str(folder), "/image", "b:1234", ())
        environment = {"PATH": f"{program.parent}:/usr/bin:/bin"}
        return subprocess.run(["sh", "-c", script], env=environment, check=False, timeout=30).returncode

    def test_a_deadline_ends_the_wait(self, tmp_path: Path) -> None:
        """A clock that is far ahead when it is asked again."""
        (tmp_path / "bin").mkdir()
        for name, text in {
            "date": 'echo "$(($(wc -l < "$HOME/times") * 100))"; echo >> "$HOME/times"',
            "buildctl": "echo error: refused >&2; exit 1",
        }.items():
            (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
            (tmp_path / "bin" / name).chmod(0o755)
        (tmp_path / "times").write_text("")
        script = client_script(build_inputs(dockerfile_build().spec), str(tmp_path), "/image", "b:1234", ())
        environment = {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"}
        done = subprocess.run(
            ["sh", "-c", script], env=environment, check=False, timeout=30, capture_output=True, text=True
        )
        assert done.returncode == NO_BUILDER
        assert done.stderr.splitlines() == ["error: refused", "BuildKit at b:1234 has not responded for 60 s"]

    @pytest.mark.parametrize(
        ("code", "words"),
        [
            (NO_BUILDER, "error: refused\nBuildKit at b:1234 has not responded for 60 s"),
            (1, "error: failed to receive status: rpc error: code = Unavailable desc = error reading from server: EOF"),
        ],
    )
    def test_a_lost_connection_is_a_matter_of_the_platform(self, code: int, words: str) -> None:
        found = command_failure(ContainerView("commands", exit_code=code), words, is_dockerfile=True)
        assert found.reason is Reason.BUILDER_UNAVAILABLE
        assert words.splitlines()[-1] in found.summary
        assert "builds.dockerfile.builders" in found.advice

    def test_what_a_step_prints_about_its_own_connections_does_not_count(self) -> None:
        words = "error: rpc error: code = Unavailable\nerror: failed to solve: process did not complete: exit code: 1"
        found = command_failure(ContainerView("commands", exit_code=1), words, is_dockerfile=True)
        assert found.reason is Reason.BUILD_FAILED


class TestCheck:
    def test_a_build_of_the_operator_is_accepted(self) -> None:
        inputs = check_build(dockerfile_build(), LAB)
        assert BuildInputs.parse(inputs.canonical()) == inputs

    @pytest.mark.parametrize(
        ("spec", "words"),
        [
            ({"parent": PARENT}, "engine"),
            ({"commands": ["make"]}, "engine"),
            ({"dockerfile": None}, "engine"),
            ({"engine": "layer"}, "engine"),
            ({"engine": "layer", "dockerfile": None, "bases": None, "parent": PARENT, "secrets": TOKEN}, "engine"),
            ({"bases": {"python": "registry.example.com/python:3"}}, r"spec.bases\[python\]"),
            ({"bases": {"python": "registry.example.com/builds/other/app@sha256:" + "1" * 64}}, "other namespaces"),
        ],
    )
    def test_others_are_refused(self, spec: dict[str, Any], words: str) -> None:
        with pytest.raises(UserError, match=words):
            check_build(dockerfile_build(**spec), LAB)

    def test_the_platform_has_to_enable_it(self) -> None:
        with pytest.raises(UserError, match="not enabled"):
            check_build(dockerfile_build(), SETTINGS)

    @pytest.mark.parametrize(
        "spec",
        [{"dockerfile": "Other"}, {"stage": "first"}, {"bases": None}, {"arguments": {"A": "2"}}, {"secrets": TOKEN}],
    )
    def test_each_part_counts_for_the_name(self, spec: dict[str, Any]) -> None:
        assert dockerfile_build(**spec).metadata.name != dockerfile_build().metadata.name

    def test_where_the_value_of_a_secret_is_does_not(self) -> None:
        elsewhere = {"token": {"name": "other", "key": "token"}}
        assert dockerfile_build(secrets=TOKEN).metadata.name == dockerfile_build(secrets=elsewhere).metadata.name
