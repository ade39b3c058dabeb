"""A progress bar on stderr, for a person who looks at it and a transfer that takes a while."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from componentrun.cli.render import Output

__all__ = ["bar"]

_LARGE: Final = 8_000_000
"""Bytes: less than this is over before a bar says anything."""


@contextmanager
def bar(
    output: Output, what: str, total: int | None, *, quiet: bool = False
) -> Iterator[Callable[[int, int | None], None]]:
    """A function to be told how many bytes are done, and how many there are where that is known only now."""
    if quiet or not output.on_terminal() or (total is not None and total < _LARGE):
        yield _nothing
        return
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn  # noqa: PLC0415 - likewise

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(what, total=total)

        def update(done: int, known: int | None) -> None:
            progress.update(task, completed=done, total=total if known is None else known)

        yield update


def _nothing(_done: int, _total: int | None) -> None:
    """No bar."""
