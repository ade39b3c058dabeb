"""`submit`: creates a run, and waits for it or follows it if asked."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from componentrun.cli import options
from componentrun.cli.commands.runs import parse_duration
from componentrun.cli.errors import BadRequestError, EnvironmentFault
from componentrun.cli.request import sources
from componentrun.cli.session import Session
from componentrun.cli.terminal.render import Cell, Format, document
from componentrun.client.kubernetes.cluster import JsonObject
from componentrun.client.models import parse_run
from componentrun.client.storage.store import EventRecord
from componentrun.errors import ComponentRunError
from componentrun.process.kubernetes.resources import RUNS

__all__ = ["register"]

_EPILOG = """After `--`: the command that replaces the entrypoint of `--image`.

Exit code of `--wait` and `--follow`: 0 the run succeeded, 1 it failed and its user can fix it, 2 it failed otherwise,
124 the wait timed out, 130 Ctrl-C (the run goes on)."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("submit", short_help="Create a run.", epilog=_EPILOG)(submit)


@options.with_session(storage=True)
def submit(
    session: Session,
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="-- COMMAND", show_default=False, help="Command to run in `--image`."),
    ] = None,
    file: Annotated[
        str | None,
        typer.Option(
            "--file",
            "-f",
            metavar="FILE",
            help="File with a ComponentRun in YAML or JSON. `-` reads stdin. Flags override it.",
        ),
    ] = None,
    from_run: Annotated[
        str | None,
        typer.Option("--from", metavar="RUN", help="Copy this run (or `@latest`) to a new run. Flags override it."),
    ] = None,
    component: Annotated[str | None, typer.Option(metavar="NAME", help="Component to run.")] = None,
    image: Annotated[str | None, typer.Option(metavar="IMAGE", help="Image to run instead of a component.")] = None,
    tag: Annotated[str | None, typer.Option(metavar="TAG", help="Tag of the image of the component.")] = None,
    action: Annotated[
        str | None, typer.Option(metavar="WORD", help="Action of the component. Defaults to `run`.")
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE", help="Parameter. Dots in KEY separate levels; VALUE can be JSON. Can be repeated."
        ),
    ] = None,
    parameters: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="JSON or YAML file with all parameters. The order of keys is kept."),
    ] = None,
    parameters_from: Annotated[
        str | None,
        typer.Option(
            metavar="CONFIGMAP/KEY",
            help="Key of a ConfigMap with all parameters (JSON, or JSON compressed with gzip), if they are large.",
        ),
    ] = None,
    secret: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH=SECRET/KEY",
            help="Parameter from a Secret, such as `db.#password=db-login/password`. Can be repeated.",
        ),
    ] = None,
    configuration: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Id of the configuration of the run, whose state is kept between runs."),
    ] = None,
    input_: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="TABLE[:FILE]",
            help="Table to read, such as `in.c-main.foo:foo.csv`, or object, such as `files/foo.csv`. Can be repeated.",
        ),
    ] = None,
    output: Annotated[
        list[str] | None,
        typer.Option(
            "--output",
            metavar="FILE:TABLE",
            help="Table to write: `bar.csv:out.c-main.bar[:incremental,write-always]`. Can be repeated.",
        ),
    ] = None,
    default_bucket: Annotated[
        str | None,
        typer.Option(metavar="BUCKET", help="Bucket for tables without an `--output`, such as `out.c-main`."),
    ] = None,
    timeout: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Maximum run time of the component: `90s`, `15m`, `1h30m`.")
    ] = None,
    cpu: Annotated[
        str | None, typer.Option(metavar="QUANTITY", help="CPU request and limit, such as `2` or `500m`.")
    ] = None,
    memory: Annotated[
        str | None, typer.Option(metavar="QUANTITY", help="Memory request and limit, such as `512Mi` or `2Gi`.")
    ] = None,
    size: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Size (`xsmall`, `small`, `medium` or `large`) instead of CPU and memory."),
    ] = None,
    network: Annotated[
        str | None, typer.Option(metavar="MODE", help="Network access: `none`, `no-internet` or `bridge`.")
    ] = None,
    ttl: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Time after its end at which the run is deleted.")
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="Label of the run. Can be repeated.")
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Name of the run. Generated by default.")] = None,
    wait: Annotated[
        bool, typer.Option("--wait", "-w", help="Wait for the run to end. The exit code tells how it ended.")
    ] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Wait, and stream phases and events.")] = False,
    wait_timeout: options.WaitTimeout = None,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Print the manifest and have the API server validate it, without creating the run."
        ),
    ] = False,
) -> None:
    """Create a run from flags, a file or another run, and print its name."""
    from componentrun.cli.request.manifest import RunFlags, build, parse  # noqa: PLC0415 - loads the models
    from componentrun.client.request.validation import check  # noqa: PLC0415 - likewise

    limit = parse_duration("--wait-timeout", wait_timeout)
    if file is not None and from_run is not None:
        raise BadRequestError("found both `--file` and `--from`", "Remove one of the two.")
    if parameters is not None and parameters_from is not None:
        raise BadRequestError("found both `--parameters` and `--parameters-from`", "Remove one of the two.")
    base = parse(*sources.read(file)) if file is not None else None
    namespace_flag = session.namespace
    session = session.in_namespace(namespace_flag or (base or {}).get("metadata", {}).get("namespace"))
    if from_run is not None:
        base = sources.again(session.raw_run(from_run))
    flags = RunFlags(
        component=component, image=image, tag=tag, action=action, configuration=configuration, params=param or (),
        parameters=sources.parameters(parameters), parameters_from=parameters_from, secrets=secret or (),
        inputs=input_ or (), outputs=output or (),
        default_bucket=default_bucket, storage=session.storage, timeout=timeout, cpu=cpu, memory=memory, size=size,
        network=network, ttl=ttl, labels=label or (), name=name, command=command or (),
    )  # fmt: skip
    manifest = build(flags, base)
    _check_namespace(manifest, namespace_flag)
    check(manifest)
    if dry_run:
        _dry_run(session, manifest)
        return
    run = session.cluster.create(RUNS, manifest)
    _announce(session, run, follow=follow)
    if wait or follow:
        _wait(session, run, follow=follow, storage=manifest["spec"].get("storage"), limit=limit)


def _announce(session: Session, run: JsonObject, *, follow: bool) -> None:
    """Print the name: on stdout for programs, or on stderr if events go to stdout."""
    name = run["metadata"]["name"]
    if follow:
        session.output.note(f"ComponentRun `{name}` created in namespace `{session.cluster.namespace}`")
    else:
        session.output.line(name)


def _wait(session: Session, created: JsonObject, *, follow: bool, storage: str | None, limit: Any) -> None:
    from componentrun.cli.follow import Follower, exit_code, follow_or_leave, print_outcome  # noqa: PLC0415 - loads the models

    run = parse_run(created)
    deadline = session.now() + limit if limit is not None else None
    follower = Follower(session, run, events_optional=True, deadline=deadline)
    if follow:
        follower.show = partial(_show, session)
        try:
            follower.feed = session.store(storage).events(run.metadata.uid)
        except ComponentRunError as error:
            session.output.note(Cell("warning: ", "yellow"), f"{error.summary}; the run is followed without its events")
    final_run = follow_or_leave(follower)
    print_outcome(session, final_run)
    raise typer.Exit(exit_code(final_run))


def _show(session: Session, event: EventRecord) -> None:
    """Print an event, unless it repeats a phase that is printed on stderr."""
    from componentrun.cli.follow import print_event  # noqa: PLC0415 - loads the models

    if event.source != "operator" or event.type not in {"info", "success"}:
        print_event(session, event)


def _dry_run(session: Session, manifest: JsonObject) -> None:
    try:
        session.cluster.create(RUNS, manifest, dry_run=True)
    except EnvironmentFault as error:
        session.output.note(Cell("warning: ", "yellow"), f"not checked by the cluster: {error.summary}")
    session.output.raw(document(manifest, Format.YAML))


def _check_namespace(manifest: JsonObject, namespace: str | None) -> None:
    file_namespace = manifest["metadata"].get("namespace")
    if namespace and file_namespace and file_namespace != namespace:
        raise BadRequestError(
            f"the file says namespace `{file_namespace}`, and `--namespace` says `{namespace}`",
            "Remove one of the two.",
        )
