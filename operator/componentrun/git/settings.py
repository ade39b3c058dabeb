"""Timeouts, limits and trusted authorities."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["GitSettings"]


@dataclass(frozen=True, slots=True)
class GitSettings:
    """Settings for all git hosts."""

    ca_bundle: str | None = None
    """Certificate authorities, as PEM text, to trust in addition to those of the system."""
    connect_seconds: float = 10.0
    read_seconds: float = 60.0
    """How long a host may send nothing."""
    refs_bytes: int = 32 * 2**20
    """Maximum size of a list of branches and tags."""
    download_bytes: int = 2**30
    """Maximum size of what is downloaded, compressed."""
    tree_bytes: int = 2 * 2**30
    """Maximum size of all files together."""
    file_bytes: int = 512 * 2**20
    """Maximum size of one file, which is held in memory."""
    files: int = 100_000
    """Maximum number of files and folders."""
