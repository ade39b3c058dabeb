"""What an attempt needs from Storage: its inputs, its outputs, and the lifetime of its grants."""

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
    from componentrun.wire.chain import StepConfig

__all__ = ["AttemptRequest", "InputSource"]


@dataclass(frozen=True, slots=True)
class InputSource:
    """One input table: a table's id, or the key of a plain CSV object below the Storage's prefix."""

    table: str | None = None
    """`in.c-main.foo`; either this or `object`."""
    object: str | None = None
    """`files/foo.csv`; the object contains its own header line."""
    destination: str | None = None
    """File name below in/tables; defaults to the table's or object's own name, with `.csv`."""
    wish: Wish = EVERYTHING
    """Columns and rows to deliver. `changed_since` does not apply to objects, whose rows have no load times."""
    remember: bool = False
    """Whether the position in the table is remembered for the next run (`adaptive`)."""
    sliced: bool = False
    """Whether a table is delivered as a folder of slices."""

    @property
    def label(self) -> str:
        """Its name in messages and in the status."""
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
    """Uid of the run."""
    title: str
    """namespace/name, for messages."""
    attempt: int
    expires_in: timedelta
    """Lifetime of stage-in's grant: until the run must have ended."""
    expires_out: timedelta
    """Lifetime of stage-out's grant: until the run must have ended, and the upload's budget."""
    inputs: Sequence[InputSource] = ()
    files: Sequence[FileSource] = ()
    outputs: Sequence[OutputTable] = ()
    output_files: Sequence[OutputFile] = ()
    file_tags: tuple[str, ...] = ()
    """Tags that every output file gets in addition to its own."""
    default_bucket: str | None = None
    max_output_bytes: int | None = None
    """Maximum size of tables and files together, in bytes; None: unlimited."""
    type_support: str = DEFAULT_TYPE_SUPPORT
    """The component's support for column types."""
    config: dict[str, Any] = field(default_factory=dict)
    """Content of config.json, without secrets."""
    parameters_text: str | None = None
    """JSON text that becomes `parameters` unchanged; None: they are part of `config`."""
    state: dict[str, Any] = field(default_factory=dict)
    """Content of in/state.json."""
    state_number: int = 0
    """Number of that state."""
    by_session: bool = False
    """Whether stage-out gets temporary keys instead of a signed form, because the store does not enforce forms."""
    buckets: tuple[str, ...] | None = None
    """Buckets that the run may write to, see `StageOutPlan`."""
    steps: tuple[StepConfig, ...] = ()
    """The component and its processors, in order; empty without processors."""
    secrets: dict[str, str] = field(default_factory=dict, repr=False)
    """Values by their path below `parameters`; they are part of the grant, never of a plan."""
    image_secrets: dict[str, str] = field(default_factory=dict, repr=False)
    """Values by their path below `image_parameters`; likewise."""
    step_secrets: dict[str, dict[str, str]] = field(default_factory=dict, repr=False)
    """Values by their path below `image_parameters` of processors, by the names of their containers; likewise."""
