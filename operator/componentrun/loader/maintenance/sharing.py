"""Whether the folder of a table is its own alone.

A table that another engine renamed keeps its folder, and a catalog may give the same one to the next table of the old
name. Then what one of the two does not reach belongs to the other, and must not be deleted as lost.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Final

from componentrun.loader.maintenance.reachable import metadata_files, one_form

if TYPE_CHECKING:
    from pyiceberg.table import Table

    from componentrun.loader.maintenance.objects import TableObjects

__all__ = ["is_alone"]

log = logging.getLogger(__name__)

_METADATA: Final = ".metadata.json"
_MOST_READ: Final = 100
"""Files of metadata that the table does not name any more and that are looked into; with more, nothing is known."""


def is_alone(table: Table, objects: TableObjects) -> bool:
    """Whether no other table has its metadata in a table's folder.

    Raises:
        ComponentRunError: the store refused or is away.
    """
    own, read = set(metadata_files(table)), 0
    for page in objects.list_below(f"{table.location().rstrip('/')}/metadata/"):
        for item in page:
            if not item.location.endswith(_METADATA) or one_form(item.location) in own:
                continue
            read += 1
            if read > _MOST_READ or _uuid(table, item.location) != str(table.metadata.table_uuid):
                log.warning(
                    "lost files of %s stay: %s belongs to another table with the same folder, or can't be read",
                    ".".join(table.name()), item.location,
                )  # fmt: skip
                return False
    return True


def _uuid(table: Table, location: str) -> str | None:
    try:
        with table.io.new_input(location).open() as file:
            said = json.loads(file.read())
    except ValueError:  # compressed, or cut off
        return None
    return str(said.get("table-uuid")) if isinstance(said, dict) else None
