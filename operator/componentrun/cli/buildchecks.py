"""Checks of `doctor` of builds: what the chart can't create, and what it creates, in the namespace of builds.

Which namespace that is, and whether images are built at all, is in the environment of the operator's Deployment.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from componentrun.cli.errors import NotAllowedError, NotFoundError, advice_of
from componentrun.client.storage.store import Check
from componentrun.errors import ComponentRunError
from componentrun.process.kubernetes.resources import NAMESPACES, NETWORK_POLICIES, SECRETS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from componentrun.cli.session import Session
    from componentrun.client.kubernetes.cluster import JsonObject

__all__ = ["ChartBuilds", "build_checks", "chart_builds"]

_ENFORCE: Final = "pod-security.kubernetes.io/enforce"
_RESTRICTED: Final = "restricted"
_UNCONFINED: Final = "Unconfined"
"""As `core.builds.settings.UNCONFINED`."""
_DNS_PORT: Final = 53


@dataclass(frozen=True, slots=True)
class ChartBuilds:
    """What the chart has set for builds."""

    namespace: str
    repository: str
    push_secret: str
    """Empty: images are pushed without a login."""
    pull_secrets: tuple[str, ...]
    """Secrets for pulling the image of the steps before and after the commands."""
    level: str = _RESTRICTED
    """Pod Security Standard that the pods of builds need."""


def chart_builds(operator: JsonObject) -> ChartBuilds | None:
    """The settings of builds of an operator's Deployment; None if it does not build images."""
    containers = operator["spec"].get("template", {}).get("spec", {}).get("containers", ())
    variables = {
        variable["name"].removeprefix("COMPONENTRUN_"): str(variable.get("value") or "")
        for container in containers
        for variable in container.get("env", ())
    }
    if variables.get("BUILDS", "").lower() != "true":
        return None
    return ChartBuilds(
        variables.get("BUILDS_NAMESPACE", ""),
        variables.get("BUILDS_REPOSITORY", ""),
        variables.get("BUILDS_PUSH_SECRET", ""),
        tuple(filter(None, variables.get("AGENT_PULL_SECRETS", "").split(","))),
        _level(variables),
    )


def _level(variables: dict[str, str]) -> str:
    if not variables.get("BUILDS_DOCKERFILE_IMAGE"):
        return _RESTRICTED
    is_unconfined = variables.get("BUILDS_DOCKERFILE_SECCOMP", _UNCONFINED) in {"", _UNCONFINED}
    return "privileged" if is_unconfined else "baseline"


def build_checks(session: Session, builds: ChartBuilds) -> Iterator[Check]:
    """Check the namespace of builds, as far as the caller may look at it."""
    namespace = _look("builds", partial(_namespace, session, builds))
    yield namespace
    if namespace.state == "fail":
        return
    yield _look("builds, push secret", partial(_push_secret, session, builds))
    for name in builds.pull_secrets:
        yield _look(f"builds, pull secret {name}", partial(_pull_secret, session, builds, name))
    yield _look("builds, network", partial(_network, session, builds))


def _look(subject: str, look: Callable[[], Check]) -> Check:
    """Run a check. What the caller may not see is unknown, not wrong."""
    try:
        return look()
    except NotAllowedError as error:
        return Check(subject, "warn", f"can't tell: {error.summary}", advice_of(error))
    except ComponentRunError as error:
        return Check(subject, "fail", error.summary, advice_of(error))


def _namespace(session: Session, builds: ChartBuilds) -> Check:
    name = builds.namespace
    try:
        found = session.cluster.get(NAMESPACES, name)
    except NotFoundError:
        advice = "Create it, or set `builds.createNamespace` of the chart."
        return Check("builds", "fail", f"there is no namespace `{name}`, in which images are built", advice)
    level = (found["metadata"].get("labels") or {}).get(_ENFORCE)
    where = f"images are built in namespace `{name}` and pushed to `{builds.repository}`"
    if level != builds.level:
        advice = f"`kubectl label namespace {name} {_ENFORCE}={builds.level} --overwrite`: what pods of builds need."
        allowed = f"`{level}`" if level else "no level"
        return Check("builds", "warn", f"{where}, which enforces {allowed} of pod security", advice)
    return Check("builds", "ok", f"{where}; it enforces `{builds.level}` pods")


def _push_secret(session: Session, builds: ChartBuilds) -> Check:
    from componentrun.core.images.pullsecrets import logins_for, read_pull_secret  # noqa: PLC0415 - rarely needed
    from componentrun.core.images.reference import parse_repository  # noqa: PLC0415 - likewise

    subject, name = "builds, push secret", builds.push_secret
    if not name:
        return Check(subject, "ok", "none is set: images are pushed without a login")
    advice = (
        f"`kubectl --namespace {builds.namespace} create secret docker-registry {name}` creates it, with the options "
        "`--docker-server`, `--docker-username` and `--docker-password`."
    )
    secret = read_pull_secret(name, _secret(session, builds.namespace, name))
    if secret.problem:
        return Check(subject, "fail", f"{secret.problem}, in namespace `{builds.namespace}`", advice)
    if not logins_for(parse_repository(builds.repository, "builds.repository"), [secret]):
        found = ", ".join(f"`{key}`" for key in sorted(secret.logins)) or "nothing"
        problem = f"Secret `{name}` has no login for `{builds.repository}`, but for {found}"
        return Check(subject, "fail", problem, advice)
    return Check(subject, "ok", f"Secret `{name}` has a login for `{builds.repository}`")


def _pull_secret(session: Session, builds: ChartBuilds, name: str) -> Check:
    from componentrun.core.images.pullsecrets import read_pull_secret  # noqa: PLC0415 - rarely needed

    subject = f"builds, pull secret {name}"
    secret = read_pull_secret(name, _secret(session, builds.namespace, name))
    if secret.problem:
        advice = "The nodes need it for the image of ComponentRun: copy it from another namespace."
        return Check(subject, "fail", f"{secret.problem}, in namespace `{builds.namespace}`", advice)
    return Check(subject, "ok", f"it is in namespace `{builds.namespace}`")


def _secret(session: Session, namespace: str, name: str) -> JsonObject | None:
    try:
        return session.cluster.get(SECRETS, name, namespace=namespace)
    except NotFoundError:
        return None


def _network(session: Session, builds: ChartBuilds) -> Check:
    """Whether a policy applies to all pods. Whether the cluster enforces it, nobody can tell from outside."""
    subject = "builds, network"
    policies = session.cluster.list(NETWORK_POLICIES, namespace=builds.namespace)
    of_all = [policy["spec"] for policy in policies if not _selects(policy["spec"])]
    closed = [spec for spec in of_all if {"Ingress", "Egress"} <= set(spec.get("policyTypes", ()))]
    if not closed:
        problem = f"no NetworkPolicy of namespace `{builds.namespace}` restricts all pods"
        advice = "Upgrade the chart, which installs one: otherwise, the commands of builds reach everything."
        return Check(subject, "fail", problem, advice)
    if all(_is_dns(rule) for spec in of_all for rule in spec.get("egress", ())):
        advice = "Set `builds.network.egress` of the chart: git hosts, registries and package indexes."
        return Check(subject, "warn", "network policies allow DNS only, so builds reach no git host", advice)
    return Check(subject, "ok", f"a NetworkPolicy of namespace `{builds.namespace}` restricts all pods")


def _selects(spec: dict[str, Any]) -> bool:
    """Whether a policy is only about some pods."""
    return any((spec.get("podSelector") or {}).values())


def _is_dns(rule: dict[str, Any]) -> bool:
    ports = {port.get("port") for port in rule.get("ports") or ()}
    return ports == {_DNS_PORT}
