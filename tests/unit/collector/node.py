"""A container's log as a node keeps it: what the log API answers, without the API."""

from __future__ import annotations

from dataclasses import dataclass, field

from componentrun.collector.readers.api.lines import stamp_of


@dataclass
class NodeLog:
    """Files of lines; only the newest is read by a new request, as the kubelet does it."""

    file: list[tuple[int, bytes]] = field(default_factory=list)
    printed: list[bytes] = field(default_factory=list)
    """All texts ever, in the order of the files."""

    def write(self, time: int, text: bytes) -> None:
        self.file.append((time, text))
        self.printed.append(text)

    def rotate(self) -> None:
        self.file = []

    def answer(self, floor: int) -> bytes:
        """What a request from this second on brings now."""
        return b"".join(line(time, text) + b"\n" for time, text in self.file if time >= floor)


def line(time: int, text: bytes) -> bytes:
    return stamp_of(time).encode() + b" " + text
