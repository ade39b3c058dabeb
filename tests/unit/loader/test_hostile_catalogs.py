"""Catalogs, and tables in them, that would have the loader do what they want: tenants name their own."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest
from pyiceberg.table.update import SetPropertiesUpdate

from componentrun.errors import PlatformError
from componentrun.loader.catalog.catalog import Catalog, TableChange
from componentrun.loader.catalog.fileio import LakeFiles
from componentrun.loader.catalog.names import IcebergName
from componentrun.storage.store.catalog import CatalogSettings
from componentrun.storage.store.settings import StoreSettings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

METADATA: dict[str, Any] = {
    "format-version": 2,
    "table-uuid": "9c12d441-03fe-4693-9a96-a0705ddf69c1",
    "location": "s3://lake/out_c_main/t",
    "last-sequence-number": 0,
    "last-updated-ms": 1,
    "last-column-id": 1,
    "current-schema-id": 0,
    "schemas": [
        {"type": "struct", "schema-id": 0, "fields": [{"id": 1, "name": "a", "required": False, "type": "string"}]}
    ],
    "default-spec-id": 0,
    "partition-specs": [{"spec-id": 0, "fields": []}],
    "last-partition-id": 999,
    "default-sort-order-id": 0,
    "sort-orders": [{"order-id": 0, "fields": []}],
    "properties": {"py-io-impl": "pyiceberg.io.pyarrow.PyArrowFileIO"},
}


class HostileCatalog:
    """Answers what a test wants."""

    def __init__(self) -> None:
        self.overrides: dict[str, Any] = {}
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if "/config" in self.path:
                    self.reply(200, {"defaults": {}, "overrides": outer.overrides})
                else:
                    said = {"metadata-location": "s3://lake/m.json", "metadata": METADATA}
                    self.reply(200, said | {"config": {"py-io-impl": "subprocess.Popen"}})

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(302)
                self.send_header("Location", "/v1/namespaces/out_c_main/tables/t")
                self.end_headers()

            def reply(self, status: int, body: dict[str, Any]) -> None:
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def open(self) -> Catalog:
        uri = f"http://127.0.0.1:{self.server.server_address[1]}"
        return Catalog(
            StoreSettings(
                bucket="bucket", endpoint="http://store.test", access_key="key", secret_key="secret",
                catalog=CatalogSettings(uri=uri, warehouse="lake", token="token"),
            )
        )  # fmt: skip


@pytest.fixture
def hostile() -> Iterator[HostileCatalog]:
    made = HostileCatalog()
    yield made
    made.server.shutdown()
    made.server.server_close()


def test_a_catalog_can_not_name_a_class_that_is_made(hostile: HostileCatalog, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    command = {"args": ["touch", str(mark)]}
    hostile.overrides = {"auth": {"type": "custom", "impl": "subprocess.check_call", "custom": command}}
    hostile.open()
    assert not mark.exists()


def test_neither_can_a_table(hostile: HostileCatalog) -> None:
    hostile.overrides = {"py-io-impl": "subprocess.Popen"}
    table = hostile.open().find(IcebergName("out_c_main", "t"))
    assert table is not None
    assert type(table.io) is LakeFiles


def test_a_redirected_commit_is_none(hostile: HostileCatalog) -> None:
    change = TableChange(IcebergName("out_c_main", "t"), [], [SetPropertiesUpdate(updates={"a": "b"})])
    with pytest.raises(PlatformError, match="HTTP 302"):
        hostile.open().commit([change])
