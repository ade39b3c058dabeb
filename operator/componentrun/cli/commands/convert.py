"""`convert`: runs from a configuration that Keboola's API exported."""

from typing import Annotated

import typer

from componentrun.cli.errors import EXIT_LEFT_OUT, BadRequestError
from componentrun.cli.request import sources
from componentrun.cli.terminal.render import Cell, Format, Output, document

__all__ = ["register"]

_EPILOG = """Exit code: 0 everything was converted, 1 the file is not an export, 3 some parts were not converted.
Lines on stderr that begin with `left out:` name these parts; lines that begin with `to do:` name what to create before
the runs start."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("convert", short_help="Convert a configuration exported from Keboola to runs.", epilog=_EPILOG)(convert)


def convert(
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="JSON file exported by the Storage API. `-` reads stdin.")
    ],
    component: Annotated[
        str | None, typer.Option(metavar="NAME", help="Component to run. Defaults to the one in the export.")
    ] = None,
    storage: Annotated[str | None, typer.Option(metavar="NAME", help="Storage of the runs.")] = None,
) -> None:
    """Print a ComponentRun for the configuration, or for each of its enabled rows. Creates nothing.

    Keys that start with `#` become references to a Secret, because only the original can decrypt their values.
    """
    from componentrun.cli.conversion.configuration import convert as converted_from  # noqa: PLC0415 - loads the models
    from componentrun.client.request.validation import check  # noqa: PLC0415 - likewise

    text, _ = sources.read(file)
    converted = converted_from(text, component)
    output, documents = Output(), []
    for run in converted.runs:
        if storage is not None:
            run["spec"]["storage"] = storage
        try:
            check(run)
        except BadRequestError as error:
            converted.left_out.append(error.summary)
        else:
            documents.append(run)
    output.raw("---\n".join(document(run, Format.YAML) for run in documents))
    for line in converted.to_do:
        output.note(Cell("to do: ", "yellow"), line)
    for line in converted.left_out:
        output.note(Cell("left out: ", "yellow"), line)
    if converted.left_out:
        raise typer.Exit(EXIT_LEFT_OUT)
