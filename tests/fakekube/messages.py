"""Requests and responses, however they are carried."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping


@dataclass(frozen=True)
class Request:
    """One request.

    Attributes:
        path: decoded neither of its escapes nor of anything else.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_watch(self) -> bool:
        """Whether a stream of events is asked for."""
        return self.query.get("watch") in {"true", "1"}

    @property
    def is_dry_run(self) -> bool:
        """Whether nothing is to be stored."""
        return self.query.get("dryRun") == "All"

    def document(self) -> Any:
        """The body, parsed; an empty object if there is none."""
        return json.loads(self.body) if self.body else {}


@dataclass
class Response:
    """One response: a body, or a stream of chunks.

    Attributes:
        on_close: called when the client reads no more of the stream.
        stream: ends when the server has nothing more to send; raises `ConnectionResetError` where it is cut off.
    """

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    stream: AsyncIterator[bytes] | None = None
    on_close: Callable[[], object] = lambda: None


def json_response(status: int, document: Any) -> Response:
    """A response with this document."""
    return Response(status, json.dumps(document).encode(), {"Content-Type": "application/json"})


def text_response(status: int, text: str) -> Response:
    """A response that is no Status object, as for a path that does not exist."""
    return Response(status, text.encode(), {"Content-Type": "text/plain; charset=utf-8"})
