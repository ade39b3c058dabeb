"""The testbed: the cluster, its store, the images, and temporary tenants."""

from __future__ import annotations

import asyncio
import shutil
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.harness.csvfiles import folder
from componentrun.storage.store.objectversions import Versions
from dev import install
from dev.cluster import commands, paths
from dev.cluster import connection as connections
from dev.cluster.__main__ import main as cluster_command
from dev.cluster.build import builds
from dev.cluster.errors import ClusterError
from dev.cluster.stores import catalog as catalogs
from dev.images import ensure, ensure_one
from dev.images.catalogue import Image
from e2e import tenant as tenants

if TYPE_CHECKING:
    from collections.abc import Iterator

    from componentrun.storage.store.connection import Store
    from dev.cluster.connection import Connection
    from e2e.tenant import Tenant

__all__ = ["Testbed", "s5cmd_environment", "sweep"]

_IMAGES: Final = Path(__file__).parents[1] / "images"


class Testbed:
    """Creates everything on first use, because not all benchmarks need everything: the agents need no operator."""

    def __init__(self, *, install: bool = True, scale: float = 1.0) -> None:
        """Without `install`, measure the existing cluster with its operator.

        `scale`: factor for numbers in the thousands, to try out a benchmark.
        """
        self._install = install
        self.scale = scale

    @cached_property
    def connection(self) -> Connection:
        """The cluster and its store; started if requested."""
        if self._install and cluster_command(["up"]):
            raise ClusterError("the cluster did not come up", hint="see above; then `make bench` again")
        return connections.load()

    @cached_property
    def installed(self) -> Connection:
        """The cluster and its store, with the operator and its CRDs; installed if requested."""
        if self._install:
            install.install(self.connection, ensure(self.connection, install.IMAGES))
        return self.connection

    @cached_property
    def components(self) -> str:
        """Image of the test components."""
        return ensure(self.installed, ["test-components"])["test-components"]

    @cached_property
    def s5cmd(self) -> Path:
        """The s5cmd binary."""
        builds.build(["s5cmd"])
        return (paths.links() / "s5cmd").resolve()

    @cached_property
    def s5cmd_image(self) -> str:
        """Image with s5cmd."""
        context = folder() / "s5cmd-image"
        context.mkdir(exist_ok=True)
        shutil.copy2(_IMAGES / "s5cmd" / "Dockerfile", context)
        shutil.copy2(self.s5cmd, context / "s5cmd")
        return ensure_one(self.connection, Image("benchmark-s5cmd", context, ("Dockerfile", "s5cmd")))

    @contextmanager
    def tenant(self, base: str) -> Iterator[Tenant]:
        """A namespace with a Storage; afterwards it is deleted, with all its objects in the store."""
        tenant = tenants.create(self.installed, base)
        try:
            yield tenant
        finally:
            tenant.delete()
            catalogs.forget(self.connection.lake.catalog, tenant.namespace_prefix)
            sweep(tenant.store, f"{tenant.prefix}/")

    def run_s5cmd(self, *arguments: str) -> None:
        """Run s5cmd on this machine with the cluster's store."""
        commands.run([self.s5cmd, *arguments], env=s5cmd_environment(self.connection), timeout=600)


def s5cmd_environment(connection: Connection) -> dict[str, str]:
    """Return the environment of s5cmd, with keys and endpoint."""
    return {
        "AWS_ACCESS_KEY_ID": connection.lake.access_key,
        "AWS_SECRET_ACCESS_KEY": connection.lake.secret_key,
        "AWS_REGION": connection.lake.region,
        "S3_ENDPOINT_URL": connection.lake.endpoint,
    }


def sweep(store: Store, prefix: str) -> None:
    """Delete all objects below a prefix, with all their versions."""

    async def delete() -> None:
        versions = Versions(store.settings)
        await versions.delete(await versions.below(prefix))

    asyncio.run(delete())
