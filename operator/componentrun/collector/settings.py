"""Settings of the collector."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal

from pydantic import Field, field_validator

from componentrun.collector.events.journal import Limits
from componentrun.contract import EVENTS_WAIT_SECONDS
from componentrun.process.settings import Chart, DnsLabel, Expected, ProcessSettings, Seconds, conflict
from componentrun.wire import logserver

if TYPE_CHECKING:
    from pydantic import ValidationInfo

__all__ = ["NodeLogSettings", "Settings"]

_MIB: Final = 2**20
_DRAINED: Final = 0.75
_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class NodeLogSettings:
    """How to connect to the log servers of the nodes."""

    namespace: str
    """Namespace of their pods."""
    token_file: str = logserver.TOKEN_FILE
    authority_file: str = logserver.AUTHORITY_FILE
    """Certificates of the authority that signs theirs."""


class Settings(ProcessSettings):
    """All settings of the collector."""

    owner: ClassVar[str] = "the collector"
    section: ClassVar[str] = "collector"

    collector_shards: Annotated[int, Field(ge=1, le=1024), Chart("collector.shards")] = 1
    """Number of collectors that share the runs, by their uid."""
    collector_shard: Annotated[int, Field(ge=0, le=1023)] = 0
    """Number of this collector among them, from 0."""
    collector_segment_seconds: Annotated[Seconds, Field(ge=0.05, le=60), Chart("collector.segmentSeconds")] = 1
    """Longest time from an event to the write of its segment."""
    events_wait_seconds: Annotated[Seconds, Field(ge=0, le=7 * 86400), Chart("operator.limits.eventsWait")] = (
        EVENTS_WAIT_SECONDS
    )
    """How long the operator keeps a finished pod until its lines have been read. The operator has the same setting."""
    collector_run_events: Annotated[int, Field(ge=1, le=10**9), Chart("collector.runEvents")] = _LIMITS.events
    """Events of one run; further lines are only counted."""
    collector_run_mib: Annotated[int, Field(ge=1, le=2**20), Chart("collector.runMiB")] = _LIMITS.bytes // _MIB
    """Size of one run's printed lines; further lines are only counted."""
    builds_namespace: Annotated[DnsLabel | None, Chart("builds.namespace")] = None
    """Namespace of the pods of builds; None: nothing is built. The operator has the same setting."""
    collector_reader: Annotated[Literal["api", "node"], Chart("collector.reader")] = "api"
    """How logs are read: over the Kubernetes API, or from the files of the nodes."""
    collector_nodelogs_namespace: Annotated[DnsLabel | None, Expected("the name of a namespace")] = None
    """Namespace of the log servers' pods; required by the reader `node`."""
    collector_nodelogs_token_file: str = logserver.TOKEN_FILE
    """Token that the log servers accept."""
    collector_nodelogs_ca_file: str = logserver.AUTHORITY_FILE
    """Certificates of the authority that signs those of the log servers."""

    @property
    def limits(self) -> Limits:
        """What a run's component may print."""
        return Limits(self.collector_run_events, self.collector_run_mib * _MIB)

    @property
    def node_logs(self) -> NodeLogSettings | None:
        """How to connect to the log servers; None: logs are read over the Kubernetes API."""
        if self.collector_nodelogs_namespace is None or self.collector_reader != "node":
            return None
        return NodeLogSettings(
            self.collector_nodelogs_namespace, self.collector_nodelogs_token_file, self.collector_nodelogs_ca_file
        )

    @property
    def drain_seconds(self) -> float:
        """How long after the end of a run its log is read before the rest is given up with an event.

        Shorter than the operator's wait, so that the event is written before the pod is deleted.
        """
        return self.events_wait_seconds * _DRAINED

    def is_ours(self, run_uid: str) -> bool:
        """Whether this process follows the run."""
        return zlib.crc32(run_uid.encode()) % self.collector_shards == self.collector_shard

    @field_validator("collector_shard")
    @classmethod
    def _is_one_of_the_shards(cls, shard: int, info: ValidationInfo) -> int:
        shards = info.data.get("collector_shards")
        if shards is not None and shard >= shards:
            raise conflict(f"less than COMPONENTRUN_COLLECTOR_SHARDS ({shards})")
        return shard

    @field_validator("collector_nodelogs_namespace")
    @classmethod
    def _is_required_by_the_reader(cls, namespace: str | None, info: ValidationInfo) -> str | None:
        if namespace is None and info.data.get("collector_reader") == "node":
            raise conflict("the namespace of the log servers, as COMPONENTRUN_COLLECTOR_READER is `node`")
        return namespace
