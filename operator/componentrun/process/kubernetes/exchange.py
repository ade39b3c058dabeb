"""What both clients have in common: what is sent, how answers are read, what is sent again."""

from __future__ import annotations

import json
import logging
import re
from typing import TYPE_CHECKING, Any, Final, TypeVar

from componentrun.process.depths import without_depths
from componentrun.process.kubernetes.errors import GoneError, UnavailableError

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from componentrun.process.kubernetes.errors import KubeError

__all__ = [
    "APPLY_PATCH",
    "FIRST_ERROR",
    "JSON",
    "LENIENT",
    "MERGE_PATCH",
    "STRICT",
    "UNTRUSTED",
    "Retries",
    "applying",
    "backoff",
    "body_of",
    "checked_event",
    "deletion",
    "listing",
    "parse",
    "read_json",
    "retry_after",
    "watching",
]

log = logging.getLogger(__name__)

Document = TypeVar("Document")

JSON: Final = "application/json"
MERGE_PATCH: Final = "application/merge-patch+json"
APPLY_PATCH: Final = "application/apply-patch+yaml"
"""Server-side apply. The server reads the body as YAML."""
STRICT: Final = {"fieldValidation": "Strict"}
LENIENT: Final = {"fieldValidation": "Ignore"}
"""For what we write ourselves: all of its fields exist, and the server need not look for others, and warn."""
FIRST_ERROR: Final = 300
"""A redirect is an error: the API server sends none."""
UNTRUSTED: Final = "its certificate can't be trusted"
"""In the blocking client's message about a server whose certificate is refused."""
_TRIES: Final = 4
_FIRST_PAUSE: Final = 0.2
_LONGEST_PAUSE: Final = 10.0
_GONE: Final = 410
_QUOTED: Final = 200
_NOT_YAML: Final = re.compile("[\\x7f-\\x9f\\u2028\\u2029\\ufeff\\ufffe\\uffff]")
"""Characters that JSON allows in a text as they are, and YAML does not, or takes for the end of a line."""
_TOO_DEEP: Final = "recursion limit"
"""In the message of pydantic's parser about JSON that is nested deeper than it reads."""


class Retries:
    """The tries of one request: after which errors it is sent again, and when."""

    def __init__(self, pause: Callable[[int], float], *, may_repeat: bool = True) -> None:
        """Nothing was sent yet.

        Args:
            pause: seconds to wait after so many tries, unless the server says how long.
            may_repeat: whether a request that may have been carried out is sent again.
        """
        self._pause = pause
        self._may_repeat = may_repeat
        self._tries = 0
        self._has_new_credential = self._may_be_done = False

    def pause_after(self, error: KubeError) -> float:
        """Seconds to wait before the request is sent again.

        Raises:
            KubeError: the same error, if no further try makes sense; `may_be_done` speaks for all tries.
        """
        self._tries += 1
        self._may_be_done = error.may_be_done = self._may_be_done or error.may_be_done
        if isinstance(error, UnavailableError):
            if self._tries < _TRIES and (self._may_repeat or not error.may_be_done):
                log.debug("trying again: %s", error.message)
                return error.retry_after or self._pause(self._tries)
        elif error.may_be_renewed and not self._has_new_credential:
            self._has_new_credential = True
            return 0.0
        raise error


def backoff(randomness: random.Random, tries: int) -> float:
    """Seconds to wait after so many tries: twice as long each time, spread by chance."""
    return randomness.uniform(0.5, 1.0) * min(_FIRST_PAUSE * 2.0 ** (tries - 1), _LONGEST_PAUSE)


def listing(labels: str = "", fields: str = "", limit: int = 0) -> dict[str, str]:
    """The query of a listing: selectors, and how many objects a page has."""
    query = {"limit": str(limit or ""), "labelSelector": labels, "fieldSelector": fields}
    return {name: value for name, value in query.items() if value}


def watching(version: str, seconds: int, labels: str = "", fields: str = "") -> dict[str, str]:
    """The query of a watch from a version on, which the server ends after so many seconds."""
    query = {
        "watch": "true",
        "resourceVersion": version,
        "allowWatchBookmarks": "true",
        "timeoutSeconds": str(seconds),
    }
    return query | listing(labels, fields)


def deletion(uid: str = "", grace_seconds: int | None = None, version: str = "") -> dict[str, Any]:
    """The body of a deletion: of exactly this object, at this version if one is given."""
    conditions = {name: value for name, value in (("uid", uid), ("resourceVersion", version)) if value}
    body: dict[str, Any] = {"propagationPolicy": "Background"}
    if conditions:
        body["preconditions"] = conditions
    if grace_seconds is not None:
        body["gracePeriodSeconds"] = grace_seconds
    return body


def applying(manager: str, *, dry_run: bool = False) -> dict[str, str]:
    """The query of a server-side apply that takes over fields that others have set since."""
    return STRICT | {"fieldManager": manager, "force": "true"} | ({"dryRun": "All"} if dry_run else {})


def body_of(document: Any, kind: str) -> bytes:
    """A document as the body of a request of this media type.

    JSON is YAML except for its escapes of characters outside the basic plane, and for a few characters.
    """
    if kind != APPLY_PATCH:
        return json.dumps(document).encode()
    text = json.dumps(document, ensure_ascii=False)
    return _NOT_YAML.sub(lambda match: f"\\u{ord(match[0]):04x}", text).encode()


def retry_after(header: str | None) -> float:
    """Seconds that a `Retry-After` header asks to wait; 0 if it asks for nothing."""
    text = header or ""
    return min(float(text), _LONGEST_PAUSE) if text.isascii() and text.isdigit() else 0.0


def parse(content: bytes, what: str, read: Callable[[bytes], Any] = json.loads) -> dict[str, Any]:
    """The JSON object of an answer. What is nested deeper than `read` goes is left out, which `core` then refuses.

    Args:
        content: the answer.
        what: the request, for messages.
        read: the parser.

    Raises:
        UnavailableError: it is not a JSON object.
    """
    try:
        document = read_json(content, read)
    except ValueError as error:
        raise UnavailableError(f"{what}: the answer is not valid JSON: {content[:_QUOTED]!r}") from error
    if not isinstance(document, dict):
        raise UnavailableError(f"{what}: the answer is not a JSON object: {content[:_QUOTED]!r}")
    return document


def read_json(content: bytes, read: Callable[[bytes], Document]) -> Document:
    """Parse JSON with `read`, which may be pydantic's parser. Parts that are nested too deep for it are left out.

    Raises:
        ValueError: it is not JSON, or not what `read` expects.
    """
    try:
        return read(content)
    except RecursionError:
        pass
    except ValueError as error:
        if _TOO_DEEP not in str(error):
            raise
    return read(without_depths(content))


def checked_event(event: dict[str, Any]) -> dict[str, Any]:
    """The watch event.

    Raises:
        GoneError: it says that the version is too old.
        UnavailableError: it is another error.
    """
    if event.get("type") != "ERROR":
        return event
    status = event.get("object") or {}
    code, message = int(status.get("code") or 0), str(status.get("message", ""))
    if code == _GONE:
        raise GoneError(f"watch: {message}", code)
    raise UnavailableError(f"watch: {code}: {message}", code)
