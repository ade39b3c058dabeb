"""Writes logs as containerd and the kubelet do: CRI lines, parts, rotation, compression, deletion."""

from __future__ import annotations

import gzip
import os
import shutil
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from componentrun.collector.readers.api.lines import PART_BYTES, SECOND, stamp_of

if TYPE_CHECKING:
    from pathlib import Path

BEGIN = 1_795_506_393 * SECOND
KEPT = 5
"""Files of a container that a kubelet keeps where nobody says otherwise."""


@dataclass
class Runtime:
    """The log of one container, in its folder."""

    folder: Path
    now: int = BEGIN
    start: int = 0
    rotations: int = 0
    printed: dict[str, list[bytes]] = field(default_factory=lambda: {"stdout": [], "stderr": []})
    """Finished lines of each stream."""

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.current.touch()

    @property
    def current(self) -> Path:
        return self.folder / f"{self.start}.log"

    def print(self, text: bytes, stream: str = "stdout") -> None:
        """A line, in parts where it is long."""
        parts = [text[at : at + PART_BYTES] for at in range(0, len(text), PART_BYTES)] or [b""]
        for part in parts[:-1]:
            self.part(part, stream)
        self.write(b"F", parts[-1], stream)
        self.printed[stream].append(text)

    def part(self, text: bytes, stream: str = "stdout") -> None:
        self.write(b"P", text, stream)

    def write(self, tag: bytes, text: bytes, stream: str) -> None:
        self.now += 1_000_001
        stamp = stamp_of(self.now).rstrip("0Z").rstrip(".") + "Z"
        with self.current.open("ab") as file:
            file.write(b" ".join((stamp.encode(), stream.encode(), tag, text)) + b"\n")

    def rotate(self, *, compress: bool = True) -> None:
        """What the kubelet does when a file is too large: the newest rotated file stays as it is."""
        self.rotations += 1
        rotated = sorted(path for path in self.folder.iterdir() if ".log." in path.name)
        for path in rotated[: max(len(rotated) - (KEPT - 2), 0)]:
            path.unlink()
        if compress:
            for path in rotated:
                if path.exists() and path.suffix != ".gz":
                    with gzip.open(f"{path}.tmp", "wb") as file:
                        file.write(path.read_bytes())
                    os.rename(f"{path}.tmp", f"{path}.gz")  # noqa: PTH104 - as the kubelet does
                    path.unlink()
        self.current.rename(self.folder / f"{self.start}.log.20261124-{self.rotations:06}")
        self.current.touch()

    def restart(self) -> None:
        self.start += 1
        self.current.touch()

    def remove(self) -> None:
        shutil.rmtree(self.folder)
