"""`doctor`: is everything there that a run needs? Each check is a line: what, what was found, what to do."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial

import typer

from componentrun import __version__
from componentrun.cli import options
from componentrun.cli.errors import EXIT_USER, hint_of
from componentrun.cli.kubernetes.answers import INSTALL
from componentrun.cli.kubernetes.cluster import (
    CRD_NAMES,
    CRDS,
    DAEMON_SETS,
    DEPLOYMENTS,
    RUNS,
    STATEFUL_SETS,
    STORAGES,
    JsonObject,
    Resource,
)
from componentrun.cli.session import Session
from componentrun.cli.storage.store import Check
from componentrun.cli.terminal.render import Cell, document, styled
from componentrun.errors import ComponentRunError

__all__ = ["register"]

PART_LABEL = "app.kubernetes.io/part-of=componentrun"
COMPONENT_LABEL = "app.kubernetes.io/component"
VERSION_LABEL = "app.kubernetes.io/version"
_PARTS = ("operator", "collector")
_OPTIONAL_PARTS = ("loader", "node-logs")
"""There only if Storages have catalogs, and if logs are read from the nodes' files."""
_UPGRADE = "`helm upgrade` the chart's release that has the CRDs (`crds.install`)"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "doctor",
        short_help="Look at everything that a run needs.",
        epilog="Exit code: 0 nothing failed, 1 something did.",
    )(doctor)


def doctor(
    ctx: typer.Context,
    output: options.Output = None,
    endpoint: options.Endpoint = None,
    namespace: options.Namespace = None,
    context: options.Context = None,
) -> None:
    """Look at everything that a run needs: cluster, CRDs, operator, collector, loader, and the namespace's Storages."""
    session = Session.of(ctx, context=context, namespace=namespace)
    checks: list[Check] = []
    for check in examine(session, endpoint):
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
    """One check as a line, with its hint below."""
    session.output.line(
        styled(check.state), " " * (5 - len(check.state)), Cell(check.what, "bold"), f": {check.message}"
    )
    if check.hint and check.state != "ok":
        session.output.line(" " * 5, Cell("hint: ", "cyan"), check.hint)


def examine(session: Session, endpoint: str | None) -> Iterator[Check]:
    """All checks; where the cluster can't be reached, that is the only one."""
    reached = _safely("cluster", lambda: _cluster(session))
    yield from reached
    if reached[-1].state == "fail":
        return
    yield from _safely("CRDs", lambda: _crds(session))
    yield from _workloads(session)
    yield from _storages(session, endpoint)


def _safely(what: str, look: Callable[[], list[Check]]) -> list[Check]:
    """What was found; a refusal is a finding, too."""
    try:
        return look()
    except ComponentRunError as error:
        return [Check(what, "fail", error.message, hint_of(error))]


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
    """Whether each CRD is there and says what this release's models say."""
    from componentrun.api.crd import KINDS, crd  # noqa: PLC0415 - loads the models

    wanted = {f"{kind.plural}.{RUNS.root.split('/')[2]}": crd(kind) for kind in KINDS}
    checks: list[Check] = []
    for name in CRD_NAMES:
        checks += _safely(f"CRD {name}", partial(_look_at_crd, session, name, wanted[name]))
    return checks


def _look_at_crd(session: Session, name: str, wanted: JsonObject) -> list[Check]:
    return [_crd(session.cluster.get(CRDS, name), wanted, name)]


def _crd(found: JsonObject, wanted: JsonObject, name: str) -> Check:
    what = f"CRD {name}"
    conditions = {one["type"]: one["status"] for one in found.get("status", {}).get("conditions", [])}
    if conditions.get("Established") != "True":
        return Check(what, "fail", "the cluster has not accepted it", f"`kubectl describe crd {name}` says why")
    mine = wanted["spec"]["versions"][0]
    theirs = next((one for one in found["spec"]["versions"] if one["name"] == mine["name"]), None)
    if theirs is None:
        versions = ", ".join(one["name"] for one in found["spec"]["versions"])
        return Check(what, "fail", f"it has the versions {versions}; expected `{mine['name']}`", _UPGRADE)
    if theirs["schema"] != mine["schema"]:
        return Check(what, "warn", f"its schema is not that of release {__version__} of this command line", _UPGRADE)
    return Check(what, "ok", f"`{mine['name']}`, as in release {__version__}")


def _workloads(session: Session) -> Iterator[Check]:
    """Operator, collector, loader and log servers, wherever they were installed."""
    found: list[tuple[Resource, JsonObject]] = []
    try:
        for kind in (DEPLOYMENTS, STATEFUL_SETS, DAEMON_SETS):
            found += [(kind, one) for one in session.cluster.list(kind, selector=PART_LABEL, everywhere=True)]
    except ComponentRunError as error:
        for part in _PARTS:
            yield Check(part, "warn", f"can't tell: {error.message}", hint_of(error))
        return
    for part in (*_PARTS, *_OPTIONAL_PARTS):
        mine = [(kind, one) for kind, one in found if one["metadata"].get("labels", {}).get(COMPONENT_LABEL) == part]
        if not mine and part in _PARTS:
            told = "no run will start" if part == "operator" else "no events will be delivered"
            yield Check(
                part,
                "fail",
                f"there is no Deployment labelled `{PART_LABEL},{COMPONENT_LABEL}={part}`: {told}",
                INSTALL,
            )
        for kind, one in mine:
            yield _workload(part, kind, one)


def _workload(part: str, kind: Resource, found: JsonObject) -> Check:
    metadata, status = found["metadata"], found.get("status", {})
    where = f"`{metadata['namespace']}/{metadata['name']}`"
    if kind == DAEMON_SETS:
        ready, wanted = status.get("numberAvailable", 0), status.get("desiredNumberScheduled", 0)
    else:
        ready, wanted = status.get("availableReplicas", 0), found["spec"].get("replicas", 1)
    version = metadata.get("labels", {}).get(VERSION_LABEL, "")
    if ready < wanted or not wanted:
        described = f"describe {kind.kind.lower()} {metadata['name']}"
        hint = f"`kubectl --namespace {metadata['namespace']} {described}` says why"
        return Check(part, "fail" if not ready else "warn", f"{where} has {ready} of {wanted} replicas available", hint)
    if version != __version__:
        return Check(
            part,
            "warn",
            f"{where} is release {version or 'unknown'}; this command line is {__version__}",
            "use the same release of both",
        )
    return Check(part, "ok", f"{where} release {version}, {ready} of {wanted} replicas available")


def _storages(session: Session, endpoint: str | None) -> Iterator[Check]:
    try:
        found = session.cluster.list(STORAGES)
    except ComponentRunError as error:
        yield Check("Storage", "fail", error.message, hint_of(error))
        return
    default = [one["metadata"]["name"] for one in found if one["spec"].get("default")]
    yield _default(default, len(found), session.cluster.namespace)
    for one in found:
        what = f"Storage {one['metadata']['name']}"
        checks = _safely(what, partial(_look_at_storage, session, one, endpoint))
        for check in checks:
            yield Check(what if check.what == what else f"{what}, {check.what}", check.state, check.message, check.hint)


def _look_at_storage(session: Session, storage: JsonObject, endpoint: str | None) -> list[Check]:
    from componentrun.cli.storage.catalogchecks import catalog_checks  # noqa: PLC0415 - loads the models

    store = session.makers.store(session.cluster, storage, endpoint)
    return [*store.check(), *catalog_checks(store, storage)]


def _default(default: list[str], there: int, namespace: str) -> Check:
    if len(default) == 1:
        return Check("Storage", "ok", f"`{default[0]}` is the default of namespace `{namespace}`")
    if not there:
        return Check(
            "Storage",
            "fail",
            f"there is none in namespace `{namespace}`",
            "create one (`kubectl explain storage.spec`), or look elsewhere with `--namespace`",
        )
    if default:
        return Check(
            "Storage", "fail", f"{len(default)} say `default: true`: {', '.join(default)}", "leave it in one of them"
        )
    return Check(
        "Storage", "warn", "none says `default: true`: every run has to name one", "set `default: true` in one of them"
    )
