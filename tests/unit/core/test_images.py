"""Names of images, and pull secrets."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun.core.images.pullsecretnames import pull_secret_names
from componentrun.core.images.pullsecrets import Login, logins_for, read_pull_secret
from componentrun.core.images.reference import Repository, parse_repository
from componentrun.errors import Reason, UserError
from tests.unit.core.make import make_component, make_run, make_storage


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("ubuntu", "docker.io/library/ubuntu"),
        ("team/app", "docker.io/team/app"),
        ("docker.io/ubuntu", "docker.io/library/ubuntu"),
        ("index.docker.io/team/app", "docker.io/team/app"),
        ("registry.example.com/app", "registry.example.com/app"),
        ("Registry.Example.com/team/app", "registry.example.com/team/app"),
        ("localhost/app", "localhost/app"),
        ("localhost:5000/a/b/c", "localhost:5000/a/b/c"),
        ("[fd00::1]:5000/app", "[fd00::1]:5000/app"),
        ("host.io/vendor.ex-name/a__b", "host.io/vendor.ex-name/a__b"),
    ],
)
def test_names_are_normalised_as_runtimes_do(image: str, name: str) -> None:
    assert parse_repository(image, "spec.image").name == name


@pytest.mark.parametrize(
    ("image", "why"),
    [
        ("host.io/Team/App", "capital letters"),
        ("Ubuntu", "capital letters"),
        ("host.io/app:1", "tag or a digest"),
        (f"host.io/app@sha256:{'a' * 64}", "tag or a digest"),
        ("", "lower case letters"),
        ("host.io/", "lower case letters"),
        ("host.io//app", "lower case letters"),
        ("host.io/../app", "lower case letters"),
        ("-host.io/app", "no host name"),
        ("https://host.io/app", "no host name"),
        ("user@host.io/app", "no host name"),
        ("host.io/" + "a" * 255, "at most 255"),
    ],
)
def test_what_is_no_name_is_refused_with_its_reason(image: str, why: str) -> None:
    with pytest.raises(UserError, match=why) as caught:
        parse_repository(image, "spec.image")
    assert caught.value.reason is Reason.INVALID_SPEC
    assert caught.value.message.startswith("spec.image: ")


@given(st.text(max_size=40))
def test_a_normalised_name_stays_as_it_is(image: str) -> None:
    try:
        name = parse_repository(image, "x").name
    except UserError:
        return
    assert parse_repository(name, "x").name == name


def config(auths: dict[str, Any]) -> dict[str, Any]:
    text = json.dumps({"auths": auths}).encode()
    return {
        "type": "kubernetes.io/dockerconfigjson",
        "data": {".dockerconfigjson": base64.b64encode(text).decode()},
    }


def entry(name: str) -> dict[str, str]:
    return {"username": name, "password": "p"}


@pytest.mark.parametrize(
    ("keys", "image", "expected"),
    [
        (["registry.example.com"], "registry.example.com/team/app", ["registry.example.com"]),
        (["https://registry.example.com/v2/"], "registry.example.com/app", ["https://registry.example.com/v2/"]),
        (["registry.example.com:5000"], "registry.example.com/app", []),
        (["registry.example.com"], "registry.example.com:5000/app", []),
        (["*.example.com"], "registry.example.com/app", ["*.example.com"]),
        (["*.example.com"], "a.registry.example.com/app", []),
        (["h.io/team"], "h.io/team/app", ["h.io/team"]),
        (["h.io/team"], "h.io/other/app", []),
        (["h.io", "h.io/team/app", "h.io/team"], "h.io/team/app", ["h.io/team/app", "h.io/team", "h.io"]),
        (["https://index.docker.io/v1/"], "ubuntu", ["https://index.docker.io/v1/"]),
        (["docker.io"], "team/app", ["docker.io"]),
        (["example.com"], "example.com.evil.io/app", []),
    ],
)
def test_logins_match_as_the_kubelet_matches_them(keys: list[str], image: str, expected: list[str]) -> None:
    secret = read_pull_secret("pull", config({key: entry(key) for key in keys}))
    found = logins_for(parse_repository(image, "spec.image"), [secret])
    assert [login.username for login in found] == expected


def test_all_forms_of_a_login_are_read() -> None:
    auth = base64.b64encode(b"bob:a:b\0").decode()
    both = read_pull_secret("pull", config({"a.io": {"auth": auth}, "b.io": entry("ann")}))
    assert both.logins == {"a.io": Login("bob", "a:b", "pull"), "b.io": Login("ann", "p", "pull")}
    old = {"type": "kubernetes.io/dockercfg", "data": {".dockercfg": base64.b64encode(b'{"a.io": {}}').decode()}}
    assert read_pull_secret("pull", old).problem == "Secret `pull` has entries without a user name and password"


@pytest.mark.parametrize(
    "secret",
    [
        None,
        {"type": "Opaque", "data": {".dockerconfigjson": "e30="}},
        {"type": "kubernetes.io/dockerconfigjson"},
        {"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": "?"}},
        {"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": "e30="}},
        {"type": "kubernetes.io/dockerconfigjson", "data": {".dockerconfigjson": base64.b64encode(b"[]").decode()}},
        config({"a.io": None}),
        config({"http://[": entry("ann")}),
    ],
)
def test_a_secret_that_can_not_be_used_says_why(secret: dict[str, Any] | None) -> None:
    found = read_pull_secret("pull", secret)
    assert not found.logins
    assert "`pull`" in found.problem


@pytest.mark.parametrize(
    ("content", "fields", "users"),
    [
        ({"credsStore": "desktop"}, "(`credsStore`)", []),
        ({"credsStore": "desktop", "auths": {"h.io": {}}}, "(`credsStore`)", []),
        ({"credHelpers": {"gcr.io": "gcloud"}, "credsStore": "ecr-login"}, "(`credsStore` and `credHelpers`)", []),
        ({"credHelpers": {"gcr.io": "gcloud"}, "auths": {"h.io": entry("ann")}}, "(`credHelpers`)", ["ann"]),
    ],
)
def test_credential_helpers_can_not_be_used(content: dict[str, Any], fields: str, users: list[str]) -> None:
    data = {".dockerconfigjson": base64.b64encode(json.dumps(content).encode()).decode()}
    found = read_pull_secret("pull", {"type": "kubernetes.io/dockerconfigjson", "data": data})
    assert found.problem.startswith(
        "Secret `pull` leaves its logins to programs of the machine that wrote it " + fields
    )
    assert "`kubectl create secret docker-registry`" in found.problem
    assert [login.username for login in found.logins.values()] == users


def test_a_password_is_in_no_text() -> None:
    assert "p4ss" not in repr(Login("ann", "p4ss", "pull"))


def test_the_same_login_of_two_secrets_is_tried_once() -> None:
    secrets = [read_pull_secret(name, config({"h.io": entry("ann")})) for name in ("one", "two")]
    assert logins_for(Repository("h.io", "app"), secrets) == (Login("ann", "p", "one"),)


def refs(*names: str) -> list[dict[str, str]]:
    return [{"name": name} for name in names]


@pytest.mark.parametrize(
    ("run", "components", "storage", "agents", "expected"),
    [
        ((), [], (), (), ()),
        (("own",), [("shared",)], ("default",), ("agents",), ("own", "shared", "default", "agents")),
        (("b", "a"), [("a", "c")], ("c", "b", "d"), ("d", "e"), ("b", "a", "c", "d", "e")),
        ((), [("shared",), ("of-a-processor",)], (), (), ("shared", "of-a-processor")),
        ((), [None], ("default",), (), ("default",)),
        (None, [], (), ("agents",), ("agents",)),
    ],
)
def test_pull_secrets_are_merged_with_those_closest_to_the_run_first(
    run: tuple[str, ...] | None,
    components: list[tuple[str, ...] | None],
    storage: tuple[str, ...],
    agents: tuple[str, ...],
    expected: tuple[str, ...],
) -> None:
    found = pull_secret_names(
        make_run(podTemplate={"imagePullSecrets": refs(*run)}) if run is not None else make_run(),
        [make_component(imagePullSecrets=refs(*names)) if names else make_component() for names in components],
        make_storage(imagePullSecrets=refs(*storage)),
        agents,
    )
    assert found == expected
