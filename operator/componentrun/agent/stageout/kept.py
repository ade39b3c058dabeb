"""What a run leaves besides tables, files and state: out/result.json, out/usage.json and artifacts.

They are stored as they are below `_kept/` of the attempt's own prefix, whatever becomes of the tables. What is no JSON
of the expected kind is a warning, because nobody computes with it; what is no regular file is an error here, too, also
where nobody would read it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from componentrun.agent.folder import FILE, FOLDER, refused, shown
from componentrun.agent.parallel import CONNECTIONS, in_parallel
from componentrun.agent.progress import say
from componentrun.agent.stagein.form import Form
from componentrun.contract import OUT_ARTIFACTS, OUT_FILES, OUT_RESULT, OUT_STATE, OUT_TABLES, OUT_USAGE
from componentrun.errors import Reason, UserError
from componentrun.wire.agents import STAGE_OUT_KEPT
from componentrun.wire.documents import NO_TEXT, is_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from componentrun.agent.folder import Folder
    from componentrun.agent.transfer import Client
    from componentrun.wire.agents import PostPolicy

__all__ = ["Kept", "keep"]

MAX_ARTIFACTS: Final = 1000
MAX_ARTIFACT_BYTES: Final = 2**30
"""All artifacts together."""
MAX_DOCUMENT_BYTES: Final = 2**20
_DEEPEST: Final = 16
_MAX_KEY_BYTES: Final = 1024
"""Of an object, in UTF-8: S3 takes no longer ones."""
_READ: Final = frozenset({OUT_TABLES, OUT_FILES, OUT_STATE, OUT_RESULT, OUT_USAGE})
"""Whoever reads them says what else stands in their place."""
_FILENAME: Final = "${filename}"


@dataclass(frozen=True, slots=True)
class Kept:
    """What was found."""

    said: str | None
    """The message of result.json; None: there is none."""
    warnings: tuple[str, ...]
    errors: tuple[UserError, ...]


def keep(client: Client, folder: Folder, post: PostPolicy) -> Kept:
    """Store all of it, as far as it can be.

    Raises:
        PlatformError: see `Client.send`.
    """
    warnings: list[str] = []
    errors: list[UserError] = []
    paths: list[str] = []
    said = None
    for path in (OUT_RESULT, OUT_USAGE):
        try:
            document = _read(folder, path)
            if path == OUT_RESULT:
                said = _message(document)
            else:
                _check_usage(document)
            paths.append(path)
        except FileNotFoundError:
            continue
        except ValueError as error:
            paths.append(path)
            warnings.append(f"{path}: {error}; it was kept as it is, and not read")
        except UserError as error:
            errors.append(error)
    errors += _traps(folder)
    try:
        artifacts = _artifacts(folder)
    except UserError as error:
        artifacts = []
        errors.append(error)
    unread = _store(client, folder, post, [*paths, *artifacts])
    errors += unread.values()
    artifacts = [path for path in artifacts if path not in unread]
    if artifacts:
        say("info", f"Artifacts kept: {len(artifacts)}.", artifacts=len(artifacts))
    return Kept(said, tuple(warnings), tuple(errors))


def _read(folder: Folder, path: str) -> Any:
    """A small JSON document. Raises `ValueError` where it is none, `FileNotFoundError` where there is nothing."""
    with folder.open(path) as file:
        if file.size > MAX_DOCUMENT_BYTES:
            raise UserError(f"{path}: {file.size} bytes; expected at most {MAX_DOCUMENT_BYTES}", Reason.OUTPUT_INVALID)
        text = file.read(file.size, 0)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("it is no JSON") from None
    if not is_text(document):
        raise ValueError(NO_TEXT)
    return document


def _traps(folder: Folder) -> list[UserError]:
    """What stands in `out/` itself, is read by nobody, and is no file or folder."""
    root, _, _ = OUT_TABLES.partition("/")
    try:
        entries = folder.entries(root)
    except UserError:
        return []  # told by those who look for tables
    traps = [(f"{root}/{entry.name}", entry.kind) for entry in entries if entry.kind not in {FILE, FOLDER}]
    return [refused(path, kind) for path, kind in traps if path not in _READ]


def _message(document: Any) -> str | None:
    if not isinstance(document, dict):
        raise ValueError("expected an object with a `message`")  # noqa: TRY004 - wrong data
    message = document.get("message")
    if message is not None and not isinstance(message, str):
        raise ValueError("its `message` is no text")
    return message or None


def _check_usage(document: Any) -> None:
    for item in document if isinstance(document, list) else [None]:
        number = item.get("value") if isinstance(item, dict) else None
        if not isinstance(item, dict) or not isinstance(item.get("metric"), str) or not isinstance(number, int | float):
            raise ValueError("expected a list of objects with `metric` and a number as `value`")  # noqa: TRY004 - wrong data


def _artifacts(folder: Folder) -> list[str]:
    """Paths of all artifacts, below the data folder.

    Raises:
        UserError: (OutputInvalid) one is no regular file, has a name that is no text, or there are too many.
    """
    found: list[str] = []
    total = 0
    for root in OUT_ARTIFACTS:
        for path, size in _files(folder, root, _DEEPEST):
            found.append(path)
            total += size
            if len(found) > MAX_ARTIFACTS or total > MAX_ARTIFACT_BYTES:
                raise UserError(
                    f"{root}: more than {MAX_ARTIFACTS} artifacts, or {MAX_ARTIFACT_BYTES} bytes of them; expected at "
                    "most that much. None was kept",
                    Reason.OUTPUT_INVALID,
                )
    return found


def _files(folder: Folder, path: str, depth: int) -> Iterator[tuple[str, int]]:
    for entry in folder.entries(path):
        below = f"{path}/{entry.name}"
        if shown(entry.name) != entry.name or "\\" in entry.name:
            raise UserError(f"{shown(below)}: its name is no plain text", Reason.OUTPUT_INVALID)
        if entry.kind == FILE:
            yield below, entry.size
        elif entry.kind != FOLDER:
            raise refused(below, entry.kind)
        elif depth == 0:
            raise UserError(f"{below}: more than {_DEEPEST} folders deep", Reason.OUTPUT_INVALID)
        else:
            yield from _files(folder, below, depth - 1)


def _key(post: PostPolicy, path: str) -> str:
    key = f"{post.key_prefix}{STAGE_OUT_KEPT}{path}"
    if len(key.encode()) > _MAX_KEY_BYTES:
        raise UserError(
            f"{path[:200]}...: with its folders it is longer than an object's key can be; expected at most "
            f"{_MAX_KEY_BYTES - len(key.encode()) + len(path.encode())} bytes",
            Reason.OUTPUT_INVALID,
        )
    if _FILENAME in path:
        # In the key of a form, stores put something else in its place.
        raise UserError(f"{path}: its name holds `{_FILENAME}`; expected another one", Reason.OUTPUT_INVALID)
    return key


def _store(client: Client, folder: Folder, post: PostPolicy, paths: list[str]) -> dict[str, UserError]:
    """Store what can be; what is wrong with the others, by their paths."""
    errors: dict[str, UserError] = {}

    def store(path: str) -> None:
        try:
            with folder.open(path) as file:
                key = _key(post, path)
                form = Form(post, key, file.read, offset=0, size=file.size, tail=b"", stop=client.stop, what=path)
                client.send(form.request(), form.stored)
        except UserError as error:
            # Not raised: that would end the client, which has to store the result.
            errors[path] = error

    in_parallel(paths, store, min(CONNECTIONS, len(paths)), client.stop)
    return errors
