"""Asking a person before something is done that can't be undone."""

import sys

import typer

from componentrun.cli.errors import EXIT_OK, BadRequestError

__all__ = ["ask"]


def ask(what: str, *, yes: bool) -> None:
    """Go on only if the person agrees, or has done so with `--yes`.

    Args:
        what: what will happen, as a sentence without its full stop.
        yes: whether `--yes` was given.

    Raises:
        BadRequestError: nobody is there to ask.
        typer.Exit: the person does not agree.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise BadRequestError(f"{what}, and nobody is there to ask; nothing was done", "`--yes` does it without asking")
    if not typer.confirm(f"{what}. Go on?", err=True):
        raise typer.Exit(EXIT_OK)
