"""The API server's audit log: writes by client, verb and resource.

The policy leaves out reads, requests that store nothing (checks of tokens and permissions, `exec`), and requests that
do not depend on the number of objects (leases, heartbeats of nodes).
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["OPERATOR", "AuditLog", "Write", "policy", "to_write"]

OPERATOR: Final = "operator"
"""Name of the operator's service account."""
_SERVICE_ACCOUNT: Final = "system:serviceaccount:"
_SYSTEM: Final = "system:"
_FIRST_ERROR: Final = 400
_NOT_LOGGED: Final = (
    {"verbs": ["get", "list", "watch"]},
    {"nonResourceURLs": ["*"]},
    {"resources": [{"group": "coordination.k8s.io", "resources": ["leases"]}]},
    {"resources": [{"group": "", "resources": ["nodes", "nodes/status", "pods/exec"]}]},
    {"resources": [{"group": "authentication.k8s.io"}, {"group": "authorization.k8s.io"}]},
)


@dataclass(frozen=True, slots=True, order=True)
class Write:
    """A kind of write."""

    client: str
    """The service account's name, the system user's, or the first word of the user agent."""
    verb: str
    """create, update, patch, delete, deletecollection."""
    resource: str
    """With its subresource: `pods/status`."""
    status: int = 0
    """Status code of a refused request; 0 if the request succeeded."""

    def __str__(self) -> str:
        """Verb and resource, with the status code of a refused request."""
        text = f"{self.verb} {self.resource}"
        return f"{text} ({self.status})" if self.status else text


def policy() -> str:
    """Return the audit policy."""
    rules = [*({"level": "None", **rule} for rule in _NOT_LOGGED), {"level": "Metadata"}]
    head = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"]}
    return json.dumps({**head, "rules": rules})


class AuditLog:
    """Counts the writes in an audit log, which grows meanwhile."""

    def __init__(self, file: Path) -> None:
        """`file`: the log, which may not exist yet."""
        self._file = file
        self._offset = 0
        self._counts: Counter[Write] = Counter()

    def counts(self) -> Counter[Write]:
        """Return the number of writes so far."""
        if self._file.is_file():
            with self._file.open("rb") as stream:
                stream.seek(self._offset)
                for line in stream:
                    if not line.endswith(b"\n"):
                        break  # the API server is still writing it
                    self._offset += len(line)
                    self._counts[to_write(json.loads(line))] += 1
        return Counter(self._counts)


def to_write(event: Mapping[str, Any]) -> Write:
    """Return the write of an audit event."""
    target = event.get("objectRef") or {}
    resource, subresource = target.get("resource", "?"), target.get("subresource")
    code = int((event.get("responseStatus") or {}).get("code", 0))
    return Write(
        _client(event),
        str(event["verb"]),
        f"{resource}/{subresource}" if subresource else str(resource),
        code if code >= _FIRST_ERROR else 0,
    )


def _client(event: Mapping[str, Any]) -> str:
    user = str(event["user"]["username"])
    if user.startswith(_SERVICE_ACCOUNT):
        return user.rpartition(":")[2]
    if user.startswith(_SYSTEM):
        return user.removeprefix(_SYSTEM)
    return str(event.get("userAgent") or user).partition("/")[0]
