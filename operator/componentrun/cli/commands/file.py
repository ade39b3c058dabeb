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
from componentrun.cli.terminal.asking import ask
from componentrun.cli.terminal.progress import bar
from componentrun.cli.terminal.render import Cell, Row, document
from componentrun.cli.terminal.saving import save
from componentrun.cli.terminal.words import age, count, moment, size
from componentrun.client.storage.filestore import FileInfo
from componentrun.contract import DEFAULT_FILE_LIMIT

__all__ = ["app"]

app = typer.Typer(help="Manage files in Storage.", no_args_is_help=True, rich_markup_mode=None)

File = Annotated[
    str, typer.Argument(metavar="FILE", help="Id or name of the file. Of several with the same name, the newest.")
]
Tag = Annotated[
    list[str] | None, typer.Option("--tag", "-t", metavar="TAG", help="Only files with this tag. Can be repeated.")
]


@app.command()
@options.with_session(storage=True)
def put(
    session: Session,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Local file. `-` reads stdin.")],
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Name in Storage. Defaults to the name of the local file.")
    ] = None,
    tag: Annotated[
        list[str] | None, typer.Option("--tag", "-t", metavar="TAG", help="Tag to add. Can be repeated.")
    ] = None,
    permanent: Annotated[
        bool,
        typer.Option("--permanent", help="Keep the file until it is deleted. By default it expires after 15 days."),
    ] = False,
) -> None:
    """Upload a file and print its id. Other files of the same name are kept."""
    if str(path) == "-" and name is None:
        raise BadRequestError("what comes from stdin has no name", "Pass `--name NAME`.")
    with local_file(path, "a file") as local:
        files = session.files()
        with bar(session.output, f"put {local.name}", local.stat().st_size) as progress:
            file = files.put(local, name=name, tags=tag or (), permanent=permanent, progress=progress)
    session.output.raw(f"{file.id}\n")
    session.output.note(f"`{file.name}` is stored ({size(file.bytes)}){_kept(file, session.now())}")


def _kept(file: FileInfo, now: datetime) -> str:
    """The expiry, as the end of a sentence."""
    if file.expires is None:
        return ", until somebody deletes it"
    return f", until {file.expires.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if file.expires > now else ", expired"


@app.command()
@options.with_session(storage=True)
def get(
    session: Session,
    file: File,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="PATH", help="File to write. Defaults to `-`, stdout.")
    ] = None,
) -> None:
    """Download a file."""
    files = session.files()
    record = files.need(file)

    def copy(target: IO[bytes]) -> FileInfo:
        with bar(session.output, f"get {record.name}", record.bytes, quiet=target.isatty()) as progress:
            return files.get(record.id, target, progress)

    if output is None or str(output) == "-":
        copy(sys.stdout.buffer)
        sys.stdout.buffer.flush()
    else:
        save(output, copy)
        session.output.note(f"`{output}` has {size(record.bytes)}")


@app.command()
@options.with_session(storage=True)
def ls(
    session: Session,
    tag: Tag = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Only files with this name.")] = None,
    glob: Annotated[
        str | None,
        typer.Option(metavar="PATTERN", help="Only files whose names match this pattern, such as `report-*.pdf`."),
    ] = None,
    limit: Annotated[
        int, typer.Option(metavar="NUMBER", min=1, help="Maximum number of files to list.")
    ] = DEFAULT_FILE_LIMIT,
    output: options.Output = None,
) -> None:
    """List files, newest first."""
    files = session.files()
    # One more than the limit, to see whether there are more.
    matches = files.find(name=name, glob=glob, tags=tag or (), limit=limit + 1)
    page, more = matches[:limit], len(matches) > limit
    if output is not None:
        session.output.raw(document([_plain(item) for item in page], output))
    elif page:
        now = session.now()
        rows: list[Row] = [
            [
                item.id,
                item.name,
                Cell(size(item.bytes), right=True),
                Cell(age(item.created, now), right=True),
                f"{item.expires.astimezone(UTC):%Y-%m-%d}" if item.expires else "never",
                ", ".join(item.tags) or "-",
            ]
            for item in page
        ]
        session.output.table(("ID", "NAME", "SIZE", "AGE", "EXPIRES", "TAGS"), rows)
    else:
        session.output.note("no such files")
    if more:
        session.output.note(f"the newest {count(limit, 'file')}; `--limit` shows more")


@app.command()
@options.with_session(storage=True)
def info(
    session: Session,
    file: File,
    output: options.Output = None,
) -> None:
    """Show the details of a file."""
    files = session.files()
    record = files.need(file)
    if output is not None:
        session.output.raw(document(_plain(record), output))
        return
    now = session.now()
    expires = "never" if record.expires is None else f"{record.expires.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    rows: list[Row] = [
        ["Id:", record.id],
        ["Name:", record.name],
        ["Size:", f"{size(record.bytes)} ({record.bytes} bytes)"],
        ["Created:", moment(record.created, now)],
        ["Expires:", expires],
        ["Made by:", record.run],
        ["Tags:", ", ".join(record.tags) or "-"],
    ]
    session.output.table((), rows)


def _plain(file: FileInfo) -> dict[str, object]:
    """A file for programs."""
    expires = file.expires and file.expires.isoformat()
    return asdict(file) | {"tags": list(file.tags), "created": file.created.isoformat(), "expires": expires}


@app.command()
@options.with_session(storage=True)
def tag(
    session: Session,
    file: File,
    add: Annotated[list[str] | None, typer.Option(metavar="TAG", help="Tag to add. Can be repeated.")] = None,
    remove: Annotated[list[str] | None, typer.Option(metavar="TAG", help="Tag to remove. Can be repeated.")] = None,
    permanent: Annotated[bool, typer.Option("--permanent", help="Keep the file until it is deleted.")] = False,
) -> None:
    """Change the tags of a file, or keep it until it is deleted."""
    if not (add or remove or permanent):
        raise BadRequestError("nothing to change", "Pass `--add TAG`, `--remove TAG` or `--permanent`.")
    files = session.files()
    record = files.change(files.need(file).id, add=add or (), remove=remove or (), permanent=permanent)
    tags = ", ".join(f"`{item}`" for item in record.tags) or "no tags"
    session.output.note(f"`{record.name}` ({record.id}) has {tags}{_kept(record, session.now())}")


@app.command()
@options.with_session(storage=True)
def rm(
    session: Session,
    file: File,
    yes: options.Yes = False,
) -> None:
    """Delete a file. This can't be undone."""
    files = session.files()
    record = files.need(file)
    ask(f"file `{record.name}` ({record.id}) of {moment(record.created, session.now())} will be deleted", yes=yes)
    files.remove(record.id)
    session.output.note(f"`{record.name}` ({record.id}) deleted")
