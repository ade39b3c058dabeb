"""Input of the program in a Spark Job, written by maintenance. Credentials are files in the pod, not part of it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Final

__all__ = ["CATALOG_FOLDER", "JARS_FOLDER", "STORE_FOLDER", "TASK_VARIABLE", "SparkTask", "from_text", "to_text"]

TASK_VARIABLE: Final = "COMPONENTRUN_SPARK_TASK"
STORE_FOLDER: Final = "/var/run/componentrun/store"
"""Mount path of the Secret in `spec.credentials` of the Storage, a file for each key."""
CATALOG_FOLDER: Final = "/var/run/componentrun/catalog"
"""Mount path of the Secret in `spec.catalog.credentials`."""
JARS_FOLDER: Final = "/opt/spark-jars"
"""Iceberg's jars in the image."""


@dataclass(frozen=True, slots=True)
class SparkTask:
    """Maintain one table."""

    storage: dict[str, Any]
    """The Storage object, without its status."""
    table: str
    """Id of the table."""
    scans: bool
    """Whether to search for orphaned files."""
    history: float
    """Seconds for which a snapshot is kept after it was replaced."""
    file_bytes: int
    """Target size of merged files in bytes."""
    files: int
    """Minimum number of files to merge."""
    deleted_percent: int
    """Share of deleted rows from which on a file is rewritten."""
    memory: int
    """Maximum size of Java's heap in bytes."""
    conf: dict[str, str] = field(default_factory=dict)
    """Additional Spark settings of the Storage."""


def to_text(task: SparkTask) -> str:
    """Return the task as JSON."""
    return json.dumps(asdict(task), separators=(",", ":"), ensure_ascii=False)


def from_text(text: str) -> SparkTask:
    """Parse a task.

    Raises:
        ValueError: it was not written by `to_text`.
    """
    try:
        return SparkTask(**json.loads(text))
    except TypeError as error:
        raise ValueError(str(error)) from error
