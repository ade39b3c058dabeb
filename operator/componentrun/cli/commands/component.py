"""`component`: channels of Components, their digests, and which one runs use."""

from typing import TYPE_CHECKING, Annotated

import typer

from componentrun.cli import options
from componentrun.cli.errors import EnvironmentFault
from componentrun.cli.kubernetes.cluster import JsonObject
from componentrun.cli.session import Session
from componentrun.cli.terminal.render import Cell, Row
from componentrun.process.kubernetes.resources import COMPONENTS

if TYPE_CHECKING:
    from componentrun.api.component import Component

__all__ = ["app"]

app = typer.Typer(help="Manage the channels of Components.", no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(metavar="COMPONENT", help="Name of the Component.")]
_SHORT = len("sha256:") + 12


@app.command("list")
@options.with_session()
def list_(session: Session) -> None:
    """List the Components of the namespace, with a line for each channel."""
    found = sorted(session.cluster.list(COMPONENTS), key=lambda raw: str(raw["metadata"]["name"]))
    if not found:
        session.output.note(f"no Components in namespace `{session.cluster.namespace}`")
        return
    rows: list[Row] = [row for raw in found for row in _rows(raw)]
    session.output.table(("NAME", "CHANNEL", "TAG", "DIGEST"), rows)


@app.command()
@options.with_session()
def history(
    session: Session,
    component: Name,
    channel: Annotated[str | None, typer.Option("--channel", metavar="NAME", help="Only this channel.")] = None,
) -> None:
    """Show the last digests of each channel, newest first. `*` marks the one that the channel points to."""
    parsed = _parsed(session.cluster.get(COMPONENTS, component))
    rows: list[Row] = [
        [
            "*" if entry.digest == status.digest else "",
            status.name,
            entry.tag or "-",
            entry.digest,
            f"{entry.time:%Y-%m-%dT%H:%M:%SZ}",
        ]
        for status in parsed.status.channels
        if channel in {None, status.name}
        for entry in status.history
    ]
    if rows:
        session.output.table(("", "CHANNEL", "TAG", "DIGEST", "SINCE"), rows)
    else:
        session.output.note(
            f"no run has used {f'channel `{channel}`' if channel else 'a channel'} of `{component}` yet"
        )


@app.command()
@options.with_session()
def promote(
    session: Session,
    component: Name,
    source: Annotated[str, typer.Option("--from", metavar="NAME", help="Channel to take the digest from.")],
    target: Annotated[str, typer.Option("--to", metavar="NAME", help="Channel to write it to; created if missing.")],
) -> None:
    """Give one channel the digest that another one points to now.

    It is written into the spec, in place of the channel's tag or range. Runs that start later use it.
    """
    from componentrun.core.images.promotion import present_digest  # noqa: PLC0415 - the models take a while to load

    raw = session.cluster.get(COMPONENTS, component)
    _write(session, raw, target, present_digest(_parsed(raw), source))


@app.command()
@options.with_session()
def rollback(
    session: Session,
    component: Name,
    channel: Annotated[str, typer.Option("--channel", metavar="NAME", help="Channel to roll back.")] = "release",
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="DIGEST", help="Digest of its history, or the beginning of one."),
    ] = None,
) -> None:
    """Give a channel the digest that it had before. Defaults to the next older one.

    Runs that start later use it. Runs in progress go on with theirs.
    """
    from componentrun.core.images.promotion import older_digest  # noqa: PLC0415 - the models take a while to load

    raw = session.cluster.get(COMPONENTS, component)
    _write(session, raw, channel, older_digest(_parsed(raw), channel, to))


def _write(session: Session, raw: JsonObject, channel: str, digest: str) -> None:
    """Write a digest into the spec, if nobody has changed the Component meanwhile."""
    from componentrun.core.images.promotion import with_digest  # noqa: PLC0415 - the models take a while to load

    name, before = raw["metadata"]["name"], raw["spec"].get("channels") or []
    after = with_digest(before, channel, digest)
    title = f"channel `{channel}` of Component `{name}`"
    if after == before:
        session.output.note(f"{title} has the digest `{digest}` already")
        return
    # The version refuses the write if the list of channels was changed in between.
    version = raw["metadata"]["resourceVersion"]
    session.cluster.patch(COMPONENTS, name, {"metadata": {"resourceVersion": version}, "spec": {"channels": after}})
    session.output.note(f"{title} now has the digest `{digest}`")


def _rows(raw: JsonObject) -> list[Row]:
    """A line for each channel, or one without."""
    name, spec = str(raw["metadata"]["name"]), raw.get("spec") or {}
    known = {item["name"]: item for item in (raw.get("status") or {}).get("channels") or ()}
    channels = spec.get("channels") or ()
    if not channels:
        return [[name, "-", str(spec.get("tag") or "-"), "-"]]
    rows: list[Row] = []
    for channel in channels:
        status = known.get(channel["name"], {})
        tag = channel.get("tag") or channel.get("semver") or "-"
        digest = channel.get("digest") or status.get("digest") or "-"
        rows.append([name, channel["name"], tag, Cell(str(digest)[:_SHORT])])
    return rows


def _parsed(raw: JsonObject) -> "Component":
    from pydantic import ValidationError  # noqa: PLC0415 - the models take a while to load

    from componentrun.api.component import Component  # noqa: PLC0415 - likewise

    try:
        return Component.model_validate(raw)
    except ValidationError as error:
        raise EnvironmentFault(
            f"Component `{raw['metadata']['name']}` is not understood: {error.errors()[0]['msg']}",
            "Use the release of `componentrun` that the operator has. `componentrun doctor` shows both.",
        ) from error
