"""`state`: what configurations remember between runs."""

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

app = typer.Typer(help="State of configurations: get, put, rm.", no_args_is_help=True, rich_markup_mode=None)

_ID = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9])?")
Component = Annotated[
    str, typer.Argument(metavar="COMPONENT", help="Name of the Component, or the last part of the image's name.")
]
Configuration = Annotated[str, typer.Argument(metavar="CONFIGURATION", help="Id of the configuration.")]
Row = Annotated[str | None, typer.Option("--row", metavar="ROW", help="Row of the configuration.")]
Branch = Annotated[str, typer.Option("--branch", metavar="BRANCH", help="Branch of the configuration.")]


@app.command()
def get(
    ctx: typer.Context,
    component: Component,
    configuration: Configuration,
    row: Row = None,
    branch: Branch = DEFAULT_BRANCH,
    inputs: Annotated[
        bool,
        typer.Option("--inputs", help="Instead, how far it has read the tables that it reads with `adaptive`."),
    ] = False,
    storage: options.Storage = None,
    endpoint: options.Endpoint = None,
    namespace: options.Namespace = None,
    context: options.Context = None,
) -> None:
    """Print what a configuration remembers, as JSON; `{}` where it remembers nothing."""
    owner = _owner(component, configuration, row, branch)
    session = Session.of(ctx, context=context, namespace=namespace)
    store = session.store(storage, endpoint)
    found = store.inputs(owner) if inputs else store.state(owner)
    session.output.raw(json_text(found, indent=2) + "\n")


@app.command()
def put(
    ctx: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="JSON object; `-`: stdin.")],
    component: Component,
    configuration: Configuration,
    row: Row = None,
    branch: Branch = DEFAULT_BRANCH,
    storage: options.Storage = None,
    endpoint: options.Endpoint = None,
    namespace: options.Namespace = None,
    context: options.Context = None,
) -> None:
    """Replace a configuration's saved state; its next run finds it as `in/state.json`.

    A run that is in progress at that time stores no state, because it was given the previous one.
    """
    owner = _owner(component, configuration, row, branch)
    state = _object(file)
    session = Session.of(ctx, context=context, namespace=namespace)
    session.store(storage, endpoint).put_state(owner, state)
    session.output.note(f"{_title(owner)} remembers what is in {'stdin' if file == '-' else f'`{file}`'}")


@app.command()
def rm(
    ctx: typer.Context,
    component: Component,
    configuration: Configuration,
    row: Row = None,
    branch: Branch = DEFAULT_BRANCH,
    yes: options.Yes = False,
    storage: options.Storage = None,
    endpoint: options.Endpoint = None,
    namespace: options.Namespace = None,
    context: options.Context = None,
) -> None:
    """Delete a configuration's saved state, so that its next run starts like its first one. This can't be undone.

    That run finds an empty state, and `adaptive` inputs deliver all rows. A run that is in progress stores no state.
    """
    owner = _owner(component, configuration, row, branch)
    session = Session.of(ctx, context=context, namespace=namespace)
    store = session.store(storage, endpoint)
    title = _title(owner)
    ask(f"{title} will forget its state in Storage `{store.name}`", yes=yes)
    found = store.remove_state(owner)
    session.output.note(f"{title} {'has forgotten its state' if found else 'had no state'}")


def _owner(component: str, configuration: str, row: str | None, branch: str) -> "StateOwner":
    from componentrun.storage.state.state import StateOwner  # noqa: PLC0415 - storage takes a while to load

    named = {"COMPONENT": component, "CONFIGURATION": configuration, "--row": row, "--branch": branch}
    for what, text in named.items():
        if text is not None and not _ID.fullmatch(text):
            raise BadRequestError(
                f"{what} is `{text}`; expected at most 253 letters, digits, `.`, `_` and `-`",
                "it is what the run's manifest says: `componentrun get RUN -o yaml` shows it",
            )
    return StateOwner(component, configuration, row, branch)


def _title(owner: "StateOwner") -> str:
    row = f", row `{owner.row}`" if owner.row is not None else ""
    branch = f", branch `{owner.branch}`" if owner.branch != DEFAULT_BRANCH else ""
    return f"configuration `{owner.configuration}` of `{owner.component}`{row}{branch}"


def _object(file: str) -> dict[str, Any]:
    text, name = read(file)
    try:
        found = parse_portable(text)
        json.dumps(found, ensure_ascii=False).encode()  # half of a surrogate pair is no text
    except ValueError as error:
        raise BadRequestError(f"{name} is no JSON: {error}", '`{"last": 7}` is a state') from error
    if not isinstance(found, dict):
        raise BadRequestError(f"{name} holds a {type(found).__name__}; expected an object", '`{"last": 7}` is a state')
    return found
