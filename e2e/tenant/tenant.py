"""One tenant: create runs, wait for them, and inspect their results."""

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
from componentrun.cli.session import Makers
from componentrun.client.kubernetes.client import KubeCluster
from componentrun.process.kubernetes.access.context import access_of
from componentrun.process.kubernetes.access.kubeconfig import read_kubeconfig
from componentrun.process.kubernetes.blocking import BlockingKube
from componentrun.storage.events.reader import read_events
from componentrun.storage.store.catalog import CatalogSettings
from componentrun.storage.store.connection import Store, open_store
from componentrun.storage.store.settings import StoreSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from typer.testing import Result

    from componentrun.storage.events.events import Event
    from dev.cluster.connection import Connection

__all__ = ["CATALOG_CREDENTIALS", "CREDENTIALS", "LONG_AGO", "Tenant", "create", "create_namespace"]

LONG_AGO: Final = datetime.fromtimestamp(0, UTC)
"""Earlier than any time in a test."""

TERMINAL: Final = frozenset({"Succeeded", "Failed", "Cancelled"})
CREDENTIALS: Final = "store-keys"
CATALOG_CREDENTIALS: Final = "catalog-client"
STORAGE: Final = "main"
SMALL: Final = {"limits": {"cpu": "200m", "memory": "128Mi"}, "requests": {"cpu": "20m"}}
"""Enough for a shell component. The requests are so small that the tests' pods all fit on a small node; otherwise a run
of an unrelated test might end as Unschedulable."""


@dataclass(frozen=True)
class Tenant:
    """A namespace that enforces the restricted pod security standard.

    Its default Storage has its own prefix in the store and in the catalog.

    Attributes:
        elsewhere: a store other than the cluster's. It has no catalog, so the Storage has no tables.
    """

    connection: Connection
    namespace: str
    prefix: str = field(default="")
    elsewhere: StoreSettings | None = None

    # --- the cluster

    @cached_property
    def api(self) -> Any:
        """API client with the administrator's permissions."""
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
            AssertionError: the command failed. Contains its output.
        """
        command = [
            str(self.connection.bin_dir / "kubectl"), "--kubeconfig", str(self.connection.kubeconfig),
            "--namespace", self.namespace, *arguments,
        ]  # fmt: skip
        result = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        if check and result.returncode:
            raise AssertionError(f"kubectl {' '.join(arguments)}: {result.stderr}")
        return result

    def cli(self, *arguments: str, timeout: float = 180, text: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run `componentrun` in this namespace as a user would. The caller checks the exit code."""
        environment = {**os.environ, "KUBECONFIG": str(self.connection.kubeconfig), "COLUMNS": "160", "NO_COLOR": "1"}
        end = arguments.index("--") if "--" in arguments else len(arguments)
        return subprocess.run(
            ["componentrun", *arguments[:end], "--namespace", self.namespace, *arguments[end:]],
            input=text, capture_output=True, text=True, check=False, timeout=timeout, env=environment,
        )  # fmt: skip

    def apply(self, kind: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
        """Create a run, Component or Storage."""
        body = {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": name}, "spec": dict(spec)}
        response = self.custom.create_namespaced_custom_object(
            GROUP, VERSION, self.namespace, f"{kind.lower()}s", body, field_validation="Strict"
        )
        return dict(response)

    def secret(self, name: str, values: Mapping[str, str]) -> None:
        """Create a Secret."""
        data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        body = {"metadata": {"name": name}, "data": data}
        self.core.create_namespaced_secret(self.namespace, body)

    # --- runs

    def run(self, image: str, *args: str, name: str | None = None, **spec: Any) -> str:
        """Create a run of an image with arguments and return its name. `spec` sets fields; None unsets a field."""
        name = name or f"r-{uuid.uuid4().hex[:8]}"
        full: dict[str, Any] = {"image": image, "resources": SMALL, "timeout": "2m", **spec}
        if args:
            full["args"] = list(args)
        self.apply("ComponentRun", name, {key: value for key, value in full.items() if value is not None})
        return name

    def get(self, name: str) -> dict[str, Any]:
        """Read the run from the API server."""
        return dict(self.custom.get_namespaced_custom_object(GROUP, VERSION, self.namespace, "componentruns", name))

    def patch(self, name: str, spec: Mapping[str, Any]) -> None:
        """Change the run's spec."""
        self.custom.patch_namespaced_custom_object(
            GROUP, VERSION, self.namespace, "componentruns", name, {"spec": dict(spec)}
        )

    def wait(
        self, name: str, until: Callable[[dict[str, Any]], bool] | None = None, *, timeout: float = 120
    ) -> dict[str, Any]:
        """Watch the run until `until(run)` holds, by default until the run has ended, and return it.

        Raises:
            TimeoutError: the condition did not hold in time. The message contains the last status.
        """
        until = until or (lambda run: phase_of(run) in TERMINAL)
        deadline = time.monotonic() + timeout
        last = self.get(name)
        while not until(last):
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise TimeoutError(f"run {self.namespace}/{name} after {timeout:.0f} s: {last.get('status')}")
            last = self._next(name, last["metadata"]["resourceVersion"], remaining)
        return last

    def last_words(self, name: str) -> str:
        """Last words of a failed run's component. If the kubelet kept none, they come later from the collector.

        Raises:
            TimeoutError: there were none in time.
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
            if error.status != 410:  # 410: the version is too old, so read the run again
                raise
        return self.get(name)

    def component_times(self, name: str) -> tuple[datetime, datetime]:
        """Start and end of a run's component, from the status."""
        times = self.get(name)["status"]["phases"]
        phases = {item["phase"]: datetime.fromisoformat(item["startTime"]) for item in times}
        return phases["Running"], phases["StagingOut"]

    def pods(self, name: str) -> list[Any]:
        """Existing pods of a run."""
        response = self.core.list_namespaced_pod(self.namespace, label_selector=f"{GROUP}/run={name}")
        return list(response.items)

    # --- the store

    @cached_property
    def store(self) -> Store:
        """The tenant's Storage, opened with the platform's keys."""
        return open_store(self.settings)

    @property
    def settings(self) -> StoreSettings:
        """Connection settings of the tenant's Storage and its catalog."""
        if self.elsewhere is not None:
            return replace(self.elsewhere, prefix=self.prefix, name=STORAGE)
        lake = self.connection.lake
        return StoreSettings(
            bucket=lake.bucket,
            endpoint=lake.endpoint,
            prefix=self.prefix,
            region=lake.region,
            access_key=lake.access_key,
            secret_key=lake.secret_key,
            name=STORAGE,
            catalog=CatalogSettings(
                uri=lake.catalog_uri,
                warehouse=lake.catalog_warehouse,
                namespace_prefix=self.namespace_prefix,
                client_id=lake.catalog_client_id,
                client_secret=lake.catalog_client_secret,
                name=STORAGE,
            ),
        )

    @property
    def namespace_prefix(self) -> str:
        """Name prefix of the tenant's namespaces in the catalog."""
        return self.namespace.replace("-", "_") + "_"

    @property
    def storage_spec(self) -> dict[str, Any]:
        """Spec of the tenant's Storage."""
        settings = self.settings
        spec: dict[str, Any] = {
            "endpoint": settings.endpoint,
            "bucket": settings.bucket,
            "prefix": settings.prefix,
            "region": settings.region,
            "credentials": {"secretName": CREDENTIALS},
            "default": True,
        }
        if settings.ca_bundle is not None:
            spec["caBundle"] = settings.ca_bundle
        if settings.catalog is not None:
            spec["catalog"] = {
                "uri": settings.catalog.uri,
                "warehouse": settings.catalog.warehouse,
                "namespacePrefix": settings.catalog.namespace_prefix,
                "credentials": {"secretName": CATALOG_CREDENTIALS},
            }
        return spec

    @property
    def secrets(self) -> dict[str, dict[str, str]]:
        """Secrets that the Storage refers to."""
        settings = self.settings
        secrets = {CREDENTIALS: {"accessKeyId": settings.access_key, "secretAccessKey": settings.secret_key}}
        if settings.catalog is not None:
            client = {"clientId": settings.catalog.client_id, "clientSecret": settings.catalog.client_secret}
            secrets[CATALOG_CREDENTIALS] = client
        return {name: {key: value or "" for key, value in values.items()} for name, values in secrets.items()}

    def put_table(self, table: str, csv: str) -> None:
        """Upload a table to the Storage with the command line tool."""
        result = self._table_command("put", "-", table, text=csv)
        assert result.exit_code == 0, result.output

    def table(self, table: str) -> str | None:
        """A table's CSV text from the command line tool; None if the table does not exist."""
        result = self._table_command("get", table, "-o", "-")
        if result.exit_code and "no table" in result.stderr:
            return None
        assert result.exit_code == 0, result.output
        return result.stdout

    def _table_command(self, *arguments: str, text: str | None = None) -> Result:
        """Run `componentrun table ...` in this process, because its imports take 3 s of CPU time."""
        with BlockingKube(access_of(read_kubeconfig([self.connection.kubeconfig]))) as kube:
            makers = Makers(cluster=lambda *_: KubeCluster(kube, self.namespace))
            return CliRunner().invoke(app, ["table", *arguments], obj=makers, input=text)

    def events(self, name: str) -> list[Event]:
        """All events of a run so far."""
        uid = self.get(name)["metadata"]["uid"]

        async def read() -> list[Event]:
            return [event async for event in read_events(open_store(self.settings), uid)]

        return asyncio.run(read())

    def delete(self) -> None:
        """Delete the namespace without waiting, and close the client. Data in the store and the catalog is kept."""
        self.core.delete_namespace(self.namespace)
        self.close()

    def close(self) -> None:
        """Close the client's connections. A later request opens new ones."""
        self.api.close()


def phase_of(run: Mapping[str, Any]) -> str | None:
    """Phase of a run that was read from the API server."""
    phase: str | None = (run.get("status") or {}).get("phase")
    return phase


def create(
    connection: Connection, base: str = "t", *, elsewhere: StoreSettings | None = None, **storage: Any
) -> Tenant:
    """Create a namespace with a default Storage.

    Args:
        connection: the cluster.
        base: prefix of the name.
        elsewhere: a store for the Storage, without a catalog.
        storage: overrides fields of the Storage's spec; None unsets a field. A Storage without a catalog has no tables.
    """
    tenant = create_namespace(connection, base, elsewhere=elsewhere)
    spec = {field: value for field, value in {**tenant.storage_spec, **storage}.items() if value is not None}
    for secret, values in tenant.secrets.items():
        tenant.secret(secret, values)
    tenant.apply("Storage", STORAGE, spec)
    return tenant


def create_namespace(connection: Connection, base: str = "t", *, elsewhere: StoreSettings | None = None) -> Tenant:
    """Create a namespace without a Storage.

    Args:
        connection: the cluster.
        base: prefix of the name.
        elsewhere: the tenant's store, if it is another than the cluster's.
    """
    name = f"{base}-{uuid.uuid4().hex[:8]}"
    tenant = Tenant(connection, name, f"e2e/{name}", elsewhere)
    tenant.core.create_namespace(
        {"metadata": {"name": name, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
    )
    return tenant
