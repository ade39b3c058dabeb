"""`state`: the saved state of configurations."""

import json
import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from componentrun.cli import options
from componentrun.cli.errors import BadRequestError
from componentrun.cli.request.sources import read
from componentrun.cli.session import Session
from componentrun.cli.terminal.asking import ask
from componentrun.cli.terminal.render import json_text
from componentrun.contract import DEFAULT_BRANCH
from componentrun.wire.documents import parse_portable

if TYPE_CHECKING:
    from componentrun.storage.state.state import StateOwner

__all__ = ["app"]

app = typer.Typer(help="Manage the saved state of configurations.", no_args_is_help=True, rich_markup_mode=None)

_ID = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9])?")
Component = Annotated[
    str, typer.Argument(metavar="COMPONENT", help="Name of the Component, or last part of the name of the image.")
]
Configuration = Annotated[str, typer.Argument(metavar="CONFIGURATION", help="Id of the configuration.")]
Row = Annotated[str | None, typer.Option("--row", metavar="ROW", help="Row of the configuration.")]
Branch = Annotated[str, typer.Option("--branch", metavar="BRANCH", help="Branch of the configuration.")]


@app.command()
@options.with_session(storage=True)
def get(
    session: Session,
    component: Component,
    configuration: Configuration,
    row: Row = None,
    branch: Branch = DEFAULT_BRANCH,
    inputs: Annotated[
        bool,
        typer.Option("--inputs", help="Print the positions up to which `adaptive` inputs were read instead."),
    ] = False,
) -> None:
    """Print the saved state of a configuration as JSON; `{}` if there is none."""
    owner = _owner(component, configuration, row, branch)
    store = session.store()
    content = store.inputs(owner) if inputs else store.state(owner)
    session.output.raw(json_text(content, indent=2) + "\n")


@app.command()
@options.with_session(storage=True)
def put(
    session: Session,
    file: Annotated[str, typer.Argument(metavar="FILE", help="File with a JSON object. `-` reads stdin.")],
    component: Component,
    configuration: Configuration,
    row: Row = None,
    branch: Branch = DEFAULT_BRANCH,
) -> None:
    """Replace the saved state of a configuration. Its next run finds it in `in/state.json`.

    A run in progress stores no state when it ends, because it started from the previous one.
    """
    owner = _owner(component, configuration, row, branch)
    state = _object(file)
    session.store().put_state(owner, state)
    session.output.note(f"the state of {_title(owner)} is now that of {'stdin' if file == '-' else f'`{file}`'}")


@app.command()
@options.with_session(storage=True)
def rm(
    session: Session,
    component: Component,
    configuration: Configuration,
    row: Row = None,
    branch: Branch = DEFAULT_BRANCH,
    yes: options.Yes = False,
) -> None:
    """Delete the saved state of a configuration. Its next run starts like the first one. This can't be undone.

    That run finds an empty state, and `adaptive` inputs deliver all rows. A run in progress stores no state.
    """
    owner = _owner(component, configuration, row, branch)
    store = session.store()
    title = _title(owner)
    ask(f"the state of {title} in Storage `{store.name}` will be deleted", yes=yes)
    is_removed = store.remove_state(owner)
    session.output.note(f"the state of {title} is deleted" if is_removed else f"{title} had no state")


def _owner(component: str, configuration: str, row: str | None, branch: str) -> "StateOwner":
    from componentrun.storage.state.state import StateOwner  # noqa: PLC0415 - storage takes a while to load

    names = {"COMPONENT": component, "CONFIGURATION": configuration, "--row": row, "--branch": branch}
    for source, text in names.items():
        if text is not None and not _ID.fullmatch(text):
            raise BadRequestError(
                f"{source} is `{text}`; expected at most 253 letters, digits, `.`, `_` and `-`",
                "The manifest of a run has it: `componentrun get RUN -o yaml`.",
            )
    return StateOwner(component, configuration, row, branch)


def _title(owner: "StateOwner") -> str:
    row = f", row `{owner.row}`" if owner.row is not None else ""
    branch = f", branch `{owner.branch}`" if owner.branch != DEFAULT_BRANCH else ""
    return f"configuration `{owner.configuration}` of `{owner.component}`{row}{branch}"


def _object(file: str) -> dict[str, Any]:
    text, name = read(file)
    try:
        value = parse_portable(text)
        json.dumps(value, ensure_ascii=False).encode()  # half of a surrogate pair is no text
    except ValueError as error:
        raise BadRequestError(f"{name} is not valid JSON: {error}", 'For example: `{"last": 7}`.') from error
    if not isinstance(value, dict):
        raise BadRequestError(
            f"{name} holds a {type(value).__name__}; expected an object", 'For example: `{"last": 7}`.'
        )
    return value
