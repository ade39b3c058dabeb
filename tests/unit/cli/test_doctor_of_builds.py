"""`doctor`: the namespace in which images are built."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.cli.errors import NotAllowedError
from componentrun.process.kubernetes.resources import DEPLOYMENTS
from tests.unit.cli.test_doctor import deployment

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.unit.cli.world import World

NAMESPACE = "componentrun-builds"
ENFORCE = "pod-security.kubernetes.io/enforce"
VARIABLES = {
    "COMPONENTRUN_BUILDS": "true",
    "COMPONENTRUN_BUILDS_NAMESPACE": NAMESPACE,
    "COMPONENTRUN_BUILDS_REPOSITORY": "registry.example.com/builds",
    "COMPONENTRUN_BUILDS_PUSH_SECRET": "push",
    "COMPONENTRUN_AGENT_PULL_SECRETS": "pull",
}
DNS = {"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]}
HTTPS = {"ports": [{"protocol": "TCP", "port": 443}]}


def set_operator(world: World, variables: dict[str, str], name: str = "componentrun-operator") -> None:
    env = [{"name": key, "value": value} for key, value in variables.items()]
    made = deployment("operator")
    made["metadata"]["name"] = name
    made["spec"]["template"] = {"spec": {"containers": [{"name": "operator", "env": env}]}}
    world.cluster.objects[DEPLOYMENTS.plural][name] = made


def put_namespace(world: World, labels: dict[str, str] | None) -> None:
    world.cluster.api.put("namespaces", {"metadata": {"name": NAMESPACE, "labels": labels or {}}})


def put_secret(world: World, name: str, host: str = "registry.example.com", kind: str = "dockerconfigjson") -> None:
    auth = base64.b64encode(b"ci:sesame").decode()
    content = json.dumps({"auths": {host: {"auth": auth}}}).encode()
    secret = {
        "metadata": {"name": name},
        "type": f"kubernetes.io/{kind}",
        "data": {".dockerconfigjson": base64.b64encode(content).decode()},
    }
    world.cluster.api.put("secrets", secret, NAMESPACE)


def put_policy(world: World, *egress: dict[str, Any], pods: dict[str, Any] | None = None) -> None:
    spec = {"podSelector": pods or {}, "policyTypes": ["Ingress", "Egress"], "egress": list(egress)}
    world.cluster.api.put("networkpolicies", {"metadata": {"name": "builds"}, "spec": spec}, NAMESPACE)


@pytest.fixture
def builds(world: World) -> World:
    """All is well."""
    set_operator(world, VARIABLES)
    put_namespace(world, {ENFORCE: "restricted"})
    put_secret(world, "push")
    put_secret(world, "pull")
    put_policy(world, DNS, HTTPS)
    return world


def found(world: World) -> dict[str, tuple[str, str, str]]:
    """State, finding and advice of each check of builds."""
    checks = json.loads(world.run("doctor", "-o", "json").stdout)
    return {
        check["what"]: (check["state"], check["message"], check["advice"])
        for check in checks
        if check["what"].startswith("builds")
    }


def test_all_is_well(builds: World) -> None:
    checks = found(builds)
    assert list(checks) == ["builds", "builds, push secret", "builds, pull secret pull", "builds, network"]
    assert {state for state, *_ in checks.values()} == {"ok"}
    assert NAMESPACE in checks["builds"][1]
    assert "sesame" not in builds.run("doctor").stdout


@pytest.mark.parametrize("variables", [{}, {"COMPONENTRUN_BUILDS": "false"}])
def test_without_builds_nothing_is_checked(builds: World, variables: dict[str, str]) -> None:
    set_operator(builds, variables)
    assert found(builds) == {}


def test_shards_of_the_operator_are_one_place(builds: World) -> None:
    set_operator(builds, VARIABLES, "componentrun-operator-1")
    lines = [line for line in builds.run("doctor").stdout.splitlines() if "builds, network" in line]
    assert len(lines) == 1


def no_namespace(world: World) -> None:
    set_operator(world, VARIABLES | {"COMPONENTRUN_BUILDS_NAMESPACE": "elsewhere"})


def no_label(world: World) -> None:
    put_namespace(world, None)


def privileged(world: World) -> None:
    put_namespace(world, {ENFORCE: "privileged"})


def no_push_secret(world: World) -> None:
    world.cluster.api.remove("secrets", NAMESPACE, "push")


def other_type(world: World) -> None:
    put_secret(world, "push", kind="basic-auth")


def other_host(world: World) -> None:
    put_secret(world, "push", "ghcr.io")


def no_login(world: World) -> None:
    set_operator(world, VARIABLES | {"COMPONENTRUN_BUILDS_PUSH_SECRET": ""})


def no_pull_secret(world: World) -> None:
    world.cluster.api.remove("secrets", NAMESPACE, "pull")


def no_policy(world: World) -> None:
    world.cluster.api.remove("networkpolicies", NAMESPACE, "builds")


def policy_of_some(world: World) -> None:
    put_policy(world, DNS, pods={"matchLabels": {"app": "x"}})


def dns_only(world: World) -> None:
    put_policy(world, DNS)


PROBLEMS: list[tuple[Callable[[World], None], str, str, str, str]] = [
    (no_namespace, "builds", "fail", "there is no namespace `elsewhere`", "`builds.createNamespace`"),
    (no_label, "builds", "warn", "enforces no level", "kubectl label namespace"),
    (privileged, "builds", "warn", "enforces `privileged`", "kubectl label namespace"),
    (no_push_secret, "builds, push secret", "fail", "`push` does not exist", "create secret docker-registry push"),
    (other_type, "builds, push secret", "fail", "has type `kubernetes.io/basic-auth`", "docker-registry push"),
    (other_host, "builds, push secret", "fail", "but for `ghcr.io`", "`--docker-server`"),
    (no_login, "builds, push secret", "ok", "without a login", ""),
    (no_pull_secret, "builds, pull secret pull", "fail", "`pull` does not exist", "copy it"),
    (no_policy, "builds, network", "fail", "no NetworkPolicy", "Upgrade the chart"),
    (policy_of_some, "builds, network", "fail", "no NetworkPolicy", "Upgrade the chart"),
    (dns_only, "builds, network", "warn", "allow DNS only", "`builds.network.egress`"),
]


@pytest.mark.parametrize(
    ("spoil", "what", "state", "message", "advice"), PROBLEMS, ids=lambda value: getattr(value, "__name__", "")
)
def test_what_is_wrong_is_told_with_what_to_do(
    builds: World, spoil: Callable[[World], None], what: str, state: str, message: str, advice: str
) -> None:
    spoil(builds)
    seen = found(builds)[what]
    assert seen[0] == state
    assert message in seen[1]
    assert advice in seen[2]


def test_what_the_caller_may_not_see_is_unknown_not_wrong(builds: World) -> None:
    real = builds.cluster.get

    def refuse(what: Any, name: str, **more: Any) -> Any:
        if what.plural in {"secrets", "namespaces"}:
            raise NotAllowedError(f"you are not allowed to get `{what.plural}`", "ask")
        return real(what, name, **more)

    builds.cluster.get = refuse  # type: ignore[method-assign]  # the fault of this test
    checks = found(builds)
    assert [state for state, *_ in checks.values()] == ["warn", "warn", "warn", "ok"]
    assert checks["builds"][1] == "can't tell: you are not allowed to get `namespaces`"
