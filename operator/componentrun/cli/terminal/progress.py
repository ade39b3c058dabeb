"""A progress bar on stderr, for a person who looks at it and a transfer that takes a while."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from componentrun.client.storage.progress import no_progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from componentrun.cli.terminal.render import Output
    from componentrun.client.storage.progress import Progress

__all__ = ["bar"]

_LARGE: Final = 8_000_000
"""Bytes: less than this is over before a bar says anything."""


@contextmanager
def bar(output: Output, title: str, total: int | None, *, quiet: bool = False) -> Iterator[Progress]:
    """Yield a function that shows progress: it takes the bytes done, and the total if that is known only now."""
    if quiet or not output.on_terminal() or (total is not None and total < _LARGE):
        yield no_progress
        return
    from rich import progress  # noqa: PLC0415 - likewise
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.DownloadColumn(),
        progress.TransferSpeedColumn(),
    )
    with progress.Progress(*columns, console=Console(stderr=True), transient=True) as display:
        task = display.add_task(title, total=total)

        def update(count: int, new_total: int | None) -> None:
            display.update(task, completed=count, total=total if new_total is None else new_total)

        yield update
