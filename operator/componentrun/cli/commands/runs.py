"""`get`, `list`, `wait`, `cancel` and `delete`: runs that are there already."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from componentrun.cli import options
from componentrun.cli.errors import EXIT_FAULT, EXIT_OK, BadRequestError, EnvironmentFault
from componentrun.cli.kubernetes.cluster import RUNS, JsonObject
from componentrun.cli.session import Session, parse_run
from componentrun.cli.terminal.asking import ask
from componentrun.cli.terminal.render import Cell, Format, ListFormat, document

if TYPE_CHECKING:
    from componentrun.api.componentrun import ComponentRun

__all__ = ["parse_duration", "register"]

_PHASES = (
    "Queued",
    "Suspended",
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
"""That of a run without a status, too."""
_WAIT_EPILOG = """Exit code: 0 the run succeeded, 1 its user can mend what failed, 2 anything else,
124 waiting took too long, 130 Ctrl-C (the run goes on)."""


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("get", short_help="Show a run.")(get)
    app.command("list", short_help="List runs.")(list_)
    app.command("wait", short_help="Wait until a run is over, and exit as it did.", epilog=_WAIT_EPILOG)(wait)
    app.command("cancel", short_help="Stop a run.")(cancel)
    app.command("delete", short_help="Delete runs; tables and events stay.")(delete)


def parse_duration(flag: str, text: str | None) -> timedelta | None:
    """A duration that was typed; None where none was."""
    from componentrun.api.common import duration_seconds  # noqa: PLC0415 - loads pydantic

    if text is None:
        return None
    try:
        return timedelta(seconds=duration_seconds(text))
    except ValueError as error:
        raise BadRequestError(f"`{flag}`: {error}", f"for example `{flag} 15m`") from error


def plain(raw: JsonObject) -> JsonObject:
    """An object without the bookkeeping that nobody reads."""
    metadata = {key: value for key, value in raw["metadata"].items() if key != "managedFields"}
    return raw | {"metadata": metadata}


def get(
    ctx: typer.Context,
    run: options.Run,
    output: options.Output = None,
    namespace: options.Namespace = None,
    context: options.Context = None,
) -> None:
    """Show a run: where it is, how it got there, which tables it read and wrote."""
    session = Session.of(ctx, context=context, namespace=namespace)
    raw = session.raw_run(run)
    if output is not None:
        session.output.raw(document(plain(raw), output))
        return
    from componentrun.cli.describe import summary  # noqa: PLC0415 - the models take a while to load

    summary(session, parse_run(raw))


def list_(
    ctx: typer.Context,
    selector: Annotated[
        str,
        typer.Option(
            "--selector", "-l", metavar="LABELS", help="Only runs with these labels: `team=sales,tier!=test`."
        ),
    ] = "",
    phase: Annotated[
        list[str] | None,
        typer.Option(metavar="PHASE", help="Only runs in this phase, e.g. `Running`. May be repeated."),
    ] = None,
    component: Annotated[str | None, typer.Option(metavar="NAME", help="Only runs of this component.")] = None,
    all_namespaces: Annotated[bool, typer.Option("--all-namespaces", "-A", help="Of every namespace.")] = False,
    output: options.ListOutput = None,
    namespace: options.Namespace = None,
    context: options.Context = None,
) -> None:
    """List runs, the newest first."""
    session = Session.of(ctx, context=context, namespace=namespace)
    phases = _phases(phase or [])
    fields = ({"spec.component": component} if component else {}) | (
        # A run that nobody has looked at yet is queued, too, and has no phase that could be asked for.
        {"status.phase": phases[0]} if len(phases) == 1 and phases[0] != _FIRST_PHASE else {}
    )
    found = session.cluster.list(RUNS, selector=selector, fields=fields, everywhere=all_namespaces)
    if phases:
        found = [raw for raw in found if raw.get("status", {}).get("phase", _FIRST_PHASE) in phases]
    found.sort(key=lambda raw: (raw["metadata"]["creationTimestamp"], raw["metadata"]["name"]), reverse=True)
    if output in {ListFormat.JSON, ListFormat.YAML}:
        form = Format(output.value)
        session.output.raw(document({"apiVersion": "v1", "kind": "List", "items": [plain(raw) for raw in found]}, form))
    elif output is ListFormat.NAME:
        session.output.raw("".join(f"{raw['metadata']['name']}\n" for raw in found))
    elif found:
        from componentrun.cli.describe import listing  # noqa: PLC0415 - the models take a while to load

        runs = _readable(session, found)
        listing(session, runs, wide=output is ListFormat.WIDE, namespaces=all_namespaces)
    else:
        place = "any namespace" if all_namespaces else f"namespace `{session.cluster.namespace}`"
        session.output.note(f"no{' such' if selector or phases or component else ''} runs in {place}")


def _phases(typed: list[str]) -> list[str]:
    """The phases as the API spells them, however they were typed."""
    known = {phase.lower(): phase for phase in _PHASES}
    for word in typed:
        if word.lower() not in known:
            raise BadRequestError(f"`--phase {word}`: there is no such phase", f"one of {', '.join(_PHASES)}")
    return [known[word.lower()] for word in typed]


def wait(
    ctx: typer.Context,
    run: options.Run,
    wait_timeout: options.WaitTimeout = None,
    namespace: options.Namespace = None,
    context: options.Context = None,
) -> None:
    """Wait until a run is over, and exit as it did."""
    from componentrun.cli.follow import Follower, exit_code, follow_or_leave, print_outcome  # noqa: PLC0415 - loads the models

    limit = parse_duration("--wait-timeout", wait_timeout)
    session = Session.of(ctx, context=context, namespace=namespace)
    follower = Follower(session, session.run(run), deadline=session.now() + limit if limit is not None else None)
    ended = follow_or_leave(follower)
    print_outcome(session, ended)
    raise typer.Exit(exit_code(ended))


def cancel(
    ctx: typer.Context,
    run: options.Run,
    wait_: Annotated[
        bool, typer.Option("--wait", help="Wait until the run is over; exit code 2 if it ended otherwise.")
    ] = False,
    wait_timeout: options.WaitTimeout = None,
    namespace: options.Namespace = None,
    context: options.Context = None,
) -> None:
    """Stop a run. Nothing is published, not even the tables that it writes always."""
    from componentrun.cli.follow import Follower, follow_or_leave, is_over, print_outcome  # noqa: PLC0415 - loads the models

    limit = parse_duration("--wait-timeout", wait_timeout)
    session = Session.of(ctx, context=context, namespace=namespace)
    found = session.run(run)
    name = found.metadata.name
    if is_over(found):
        session.output.note(f"ComponentRun `{name}` is over already: `{found.status.phase}`; nothing to cancel")
        return
    if found.status.phase == "Publishing":
        session.output.note(f"ComponentRun `{name}` is publishing its tables; it may be too late")
    patched = parse_run(session.cluster.patch(RUNS, name, {"spec": {"cancel": True}}))
    session.output.note(f"ComponentRun `{name}` will be cancelled")
    if not wait_:
        return
    ended = follow_or_leave(Follower(session, patched, deadline=session.now() + limit if limit is not None else None))
    print_outcome(session, ended)
    raise typer.Exit(EXIT_OK if ended.status.phase == "Cancelled" else EXIT_FAULT)


def delete(
    ctx: typer.Context,
    runs: Annotated[
        list[str] | None, typer.Argument(metavar="RUN", help="Names of runs; `@latest` is the newest one.")
    ] = None,
    older: Annotated[
        str | None,
        typer.Option("--older", metavar="DURATION", help="All runs that have been over for longer than this: `168h`."),
    ] = None,
    selector: Annotated[
        str, typer.Option("--selector", "-l", metavar="LABELS", help="With `--older`: only runs with these labels.")
    ] = "",
    yes: options.Yes = False,
    namespace: options.Namespace = None,
    context: options.Context = None,
) -> None:
    """Delete runs. One that is not over is cancelled by that. Tables and events stay in Storage."""
    from componentrun.cli.follow import is_over  # noqa: PLC0415 - loads the models

    if bool(runs) == (older is not None):
        found = "both" if runs else "neither"
        raise BadRequestError(f"found {found} of names and `--older`; expected one of them", "`--older 168h` is a week")
    session = Session.of(ctx, context=context, namespace=namespace)
    doomed = [session.run(name) for name in runs] if runs else _ended_before(session, older, selector)
    busy = [run.metadata.name for run in doomed if not is_over(run)]
    if busy:
        names = ", ".join(f"`{name}`" for name in busy)
        ask(f"{names} {'is' if len(busy) == 1 else 'are'} not over yet: deleting cancels", yes=yes)
    for run in doomed:
        session.cluster.delete(RUNS, run.metadata.name)
        session.output.note(f"ComponentRun `{run.metadata.name}` deleted")
    if not doomed:
        session.output.note(f"no runs of namespace `{session.cluster.namespace}` have been over for that long")


def _ended_before(session: Session, older: str | None, selector: str) -> list["ComponentRun"]:
    """Runs that have been over for longer than this."""
    border = session.now() - (parse_duration("--older", older) or timedelta())
    runs = _readable(session, session.cluster.list(RUNS, selector=selector))
    return [run for run in runs if run.status.completion_time and run.status.completion_time < border]


def _readable(session: Session, found: list[JsonObject]) -> list["ComponentRun"]:
    """The runs, but for those that can't be read: one of them is no reason not to show all others."""
    runs = []
    for raw in found:
        try:
            runs.append(parse_run(raw))
        except EnvironmentFault as error:
            session.output.note(Cell("warning: ", "yellow"), f"{error.message}; it is left out")
    return runs
