"""The engine `dockerfile`: its script, its pod, and what of a spec goes with it."""

from __future__ import annotations

import itertools
import shlex
import subprocess
import tomllib
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.core.builds.dockerfile import buildkit_configuration, dockerfile_script
from componentrun.core.builds.identity import BuildInputs
from componentrun.core.builds.pod import build_inputs, build_pod, build_secrets, check_build, pod_name
from componentrun.errors import UserError
from tests.unit.core.builds.podexamples import PARENT, SETTINGS, build

if TYPE_CHECKING:
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
