"""Docker configurations for a build have the logins for one repository, as programs that read them find out."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from componentrun.core.builds.registrylogins import docker_config, push_config
from componentrun.core.images.pullsecrets import Login, logins_for, read_pull_secret
from componentrun.core.images.reference import parse_repository
from componentrun.errors import Reason, UserError

TARGET = parse_repository("registry.example.com/builds/team/app", "target")


def secret(auths: dict[str, Any], kind: str = "kubernetes.io/dockerconfigjson") -> dict[str, Any]:
    text = json.dumps({"auths": auths}).encode()
    return {"type": kind, "data": {".dockerconfigjson": base64.b64encode(text).decode()}}


def read(config: bytes | None) -> dict[str, Any]:
    assert config is not None
    return dict(json.loads(config)["auths"])


def test_without_logins_there_is_no_configuration() -> None:
    assert docker_config(TARGET, ()) is None


@pytest.mark.parametrize("name", ["registry.example.com:5000/a/b/c/d", "library/python", "registry.example.com/app"])
def test_a_reader_finds_the_logins_in_their_order(name: str) -> None:
    repository = parse_repository(name, "image")
    logins = [Login(f"user-{number}", "p:a", "s") for number in range(2)]
    config = docker_config(repository, logins)
    assert config is not None
    found = read_pull_secret("s", {"type": "kubernetes.io/dockerconfigjson", "data": {
        ".dockerconfigjson": base64.b64encode(config).decode()}})  # fmt: skip
    assert [login.username for login in logins_for(repository, [found])] == ["user-0", "user-1"]


def test_only_the_login_that_fits_the_target_is_pushed_with() -> None:
    given = secret(
        {
            "registry.example.com": {"username": "all", "password": "p"},
            "registry.example.com/builds": {"username": "builds", "password": "q"},
            "other.example.com": {"username": "other", "password": "r"},
        }
    )
    config = push_config(TARGET, "push", "builds", given)
    assert read(config) == {TARGET.name: {"auth": base64.b64encode(b"builds:q").decode()}}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, "Secret `push` does not exist"),
        (secret({"other.example.com": {"username": "u", "password": "p"}}), "has no login for it"),
        (secret({}, "Opaque"), "has type `Opaque`"),
    ],
)
def test_a_secret_that_cannot_push_is_the_platforms_fault(given: dict[str, Any] | None, expected: str) -> None:
    with pytest.raises(UserError) as caught:
        push_config(TARGET, "push", "builds", given)
    assert caught.value.reason is Reason.PUSH_REFUSED
    assert expected in caught.value.summary
    assert "builds.pushSecret" in caught.value.advice
