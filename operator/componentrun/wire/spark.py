"""What maintenance tells the program in a Spark Job. No credential is in it: those are files in the pod."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any, Final

__all__ = ["CATALOG_FOLDER", "JARS_FOLDER", "STORE_FOLDER", "TASK_VARIABLE", "SparkTask", "from_text", "to_text"]

TASK_VARIABLE: Final = "COMPONENTRUN_SPARK_TASK"
STORE_FOLDER: Final = "/var/run/componentrun/store"
"""Where the Secret that `spec.credentials` of the Storage names is mounted, a file for each key."""
CATALOG_FOLDER: Final = "/var/run/componentrun/catalog"
"""Likewise that of `spec.catalog.credentials`."""
JARS_FOLDER: Final = "/opt/spark-jars"
"""Iceberg's jars in the image."""


@dataclass(frozen=True, slots=True)
class SparkTask:
    """Maintain one table."""

    storage: dict[str, Any]
    """The Storage object, without its status."""
    table: str
    """Its id."""
    scans: bool
    """Whether files are looked for that nothing reaches."""
    history: float
    """Seconds that a snapshot is kept once it is not the current one any more."""
    file_bytes: int
    """Bytes of a file that is made of many."""
    files: int
    """Fewer files than this are not put together."""
    deleted_percent: int
    """A file is rewritten when this share of its rows is deleted."""
    memory: int
    """Bytes that Java may use."""
    conf: dict[str, str] = field(default_factory=dict)
    """Spark's settings, as the Storage says."""


def to_text(task: SparkTask) -> str:
    """The task as JSON."""
    return json.dumps(asdict(task), separators=(",", ":"), ensure_ascii=False)


def from_text(text: str) -> SparkTask:
    """The task in a JSON text.

    Raises:
        ValueError: it is not what `to_text` writes.
    """
    try:
        return SparkTask(**json.loads(text))
    except TypeError as error:
        raise ValueError(str(error)) from error
