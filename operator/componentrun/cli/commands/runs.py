"""`get`, `list`, `wait`, `cancel` and `delete`: existing runs."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from componentrun.api.durations import duration_seconds
from componentrun.cli import options
from componentrun.cli.errors import EXIT_FAULT, EXIT_OK, BadRequestError, EnvironmentFault
from componentrun.cli.listing import listing
from componentrun.cli.session import Session
from componentrun.cli.terminal.asking import ask
from componentrun.cli.terminal.render import Cell, Format, ListFormat, document
from componentrun.client.kubernetes.cluster import JsonObject
from componentrun.client.models import parse_run
from componentrun.process.kubernetes.resources import RUNS

if TYPE_CHECKING:
    from componentrun.api.componentrun import ComponentRun

__all__ = ["parse_duration", "register"]

_PHASES = (
    "Queued",
    "Suspended",
    "Building",
    "Pending",
    "StagingIn",
    "Running",
    "StagingOut",
    "Publishing",
    "Succeeded",
    "Failed",
    "Cancelled",
)
_FIRST_PHASE = "Queued"
"""Also the phase of a run without a status."""
_WAIT_EPILOG = """Exit code: 0 the run succeeded, 1 it failed and its user can fix it, 2 it failed otherwise,
124 the wait timed out, 130 Ctrl-C (the run goes on)."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("get", short_help="Show the details of a run.")(get)
    app.command("list", short_help="List runs.")(list_)
    app.command("wait", short_help="Wait for a run to end.", epilog=_WAIT_EPILOG)(wait)
    app.command("cancel", short_help="Cancel a run.")(cancel)
    app.command("delete", short_help="Delete runs. Tables and events are kept.")(delete)


def parse_duration(flag: str, text: str | None) -> timedelta | None:
    """Parse a duration; None if it is not given."""
    if text is None:
        return None
    try:
        return timedelta(seconds=duration_seconds(text))
    except ValueError as error:
        raise BadRequestError(f"`{flag}`: {error}", f"For example: `{flag} 15m`.") from error


def plain(raw: JsonObject) -> JsonObject:
    """The object without `managedFields`."""
    metadata = {key: value for key, value in raw["metadata"].items() if key != "managedFields"}
    return raw | {"metadata": metadata}


@options.with_session()
def get(
    session: Session,
    run: options.Run,
    output: options.Output = None,
) -> None:
    """Show the details of a run: phase, reason, attempts, conditions, input and output tables."""
    raw = session.raw_run(run)
    if output is not None:
        session.output.raw(document(plain(raw), output))
        return
    from componentrun.cli.describe import summary  # noqa: PLC0415 - the models take a while to load

    summary(session, parse_run(raw))


@options.with_session()
def list_(
    session: Session,
    selector: Annotated[
        str,
        typer.Option("--selector", "-l", metavar="LABELS", help="Label selector, such as `team=sales,tier!=test`."),
    ] = "",
    phase: Annotated[
        list[str] | None,
        typer.Option(metavar="PHASE", help="Only runs in this phase, such as `Running`. Can be repeated."),
    ] = None,
    component: Annotated[str | None, typer.Option(metavar="NAME", help="Only runs of this component.")] = None,
    all_namespaces: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="List runs of all namespaces.")
    ] = False,
    output: options.ListOutput = None,
) -> None:
    """List runs, newest first."""
    phases = _phases(phase or [])
    fields = ({"spec.component": component} if component else {}) | (
        # A new run is queued and has no phase yet, so it can't be selected by its phase.
        {"status.phase": phases[0]} if len(phases) == 1 and phases[0] != _FIRST_PHASE else {}
    )
    runs = session.cluster.list(RUNS, selector=selector, fields=fields, everywhere=all_namespaces)
    if phases:
        runs = [raw for raw in runs if raw.get("status", {}).get("phase", _FIRST_PHASE) in phases]
    runs.sort(key=lambda raw: (raw["metadata"]["creationTimestamp"], raw["metadata"]["name"]), reverse=True)
    if output in {ListFormat.JSON, ListFormat.YAML}:
        form = Format(output.value)
        session.output.raw(document({"apiVersion": "v1", "kind": "List", "items": [plain(raw) for raw in runs]}, form))
    elif output is ListFormat.NAME:
        session.output.raw("".join(f"{raw['metadata']['name']}\n" for raw in runs))
    elif runs:
        listing(session, runs, wide=output is ListFormat.WIDE, namespaces=all_namespaces)
    else:
        place = "any namespace" if all_namespaces else f"namespace `{session.cluster.namespace}`"
        session.output.note(f"no{' such' if selector or phases or component else ''} runs in {place}")


def _phases(typed: list[str]) -> list[str]:
    """The phases in the spelling of the API; case is ignored."""
    names = {phase.lower(): phase for phase in _PHASES}
    for word in typed:
        if word.lower() not in names:
            raise BadRequestError(f"`--phase {word}`: there is no such phase", f"The phases are {', '.join(_PHASES)}.")
    return [names[word.lower()] for word in typed]


@options.with_session()
def wait(
    session: Session,
    run: options.Run,
    wait_timeout: options.WaitTimeout = None,
) -> None:
    """Wait for a run to end. The exit code tells how it ended."""
    from componentrun.cli.follow import Follower, exit_code, follow_or_leave, print_outcome  # noqa: PLC0415 - loads the models

    limit = parse_duration("--wait-timeout", wait_timeout)
    follower = Follower(session, session.run(run), deadline=session.now() + limit if limit is not None else None)
    final_run = follow_or_leave(follower)
    print_outcome(session, final_run)
    raise typer.Exit(exit_code(final_run))


@options.with_session()
def cancel(
    session: Session,
    run: options.Run,
    wait_: Annotated[
        bool, typer.Option("--wait", help="Wait for the run to end. Exit code 2 if it was not cancelled.")
    ] = False,
    wait_timeout: options.WaitTimeout = None,
) -> None:
    """Cancel a run. Nothing is published, not even `writeAlways` tables."""
    from componentrun.cli.follow import Follower, follow_or_leave, is_over, print_outcome  # noqa: PLC0415 - loads the models

    limit = parse_duration("--wait-timeout", wait_timeout)
    found = session.run(run)
    name = found.metadata.name
    if is_over(found):
        session.output.note(f"ComponentRun `{name}` is over already: `{found.status.phase}`; nothing to cancel")
        return
    if found.status.phase == "Publishing":
        session.output.note(f"ComponentRun `{name}` is publishing its tables; it may be too late")
    cancelled_run = parse_run(session.cluster.patch(RUNS, name, {"spec": {"cancel": True}}))
    session.output.note(f"ComponentRun `{name}` will be cancelled")
    if not wait_:
        return
    final_run = follow_or_leave(
        Follower(session, cancelled_run, deadline=session.now() + limit if limit is not None else None)
    )
    print_outcome(session, final_run)
    raise typer.Exit(EXIT_OK if final_run.status.phase == "Cancelled" else EXIT_FAULT)


@options.with_session()
def delete(
    session: Session,
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="RUN", help="Names of the runs. `@latest` is the newest run of the namespace."),
    ] = None,
    older: Annotated[
        str | None,
        typer.Option(
            "--older", metavar="DURATION", help="Delete all runs that ended longer ago than this, such as `168h`."
        ),
    ] = None,
    selector: Annotated[
        str, typer.Option("--selector", "-l", metavar="LABELS", help="Label selector. Requires `--older`.")
    ] = "",
    yes: options.Yes = False,
) -> None:
    """Delete runs. Runs that have not ended are cancelled. Tables and events stay in Storage."""
    from componentrun.cli.follow import is_over  # noqa: PLC0415 - loads the models

    if bool(runs) == (older is not None):
        found = "both" if runs else "neither"
        raise BadRequestError(
            f"found {found} of names and `--older`; expected one of them", "For example, `--older 168h` is a week."
        )
    targets = [session.run(name) for name in runs] if runs else _ended_before(session, older, selector)
    busy = [run.metadata.name for run in targets if not is_over(run)]
    if busy:
        names = ", ".join(f"`{name}`" for name in busy)
        ask(f"{names} {'is' if len(busy) == 1 else 'are'} not over yet: deleting cancels", yes=yes)
    for run in targets:
        session.cluster.delete(RUNS, run.metadata.name)
        session.output.note(f"ComponentRun `{run.metadata.name}` deleted")
    if not targets:
        session.output.note(f"no runs of namespace `{session.cluster.namespace}` have been over for that long")


def _ended_before(session: Session, older: str | None, selector: str) -> list["ComponentRun"]:
    """Runs that ended longer ago than this."""
    newest_end = session.now() - (parse_duration("--older", older) or timedelta())
    runs = _readable(session, session.cluster.list(RUNS, selector=selector))
    return [run for run in runs if run.status.completion_time and run.status.completion_time < newest_end]


def _readable(session: Session, items: list[JsonObject]) -> list["ComponentRun"]:
    """The runs that this release can read; others are reported."""
    runs = []
    for raw in items:
        try:
            runs.append(parse_run(raw))
        except EnvironmentFault as error:
            session.output.note(Cell("warning: ", "yellow"), f"{error.summary}; it is left out")
    return runs
