"""Client of an Iceberg REST catalog for tests: check whether it is ready, and remove what a test created."""

import contextlib
import http
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import urllib3
from urllib3.exceptions import HTTPError

from dev.cluster.errors import ClusterError

TIMEOUT_SECONDS = 10
"""Timeout of one request."""
SEPARATOR = "\x1f"
"""Separator of the levels of a namespace in a URL."""


@dataclass(frozen=True)
class Access:
    """Address of a catalog, and the OAuth2 client that may use it."""

    uri: str
    warehouse: str
    client_id: str
    client_secret: str


class Client:
    """An authenticated session with a catalog."""

    def __init__(self, access: Access, pool: urllib3.PoolManager) -> None:
        self._pool = pool
        self._uri = access.uri.rstrip("/")
        self._headers: dict[str, str] = {}
        self._headers = {"Authorization": f"Bearer {self._token(access)}"}
        config = self.ask("GET", "/v1/config", warehouse=access.warehouse)
        prefix = (config.get("defaults", {}) | config.get("overrides", {})).get("prefix", "")
        self._base = f"/v1/{quote(prefix, safe='')}" if prefix else "/v1"

    def namespaces(self) -> list[tuple[str, ...]]:
        """All top-level namespaces."""
        return [tuple(levels) for levels in self._list(self.path("namespaces"), "namespaces")]

    def tables(self, namespace: tuple[str, ...]) -> list[str]:
        """Names of the tables in a namespace."""
        tables = self.path("namespaces", SEPARATOR.join(namespace), "tables")
        return [str(item["name"]) for item in self._list(tables, "identifiers")]

    def drop(self, namespace: tuple[str, ...]) -> None:
        """Drop a namespace with its tables and their files."""
        name = SEPARATOR.join(namespace)
        for table in self.tables(namespace):
            self.ask("DELETE", self.path("namespaces", name, "tables", table), purgeRequested="true")
        self.ask("DELETE", self.path("namespaces", name))

    def path(self, *parts: str) -> str:
        """The path of a resource below the warehouse's prefix."""
        return "/".join([self._base, *(quote(part, safe="") for part in parts)])

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None, **query: str) -> dict[str, Any]:
        """Send a request with a JSON body or query parameters.

        Raises:
            ClusterError: the request was rejected or got no answer.
        """
        return self._answer(method, path, json=body) if body is not None else self._answer(method, path, fields=query)

    def _token(self, access: Access) -> str:
        fields = {
            "grant_type": "client_credentials",
            "client_id": access.client_id,
            "client_secret": access.client_secret,
            "scope": "catalog",
        }
        return str(self._answer("POST", "/v1/oauth/tokens", fields=fields, encode_multipart=False)["access_token"])

    def _list(self, path: str, field: str) -> Iterator[Any]:
        query: dict[str, str] = {}
        while True:
            page = self._answer("GET", path, fields=query)
            yield from page.get(field) or ()
            following = page.get("next-page-token")
            if not following:
                return
            query = {"pageToken": following}

    def _answer(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        operation = f"{method} {self._uri}{path}"
        try:
            answer = self._pool.request(method, self._uri + path, headers=self._headers, **request)
        except HTTPError as error:
            raise ClusterError(f"{operation}: {error}") from error
        if answer.status >= http.HTTPStatus.BAD_REQUEST:
            raise ClusterError(f"{operation}: {answer.status} {answer.data[:500].decode(errors='replace').strip()}")
        return dict(json.loads(answer.data)) if answer.data else {}


@contextlib.contextmanager
def client(access: Access) -> Iterator[Client]:
    """Log in to a catalog.

    Raises:
        ClusterError: the catalog does not answer, or rejects the client.
    """
    with urllib3.PoolManager(retries=False, timeout=TIMEOUT_SECONDS) as pool:
        yield Client(access, pool)


def problem(access: Access) -> str | None:
    """What is wrong with the catalog; None if it accepts the client and has the warehouse."""
    try:
        with client(access) as connection:
            connection.namespaces()
    except ClusterError as error:
        return error.problem
    return None


def forget(access: Access, prefix: str) -> None:
    """Drop all namespaces whose name begins with `prefix`, including their tables."""
    with client(access) as connection:
        for namespace in connection.namespaces():
            if namespace[0].startswith(prefix):
                connection.drop(namespace)
