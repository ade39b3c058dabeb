"""Valid names of files and tags. Pure; shared by the agents, Storage and the command line.

A name is a file's name in a folder (preceded by an id, and followed by `.manifest`), and one part of an object key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from componentrun.contract import MANIFEST_SUFFIX

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["MAX_BYTES", "MOST_SYSTEM_TAGS", "MOST_TAGS", "name_problem", "tags_problem"]

MAX_BYTES: Final = 180
"""Maximum length of a name or a tag in bytes of UTF-8: 240 characters of base64, within file systems' limit of 255."""
MOST_TAGS: Final = 50
"""Maximum number of a file's own tags."""
MOST_SYSTEM_TAGS: Final = 10
"""Maximum number of additional tags for its origin."""


def name_problem(name: str) -> str | None:
    """Return why this is not a valid file name, as the end of a sentence; None if it is valid."""
    if name in {"", ".", ".."} or "/" in name:
        return "is no file name; expected one without slashes, which is not `.` or `..`"
    if name.endswith(MANIFEST_SUFFIX):
        return f"ends with `{MANIFEST_SUFFIX}`, as manifests do"
    return _text_problem(name)


def tags_problem(tags: Iterable[str], most: int = MOST_TAGS) -> str | None:
    """Return why these are not valid tags, as the end of a sentence; None if they are valid."""
    tags = list(tags)
    if len(tags) > most:
        return f"has {len(tags)} tags; expected at most {most}"
    for tag in tags:
        problem = _text_problem(tag) if tag.strip() else "is empty"
        if problem is not None:
            return f"has the tag {tag[:MAX_BYTES]!r}, which {problem}"
    return None


def _text_problem(text: str) -> str | None:
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return "is not UTF-8"
    if size > MAX_BYTES:
        return f"has {size} bytes; expected at most {MAX_BYTES}"
    if any(ord(sign) < ord(" ") or sign == "\x7f" for sign in text):
        return "holds a control character"
    return None
