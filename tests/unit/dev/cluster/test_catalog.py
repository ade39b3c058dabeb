"""The client of the Iceberg REST catalog that tests use, against a server that answers as the specification says."""

from __future__ import annotations

import http.server
import json
import threading
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from dev.cluster.stores import catalog

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = "s3cr3t"


class Server(http.server.ThreadingHTTPServer):
    """A catalog with the prefix `main` that lists one item a page."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.tables: dict[str, list[str]] = {}
        self.deleted: list[str] = []


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        fields = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        if fields["client_secret"] == [SECRET]:
            self.answer(200, {"access_token": "token"})
        else:
            self.answer(401, {"error": "invalid_client"})

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = parse_qs(url.query)
        if self.headers["Authorization"] != "Bearer token":
            self.answer(401, {})
        elif url.path == "/v1/config":
            self.answer(200, {"defaults": {"prefix": "other"}, "overrides": {"prefix": "main"}})
        elif url.path == "/v1/main/namespaces":
            self.page("namespaces", [[name] for name in self.server.tables], query)
        else:
            tables = self.server.tables[unquote(url.path.split("/")[4])]
            self.page("identifiers", [{"namespace": ["n"], "name": table} for table in tables], query)

    def do_DELETE(self) -> None:
        self.server.deleted.append(self.path)
        self.send_response(204)
        self.end_headers()

    def page(self, field: str, items: list[object], query: dict[str, list[str]]) -> None:
        first = int(query.get("pageToken", ["0"])[0])
        following = {"next-page-token": str(first + 1)} if first + 1 < len(items) else {}
        self.answer(200, {field: items[first : first + 1], **following})

    def answer(self, status: int, document: dict[str, object]) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as started:
        threading.Thread(target=started.serve_forever, daemon=True).start()
        yield started
        started.shutdown()


@pytest.fixture
def access(server: Server) -> catalog.Access:
    return catalog.Access(f"http://127.0.0.1:{server.server_port}/", "w", "client", SECRET)


def test_what_a_test_made_is_dropped_and_what_others_made_stays(server: Server, access: catalog.Access) -> None:
    server.tables = {"t1_out": ["a", "b"], "t12_out": ["c"], "other": ["d"], "t1_in": []}
    catalog.forget(access, "t1_")
    assert server.deleted == [
        "/v1/main/namespaces/t1_out/tables/a?purgeRequested=true",
        "/v1/main/namespaces/t1_out/tables/b?purgeRequested=true",
        "/v1/main/namespaces/t1_out",
        "/v1/main/namespaces/t1_in",
    ]


def test_a_catalog_that_takes_the_client_has_no_problem(access: catalog.Access) -> None:
    assert catalog.problem(access) is None


def test_a_client_that_is_refused_and_a_catalog_that_is_away_are_problems(
    server: Server, access: catalog.Access
) -> None:
    wrong = catalog.Access(access.uri, "w", "client", "wrong")
    assert "401" in (catalog.problem(wrong) or "")
    server.shutdown()
    server.server_close()
    assert "v1/oauth/tokens" in (catalog.problem(access) or "")
