"""`doctor`: checks everything that a run needs. A line for each check: subject, finding, advice."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial

import typer

from componentrun import __version__
from componentrun.cli import options
from componentrun.cli.buildchecks import build_checks, chart_builds
from componentrun.cli.errors import EXIT_USER, advice_of
from componentrun.cli.session import Session
from componentrun.cli.terminal.render import Cell, document, styled
from componentrun.client.kubernetes.answers import INSTALL
from componentrun.client.kubernetes.cluster import JsonObject
from componentrun.client.storage.store import Check
from componentrun.errors import ComponentRunError
from componentrun.process.kubernetes.resources import (
    BUILDS,
    CLUSTER_COMPONENTS,
    COMPONENTS,
    CRDS,
    DAEMON_SETS,
    DEPLOYMENTS,
    RUNS,
    STATEFUL_SETS,
    STORAGES,
    Resource,
)

__all__ = ["register"]

PART_LABEL = "app.kubernetes.io/part-of=componentrun"
COMPONENT_LABEL = "app.kubernetes.io/component"
VERSION_LABEL = "app.kubernetes.io/version"
_PARTS = ("operator", "collector")
_OPTIONAL_PARTS = ("loader", "node-logs")
"""Installed only if Storages have catalogs, or if logs are read from the nodes."""
_UPGRADE = "`helm upgrade` the release of the chart that has the CRDs (`crds.install`)."


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "doctor",
        short_help="Check everything that a run needs.",
        epilog="Exit code: 0 if no check failed, 1 otherwise.",
    )(doctor)


@options.with_session(endpoint=True)
def doctor(
    session: Session,
    output: options.Output = None,
) -> None:
    """Check all that a run needs: cluster, CRDs, operator, collector, loader, builds, Storages of the namespace."""
    checks: list[Check] = []
    for check in examine(session):
        checks.append(check)
        if output is None:
            show(session, check)
    failed = [check for check in checks if check.state == "fail"]
    if output is not None:
        session.output.raw(document([asdict(check) for check in checks], output))
    else:
        session.output.note(
            f"{len(checks)} checks, {len(failed)} failed" if failed else f"{len(checks)} checks, none failed"
        )
    raise typer.Exit(EXIT_USER if failed else 0)


def show(session: Session, check: Check) -> None:
    """Print a check as a line, with its advice below."""
    session.output.line(
        styled(check.state), " " * (5 - len(check.state)), Cell(check.what, "bold"), f": {check.message}"
    )
    if check.advice and check.state != "ok":
        session.output.line(" " * 5, Cell("hint: ", "cyan"), check.advice)


def examine(session: Session) -> Iterator[Check]:
    """Run all checks; only the first one if the cluster can't be reached."""
    cluster_checks = _safely("cluster", lambda: _cluster(session))
    yield from cluster_checks
    if cluster_checks[-1].state == "fail":
        return
    yield from _safely("CRDs", lambda: _crds(session))
    yield from _workloads(session)
    yield from _storages(session)


def _safely(subject: str, look: Callable[[], list[Check]]) -> list[Check]:
    """Run checks; an error becomes a failed check."""
    try:
        return look()
    except ComponentRunError as error:
        return [Check(subject, "fail", error.summary, advice_of(error))]


def _cluster(session: Session) -> list[Check]:
    version = session.cluster.version()
    return [
        Check(
            "cluster",
            "ok",
            f"Kubernetes {version} at {session.cluster.server}, namespace `{session.cluster.namespace}`",
        )
    ]


def _crds(session: Session) -> list[Check]:
    """Whether each CRD is installed and matches the models of this release."""
    from componentrun.api.crd import KINDS, crd  # noqa: PLC0415 - loads the models

    expected = {f"{kind.plural}.{RUNS.group}": crd(kind) for kind in KINDS}
    checks: list[Check] = []
    for resource in (RUNS, COMPONENTS, CLUSTER_COMPONENTS, BUILDS, STORAGES):
        name = resource.rule
        checks += _safely(f"CRD {name}", partial(_look_at_crd, session, name, expected[name]))
    return checks


def _look_at_crd(session: Session, name: str, expected: JsonObject) -> list[Check]:
    return [_crd(session.cluster.get(CRDS, name), expected, name)]


def _crd(actual: JsonObject, expected: JsonObject, name: str) -> Check:
    subject = f"CRD {name}"
    conditions = {entry["type"]: entry["status"] for entry in actual.get("status", {}).get("conditions", [])}
    if conditions.get("Established") != "True":
        return Check(subject, "fail", "the cluster has not accepted it", f"`kubectl describe crd {name}` says why.")
    expected_version = expected["spec"]["versions"][0]
    version = next((entry for entry in actual["spec"]["versions"] if entry["name"] == expected_version["name"]), None)
    if version is None:
        versions = ", ".join(entry["name"] for entry in actual["spec"]["versions"])
        return Check(
            subject, "fail", f"it has the versions {versions}; expected `{expected_version['name']}`", _UPGRADE
        )
    if version["schema"] != expected_version["schema"]:
        return Check(subject, "warn", f"its schema is not that of release {__version__} of this command line", _UPGRADE)
    return Check(subject, "ok", f"`{expected_version['name']}`, as in release {__version__}")


def _workloads(session: Session) -> Iterator[Check]:
    """Operator, collector, loader and log servers, in any namespace."""
    workloads: list[tuple[Resource, JsonObject]] = []
    try:
        for kind in (DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS):
            workloads += [
                (kind, workload) for workload in session.cluster.list(kind, selector=PART_LABEL, everywhere=True)
            ]
    except ComponentRunError as error:
        for part in _PARTS:
            yield Check(part, "warn", f"can't tell: {error.summary}", advice_of(error))
        return
    for part in (*_PARTS, *_OPTIONAL_PARTS):
        own_workloads = [
            (kind, workload)
            for kind, workload in workloads
            if workload["metadata"].get("labels", {}).get(COMPONENT_LABEL) == part
        ]
        if not own_workloads and part in _PARTS:
            consequence = "no run will start" if part == "operator" else "no events will be delivered"
            yield Check(
                part,
                "fail",
                f"there is no Deployment labelled `{PART_LABEL},{COMPONENT_LABEL}={part}`: {consequence}",
                INSTALL,
            )
        for kind, workload in own_workloads:
            yield _workload(part, kind, workload)
    yield from _builds(session, [workload for _, workload in workloads])


def _builds(session: Session, workloads: list[JsonObject]) -> Iterator[Check]:
    """Where operators build images, if they do. Shards of an operator build in the same place."""
    operators = [item for item in workloads if item["metadata"]["labels"].get(COMPONENT_LABEL) == "operator"]
    for builds in dict.fromkeys(chart_builds(item) for item in operators):
        if builds is not None:
            yield from build_checks(session, builds)


def _workload(part: str, kind: Resource, workload: JsonObject) -> Check:
    metadata, status = workload["metadata"], workload.get("status", {})
    where = f"`{metadata['namespace']}/{metadata['name']}`"
    if kind == DAEMON_SETS:
        ready, desired = status.get("numberAvailable", 0), status.get("desiredNumberScheduled", 0)
    else:
        ready, desired = status.get("availableReplicas", 0), workload["spec"].get("replicas", 1)
    version = metadata.get("labels", {}).get(VERSION_LABEL, "")
    if ready < desired or not desired:
        command = f"describe {kind.kind.lower()} {metadata['name']}"
        advice = f"`kubectl --namespace {metadata['namespace']} {command}` says why."
        return Check(
            part, "fail" if not ready else "warn", f"{where} has {ready} of {desired} replicas available", advice
        )
    if version != __version__:
        return Check(
            part,
            "warn",
            f"{where} is release {version or 'unknown'}; this command line is {__version__}",
            "Use the same release of both.",
        )
    return Check(part, "ok", f"{where} release {version}, {ready} of {desired} replicas available")


def _storages(session: Session) -> Iterator[Check]:
    try:
        storages = session.cluster.list(STORAGES)
    except ComponentRunError as error:
        yield Check("Storage", "fail", error.summary, advice_of(error))
        return
    default = [storage["metadata"]["name"] for storage in storages if storage["spec"].get("default")]
    yield _default(default, len(storages), session.cluster.namespace)
    for storage in storages:
        subject = f"Storage {storage['metadata']['name']}"
        checks = _safely(subject, partial(_look_at_storage, session, storage))
        for check in checks:
            yield Check(
                subject if check.what == subject else f"{subject}, {check.what}",
                check.state,
                check.message,
                check.advice,
            )


def _look_at_storage(session: Session, storage: JsonObject) -> list[Check]:
    from componentrun.cli.storage.catalogchecks import catalog_checks  # noqa: PLC0415 - loads the models

    store = session.open_store(storage)
    return [*store.check(), *catalog_checks(store, storage)]


def _default(default: list[str], number: int, namespace: str) -> Check:
    if len(default) == 1:
        return Check("Storage", "ok", f"`{default[0]}` is the default of namespace `{namespace}`")
    if not number:
        return Check(
            "Storage",
            "fail",
            f"there is none in namespace `{namespace}`",
            "Create one (`kubectl explain storage.spec`), or pass another `--namespace`.",
        )
    if default:
        return Check(
            "Storage",
            "fail",
            f"{len(default)} say `default: true`: {', '.join(default)}",
            "Remove it from all but one.",
        )
    return Check(
        "Storage", "warn", "none says `default: true`: every run has to name one", "Set `default: true` in one of them."
    )
