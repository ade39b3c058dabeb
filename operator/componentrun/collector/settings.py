"""What the collector is told: environment variables, read once, all wrong ones reported together."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from componentrun.collector.events.journal import Limits
from componentrun.contract import EVENTS_WAIT_SECONDS
from componentrun.process import nodelogs
from componentrun.process.settings import DNS_LABEL, ProcessSettings, Reader, read_process, seconds, whole

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["NodeLogSettings", "Settings", "from_environment"]

_MIB: Final = 2**20
_DRAINED: Final = 0.75
_READERS: Final = ("api", "node")


@dataclass(frozen=True, slots=True)
class NodeLogSettings:
    """How the log servers of the nodes are reached."""

    namespace: str
    """Where their pods are."""
    token_file: str = nodelogs.TOKEN_FILE
    authority_file: str = nodelogs.AUTHORITY_FILE
    """Who signs their certificates."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of the collector."""

    process: ProcessSettings = field(default_factory=ProcessSettings)
    """What every process is told."""
    shard: int = 0
    """Which part of the runs this process follows; from 0."""
    shards: int = 1
    """Into how many parts the runs are divided, by their uid."""
    segment_seconds: float = 1.0
    """The most that an event waits for its segment."""
    events_wait: float = EVENTS_WAIT_SECONDS
    """How long the operator keeps a finished pod for its lines to be read; seconds. Both are told the same."""
    limits: Limits = field(default_factory=Limits)
    """What a run's component may print."""
    node_logs: NodeLogSettings | None = None
    """Logs are read from the nodes' files; None: over the Kubernetes API."""

    @property
    def drain_seconds(self) -> float:
        """How long after a run's end a log is tried to be read to its end before its rest is given up with an event.

        Less than the operator waits, so that the event is there before the pod is deleted.
        """
        return self.events_wait * _DRAINED

    def is_ours(self, run_uid: str) -> bool:
        """Whether this process follows the run."""
        return zlib.crc32(run_uid.encode()) % self.shards == self.shard


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Read the settings.

    Raises:
        SettingsError: variables are wrong; each is named with its value and what was expected.
    """
    reader, default = Reader(environment, "collector"), Settings()
    settings = Settings(
        process=read_process(reader),
        shard=reader.read("COLLECTOR_SHARD", whole(0, 1023), default.shard),
        shards=reader.read("COLLECTOR_SHARDS", whole(1, 1024), default.shards),
        segment_seconds=reader.read("COLLECTOR_SEGMENT_SECONDS", seconds(0.05, 60), default.segment_seconds),
        events_wait=reader.read("EVENTS_WAIT_SECONDS", seconds(0, 7 * 86400), default.events_wait),
        limits=Limits(
            events=reader.read("COLLECTOR_RUN_EVENTS", whole(1, 10**9), default.limits.events),
            bytes=reader.read("COLLECTOR_RUN_MIB", whole(1, 2**20), default.limits.bytes // _MIB) * _MIB,
        ),
        node_logs=_node_logs(reader),
    )
    if settings.shard >= settings.shards:
        reader.wrong("COLLECTOR_SHARD", str(settings.shard), f"less than COLLECTOR_SHARDS ({settings.shards})")
    reader.check()
    return settings


def _node_logs(reader: Reader) -> NodeLogSettings | None:
    if reader.read("COLLECTOR_READER", _reader, _READERS[0]) != "node":
        return None
    return NodeLogSettings(
        namespace=reader.read("COLLECTOR_NODELOGS_NAMESPACE", _namespace, None),
        token_file=reader.read("COLLECTOR_NODELOGS_TOKEN_FILE", str, nodelogs.TOKEN_FILE),
        authority_file=reader.read("COLLECTOR_NODELOGS_CA_FILE", str, nodelogs.AUTHORITY_FILE),
    )


def _reader(text: str) -> str:
    if text not in _READERS:
        raise ValueError("one of " + ", ".join(_READERS))
    return text


def _namespace(text: str) -> str:
    if DNS_LABEL.fullmatch(text) is None:
        raise ValueError("the name of a namespace")
    return text
