"""How large a catalogue and its parts may be. They stop mistakes and hostile bundles early, with a clear message."""

from __future__ import annotations

from typing import Final

__all__ = [
    "MAX_BUNDLE_BYTES",
    "MAX_ENTRIES",
    "MAX_FILES",
    "MAX_FILE_BYTES",
    "MAX_FOLDER_DEPTH",
    "MAX_FRAME_BYTES",
    "MAX_INDEX_BYTES",
    "MAX_OBJECT_BYTES",
]

MIB: Final = 1024 * 1024

MAX_BUNDLE_BYTES: Final = 64 * MIB
"""Size of a bundle, and of the files in it together, before and after decompression."""
MAX_FRAME_BYTES: Final = MAX_BUNDLE_BYTES // 1024
"""What the format of gzip adds to an archive of the maximum size: 5 bytes for each 64 KiB."""
MAX_ENTRIES: Final = 2000
"""Components of one catalogue."""
MAX_FILES: Final = 20_000
"""Files and folders below the folder of a catalogue."""
MAX_FILE_BYTES: Final = 8 * MIB
"""One file of a folder."""
MAX_FOLDER_DEPTH: Final = 16
"""Folders inside each other."""
MAX_INDEX_BYTES: Final = MAX_BUNDLE_BYTES
"""A public component index."""
MAX_OBJECT_BYTES: Final = MIB
"""One Component as JSON. etcd takes 1.5 MiB for an object, and the status and the managed fields need room as well."""
