"""Asking a person before something is done that can't be undone."""

import sys

import typer

from componentrun.cli.errors import EXIT_OK, BadRequestError

__all__ = ["ask"]


def ask(action: str, *, yes: bool) -> None:
    """Go on only if the person agrees, or has done so with `--yes`.

    Args:
        action: what will happen, as a sentence without its full stop.
        yes: whether `--yes` was given.

    Raises:
        BadRequestError: stdin is not a terminal.
        typer.Exit: the person does not agree.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise BadRequestError(
            f"{action}, but stdin is not a terminal, so nobody can confirm it; nothing was done",
            "Pass `--yes` to skip the question.",
        )
    if not typer.confirm(f"{action}. Go on?", err=True):
        raise typer.Exit(EXIT_OK)
