"""The command line as a process, with a real API server, store and catalog. Only the operator is replaced.

`Place.status` and `Place.say` write what the operator and the collector would write. An installed operator does not
process these runs, because they are suspended and refer to a Storage whose endpoint only `--endpoint` corrects.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.storage.events.events import Event
from componentrun.storage.events.segments import append_segment
from componentrun.storage.store.connection import open_store
from dev.cluster import connection as cluster_connection
from dev.cluster.errors import ClusterError
from tests.integration.lake_space import LakeSpace

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from componentrun.storage.store.settings import StoreSettings
    from dev.cluster.connection import Connection

ROOT = Path(__file__).parents[3]


@dataclass
class Place:
    """A namespace with its own Storage."""

    connection: Connection
    namespace: str
    space: LakeSpace

    def kubectl(self, *arguments: str, document: Any = None) -> str:
        command = [
            str(self.connection.bin_dir / "kubectl"),
            "--kubeconfig",
            str(self.connection.kubeconfig),
            *arguments,
        ]
        text = None if document is None else json.dumps(document)
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "componentrun.cli", *arguments, "--namespace", self.namespace]

    def environment(self) -> dict[str, str]:
        host = self.space.lake.endpoint.partition("://")[2].partition(":")[0]
        proxy = f"{host},127.0.0.1,localhost"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("COMPONENTRUN_")}
        more = {"KUBECONFIG": str(self.connection.kubeconfig), "NO_PROXY": proxy, "no_proxy": proxy}
        return kept | more | {"PYTHONPATH": str(ROOT / "operator")}

    def cli(self, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command."""
        return subprocess.run(
            self.command(*arguments), input=text, capture_output=True, text=True, check=False, env=self.environment()
        )

    def submit(self, *arguments: str) -> str:
        """Create a suspended run and return its name."""
        done = self.cli("submit", "-f", "-", *arguments, text=self.manifest())
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def manifest(self) -> str:
        return json.dumps(
            {
                "apiVersion": "componentrun.dev/v1alpha1",
                "kind": "ComponentRun",
                "metadata": {"generateName": "played-"},
                "spec": {"image": "example.invalid/none:1", "suspend": True, "storage": "away"},
            }
        )

    @property
    def endpoint(self) -> str:
        """URL of the store."""
        return self.space.lake.endpoint

    def settings(self) -> StoreSettings:
        return self.space.settings

    def uid(self, run: str) -> str:
        return self.kubectl("get", "componentruns", run, "-n", self.namespace, "-o", "jsonpath={.metadata.uid}")

    def status(self, run: str, **status: Any) -> None:
        """Write a run's status, as the operator would."""
        patch = json.dumps({"status": status})
        arguments = ("--subresource=status", "--type=merge", "-p", patch)
        self.kubectl("patch", "componentruns", run, "-n", self.namespace, *arguments)

    def say(self, run: str, first_seq: int, messages: Sequence[str]) -> None:
        """Write an event segment, as the collector would."""
        events = [
            Event(
                id=f"{run}-{first_seq + i}",
                seq=first_seq + i,
                time="2026-11-24T08:00:00.123456789Z",
                run=run,
                component="played",
                configuration="",
                type="info",
                message=message,
                source="component",
            )
            for i, message in enumerate(messages)
        ]
        asyncio.run(append_segment(open_store(self.settings()), run, first_seq, events, {}))

    def clean(self) -> None:
        """Delete everything."""
        self.kubectl("delete", "namespace", self.namespace, "--wait=false")
        self.space.empty()


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    try:
        connection = cluster_connection.load()
        lake = connection.lake
    except ClusterError as error:
        pytest.skip(f"no cluster: {error}")
    made = Place(connection, f"cli-{uuid.uuid4().hex[:8]}", LakeSpace(lake))
    made.kubectl("apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "crds"))
    made.kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(ROOT / "crds"))
    made.kubectl("create", "namespace", made.namespace)
    for document in _objects(made):
        made.kubectl("create", "-n", made.namespace, "-f", "-", document=document)
    yield made
    made.clean()


def _objects(place: Place) -> list[dict[str, Any]]:
    known, access = place.settings(), place.space.catalog
    keys = {"accessKeyId": known.access_key, "secretAccessKey": known.secret_key}
    client = {"clientId": access.client_id, "clientSecret": access.client_secret}
    catalog = {
        "uri": access.uri,
        "warehouse": access.warehouse,
        "namespacePrefix": place.space.namespace_prefix,
        "credentials": {"secretName": "client"},
    }
    spec = {
        "endpoint": known.endpoint,
        "bucket": known.bucket,
        "prefix": known.prefix,
        "region": known.region,
        "credentials": {"secretName": "keys"},
        "catalog": catalog,
    }
    without = {name: value for name, value in spec.items() if name != "catalog"}
    return [
        _secret("keys", keys),
        _secret("wrong", keys | {"secretAccessKey": "x" * 20}),
        _secret("client", client),
        _secret("wrong-client", client | {"clientSecret": "x" * 20}),
        _storage("main", spec | {"default": True}),
        _storage("locked", spec | {"credentials": {"secretName": "wrong"}}),
        _storage("away", spec | {"endpoint": "http://127.0.0.1:1"}),
        _storage("keyless", spec | {"credentials": {"secretName": "none"}}),
        _storage("no-bucket", spec | {"bucket": "componentrun-none"}),
        _storage("no-catalog", without),
        _storage("barred", spec | {"catalog": catalog | {"credentials": {"secretName": "wrong-client"}}}),
        _storage("catalog-away", spec | {"catalog": catalog | {"uri": "http://127.0.0.1:1"}}),
    ]


def _secret(name: str, values: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values}


def _storage(name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "componentrun.dev/v1alpha1", "kind": "Storage", "metadata": {"name": name}, "spec": spec
    }  # fmt: skip
