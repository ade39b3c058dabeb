"""Settings of the chart for builds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["DEFAULT_TIMEOUT_SECONDS", "FOLDER", "UNCONFINED", "USER", "BuildSettings", "RemoteBuilder"]

DEFAULT_TIMEOUT_SECONDS: Final = 900
FOLDER: Final = "/code"
"""Path of the code in images. /data belongs to the runs."""
USER: Final = 1000
"""Numeric user of all containers of a build."""
UNCONFINED: Final = "Unconfined"
"""No profile of seccomp."""


@dataclass(frozen=True, slots=True)
class RemoteBuilder:
    """A BuildKit that stays, and builds the Dockerfiles of one namespace."""

    namespace: str
    """Namespace of the ComponentBuilds."""
    secret: str
    """Secret in the builds' namespace with the certificate of its clients."""
    address: str
    """Host and port."""


@dataclass(frozen=True, slots=True)
class BuildSettings:
    """Where images are built and pushed to, and what a build may use."""

    is_enabled: bool = False
    namespace: str = ""
    """Namespace of the pods of builds. No tenant has rights in it."""
    repository: str = ""
    """What the names of all repositories begin with, such as `registry.example.com/builds`. An image is pushed to
    `<repository>/<namespace>/<component>`."""
    push_secret: str | None = None
    """Secret of type `kubernetes.io/dockerconfigjson` in `namespace`, with the login that may push; None: no login."""
    builder_image: str = ""
    """Image of the steps before and after the commands."""
    builder_pull_secrets: tuple[str, ...] = ()
    """Secrets in `namespace` for pulling the builder's image."""
    git_hosts: tuple[str, ...] = ()
    """Hosts that repositories may be on, each with a port if it is not the scheme's; empty: all."""
    platform: str = "linux/amd64"
    """Platform of the images."""
    dockerfile_image: str = ""
    """Image with `rootlesskit`, `buildkitd` and `buildctl` of BuildKit; empty: Dockerfiles are not built."""
    seccomp_profile: str = UNCONFINED
    """Profile of seccomp with which BuildKit runs: `Unconfined`, or the path of one that the nodes have."""
    remote_builders: tuple[RemoteBuilder, ...] = ()
    """BuildKits that stay. For builds of other namespaces, BuildKit runs in the pod of the build."""
    cpu_limit: str = "1"
    memory_limit: str = "1Gi"
    disk_limit: str = "4Gi"
    """Limits of a build: of each container, and of the folder of the code."""
    plain_http: tuple[str, ...] = ()
    """Registries that are reached over HTTP without TLS."""
    ca_bundle: str | None = None
    """Certificate authorities, as PEM text, that are trusted for registries and git hosts."""

    @property
    def builds_dockerfiles(self) -> bool:
        """Whether the engine `dockerfile` is enabled."""
        return bool(self.dockerfile_image)

    def remote_builder(self, namespace: str) -> RemoteBuilder | None:
        """The BuildKit that builds the Dockerfiles of a namespace; None: it runs in the pod of each build."""
        return next((builder for builder in self.remote_builders if builder.namespace == namespace), None)
