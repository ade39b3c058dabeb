"""`component`: channels of Components and ClusterComponents, their digests, and which one runs use."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from componentrun.cli import options
from componentrun.cli.catalogues.cluster import components_of
from componentrun.cli.errors import EnvironmentFault, NotAllowedError, NotFoundError, UnknownKindError
from componentrun.cli.session import Session
from componentrun.cli.terminal.render import Cell, Format, ListFormat, Row, document
from componentrun.client.kubernetes.cluster import JsonObject
from componentrun.process.kubernetes.resources import CLUSTER_COMPONENTS, COMPONENTS, component_resource

if TYPE_CHECKING:
    from componentrun.api.channels import ChannelDigest
    from componentrun.api.component import Component
    from componentrun.process.kubernetes.resources import Resource

__all__ = ["app"]

app = typer.Typer(help="Manage the channels of Components.", no_args_is_help=True, rich_markup_mode=None)

Name = Annotated[str, typer.Argument(metavar="COMPONENT", help="Name of the Component or ClusterComponent.")]
ClusterWide = Annotated[
    bool, typer.Option("--cluster-wide", help="COMPONENT is a ClusterComponent, not a Component of the namespace.")
]
_SHORT = len("sha256:") + 12


@app.command("list")
@options.with_session()
def list_(session: Session, output: options.ListOutput = None) -> None:
    """List the Components of the namespace and the ClusterComponents, with a line for each channel."""
    found = sorted(components_of(session), key=lambda raw: (str(raw["metadata"]["name"]), str(raw["kind"])))
    if output in {ListFormat.JSON, ListFormat.YAML}:
        session.output.raw(document([_without_managed_fields(raw) for raw in found], Format(output)))
    elif output == ListFormat.NAME:
        for raw in found:
            session.output.line(str(raw["metadata"]["name"]))
    elif not found:
        session.output.note(f"no Components in namespace `{session.cluster.namespace}`, and no ClusterComponents")
    else:
        is_wide = output == ListFormat.WIDE
        rows: list[Row] = [row for raw in found for row in _rows(raw, is_wide=is_wide)]
        session.output.table(("NAME", "CHANNEL", "TAG", "DIGEST", *(("KIND", "IMAGE") if is_wide else ())), rows)


@app.command()
@options.with_session()
def history(
    session: Session,
    component: Name,
    channel: Annotated[str | None, typer.Option("--channel", metavar="NAME", help="Only this channel.")] = None,
    cluster_wide: ClusterWide = False,
    output: options.Output = None,
) -> None:
    """Show the last digests of each channel, newest first. `*` marks the one that runs use now."""
    from componentrun.core.images.promotion import check_channel  # noqa: PLC0415 - the models take a while to load

    parsed = _parsed(_read(session, component, cluster_wide=cluster_wide))
    if channel is not None:
        check_channel(parsed, channel)
    items = [item for item in _history(parsed) if channel in {None, item["channel"]}]
    if output is not None:
        session.output.raw(document(items, output))
    elif items:
        rows: list[Row] = [
            ["*" if item["current"] else "", item["channel"], _origin(item), item["digest"], item["time"] or "-"]
            for item in items
        ]
        session.output.table(("", "CHANNEL", "FROM", "DIGEST", "SINCE"), rows)
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
    cluster_wide: ClusterWide = False,
) -> None:
    """Give one channel the digest that another one points to now.

    It is written into the spec, in place of the channel's tag or range. Runs that start later use it.
    """
    from componentrun.core.images.promotion import present_digest  # noqa: PLC0415 - the models take a while to load

    raw = _read(session, component, cluster_wide=cluster_wide)
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
    cluster_wide: ClusterWide = False,
) -> None:
    """Give a channel the digest that it had before. Defaults to the next older one.

    Runs that start later use it. Runs in progress keep theirs.
    """
    from componentrun.core.images.promotion import older_digest  # noqa: PLC0415 - the models take a while to load

    raw = _read(session, component, cluster_wide=cluster_wide)
    _write(session, raw, channel, older_digest(_parsed(raw), channel, to))


def _read(session: Session, name: str, *, cluster_wide: bool) -> JsonObject:
    """The Component or ClusterComponent of this name.

    Raises:
        NotFoundError: it does not exist. If there is one of the other kind, the advice says so.
    """
    wanted, other = (CLUSTER_COMPONENTS, COMPONENTS) if cluster_wide else (COMPONENTS, CLUSTER_COMPONENTS)
    try:
        return session.cluster.get(wanted, name)
    except NotFoundError as error:
        if not _exists(session, other, name):
            raise
        advice = "Leave out `--cluster-wide`." if cluster_wide else "Pass `--cluster-wide`."
        raise NotFoundError(error.summary, f"There is a {other.kind} of this name. {advice}") from error


def _exists(session: Session, resource: "Resource", name: str) -> bool:
    """Whether the caller can read an object. For advice only: nothing depends on it."""
    try:
        session.cluster.get(resource, name)
    except (NotFoundError, NotAllowedError, UnknownKindError):
        return False
    return True


def _history(component: "Component") -> list[dict[str, Any]]:
    """The digests of each channel, newest first, as programs read them."""
    items: list[dict[str, Any]] = []
    statuses = {status.name: status for status in component.status.channels}
    wanted = {channel.name: channel.digest for channel in component.spec.channels}
    for name in dict.fromkeys((*statuses, *wanted)):
        entries = statuses[name].history if name in statuses else ()
        current = wanted.get(name) or (statuses[name].digest if name in statuses else None)
        if current is not None and current not in [entry.digest for entry in entries]:
            # Promoted, and no run has used it yet.
            items.append(_item(name, None, current, current))
        items += [_item(name, entry, entry.digest, current) for entry in entries]
    return items


def _item(channel: str, entry: "ChannelDigest | None", digest: str, current: str | None) -> dict[str, Any]:
    return {
        "channel": channel,
        "digest": digest,
        "current": digest == current,
        "image": entry.image if entry else None,
        "tag": entry.tag if entry else None,
        "semver": entry.semver if entry else None,
        "time": f"{entry.time:%Y-%m-%dT%H:%M:%SZ}" if entry else None,
    }


def _origin(item: dict[str, Any]) -> str:
    """What a digest was resolved from: a tag, a version with its range, or the spec."""
    if item["tag"] is None:
        return "spec"
    return f"{item['tag']} ({item['semver']})" if item["semver"] else str(item["tag"])


def _write(session: Session, raw: JsonObject, channel: str, digest: str) -> None:
    """Write a digest into the spec, if nobody has changed the Component meanwhile."""
    from componentrun.core.images.promotion import with_digest  # noqa: PLC0415 - the models take a while to load

    name, before = raw["metadata"]["name"], raw["spec"].get("channels") or []
    after = with_digest(before, channel, digest)
    title = f"channel `{channel}` of {raw['kind']} `{name}`"
    if after == before:
        session.output.note(f"{title} has the digest `{digest}` already")
        return
    # The version refuses the write if the list of channels was changed in between.
    version = raw["metadata"]["resourceVersion"]
    patch = {"metadata": {"resourceVersion": version}, "spec": {"channels": after}}
    session.cluster.patch(component_resource(raw["kind"]), name, patch)
    session.output.note(f"{title} now has the digest `{digest}`")


def _rows(raw: JsonObject, *, is_wide: bool) -> list[Row]:
    """A line for each channel, or one without."""
    name, spec = str(raw["metadata"]["name"]), raw.get("spec") or {}
    more = [str(raw["kind"]), str(spec.get("image") or "-")] if is_wide else []
    known = {item["name"]: item for item in (raw.get("status") or {}).get("channels") or ()}
    channels = spec.get("channels") or ()
    if not channels:
        return [[name, "-", str(spec.get("tag") or "-"), "-", *more]]
    rows: list[Row] = []
    for channel in channels:
        status = known.get(channel["name"], {})
        tag = channel.get("tag") or channel.get("semver") or "-"
        digest = channel.get("digest") or status.get("digest") or "-"
        rows.append([name, channel["name"], tag, Cell(str(digest)[:_SHORT]), *more])
    return rows


def _without_managed_fields(raw: JsonObject) -> JsonObject:
    metadata = {key: value for key, value in raw["metadata"].items() if key != "managedFields"}
    return {**raw, "metadata": metadata}


def _parsed(raw: JsonObject) -> "Component":
    from pydantic import ValidationError  # noqa: PLC0415 - the models take a while to load

    from componentrun.api.component import ClusterComponent, Component  # noqa: PLC0415 - likewise

    try:
        return (ClusterComponent if raw["kind"] == ClusterComponent.KIND else Component).model_validate(raw)
    except ValidationError as error:
        raise EnvironmentFault(
            f"{raw['kind']} `{raw['metadata']['name']}` is not understood: {error.errors()[0]['msg']}",
            "Use the release of `componentrun` that the operator has. `componentrun doctor` shows both.",
        ) from error
