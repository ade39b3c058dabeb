"""Whether a table shares its folder with another table.

If another engine renames a table, it keeps its folder, and a catalog may assign the same folder to a new table of the
old name. Then files that one of them does not reach may belong to the other, and must not be deleted as orphans.
"""

from __future__ import annotations

import json
import logging
import re
from typing import TYPE_CHECKING, Final

from componentrun.loader.maintenance.reachable import metadata_files, one_form

if TYPE_CHECKING:
    from pyiceberg.table import Table

    from componentrun.loader.maintenance.objects import TableObjects

__all__ = ["is_alone"]

log = logging.getLogger(__name__)

_METADATA: Final = ".metadata.json"
_MOST_READ: Final = 50_000
"""Maximum number of unreferenced metadata files to examine. With more, the folder counts as shared. Each commit leaves
one such file, and they are deleted after some days."""
_HEAD: Final = 4096
"""Bytes of a file that are read first. Catalogs write the uuid of the table near the beginning."""
_UUID: Final = re.compile(rb'"table-uuid"\s*:\s*"([^"]+)"')


def is_alone(table: Table, objects: TableObjects) -> bool:
    """Whether a table's folder contains no metadata of other tables.

    Raises:
        ComponentRunError: the store refused a request or does not respond.
    """
    own, read = set(metadata_files(table)), 0
    for page in objects.list_below(f"{table.location().rstrip('/')}/metadata/"):
        unnamed = [item.location for item in page if item.location.endswith(_METADATA)]
        unnamed = [location for location in unnamed if one_form(location) not in own]
        read += len(unnamed)
        if read > _MOST_READ:
            log.warning("orphans of %s stay: it has more than %d files of metadata", ".".join(table.name()), _MOST_READ)
            return False
        for location, head in zip(unnamed, objects.heads(unnamed, _HEAD), strict=True):
            if _uuid(table, location, head) != str(table.metadata.table_uuid):
                log.warning(
                    "orphans of %s stay: %s belongs to another table with the same folder, or can't be read",
                    ".".join(table.name()), location,
                )  # fmt: skip
                return False
    return True


def _uuid(table: Table, location: str, head: bytes) -> str | None:
    if (found := _UUID.search(head)) is not None:
        return found[1].decode()
    try:
        with table.io.new_input(location).open() as file:
            said = json.loads(file.read())
    except ValueError:  # compressed, or truncated
        return None
    return str(said.get("table-uuid")) if isinstance(said, dict) else None
