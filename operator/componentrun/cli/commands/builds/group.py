"""The commands of `build`."""

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from componentrun.api.durations import long_duration_seconds
from componentrun.cli import options
from componentrun.cli.commands.builds.finding import find_build, newest_first
from componentrun.cli.commands.builds.printing import print_build, print_table
from componentrun.cli.commands.runs import parse_duration
from componentrun.cli.errors import BadRequestError
from componentrun.cli.session import Session
from componentrun.cli.terminal.render import Cell, Format, ListFormat, document
from componentrun.client.kubernetes.cluster import JsonObject
from componentrun.client.models import parsed
from componentrun.process.kubernetes.resources import BUILDS

if TYPE_CHECKING:
    from componentrun.api.build.componentbuild import ComponentBuild

__all__ = ["app"]

_START_EPILOG = """Exit code: 0 the image is there, 1 it could not be built and its author can fix it, 2 it could not be
built otherwise, 124 the wait timed out, 130 Ctrl-C (the build goes on)."""

app = typer.Typer(
    help="Start, look at and cancel builds of images from git repositories, and delete old images.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Name = Annotated[str, typer.Argument(metavar="BUILD", help="Name of the build, or the beginning of its name.")]


@app.command("list")
@options.with_session()
def list_(
    session: Session,
    component: Annotated[
        str | None, typer.Option("--component", metavar="NAME", help="Only builds of this Component.")
    ] = None,
    all_namespaces: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="List builds of all namespaces.")
    ] = False,
    output: options.ListOutput = None,
) -> None:
    """List builds, newest first."""
    fields = {"spec.component": component} if component else {}
    builds = newest_first(session.cluster.list(BUILDS, fields=fields, everywhere=all_namespaces))
    if output in {ListFormat.JSON, ListFormat.YAML}:
        items = [_without_managed_fields(raw) for raw in builds]
        session.output.raw(document({"apiVersion": "v1", "kind": "List", "items": items}, Format(output.value)))
    elif output is ListFormat.NAME:
        session.output.raw("".join(f"{raw['metadata']['name']}\n" for raw in builds))
    elif builds:
        print_table(session, builds, wide=output is ListFormat.WIDE, namespaces=all_namespaces)
    else:
        place = "any namespace" if all_namespaces else f"namespace `{session.cluster.namespace}`"
        session.output.note(f"no{' such' if component else ''} builds in {place}")


@app.command()
@options.with_session()
def get(session: Session, build: Name, output: options.Output = None) -> None:
    """Show the details of a build: commit, parent image, steps, how it ended, and the last lines of its commands."""
    raw = find_build(session, build)
    if output is not None:
        session.output.raw(document(_without_managed_fields(raw), output))
        return
    print_build(session, _parsed(raw))


@app.command()
@options.with_session()
def logs(
    session: Session,
    build: Name,
    step: Annotated[
        str | None,
        typer.Option(
            "--step", metavar="NAME", help="Only this step: `fetch`, `commands` or `push`. Defaults to all steps."
        ),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Stream new lines until the build has ended.")] = False,
) -> None:
    """Print the log of a build from its pod, which is deleted after the build.

    It requires permission to read logs in the namespace of builds, which the platform team has. Without the pod or the
    permission, the last lines of commands that failed are printed, if there are any.
    """
    from componentrun.cli.commands.builds.podlogs import print_log  # noqa: PLC0415 - as late as the models

    print_log(session, _parsed(find_build(session, build)), step, follow=follow)


@app.command(epilog=_START_EPILOG)
@options.with_session()
def start(
    session: Session,
    component: Annotated[str, typer.Argument(metavar="COMPONENT", help="Name of the Component.")],
    channel: Annotated[
        str | None,
        typer.Option(
            "--channel", metavar="NAME", help="Channel with `build`. Defaults to the Component's default one."
        ),
    ] = None,
    fresh: Annotated[
        bool,
        typer.Option(
            "--fresh",
            help="Build again although the image is there, and use only images that were built after this.",
        ),
    ] = False,
    wait_timeout: options.WaitTimeout = None,
) -> None:
    """Build the image of a channel without a run, wait for it, and print its name with the digest.

    The operator looks up the branch and the parent image as for a run, and points the channel to the image. It requires
    permission to change the Component.
    """
    from componentrun.cli.commands.builds.starting import start_build  # noqa: PLC0415 - as late as the models

    limit = parse_duration("--wait-timeout", wait_timeout)
    started = start_build(session, component, channel, fresh=fresh)
    answer = started.follow(limit)
    if answer.image is not None:
        session.output.line(answer.image)
        return
    from componentrun.cli.follow import exit_code_of_reason  # noqa: PLC0415 - loads the models

    session.output.note(Cell("error: ", "bold red"), f"{answer.reason}: {answer.message}")
    if started.build:
        session.output.note(Cell("hint: ", "cyan"), f"`componentrun build get {started.build}` shows its steps.")
    raise typer.Exit(exit_code_of_reason(answer.reason))


@app.command()
@options.with_session()
def cancel(session: Session, build: Name) -> None:
    """Cancel a build. Runs that wait for it end with the reason `BuildCancelled`."""
    found = _parsed(find_build(session, build))
    name = found.metadata.name
    if found.status.completion_time:
        session.output.note(f"ComponentBuild `{name}` is over already: `{found.status.phase}`; nothing to cancel")
        return
    session.cluster.patch(BUILDS, name, {"spec": {"cancel": True}})
    session.output.note(f"ComponentBuild `{name}` will be cancelled")


@app.command()
@options.with_session()
def prune(
    session: Session,
    unused_for: Annotated[
        str,
        typer.Option(
            "--unused-for", metavar="DURATION", help="How long ago the last run that used it ended: `30d`, `12h`."
        ),
    ],
    component: Annotated[
        str | None, typer.Option("--component", metavar="NAME", help="Only images of this Component.")
    ] = None,
    all_: Annotated[bool, typer.Option("--all", help="Images of all Components of the namespace.")] = False,
    all_namespaces: Annotated[
        bool, typer.Option("--all-namespaces", "-A", help="With `--all`: of all namespaces.")
    ] = False,
    secret: Annotated[
        str | None,
        typer.Option(
            "--secret",
            metavar="NAMESPACE/NAME",
            help="Secret with the login that may delete. Defaults to the logins of `docker login` and `podman login`.",
        ),
    ] = None,
    plain_http: Annotated[bool, typer.Option("--plain-http", help="Use HTTP without TLS.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only print what would be deleted.")] = False,
    yes: options.Yes = False,
) -> None:
    """Delete images that were built, and that nothing names any more, from the registry.

    An image is kept if a channel or its history, a Component, a build that runs, or a run or build that ended within
    `--unused-for` names it. Runs that were deleted are not known. The operator has no permission to delete images, so
    you need a login that has.
    """
    from componentrun.cli.commands.builds.pruning import Pruning, prune_images  # noqa: PLC0415 - loads clients

    if all_ == (component is not None):
        found = "both `--component` and `--all`" if all_ else "neither `--component` nor `--all`"
        raise BadRequestError(f"found {found}; expected one of them", "Choose what to prune.")
    if all_namespaces and not all_:
        raise BadRequestError("found `--all-namespaces` without `--all`", "Add `--all`.")
    try:
        age = timedelta(seconds=long_duration_seconds(unused_for))
    except ValueError as error:
        raise BadRequestError(f"`--unused-for`: {error}", "For example: `--unused-for 30d`.") from error
    pruning = Pruning(component, all_namespaces, age, unused_for, secret, plain_http)
    prune_images(session, pruning, dry_run=dry_run, yes=yes)


def _parsed(raw: JsonObject) -> "ComponentBuild":
    from componentrun.api.build.componentbuild import ComponentBuild  # noqa: PLC0415 - the models take a while to load

    return parsed(ComponentBuild, raw)


def _without_managed_fields(raw: JsonObject) -> JsonObject:
    metadata = {key: value for key, value in raw["metadata"].items() if key != "managedFields"}
    return raw | {"metadata": metadata}
