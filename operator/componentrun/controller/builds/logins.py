"""The logins of a build: of the git host, of the registry of its parent, and of the one that it pushes to.

The values that steps of a Dockerfile can mount, and the certificate for a BuildKit that stays, are read with them.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from componentrun.controller.attempts.secretvalues import read_values
from componentrun.controller.images.logins import read_logins, secrets_without_run
from componentrun.core.builds.errors import BuildError, BuildProblem
from componentrun.core.builds.exchange import CLIENT_FILES
from componentrun.core.builds.login import LOGIN_KEYS, read_login
from componentrun.core.builds.pod import remote_builder_of
from componentrun.core.builds.registrylogins import docker_config, push_config
from componentrun.core.builds.source import parse_git_url
from componentrun.core.images.reference import parse_reference, parse_repository
from componentrun.errors import Reason, UserError
from componentrun.process.kubernetes.storages import find_secret

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from componentrun.api.build.componentbuild import ComponentBuild
    from componentrun.controller.storages.references import References
    from componentrun.core.builds.settings import BuildSettings
    from componentrun.process.kubernetes.client import Kube

__all__ = ["BuildLogins", "read_build_logins"]


@dataclass(frozen=True, slots=True)
class BuildLogins:
    """What the Secrets of a build's pod are made of. None: no login."""

    git: Mapping[str, bytes] | None = field(repr=False)
    """Keys of the git host's Secret that make up a login."""
    registry: bytes | None = field(repr=False)
    """Docker configuration with the login that may push."""
    pulls: bytes | None = field(repr=False)
    """Docker configuration with the logins that may read the parent image."""
    secrets: Mapping[str, bytes] | None = field(repr=False)
    """Values that steps of a Dockerfile can mount, by id."""
    certificate: Mapping[str, bytes] | None = field(repr=False, default=None)
    """Files with which the build is a client of a BuildKit that stays; None: it is not."""


async def read_build_logins(
    kube: Kube, references: References, build: ComponentBuild, settings: BuildSettings
) -> BuildLogins:
    """Read the logins of a build that `check_build` accepts.

    Raises:
        UserError: a Secret is missing or lacks what is needed.
        KubeError: the API server refused or is unavailable.
    """
    return BuildLogins(
        await _git_login(kube, build),
        await _push_login(kube, build, settings),
        await _pull_logins(kube, references, build),
        await _mounted_secrets(kube, references, build),
        await _client_certificate(kube, build, settings),
    )


async def _git_login(kube: Kube, build: ComponentBuild) -> Mapping[str, bytes] | None:
    git = build.spec.git
    url = parse_git_url(git.url, "spec.git.url")
    if git.secret_ref is None:
        read_login(url, {}, f"`{url.text}` without `secretRef`")  # SSH needs one
        return None
    namespace, name = build.metadata.namespace, git.secret_ref.name
    secret = await find_secret(kube, namespace, name)
    if secret is None:
        raise BuildError(
            BuildProblem.INVALID_LOGIN,
            f"`{url.text}` can't be read: Secret `{name}` does not exist in namespace `{namespace}`",
            "Create the Secret, or correct `build.source.git.secretRef` of the channel.",
        )
    content = _decoded(name, secret, LOGIN_KEYS)
    read_login(url, content, f"Secret `{name}`")
    return content


def _decoded(name: str, secret: Mapping[str, Any], keys: Iterable[str]) -> dict[str, bytes]:
    """Values of those keys that a Secret has."""
    data = secret.get("data") or {}
    try:
        return {key: base64.b64decode(data[key], validate=True) for key in keys if key in data}
    except (binascii.Error, ValueError):
        raise BuildError(BuildProblem.INVALID_LOGIN, f"Secret `{name}` can't be decoded", "Create it again.") from None


async def _push_login(kube: Kube, build: ComponentBuild, settings: BuildSettings) -> bytes | None:
    if settings.push_secret is None:
        return None
    secret = await find_secret(kube, settings.namespace, settings.push_secret)
    target = parse_repository(build.spec.target, "spec.target")
    return push_config(target, settings.push_secret, settings.namespace, secret)


async def _client_certificate(kube: Kube, build: ComponentBuild, settings: BuildSettings) -> Mapping[str, bytes] | None:
    remote = remote_builder_of(build, settings)
    if remote is None:
        return None
    found = _decoded(remote.secret, await find_secret(kube, settings.namespace, remote.secret) or {}, CLIENT_FILES)
    missing = [key for key in CLIENT_FILES if key not in found]
    if missing:
        raise UserError(
            f"Secret `{remote.secret}` in namespace `{settings.namespace}` does not exist or has no `{missing[0]}`, "
            f"which is needed to connect to the builder of namespace `{build.metadata.namespace}`",
            Reason.BUILDER_UNAVAILABLE,
            advice="This is up to the platform team: check the chart's `builds.dockerfile.builders`.",
        )
    return found


async def _pull_logins(kube: Kube, references: References, build: ComponentBuild) -> bytes | None:
    """The logins with which the operator, too, reads the parent image for a run of this Component."""
    namespace, parent = build.metadata.namespace, build.spec.parent
    if parent is None:  # BuildKit, whose container runs other people's code, has no login.
        return None
    component = await references.component(namespace, build.spec.component)
    if component is None:
        return None
    repository = parse_reference(parent, "spec.parent")
    names = await secrets_without_run(references, component)
    logins = await read_logins(kube, namespace, names, repository)
    return docker_config(repository, logins.usable)


async def _mounted_secrets(kube: Kube, references: References, build: ComponentBuild) -> Mapping[str, bytes] | None:
    """The values that steps of a Dockerfile can mount."""
    wanted = build.spec.secrets
    if not wanted:
        return None
    namespace = build.metadata.namespace
    secret_names = {f"spec.secrets[{name}].name": ref.name for name, ref in sorted(wanted.items())}
    await references.check_secret_names(namespace, secret_names)
    values = await read_values(kube, namespace, wanted, "the secret of the build")
    return {name: value.encode() for name, value in values.items()}
