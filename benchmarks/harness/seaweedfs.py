"""A private SeaweedFS (store and catalog), whose costs belong to one benchmark. It is deleted afterwards."""

from __future__ import annotations

import json
import os
import secrets
import shutil
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from benchmarks.harness.csvfiles import folder
from dev.cluster import paths, waiting
from dev.cluster.host.ports import free_port, holder
from dev.cluster.node.parts import Part
from dev.cluster.stores import catalog
from dev.cluster.stores.seaweedfs import GRPC_OFFSET, SERVER_PORTS, TABLE_BUCKET, USER, VOLUME_MEGABYTES, Lake, program
from dev.cluster.stores.server import BUCKET, REGION, provide_bucket

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["PrivateSeaweedFS", "private_seaweedfs"]

_HOST: Final = "127.0.0.1"
_GRACE: Final = 5.0


@dataclass(frozen=True, slots=True)
class PrivateSeaweedFS:
    """A running SeaweedFS."""

    lake: Lake
    pid: int


@contextmanager
def private_seaweedfs() -> Iterator[PrivateSeaweedFS]:
    """Start a SeaweedFS; afterwards stop it and delete its data."""
    home = folder() / f"seaweed-{secrets.token_hex(4)}"
    found = _ports()
    key = secrets.token_hex(20)
    lake = Lake(
        endpoint=f"http://{_HOST}:{found['s3.port']}",
        access_key=USER,
        secret_key=key,
        bucket=BUCKET,
        region=REGION,
        catalog_uri=f"http://{_HOST}:{found['s3.port.iceberg']}",
        catalog_warehouse=f"s3://{TABLE_BUCKET}/",
        catalog_client_id=USER,
        catalog_client_secret=key,
    )
    part = _part(home, found, lake)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        paths.make_private(home / "data")
        stack.callback(part.end)
        part.begin()
        part.await_ready()
        provide_bucket(lake.client(), BUCKET)
        yield PrivateSeaweedFS(lake, json.loads(part.pid_file.read_text())["pid"])


def _ports() -> dict[str, int]:
    """Return free ports for `weed mini`, which derives its admin server's gRPC port from the HTTP port."""
    found = {name: free_port() for name in SERVER_PORTS if not name.startswith("admin.")}
    admin = free_port()
    while holder(admin + GRPC_OFFSET) is not None:
        admin = free_port()
    return found | {"admin.port": admin, "admin.port.grpc": admin + GRPC_OFFSET}


def _part(home: Path, found: dict[str, int], lake: Lake) -> Part:
    flags = {
        "dir": home / "data",
        "ip": _HOST,
        "ip.bind": _HOST,
        "tableBucket": TABLE_BUCKET,
        "webdav": "false",
        "admin.ui": "false",
        "s3.port.lance": 0,
        "s3.autoCreateBucket": "false",
        "s3.localSocket": home / "s3.sock",
        "filer.localSocket": home / "filer.sock",
        "master.telemetry": "false",
        "master.electionTimeout": "1s",
        "master.volumeSizeLimitMB": VOLUME_MEGABYTES,
        **found,
    }
    command = (str(program()), "-logtostderr=true", "mini", *(f"-{name}={value}" for name, value in flags.items()))
    environment = {
        "HOME": str(home),
        "PATH": os.defpath,
        "AWS_ACCESS_KEY_ID": lake.access_key,
        "AWS_SECRET_ACCESS_KEY": lake.secret_key,
    }

    def problem() -> str | None:
        return waiting.http_problem(f"{lake.endpoint}/healthz") or catalog.problem(lake.catalog)

    return Part("seaweedfs", command, problem, environment, grace=_GRACE, folder=home)
