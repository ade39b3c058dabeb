"""One tenant: create runs, wait for them, look at what they left."""

from __future__ import annotations

import asyncio
import base64
import os
import subprocess
import time
import uuid
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import kubernetes
import kubernetes.client
import kubernetes.config
import kubernetes.watch
from typer.testing import CliRunner

from componentrun.api.common import API_VERSION, GROUP, VERSION
from componentrun.cli.app import app
from componentrun.cli.kubernetes.client import KubeCluster
from componentrun.cli.session import Makers
from componentrun.storage.events.reader import read_events
from componentrun.storage.store.catalog import CatalogSettings
from componentrun.storage.store.connection import Store, open_store
from componentrun.storage.store.settings import StoreSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from typer.testing import Result

    from componentrun.storage.events.events import Event
    from dev.cluster.connection import Connection

__all__ = ["CATALOG_CREDENTIALS", "CREDENTIALS", "LONG_AGO", "Tenant", "create"]

LONG_AGO: Final = datetime.fromtimestamp(0, UTC)
"""Before anything that a test sees."""

TERMINAL: Final = frozenset({"Succeeded", "Failed", "Cancelled"})
CREDENTIALS: Final = "store-keys"
CATALOG_CREDENTIALS: Final = "catalog-client"
STORAGE: Final = "main"
SMALL: Final = {"limits": {"cpu": "200m", "memory": "128Mi"}, "requests": {"cpu": "20m"}}
"""Enough for a shell component, and so little set aside that the tests' pods don't wait for each other on a small node:
a run might end as Unschedulable that has nothing to do with it."""


@dataclass(frozen=True)
class Tenant:
    """A namespace that enforces the restricted pod security standard.

    Its default Storage has a prefix of its own in the store, and one in the catalog.

    Attributes:
        elsewhere: another store than the cluster's; it has no catalog, so the Storage keeps no tables.
    """

    connection: Connection
    namespace: str
    prefix: str = field(default="")
    elsewhere: StoreSettings | None = None

    # --- the cluster

    @cached_property
    def api(self) -> Any:
        """A client with the administrator's access."""
        configuration: Any = kubernetes.config  # without types in the client
        return configuration.new_client_from_config(str(self.connection.kubeconfig))

    @cached_property
    def custom(self) -> Any:
        """Client for runs, Components and Storages."""
        return kubernetes.client.CustomObjectsApi(self.api)

    @cached_property
    def core(self) -> Any:
        """Client for pods, Secrets and namespaces."""
        return kubernetes.client.CoreV1Api(self.api)

    def kubectl(
        self, *arguments: str, stdin: str | None = None, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl in the namespace.

        Raises:
            AssertionError: it failed (with what it said).
        """
        command = [
            str(self.connection.bin_dir / "kubectl"), "--kubeconfig", str(self.connection.kubeconfig),
            "--namespace", self.namespace, *arguments,
        ]  # fmt: skip
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise AssertionError(f"kubectl {' '.join(arguments)}: {done.stderr}")
        return done

    def cli(self, *arguments: str, timeout: float = 180, text: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run `componentrun` as a user would, in this namespace. Its exit code is the caller's to look at."""
        environment = {**os.environ, "KUBECONFIG": str(self.connection.kubeconfig), "COLUMNS": "160", "NO_COLOR": "1"}
        end = arguments.index("--") if "--" in arguments else len(arguments)
        return subprocess.run(
            ["componentrun", *arguments[:end], "--namespace", self.namespace, *arguments[end:]],
            input=text, capture_output=True, text=True, check=False, timeout=timeout, env=environment,
        )  # fmt: skip

    def apply(self, kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
        """Create an object of ours."""
        body = {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": dict(spec)}
        created = self.custom.create_namespaced_custom_object(
            GROUP, VERSION, self.namespace, f"{kind.lower()}s", body, field_validation="Strict"
        )
        return dict(created)

    def secret(self, name: str, values: Mapping[str, str]) -> None:
        """Create a Secret."""
        data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        body = {"metadata": {"name": name}, "data": data}
        self.core.create_namespaced_secret(self.namespace, body)

    # --- runs

    def run(self, image: str, *args: str, name: str | None = None, **spec: Any) -> str:
        """Create a run of an image with these arguments; returns its name. `spec` sets fields, or unsets by None."""
        name = name or f"r-{uuid.uuid4().hex[:8]}"
        full: dict[str, Any] = {"image": image, "resources": SMALL, "timeout": "2m", **spec}
        if args:
            full["args"] = list(args)
        self.apply("ComponentRun", name, {key: value for key, value in full.items() if value is not None})
        return name

    def get(self, name: str) -> dict[str, Any]:
        """The run as the API server has it."""
        return dict(self.custom.get_namespaced_custom_object(GROUP, VERSION, self.namespace, "componentruns", name))

    def patch(self, name: str, spec: Mapping[str, Any]) -> None:
        """Change the run's spec."""
        self.custom.patch_namespaced_custom_object(
            GROUP, VERSION, self.namespace, "componentruns", name, {"spec": dict(spec)}
        )

    def wait(
        self, name: str, until: Callable[[dict[str, Any]], bool] | None = None, *, timeout: float = 120
    ) -> dict[str, Any]:
        """Watch the run until `until(run)` holds (where not given: until it has ended); returns it.

        Raises:
            TimeoutError: it did not get there; the message holds the last status.
        """
        until = until or (lambda run: phase_of(run) in TERMINAL)
        deadline = time.monotonic() + timeout
        last = self.get(name)
        while not until(last):
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"run {self.namespace}/{name} after {timeout:.0f} s: {last.get('status')}")
            last = self._next(name, last["metadata"]["resourceVersion"], left)
        return last

    def last_words(self, name: str) -> str:
        """What a failed run's component said last. Where its kubelet kept nothing, the collector tells it later.

        Raises:
            TimeoutError: nobody did.
        """
        run = self.wait(name, lambda run: "lastWords" in (run.get("status") or {}), timeout=60)
        return str(run["status"]["lastWords"])

    def _next(self, name: str, version: str, seconds: float) -> dict[str, Any]:
        watch_class: Any = kubernetes.watch.Watch  # without types in the client
        watch = watch_class()
        try:
            for event in watch.stream(
                self.custom.list_namespaced_custom_object, GROUP, VERSION, self.namespace, "componentruns",
                field_selector=f"metadata.name={name}", resource_version=version, timeout_seconds=max(1, int(seconds)),
            ):  # fmt: skip
                return dict(event["object"])
        except kubernetes.client.ApiException as error:
            if error.status != 410:  # too old: read it again
                raise
        return self.get(name)

    def component_times(self, name: str) -> tuple[datetime, datetime]:
        """When the component of a run began and when it had ended, as the status has it."""
        times = self.get(name)["status"]["phases"]
        phases = {item["phase"]: datetime.fromisoformat(item["startTime"]) for item in times}
        return phases["Running"], phases["StagingOut"]

    def pods(self, name: str) -> list[Any]:
        """The pods that exist for a run."""
        found = self.core.list_namespaced_pod(self.namespace, label_selector=f"{GROUP}/run={name}")
        return list(found.items)

    # --- the store

    @cached_property
    def store(self) -> Store:
        """The tenant's Storage, opened with the platform's keys."""
        return open_store(self.settings)

    @property
    def settings(self) -> StoreSettings:
        """How to reach the tenant's Storage, and its catalog."""
        if self.elsewhere is not None:
            return replace(self.elsewhere, prefix=self.prefix, name=STORAGE)
        known = self.connection.lake
        return StoreSettings(
            bucket=known.bucket,
            endpoint=known.endpoint,
            prefix=self.prefix,
            region=known.region,
            access_key=known.access_key,
            secret_key=known.secret_key,
            name=STORAGE,
            catalog=CatalogSettings(
                uri=known.catalog_uri,
                warehouse=known.catalog_warehouse,
                namespace_prefix=self.namespace_prefix,
                client_id=known.catalog_client_id,
                client_secret=known.catalog_client_secret,
                name=STORAGE,
            ),
        )

    @property
    def namespace_prefix(self) -> str:
        """What the name of each of the tenant's namespaces in the catalog begins with."""
        return self.namespace.replace("-", "_") + "_"

    @property
    def storage_spec(self) -> dict[str, Any]:
        """Spec of the tenant's Storage."""
        reached = self.settings
        spec: dict[str, Any] = {
            "endpoint": reached.endpoint,
            "bucket": reached.bucket,
            "prefix": reached.prefix,
            "region": reached.region,
            "credentials": {"secretName": CREDENTIALS},
            "default": True,
        }
        if reached.ca_bundle is not None:
            spec["caBundle"] = reached.ca_bundle
        if reached.catalog is not None:
            spec["catalog"] = {
                "uri": reached.catalog.uri,
                "warehouse": reached.catalog.warehouse,
                "namespacePrefix": reached.catalog.namespace_prefix,
                "credentials": {"secretName": CATALOG_CREDENTIALS},
            }
        return spec

    @property
    def secrets(self) -> dict[str, dict[str, str]]:
        """The Secrets that the Storage names."""
        reached = self.settings
        found = {CREDENTIALS: {"accessKeyId": reached.access_key, "secretAccessKey": reached.secret_key}}
        if reached.catalog is not None:
            client = {"clientId": reached.catalog.client_id, "clientSecret": reached.catalog.client_secret}
            found[CATALOG_CREDENTIALS] = client
        return {name: {key: value or "" for key, value in values.items()} for name, values in found.items()}

    def put_table(self, table: str, csv: str) -> None:
        """Put a table into Storage with the command line tool."""
        done = self._table_command("put", "-", table, text=csv)
        assert done.exit_code == 0, done.output

    def table(self, table: str) -> str | None:
        """A table's CSV text as the command line tool gives it; None where there is none."""
        done = self._table_command("get", table, "-o", "-")
        if done.exit_code and "no table" in done.stderr:
            return None
        assert done.exit_code == 0, done.output
        return done.stdout

    def _table_command(self, *arguments: str, text: str | None = None) -> Result:
        """Run `componentrun table ...` in this process: to import what it needs takes 3 s of a processor."""
        makers = Makers(cluster=lambda *_: KubeCluster(self.api, self.namespace))
        return CliRunner().invoke(app, ["table", *arguments], obj=makers, input=text)

    def events(self, name: str) -> list[Event]:
        """All events of a run so far."""
        uid = self.get(name)["metadata"]["uid"]

        async def read() -> list[Event]:
            return [event async for event in read_events(open_store(self.settings), uid)]

        return asyncio.run(read())

    def delete(self) -> None:
        """Delete the namespace, without waiting for its end. What is in the store and the catalog stays."""
        self.core.delete_namespace(self.namespace)


def phase_of(run: Mapping[str, Any]) -> str | None:
    """Phase of a run as the API server has it."""
    phase: str | None = (run.get("status") or {}).get("phase")
    return phase


def create(
    connection: Connection, base: str = "t", *, elsewhere: StoreSettings | None = None, **storage: Any
) -> Tenant:
    """Make a namespace with a default Storage.

    Args:
        connection: the cluster.
        base: what the name begins with.
        elsewhere: the Storage is on this store, without a catalog.
        storage: overrides fields of the Storage's spec, or unsets them by None. Without a catalog it keeps no tables.
    """
    name = f"{base}-{uuid.uuid4().hex[:8]}"
    tenant = Tenant(connection, name, f"e2e/{name}", elsewhere)
    spec = {field: value for field, value in {**tenant.storage_spec, **storage}.items() if value is not None}
    tenant.core.create_namespace(
        {"metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    )
    for secret, values in tenant.secrets.items():
        tenant.secret(secret, values)
    tenant.apply("Storage", STORAGE, spec)
    return tenant
