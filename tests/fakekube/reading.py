"""Get and list. A listing is one state of all objects, also if it is read in several pages."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.fakekube import refusals
from tests.fakekube.selectors import predicate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.fakekube.kinds import Kind, Target
    from tests.fakekube.storage import Storage


@dataclass
class Reader:
    """Answers listings."""

    storage: Storage
    _unread: dict[str, tuple[int, list[dict[str, Any]]]] = field(default_factory=dict)
    """By continue token: the version of the listing, and the objects of the pages to come."""

    def page(self, target: Target, query: Mapping[str, str]) -> dict[str, Any]:
        """A page of the objects that fit.

        Raises:
            Refused: a selector is wrong, or the continue token is wrong or too old.
        """
        kind = target.kind
        token = query.get("continue", "")
        if token:
            version, found = self._rest(token)
        else:
            version, found = self.storage.version, self.selected(target, query)
        limit = int(query.get("limit") or 0) or len(found)
        page, rest = found[:limit], found[limit:]
        metadata: dict[str, Any] = {"resourceVersion": str(version)}
        if rest:
            metadata["continue"] = self._keep(version, page[-1], rest)
            metadata["remainingItemCount"] = len(rest)
        return {
            "kind": f"{kind.kind}List",
            "apiVersion": kind.api_version,
            "metadata": metadata,
            "items": [_item(kind, obj) for obj in page],
        }

    def selected(self, target: Target, query: Mapping[str, str]) -> list[dict[str, Any]]:
        """All objects that fit, in the order of namespaces and names."""
        fits = predicate(query.get("labelSelector", ""), query.get("fieldSelector", ""), target.kind)
        found = [obj for obj in self.storage.of(target.kind.plural, target.namespace) if fits(obj)]
        return sorted(found, key=lambda obj: (obj["metadata"].get("namespace", ""), obj["metadata"]["name"]))

    def _keep(self, version: int, last: dict[str, Any], rest: list[dict[str, Any]]) -> str:
        start = f"{last['metadata'].get('namespace', '')}/{last['metadata']['name']}\0"
        text = json.dumps({"v": "meta.k8s.io/v1", "rv": version, "start": start})
        token = base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")
        self._unread[token] = version, rest
        return token

    def _rest(self, token: str) -> tuple[int, list[dict[str, Any]]]:
        if token not in self._unread:
            raise refusals.bad_request("invalid continue token: continue key is not valid")
        version, rest = self._unread[token]
        if version < self.storage.compacted:
            raise refusals.expired(
                "The provided continue parameter is too old to display a consistent list result. You can start a new "
                "list without the continue parameter."
            )
        return version, rest


def _item(kind: Kind, obj: dict[str, Any]) -> dict[str, Any]:
    """An object as lists have it: of built-in kinds, it does not say its kind."""
    if kind.is_custom:
        return obj
    return {name: value for name, value in obj.items() if name not in {"apiVersion", "kind"}}
