"""Keys of the records of files, and of their index. Pure.

    records/<id>.json        the record
    names/<name>/<id>        every file, by its name
    tags/<tag>/<id>          every file, by each of its tags
    data/<attempt>/<id>      every file, by the data prefix that holds its bytes
    expiry/<time>-<id>       files that are not permanent, by when they expire

Many files of one commit share the last three: instead of an id, these keys contain a *group*, the common beginning of
the commit's ids, so a listing of the records shows its files.

All keys except the records are used by listing only, so that 100,000 files take 100 requests instead of 100,000. An id
contains the creation time of its file. Its digits are inverted in keys, so that a listing, which has only one
direction, begins with the newest file. Names and tags are base64, so that any text is one part of a key and common
beginnings of names are kept.
"""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from componentrun.errors import PlatformError

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["FILE_ID", "FileIndex", "file_id", "file_of_key", "group_of", "group_of_key", "is_file_id"]

FILE_ID: Final = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{25}")
"""As in a ULID: 48 bits of time, and 80 that distinguish files of the same millisecond: 30 for commits, 50 within
one."""

_DIGITS: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_TURNED: Final = str.maketrans(_DIGITS, _DIGITS[::-1])
_ID_LENGTH: Final = 26
_GROUP_LENGTH: Final = 16
_GROUP_BITS: Final = 30
_OWN_BITS: Final = 50
_HASH_BYTES: Final = 8
_GROUP: Final = re.compile(r"[0-7][0-9A-HJKMNP-TV-Z]{15}")
_TIME_DIGITS: Final = 12
_RECORD: Final = ".json"


def file_id(time: datetime, *owner: str) -> str:
    """Return the id of a file. Ids sort by creation time; the same arguments return the same id.

    Args:
        time: creation time of the file, with a precision of milliseconds.
        owner: identifies the file among those of the same moment. All but the last part are the same within a commit.
    """
    group, suffix = _hash(_GROUP_BITS, *owner[:-1]), _hash(_OWN_BITS, *owner)
    number = (int(time.timestamp() * 1000) << _GROUP_BITS | group) << _OWN_BITS | suffix
    return "".join(_DIGITS[number >> 5 * place & 31] for place in reversed(range(_ID_LENGTH)))


def _hash(bits: int, *texts: str) -> int:
    digest = hashlib.sha256("\0".join(texts).encode()).digest()[:_HASH_BYTES]
    return int.from_bytes(digest) >> (8 * _HASH_BYTES - bits)


def group_of(file: str) -> str:
    """Return the common beginning of the ids of a commit's files."""
    return file[:_GROUP_LENGTH]


def group_of_key(key: str) -> str | None:
    """Return the group at the end of a key of the index; None if there is none."""
    group = key.rpartition("/")[2].translate(_TURNED)
    return group if _GROUP.fullmatch(group) else None


def is_file_id(text: str) -> bool:
    """Whether it has the form of a file's id."""
    return FILE_ID.fullmatch(text) is not None


def file_of_key(key: str) -> str | None:
    """Return the id at the end of a key of the index; None if there is none."""
    file = key.rpartition("/")[2].removesuffix(_RECORD).translate(_TURNED)
    return file if is_file_id(file) else None


@dataclass(frozen=True, slots=True)
class FileIndex:
    """Builds the keys. `root` is the index's prefix; all prefixes end with a slash."""

    root: str

    def records(self) -> str:
        """Prefix of all records, newest first."""
        return f"{self.root}records/"

    def record(self, file: str) -> str:
        """Key of a file's record."""
        return f"{self.records()}{_turned(file)}{_RECORD}"

    def records_of_group(self, group: str) -> str:
        """Common beginning of the keys of a group's records."""
        return self.records() + _turned(group)

    def names(self) -> str:
        """Prefix of all files by their names."""
        return f"{self.root}names/"

    def name(self, name: str) -> str:
        """Prefix of all files of one name, newest first."""
        return f"{self.names()}{_word(name)}/"

    def names_from(self, start: str) -> str:
        """Common beginning of the keys of all files whose names begin with `start` (and of a few others)."""
        data = start.encode()
        # Three bytes are four characters; the characters of remaining bytes depend on what follows.
        return self.names() + _word(data[: len(data) // 3 * 3])

    def before(self, names: str) -> str | None:
        """Return the start of a listing of all keys that begin with `names` (see `names_from`); None: the first name.

        Not `names` itself: it may be the folder of a shorter name, and SeaweedFS skips a folder after which a listing
        starts. Keys of other names may come first.
        """
        return f"{names[:-1]}{chr(ord(names[-1]) - 1)}~" if names != self.names() else None

    def name_of(self, key: str) -> str | None:
        """Return the name in a key below `names`; None if the key has another form."""
        word = key.removeprefix(self.names()).partition("/")[0]
        try:
            return urlsafe_b64decode(word + "=" * (-len(word) % 4)).decode()
        except ValueError:
            return None

    def tag(self, tag: str) -> str:
        """Prefix of all files with a tag, newest first."""
        return f"{self.root}tags/{_word(tag)}/"

    def data(self, attempt: str = "") -> str:
        """Prefix of all files whose bytes are below `data/<attempt>/`; without an attempt: of all files."""
        return f"{self.root}data/{attempt}/" if attempt else f"{self.root}data/"

    def expiries(self) -> str:
        """Prefix of all files that expire, the next one first."""
        return f"{self.root}expiry/"

    def expiry(self, time: datetime, file: str) -> str:
        """Key of a file that expires."""
        return f"{self.expiries()}{int(time.timestamp()):0{_TIME_DIGITS}d}-{_turned(file)}"

    def expiry_of(self, key: str) -> tuple[int, str] | None:
        """Return expiry (seconds since 1970) and id or group of a key below `expiries`; None for other keys."""
        time, _, reversed_id = key.removeprefix(self.expiries()).partition("-")
        file = file_of_key(reversed_id) or group_of_key(reversed_id)
        return (int(time), file) if file and len(time) == _TIME_DIGITS and time.isdecimal() else None

    @staticmethod
    def below(prefix: str, file: str) -> str:
        """Key of a file (or of a group of files) below one of the prefixes by name, tag or data."""
        return prefix + _turned(file)


def _turned(file: str) -> str:
    """Invert the digits of an id or a group, for keys and back."""
    if not is_file_id(file) and not _GROUP.fullmatch(file):
        raise PlatformError(f"{file!r} is no id of a file: expected 26 digits and capital letters")
    return file.translate(_TURNED)


def _word(text: str | bytes) -> str:
    data = text.encode() if isinstance(text, str) else text
    return urlsafe_b64encode(data).decode().rstrip("=")
