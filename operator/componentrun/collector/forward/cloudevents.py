"""Life-cycle events as a batch of CloudEvents 1.0, signed as standard-webhooks defines. Pure.

Attributes: `id` is that of the event, `source` the run, `type` its phase. The data is the event as
`componentrun events -o json` prints it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from typing import TYPE_CHECKING, Any, Final

from componentrun.collector.runs.lifecycle import SOURCE
from componentrun.core.lifecycle.ending import TERMINAL
from componentrun.errors import Reason, UserError
from componentrun.storage.events.events import event_dict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.collector.forward.message import Message
    from componentrun.storage.events.events import Event

__all__ = ["CONTENT_TYPE", "batch", "is_life_cycle", "keys_of", "sign", "signature"]

CONTENT_TYPE: Final = "application/cloudevents-batch+json"
_TYPE: Final = "dev.componentrun.run."
_NOTICE: Final = "notice"
_MARK: Final = "whsec_"
_KEY_BYTES: Final = (24, 64)


def is_life_cycle(source: str) -> bool:
    """Whether events of a source are about the life cycle of a run, not printed lines."""
    return source == SOURCE


def batch(messages: Sequence[Message]) -> bytes:
    """The body of a request."""
    events = [_cloud_event(message) for message in messages]
    # Half a surrogate pair can't be encoded.
    return json.dumps(events, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")


def _cloud_event(message: Message) -> dict[str, Any]:
    event = message.event
    data = event_dict(event) | {"runName": message.run_name, "namespace": message.namespace}
    return {
        "specversion": "1.0",
        "id": event.id,
        "source": f"/namespaces/{message.namespace}/componentruns/{message.run_name}",
        "type": _TYPE + _kind(event),
        "subject": message.run_name,
        "time": event.time,
        "datacontenttype": "application/json",
        "data": data,
    }


def _kind(event: Event) -> str:
    """The phase that the run has reached; anything else is a notice."""
    phase = event.params.get("phase")
    if isinstance(phase, str) and (phase in TERMINAL or event.type == "info"):
        return phase.lower()
    return _NOTICE


def keys_of(text: str, subject: str) -> tuple[bytes, ...]:
    """The keys to sign with: one, or several separated by spaces while a key is rotated. `subject` is for messages.

    Raises:
        UserError: (SecretNotFound) the text has no valid key.
    """
    keys = []
    for word in text.split():
        try:
            key = base64.b64decode(word.removeprefix(_MARK), validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if not word.startswith(_MARK) or not _KEY_BYTES[0] <= len(key) <= _KEY_BYTES[1]:
            raise _no_key(subject)
        keys.append(key)
    if not keys:
        raise _no_key(subject)
    return tuple(keys)


def _no_key(subject: str) -> UserError:
    # The text is not quoted, as it may be most of a key.
    return UserError(
        f"{subject} has no key to sign webhooks with",
        Reason.SECRET_NOT_FOUND,
        advice=f"Set it to `{_MARK}` and base64 of {_KEY_BYTES[0]} to {_KEY_BYTES[1]} random bytes, or to several such "
        "keys separated by spaces.",
    )


def sign(messages: Sequence[Message], body: bytes, keys: Sequence[bytes], now: float) -> dict[str, str]:
    """The headers that let a receiver check where a request comes from.

    Args:
        messages: what the body holds. The same ones get the same `webhook-id`, however often they are sent.
        body: of the request.
        keys: to sign with; a signature each.
        now: seconds since 1970.
    """
    identity = hashlib.sha256("\n".join(message.event.id for message in messages).encode()).hexdigest()
    message_id, stamp = f"msg_{identity[:32]}", str(int(now))
    return {
        "webhook-id": message_id,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(signature(key, message_id, stamp, body) for key in keys),
    }


def signature(key: bytes, message_id: str, stamp: str, body: bytes) -> str:
    """One signature of a request, as standard-webhooks has it."""
    content = f"{message_id}.{stamp}.".encode() + body
    return f"v1,{base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()}"
