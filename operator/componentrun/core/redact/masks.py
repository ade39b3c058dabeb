"""Values that a component masks with `::add-mask::VALUE`, the convention of GitHub Actions. Pure.

They are redacted in all later lines of the run. A collector that takes over has not read the line with the value.
Therefore the values are part of the checkpoint, encrypted with a key derived from the Secret of the run's pod: readers
of the Storage learn nothing, and a collector that can read the Secret can decrypt them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from componentrun.core.redact.redactor import Redactor

__all__ = ["COMMAND", "MAX_MASKS", "MIN_LENGTH", "REFUSALS", "Masks", "key_of_secret", "refusal", "values_in"]

COMMAND: Final = "::add-mask::"
MIN_LENGTH: Final = 6
MAX_LENGTH: Final = 2_048
MAX_MASKS: Final = 100
_MAX_TOTAL_LENGTH: Final = 8_192
"""Limit for all values of a run together, because each checkpoint contains them."""
_PADDING: Final = 256
"""The plaintext is padded to a multiple of this, to hide its length."""
_LINE: Final = re.compile(rf"^[ \t]*{COMMAND}(.+)$", re.MULTILINE)
_ESCAPES: Final = (("%0D", "\r"), ("%0A", "\n"), ("%25", "%"))
_COMMON: Final = frozenset(
    {
        "active", "applications", "attempt", "boolean", "bucket", "column", "columns", "component",
        "componentrun", "config", "configuration", "container", "customer", "customers", "database", "debug",
        "default", "disabled", "docker", "enabled", "endpoint", "error", "errors", "events", "example",
        "exception", "extract", "failed", "failure", "false", "finished", "function", "github", "google",
        "import", "inactive", "information", "input", "kubernetes", "loading", "localhost", "logger",
        "manifest", "message", "messages", "minutes", "missing", "number", "object", "orders", "output",
        "parameter", "parameters", "password", "pending", "process", "production", "project", "public",
        "python", "records", "request", "requests", "response", "result", "results", "retry", "running",
        "schema", "script", "seconds", "secret", "server", "service", "settings", "source", "stage-in",
        "stage-out", "staging", "started", "starting", "status", "stderr", "stdout", "storage", "string",
        "success", "succeeded", "system", "table", "tables", "target", "testing", "timeout", "traceback",
        "undefined", "unknown", "update", "upload", "username", "users", "values", "version", "warning",
        "warnings", "warnung",
    }
)  # fmt: skip
"""Words that occur in every log. Masking them would make events unreadable."""

Refusal = Literal["short", "long", "common", "many"]
REFUSALS: Final[dict[Refusal, str]] = {
    "short": f"it has fewer than {MIN_LENGTH} characters",
    "long": f"it has more than {MAX_LENGTH:,} characters",
    "common": "it is a word that is in every log, or is made of one or two characters",
    "many": f"the run has {MAX_MASKS} such values, or {_MAX_TOTAL_LENGTH:,} characters of them, which is the most",
}


def values_in(text: str) -> list[str]:
    """The values that the `::add-mask::` lines of a text contain."""
    if COMMAND not in text:
        return []
    values = []
    for value in _LINE.findall(text):
        for escape, character in _ESCAPES:
            value = value.replace(escape, character)  # noqa: PLW2901 - step by step
        values.append(value.strip())
    return values


def refusal(value: str) -> Refusal | None:
    """Why a value is not accepted as a mask; None if it is accepted."""
    if len(value) < MIN_LENGTH:
        return "short"
    if len(value) > MAX_LENGTH:
        return "long"
    is_plain = value.lower() in _COMMON or len(set(value)) < 3  # noqa: PLR2004 - a line of dashes
    return "common" if is_plain else None


class Masks:
    """The masked values of one run, and the redactors that hide them.

    Attributes:
        encrypted: values from a checkpoint, by the uid of the pod whose key decrypts them; empty once decrypted.
    """

    def __init__(self, encrypted: Mapping[str, str] | None = None) -> None:
        """Start with the values that `to_json` returned."""
        self.encrypted = dict(encrypted or {})
        self._values: dict[str, None] = {}
        self._keys: dict[str, bytes] = {}
        self._redactors: dict[str, Redactor] = {}
        self._encrypted_cache: dict[str, str] | None = None

    @property
    def has_values(self) -> bool:
        """Whether any value is masked."""
        return bool(self._values)

    def add_pod(self, pod_uid: str, key: bytes, redactor: Redactor) -> None:
        """Add a pod of the run: its redactor gets all values, and its key decrypts and encrypts the checkpoint."""
        self._keys[pod_uid], self._redactors[pod_uid] = key, redactor
        self._encrypted_cache = None
        values = _decrypt(self.encrypted.get(pod_uid, ""), key)
        if values is not None:
            self.encrypted = {}
            self._values |= dict.fromkeys(values)
            for pod_redactor in self._redactors.values():
                pod_redactor.learn(values)
        redactor.learn(self._values)

    def add(self, value: str) -> Refusal | None:
        """Mask a value from now on. Returns why it is not accepted, or None."""
        if value in self._values:
            return None
        reason = refusal(value)
        if reason is None and (
            len(self._values) >= MAX_MASKS or sum(map(len, self._values)) + len(value) > _MAX_TOTAL_LENGTH
        ):
            reason = "many"
        if reason is None:
            self._values[value] = None
            self._encrypted_cache = None
            for redactor in self._redactors.values():
                redactor.learn((value,))
        return reason

    def to_json(self) -> dict[str, str]:
        """The encrypted values for the checkpoint, by pod."""
        if not self._values:
            return self.encrypted
        if self._encrypted_cache is None:
            self._encrypted_cache = {uid: _encrypt(list(self._values), key) for uid, key in self._keys.items()}
        return self._encrypted_cache


def key_of_secret(secret: Mapping[str, Any]) -> bytes:
    """Derive the key from a pod's Secret, which contains unguessable signatures."""
    data = json.dumps(secret.get("data") or {}, sort_keys=True).encode()
    return hmac.digest(b"componentrun masks", data, hashlib.sha256)


def _encrypt(values: list[str], key: bytes) -> str:
    """Encrypt and authenticate values (SIV): the tag of the plaintext seeds the key stream."""
    text = json.dumps(values).encode()
    text += b" " * (-len(text) % _PADDING)
    tag = hmac.digest(key, b"tag" + text, hashlib.sha256)
    return base64.b64encode(tag + _xor_keystream(text, key, tag)).decode("ascii")


def _decrypt(token: str, key: bytes) -> list[str] | None:
    """Decrypt values; None if the key does not match."""
    try:
        data = base64.b64decode(token, validate=True)
    except (binascii.Error, ValueError):
        return None
    size = hashlib.sha256().digest_size
    tag, text = data[:size], _xor_keystream(data[size:], key, data[:size])
    if not text or not hmac.compare_digest(tag, hmac.digest(key, b"tag" + text, hashlib.sha256)):
        return None
    return [str(value) for value in json.loads(text)]


def _xor_keystream(text: bytes, key: bytes, begin: bytes) -> bytes:
    """XOR the text with the key stream that starts at `begin`."""
    blocks = -(-len(text) // hashlib.sha256().digest_size)
    stream = b"".join(
        hmac.digest(key, b"stream" + begin + number.to_bytes(4), hashlib.sha256) for number in range(blocks)
    )
    return bytes(a ^ b for a, b in zip(text, stream, strict=False))
