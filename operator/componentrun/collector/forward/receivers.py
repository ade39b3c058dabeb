"""The receivers in a Storage's `spec.events`: which events they get, and the form of requests to them."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from componentrun.collector.forward import cloudevents, otlp
from componentrun.collector.forward.sender import Sender
from componentrun.errors import Reason, UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from componentrun.api.storage import StorageOtlp, StorageWebhook
    from componentrun.collector.forward.message import Message

__all__ = ["KINDS", "WANTS", "Kind", "Receiver", "otlp_receiver", "webhook_receiver"]

Kind = Literal["webhook", "otlp"]
KINDS: Final[tuple[Kind, ...]] = ("webhook", "otlp")
WANTS: Final[Mapping[Kind, Callable[[str], bool]]] = {"webhook": cloudevents.is_life_cycle, "otlp": lambda _: True}
"""Whether a receiver gets events of a source."""
SIGNING_KEY: Final = "secret"
"""Key in the webhook's Secret."""


class Receiver(Protocol):
    """One receiver."""

    @property
    def most(self) -> int:
        """Maximum number of events in a request."""

    @property
    def sender(self) -> Sender:
        """Makes the requests."""

    def request(self, messages: Sequence[Message], now: float) -> tuple[bytes, dict[str, str]]:
        """Body and headers of a request. `now`: seconds since 1970."""

    def rejected(self, answer: bytes) -> int:
        """Number of events that it rejected in a request that it accepted."""


@dataclass(frozen=True)
class _Webhook:
    url: str
    ca_bundle: str | None
    keys: tuple[bytes, ...] = field(repr=False)
    most: int = 100
    sender: Sender = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sender", Sender(self.url, self.ca_bundle))

    def request(self, messages: Sequence[Message], now: float) -> tuple[bytes, dict[str, str]]:
        body = cloudevents.batch(messages)
        return body, {
            "Content-Type": cloudevents.CONTENT_TYPE,
            **cloudevents.sign(messages, body, self.keys, now),
        }

    def rejected(self, answer: bytes) -> int:
        del answer  # a webhook accepts all or nothing
        return 0


@dataclass(frozen=True)
class _Otlp:
    url: str
    ca_bundle: str | None
    headers: Mapping[str, str] = field(repr=False)
    most: int = 1000
    sender: Sender = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sender", Sender(self.url, self.ca_bundle))

    def request(self, messages: Sequence[Message], now: float) -> tuple[bytes, dict[str, str]]:
        return otlp.logs(messages, now), {**self.headers, "Content-Type": otlp.CONTENT_TYPE}

    def rejected(self, answer: bytes) -> int:
        return otlp.rejected(answer)


def webhook_receiver(spec: StorageWebhook, secret: Mapping[str, Any] | None) -> Receiver:
    """A webhook.

    Args:
        spec: the configuration in the Storage.
        secret: the Secret that it names, as the API server returns it; None if it does not exist.

    Raises:
        UserError: (SecretNotFound) the Secret or its key is missing or invalid; (InvalidSpec) the CA bundle is not PEM.
    """
    subject = f"key `{SIGNING_KEY}` of Secret `{spec.secret_name}`"
    return _Webhook(
        spec.url, spec.ca_bundle, cloudevents.keys_of(_values(secret, spec.secret_name).get(SIGNING_KEY, ""), subject)
    )


def otlp_receiver(spec: StorageOtlp, secret: Mapping[str, Any] | None) -> Receiver:
    """An OTLP collector; arguments and errors as of `webhook_receiver`."""
    headers = _values(secret, spec.headers_secret_name) if spec.headers_secret_name is not None else {}
    return _Otlp(spec.endpoint.rstrip("/") + otlp.PATH, spec.ca_bundle, headers)


def _values(secret: Mapping[str, Any] | None, name: str) -> dict[str, str]:
    if secret is None:
        raise UserError(f"there is no Secret `{name}`", Reason.SECRET_NOT_FOUND)
    try:
        found = {
            key: base64.b64decode(text, validate=True).decode() for key, text in (secret.get("data") or {}).items()
        }
    except (binascii.Error, UnicodeDecodeError):
        raise UserError(f"a value of Secret `{name}` is not base64 of text", Reason.SECRET_NOT_FOUND) from None
    return {key: value.strip() for key, value in found.items()}
