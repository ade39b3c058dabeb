"""`file`: files of Storage from and to this machine, without a run."""

import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Annotated

import typer

from componentrun.cli import options
from componentrun.cli.errors import BadRequestError
from componentrun.cli.request.sources import local_file
from componentrun.cli.session import Session
from componentrun.cli.storage.filestore import FileInfo, FileStore
from componentrun.cli.terminal.asking import ask
from componentrun.cli.terminal.progress import bar
from componentrun.cli.terminal.render import Cell, Row, document
from componentrun.cli.terminal.saving import save
from componentrun.cli.terminal.words import age, count, moment, size
from componentrun.contract import DEFAULT_FILE_LIMIT

__all__ = ["app"]

app = typer.Typer(
    help="Files of Storage: put, get, list, look at, tag, delete.", no_args_is_help=True, rich_markup_mode=None
)

File = Annotated[
    str, typer.Argument(metavar="FILE", help="Id of the file, or its name; of several with that name the newest.")
]
Tag = Annotated[
    list[str] | None, typer.Option("--tag", "-t", metavar="TAG", help="Only files with this tag. May be repeated.")
]


def _open(
    ctx: typer.Context, namespace: str | None, context: str | None, storage: str | None, endpoint: str | None
) -> tuple[Session, FileStore]:
    session = Session.of(ctx, context=context, namespace=namespace)
    return session, session.store(storage, endpoint).files


@app.command()
def put(
    ctx: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="File of this machine; `-`: stdin.")],
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name in Storage; the file's own where not given.")
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", "-t", metavar="TAG", help="Tag that it gets. May be repeated.")
    ] = None,
    permanent: Annotated[
        bool, typer.Option("--permanent", help="Keep it until somebody deletes it, instead of 15 days.")
    ] = False,
    storage: options.Storage = None,
    endpoint: options.Endpoint = None,
    namespace: options.Namespace = None,
    context: options.Context = None,
) -> None:
    """Store a file. Its id is printed on stdout; a file of the same name stays what it is."""
    if str(path) == "-" and name is None:
        raise BadRequestError("what comes from stdin has no name", "`--name NAME` gives it one")
    with local_file(path, "a file") as local:
        session, files = _open(ctx, namespace, context, storage, endpoint)
        with bar(session.output, f"put {local.name}", local.stat().st_size) as progress:
            file = files.put(local, name=name, tags=tag or (), permanent=permanent, progress=progress)
    session.output.raw(f"{file.id}\n")
    session.output.note(f"`{file.name}` is stored ({size(file.bytes)}){_kept(file, session.now())}")


def _kept(file: FileInfo, now: datetime) -> str:
    """For how long, as the end of a sentence."""
    if file.expires is None:
        return ", until somebody deletes it"
    return f", until {file.expires.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if file.expires > now else ", expired"


@app.command()
def get(
    ctx: typer.Context,
    file: File,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="PATH", help="Where to; `-` or nothing: stdout.")
    ] = None,
    storage: options.Storage = None,
    endpoint: options.Endpoint = None,
    namespace: options.Namespace = None,
    context: options.Context = None,
) -> None:
    """Write the content of a file."""
    session, files = _open(ctx, namespace, context, storage, endpoint)
    found = files.need(file)

    def copy(target: IO[bytes]) -> FileInfo:
        with bar(session.output, f"get {found.name}", found.bytes, quiet=target.isatty()) as progress:
            return files.get(found.id, target, progress)

    if output is None or str(output) == "-":
        copy(sys.stdout.buffer)
        sys.stdout.buffer.flush()
    else:
        save(output, copy)
        session.output.note(f"`{output}` has {size(found.bytes)}")


@app.command()
def ls(
    ctx: typer.Context,
    tag: Tag = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Only files of exactly this name.")] = None,
    glob: Annotated[
        str | None, typer.Option(metavar="PATTERN", help="Only files whose names match: `report-*.pdf`.")
    ] = None,
    limit: Annotated[
        int, typer.Option(metavar="NUMBER", min=1, help="At most so many, the newest.")
    ] = DEFAULT_FILE_LIMIT,
    output: options.Output = None,
    storage: options.Storage = None,
    endpoint: options.Endpoint = None,
    namespace: options.Namespace = None,
    context: options.Context = None,
) -> None:
    """List files, the newest first."""
    session, files = _open(ctx, namespace, context, storage, endpoint)
    # One more than asked for tells whether there are more.
    found = files.find(name=name, glob=glob, tags=tag or (), limit=limit + 1)
    shown, more = found[:limit], len(found) > limit
    if output is not None:
        session.output.raw(document([_plain(one) for one in shown], output))
    elif shown:
        now = session.now()
        rows: list[Row] = [
            [
                one.id,
                one.name,
                Cell(size(one.bytes), right=True),
                Cell(age(one.created, now), right=True),
                f"{one.expires.astimezone(UTC):%Y-%m-%d}" if one.expires else "never",
                ", ".join(one.tags) or "-",
            ]
            for one in shown
        ]
        session.output.table(("ID", "NAME", "SIZE", "AGE", "EXPIRES", "TAGS"), rows)
    else:
        session.output.note("no such files")
    if more:
        session.output.note(f"the newest {count(limit, 'file')}; `--limit` shows more")


@app.command()
def info(
    ctx: typer.Context,
    file: File,
    output: options.Output = None,
    storage: options.Storage = None,
    endpoint: options.Endpoint = None,
    namespace: options.Namespace = None,
    context: options.Context = None,
) -> None:
    """Show all that is known of a file."""
    session, files = _open(ctx, namespace, context, storage, endpoint)
    found = files.need(file)
    if output is not None:
        session.output.raw(document(_plain(found), output))
        return
    now = session.now()
    expires = "never" if found.expires is None else f"{found.expires.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    rows: list[Row] = [
        ["Id:", found.id],
        ["Name:", found.name],
        ["Size:", f"{size(found.bytes)} ({found.bytes} bytes)"],
        ["Created:", moment(found.created, now)],
        ["Expires:", expires],
        ["Made by:", found.run],
        ["Tags:", ", ".join(found.tags) or "-"],
    ]
    session.output.table((), rows)


def _plain(file: FileInfo) -> dict[str, object]:
    """A file for programs."""
    expires = file.expires and file.expires.isoformat()
    return asdict(file) | {"tags": list(file.tags), "created": file.created.isoformat(), "expires": expires}


@app.command()
def tag(
    ctx: typer.Context,
    file: File,
    add: Annotated[list[str] | None, typer.Option(metavar="TAG", help="Tag that it gets. May be repeated.")] = None,
    remove: Annotated[list[str] | None, typer.Option(metavar="TAG", help="Tag that it loses. May be repeated.")] = None,
    permanent: Annotated[bool, typer.Option("--permanent", help="Keep it until somebody deletes it.")] = False,
    storage: options.Storage = None,
    endpoint: options.Endpoint = None,
    namespace: options.Namespace = None,
    context: options.Context = None,
) -> None:
    """Change the tags of a file, or keep it for ever."""
    if not (add or remove or permanent):
        raise BadRequestError("nothing to change", "`--add TAG`, `--remove TAG` or `--permanent` says what")
    session, files = _open(ctx, namespace, context, storage, endpoint)
    changed = files.change(files.need(file).id, add=add or (), remove=remove or (), permanent=permanent)
    tags = ", ".join(f"`{one}`" for one in changed.tags) or "no tags"
    session.output.note(f"`{changed.name}` ({changed.id}) has {tags}{_kept(changed, session.now())}")


@app.command()
def rm(
    ctx: typer.Context,
    file: File,
    yes: options.Yes = False,
    storage: options.Storage = None,
    endpoint: options.Endpoint = None,
    namespace: options.Namespace = None,
    context: options.Context = None,
) -> None:
    """Delete a file. It can't be brought back."""
    session, files = _open(ctx, namespace, context, storage, endpoint)
    found = files.need(file)
    ask(f"file `{found.name}` ({found.id}) of {moment(found.created, session.now())} will be deleted", yes=yes)
    files.remove(found.id)
    session.output.note(f"`{found.name}` ({found.id}) deleted")
