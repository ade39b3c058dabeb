"""The commands put together, and the one place where an error becomes a message and an exit code."""

import errno
import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from componentrun import __version__
from componentrun.cli.commands import (
    artifacts,
    catalogue,
    cataloguesync,
    component,
    convert,
    doctor,
    events,
    file,
    query,
    runs,
    state,
    submit,
    table,
    upkeep,
    versions,
)
from componentrun.cli.commands.builds import group as builds
from componentrun.cli.errors import EXIT_FAULT, EXIT_INTERRUPTED, EnvironmentFault, advice_of, exit_code_of
from componentrun.cli.terminal.render import Cell, Output
from componentrun.errors import ComponentRunError
from componentrun.process.ending import run

__all__ = ["app", "main"]

_DEBUG = "COMPONENTRUN_DEBUG"


class ErrorGroup(TyperGroup):
    """Runs a command; its errors are printed on stderr with their advice, without a traceback."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was typed."""
        try:
            return super().invoke(ctx)
        except ComponentRunError as error:
            if ctx.params.get("debug"):
                raise
            _tell(error)
            raise typer.Exit(exit_code_of(error)) from error
        except OSError as error:
            if error.errno == errno.EPIPE or ctx.params.get("debug"):  # who read the output has had enough
                raise
            _tell(EnvironmentFault(f"the system refused to read or write: {error.strerror or error}"))
            raise typer.Exit(EXIT_FAULT) from error
        except KeyboardInterrupt as error:
            Output().note("interrupted")
            raise typer.Exit(EXIT_INTERRUPTED) from error


def _tell(error: ComponentRunError) -> None:
    output = Output()
    output.note(Cell("error: ", "bold red"), error.summary)
    if advice := advice_of(error):
        output.note()
        output.note(Cell("hint: ", "bold cyan"), advice)


app = typer.Typer(
    name="componentrun",
    cls=ErrorGroup,
    help="Run other people's code on your tables, safely, on Kubernetes.",
    no_args_is_help=True,
    # Plain help: it starts faster, and reads the same in a pipe.
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)


@app.callback()
def options(
    *,
    debug: Annotated[bool, typer.Option("--debug", envvar=_DEBUG, help="Print tracebacks of errors.")] = False,
) -> None:
    """Run other people's code on your tables, safely, on Kubernetes."""


submit.register(app)
runs.register(app)
events.register(app)
versions.register(table.app)
query.register(table.app)
artifacts.register(app)
upkeep.register(table.app)
app.add_typer(table.app, name="table")
app.add_typer(file.app, name="file")
app.add_typer(upkeep.app, name="storage")
app.add_typer(state.app, name="state")
app.add_typer(component.app, name="component")
app.add_typer(builds.app, name="build")
cataloguesync.register(catalogue.app)
app.add_typer(catalogue.app, name="catalogue")
convert.register(app)
doctor.register(app)


@app.command(short_help="Print the version of this command line.")
def version() -> None:
    """Print the version of this command line."""
    sys.stdout.write(f"componentrun {__version__}\n")


def main() -> None:
    """Entry point."""
    run(app)
