"""Stores out/result.json, out/usage.json and artifacts.

They are stored unchanged below `_kept/` of the attempt's own prefix, even if tables can't be stored. Invalid JSON, or
JSON of another kind, is only a warning, because no decision depends on it. Anything but regular files and folders is an
error, even at paths that nothing reads.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from componentrun.agent.artifacts import artifacts_in, traps
from componentrun.agent.parallel import CONNECTIONS, in_parallel
from componentrun.agent.progress import say
from componentrun.agent.stagein.form import Form
from componentrun.contract import OUT_RESULT, OUT_USAGE
from componentrun.errors import Reason, UserError
from componentrun.wire.agents import STAGE_OUT_KEPT
from componentrun.wire.documents import NO_TEXT, is_text

if TYPE_CHECKING:
    from componentrun.agent.folder import Folder
    from componentrun.agent.transfer import Client
    from componentrun.wire.grants import PostPolicy

__all__ = ["Kept", "keep"]

MAX_DOCUMENT_BYTES: Final = 2**20
_MAX_KEY_BYTES: Final = 1024
"""Maximum length of an object key in UTF-8, set by S3."""
_FILENAME: Final = "${filename}"


@dataclass(frozen=True, slots=True)
class Kept:
    """Results of storing these files."""

    message: str | None
    """The message of result.json; None: there is none."""
    warnings: tuple[str, ...]
    errors: tuple[UserError, ...]


def keep(client: Client, folder: Folder, post: PostPolicy, data: Folder | None = None) -> Kept:
    """Store everything that can be stored.

    Args:
        client: sends it.
        folder: where it is: the data folder, or what an agent has taken from there.
        post: access to the attempt's own prefix.
        data: the data folder, if that is another one.

    Raises:
        PlatformError: see `Client.send`.
    """
    warnings: list[str] = []
    errors: list[UserError] = []
    paths: list[str] = []
    message = None
    for path in (OUT_RESULT, OUT_USAGE):
        try:
            document = _read(folder, path)
            if path == OUT_RESULT:
                message = _message(document)
            else:
                _check_usage(document)
            paths.append(path)
        except FileNotFoundError:
            continue
        except ValueError as error:
            paths.append(path)
            warnings.append(f"{path}: {error}; it was stored, but not read")
        except UserError as error:
            errors.append(error)
    errors += traps(data or folder)
    try:
        artifacts = artifacts_in(folder)
    except UserError as error:
        artifacts = []
        errors.append(error)
    unread = _store(client, folder, post, [*paths, *artifacts])
    errors += unread.values()
    artifacts = [path for path in artifacts if path not in unread]
    if artifacts:
        say("info", f"Artifacts kept: {len(artifacts)}.", artifacts=len(artifacts))
    return Kept(message, tuple(warnings), tuple(errors))


def _read(folder: Folder, path: str) -> Any:
    """Read a small JSON document. Raises `ValueError` if it is invalid, `FileNotFoundError` if it does not exist."""
    with folder.open(path) as file:
        if file.size > MAX_DOCUMENT_BYTES:
            raise UserError(f"{path}: {file.size} bytes; expected at most {MAX_DOCUMENT_BYTES}", Reason.OUTPUT_INVALID)
        text = file.read(file.size, 0)
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("it is not valid JSON") from None
    if not is_text(document):
        raise ValueError(NO_TEXT)
    return document


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


def _key(post: PostPolicy, path: str) -> str:
    key = f"{post.key_prefix}{STAGE_OUT_KEPT}{path}"
    if len(key.encode()) > _MAX_KEY_BYTES:
        raise UserError(
            f"{path[:200]}...: with its folders it is longer than an object's key can be; expected at most "
            f"{_MAX_KEY_BYTES - len(key.encode()) + len(path.encode())} bytes",
            Reason.OUTPUT_INVALID,
        )
    if _FILENAME in path:
        # Stores substitute this string in the key of a form.
        raise UserError(f"{path}: its name holds `{_FILENAME}`; expected another one", Reason.OUTPUT_INVALID)
    return key


def _store(client: Client, folder: Folder, post: PostPolicy, paths: list[str]) -> dict[str, UserError]:
    """Store what can be stored; returns the errors of the others, by path."""
    errors: dict[str, UserError] = {}

    def store(path: str) -> None:
        try:
            with folder.open(path) as file:
                key = _key(post, path)
                form = Form(post, key, file.read, offset=0, size=file.size, tail=b"", stop=client.stop, subject=path)
                client.send(form.request(), form.stored)
        except UserError as error:
            # Not raised: an error would stop the client, which still has to store the result.
            errors[path] = error

    in_parallel(paths, store, min(CONNECTIONS, len(paths)), client.stop)
    return errors
