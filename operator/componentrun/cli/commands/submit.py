"""`submit`: create a run from a file or from flags, and follow it where asked."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from componentrun.cli import options
from componentrun.cli.commands.runs import parse_duration
from componentrun.cli.errors import BadRequestError, EnvironmentFault
from componentrun.cli.kubernetes.cluster import RUNS, JsonObject
from componentrun.cli.request import sources
from componentrun.cli.session import Session, parse_run
from componentrun.cli.storage.store import EventRecord
from componentrun.cli.terminal.render import Cell, Format, document
from componentrun.errors import ComponentRunError

__all__ = ["register"]

_EPILOG = """Behind `--`: the command that replaces the entrypoint of `--image`.

Exit code of `--wait` and `--follow`: 0 the run succeeded, 1 its user can mend what failed, 2 anything else,
124 waiting took too long, 130 Ctrl-C (the run goes on)."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("submit", short_help="Create a run, and follow it where asked.", epilog=_EPILOG)(submit)


def submit(
    ctx: typer.Context,
    command: Annotated[
        list[str] | None,
        typer.Argument(metavar="-- COMMAND", show_default=False, help="What to start in `--image`."),
    ] = None,
    file: Annotated[
        str | None,
        typer.Option(
            "--file", "-f", metavar="FILE", help="ComponentRun in YAML or JSON; `-`: from stdin. Flags win over it."
        ),
    ] = None,
    from_run: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="RUN", help="Submit this run (or `@latest`) once more, as a new one. Flags win over it."
        ),
    ] = None,
    component: Annotated[str | None, typer.Option(metavar="NAME", help="Component to run.")] = None,
    image: Annotated[str | None, typer.Option(metavar="IMAGE", help="Image to run instead of a component.")] = None,
    tag: Annotated[str | None, typer.Option(metavar="TAG", help="Tag of the component's image.")] = None,
    action: Annotated[
        str | None, typer.Option(metavar="WORD", help="What the component is asked to do; `run` where not given.")
    ] = None,
    param: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE", help="A parameter; dots in KEY go deeper, VALUE may be JSON. May be repeated."
        ),
    ] = None,
    parameters: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="All parameters from a JSON or YAML file; keys keep their order."),
    ] = None,
    parameters_from: Annotated[
        str | None,
        typer.Option(
            metavar="CONFIGMAP/KEY",
            help="All parameters from a key of a ConfigMap (JSON, or JSON compressed with gzip), for large ones.",
        ),
    ] = None,
    secret: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH=SECRET/KEY",
            help="A parameter from a Secret: `db.#password=db-login/password`. May be repeated.",
        ),
    ] = None,
    configuration: Annotated[
        str | None,
        typer.Option(metavar="ID", help="Configuration that the run belongs to; its state is kept between runs."),
    ] = None,
    input_: Annotated[
        list[str] | None,
        typer.Option(
            "--input",
            metavar="TABLE[:FILE]",
            help="Table to read: `in.c-main.foo:foo.csv`; or an object: `files/foo.csv`. May be repeated.",
        ),
    ] = None,
    output: Annotated[
        list[str] | None,
        typer.Option(
            "--output",
            metavar="FILE:TABLE",
            help="Table to write: `bar.csv:out.c-main.bar[:incremental,write-always]`. May be repeated.",
        ),
    ] = None,
    default_bucket: Annotated[
        str | None, typer.Option(metavar="BUCKET", help="Bucket for files that no `--output` names: `out.c-main`.")
    ] = None,
    storage: options.Storage = None,
    timeout: Annotated[
        str | None, typer.Option(metavar="DURATION", help="How long the component may run: `90s`, `15m`, `1h30m`.")
    ] = None,
    cpu: Annotated[str | None, typer.Option(metavar="QUANTITY", help="CPUs: `2`, `500m`.")] = None,
    memory: Annotated[str | None, typer.Option(metavar="QUANTITY", help="Memory: `512Mi`, `2Gi`.")] = None,
    size: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="`xsmall`, `small`, `medium` or `large`, instead of CPUs and memory."),
    ] = None,
    network: Annotated[
        str | None, typer.Option(metavar="MODE", help="What it may reach: `none`, `no-internet` or `bridge`.")
    ] = None,
    ttl: Annotated[str | None, typer.Option(metavar="DURATION", help="Delete the run this long after its end.")] = None,
    label: Annotated[
        list[str] | None, typer.Option(metavar="KEY=VALUE", help="A label of the run. May be repeated.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name of the run; generated where not given.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Wait until the run is over, and exit as it did.")] = False,
    follow: Annotated[bool, typer.Option("--follow", help="Wait, and show phases and events as they come.")] = False,
    wait_timeout: options.WaitTimeout = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the manifest and let the cluster check it; create nothing.")
    ] = False,
    endpoint: options.Endpoint = None,
    namespace: options.Namespace = None,
    context: options.Context = None,
) -> None:
    """Create a run: from flags, or from a file or another run with flags on top. Prints its name."""
    from componentrun.cli.request.manifest import RunFlags, build, check, parse  # noqa: PLC0415 - loads the models

    limit = parse_duration("--wait-timeout", wait_timeout)
    if file is not None and from_run is not None:
        raise BadRequestError("found both `--file` and `--from`", "leave one of the two out")
    if parameters is not None and parameters_from is not None:
        raise BadRequestError("found both `--parameters` and `--parameters-from`", "leave one of the two out")
    base = parse(*sources.read(file)) if file is not None else None
    space = namespace or (base or {}).get("metadata", {}).get("namespace")
    session = Session.of(ctx, context=context, namespace=space)
    if from_run is not None:
        base = sources.again(session.raw_run(from_run))
    flags = RunFlags(
        component=component, image=image, tag=tag, action=action, configuration=configuration, params=param or (),
        parameters=sources.parameters(parameters), parameters_from=parameters_from, secrets=secret or (),
        inputs=input_ or (), outputs=output or (),
        default_bucket=default_bucket, storage=storage, timeout=timeout, cpu=cpu, memory=memory, size=size,
        network=network, ttl=ttl, labels=label or (), name=name, command=command or (),
    )  # fmt: skip
    manifest = build(flags, base)
    _check_namespace(manifest, namespace)
    check(manifest)
    if dry_run:
        _dry_run(session, manifest)
        return
    created = session.cluster.create(RUNS, manifest)
    _announce(session, created, follow=follow)
    if wait or follow:
        _wait(session, created, follow=follow, storage=manifest["spec"].get("storage"), endpoint=endpoint, limit=limit)


def _announce(session: Session, created: JsonObject, *, follow: bool) -> None:
    """The name: for programs on stdout, but where the component's lines go there."""
    name = created["metadata"]["name"]
    if follow:
        session.output.note(f"ComponentRun `{name}` created in namespace `{session.cluster.namespace}`")
    else:
        session.output.line(name)


def _wait(
    session: Session, created: JsonObject, *, follow: bool, storage: str | None, endpoint: str | None, limit: Any
) -> None:
    from componentrun.cli.follow import Follower, exit_code, follow_or_leave, print_outcome  # noqa: PLC0415 - loads the models

    run = parse_run(created)
    deadline = session.now() + limit if limit is not None else None
    follower = Follower(session, run, events_optional=True, deadline=deadline)
    if follow:
        follower.show = partial(_show, session)
        try:
            follower.feed = session.store(storage, endpoint).events(run.metadata.uid)
        except ComponentRunError as error:
            session.output.note(Cell("warning: ", "yellow"), f"{error.message}; the run is followed without its events")
    ended = follow_or_leave(follower)
    print_outcome(session, ended)
    raise typer.Exit(exit_code(ended))


def _show(session: Session, event: EventRecord) -> None:
    """One event, but for those that say what the phases on stderr say."""
    from componentrun.cli.follow import print_event  # noqa: PLC0415 - loads the models

    if event.source != "operator" or event.type not in {"info", "success"}:
        print_event(session, event)


def _dry_run(session: Session, manifest: JsonObject) -> None:
    try:
        session.cluster.create(RUNS, manifest, dry_run=True)
    except EnvironmentFault as error:
        session.output.note(Cell("warning: ", "yellow"), f"not checked by the cluster: {error.message}")
    session.output.raw(document(manifest, Format.YAML))


def _check_namespace(manifest: JsonObject, namespace: str | None) -> None:
    said = manifest["metadata"].get("namespace")
    if namespace and said and said != namespace:
        raise BadRequestError(
            f"the file says namespace `{said}`, and `--namespace` says `{namespace}`", "leave one of the two out"
        )
