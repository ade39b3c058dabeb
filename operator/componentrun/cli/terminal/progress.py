"""A progress bar on stderr, for a person who looks at it and a transfer that takes a while."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

    from componentrun.cli.terminal.render import Output

__all__ = ["Progress", "bar"]

Progress: TypeAlias = Callable[[int, int | None], None]
"""Called with the bytes that are done and the bytes that there are (None: unknown)."""
_LARGE: Final = 8_000_000
"""Bytes: less than this is over before a bar says anything."""


@contextmanager
def bar(output: Output, what: str, total: int | None, *, quiet: bool = False) -> Iterator[Progress]:
    """A function to be told how many bytes are done, and how many there are where that is known only now."""
    if quiet or not output.on_terminal() or (total is not None and total < _LARGE):
        yield _nothing
        return
    from rich import progress  # noqa: PLC0415 - likewise
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
    )
    with progress.Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(what, total=total)

        def update(done: int, known: int | None) -> None:
            shown.update(task, completed=done, total=total if known is None else known)

        yield update


def _nothing(_done: int, _total: int | None) -> None:
    """No bar."""
