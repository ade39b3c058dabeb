"""What an attempt needs from Storage: its inputs, its outputs, and how long its grants are good for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from componentrun.contract import DEFAULT_TYPE_SUPPORT
from componentrun.storage.access.reading import EVERYTHING, Wish

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from componentrun.storage.access.fileinput import FileSource
    from componentrun.wire.agents import OutputFile, OutputTable

__all__ = ["AttemptRequest", "InputSource"]


@dataclass(frozen=True, slots=True)
class InputSource:
    """One input table: a table's id, or the key of a plain CSV object below the Storage's prefix."""

    table: str | None = None
    """`in.c-main.foo`; either this or `object`."""
    object: str | None = None
    """`files/foo.csv`; it brings its own header line."""
    destination: str | None = None
    """File name below in/tables; None: the table's or object's own name, with `.csv`."""
    wish: Wish = EVERYTHING
    """Columns and rows to deliver. Of an object it is not known when its rows came."""
    remember: bool = False
    """Whether the next run may ask for what came after this one looked."""
    sliced: bool = False
    """Whether a table is delivered as a folder of slices."""

    @property
    def label(self) -> str:
        """What messages and the status call it."""
        return self.table or self.object or "an input"

    @property
    def file_name(self) -> str:
        """File name below in/tables."""
        if self.destination is not None:
            return self.destination
        if self.table is not None:
            return f"{self.table.rpartition('.')[2]}.csv"
        name = (self.object or "").rpartition("/")[2]
        return name if name.endswith(".csv") else f"{name}.csv"


@dataclass(frozen=True, slots=True)
class AttemptRequest:
    """What an attempt needs from Storage."""

    run: str
    """Uid."""
    title: str
    """namespace/name, for messages."""
    attempt: int
    expires_in: timedelta
    """How long what stage-in holds is good for: when the run must have ended."""
    expires_out: timedelta
    """How long what stage-out holds is good for: the same and the upload's budget."""
    inputs: Sequence[InputSource] = ()
    files: Sequence[FileSource] = ()
    outputs: Sequence[OutputTable] = ()
    output_files: Sequence[OutputFile] = ()
    file_tags: tuple[str, ...] = ()
    """That every output file gets besides its own."""
    default_bucket: str | None = None
    max_output_bytes: int | None = None
    """What tables and files may have together; None: any size."""
    type_support: str = DEFAULT_TYPE_SUPPORT
    """What the component knows of column types."""
    config: dict[str, Any] = field(default_factory=dict)
    """Content of config.json, without secrets."""
    parameters_text: str | None = None
    """JSON that becomes its `parameters` as it is; None: `config` has them."""
    state: dict[str, Any] = field(default_factory=dict)
    """Content of in/state.json."""
    state_number: int = 0
    """Of that state."""
    by_session: bool = False
    """Whether stage-out gets temporary keys instead of a signed form, because the store's forms do not hold."""
    buckets: tuple[str, ...] | None = None
    """That the run may write to, see `StageOutPlan`."""
    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    """Path below `parameters` to value; these go into the grant, never into a plan."""
