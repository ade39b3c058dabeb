"""Logins of registries of the person who typed the command, and errors of registries for this person.

Logins are those of `docker login` and `podman login`. Credential helpers are not started.
"""

from __future__ import annotations

import asyncio
import base64
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from componentrun.cli.errors import BadRequestError, EnvironmentFault

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from componentrun.core.images.pullsecrets import Login, PullSecret
    from componentrun.core.images.reference import Repository
    from componentrun.registry.errors import RegistryError

__all__ = ["carried_out", "user_logins"]

_Result = TypeVar("_Result")
_LOGIN: Final = "Log in with `docker login` or `podman login`, and check the name and what the account may do."
_ADVICE: Final = {
    "NoPassword": _LOGIN,
    "WrongPassword": _LOGIN,
    "AccessDenied": _LOGIN,
    "RegistryAway": "Check the host, and that this machine can reach it. `--plain-http` uses HTTP without TLS.",
    "UntrustedCertificate": "Set SSL_CERT_FILE to a file with its certificate authority.",
    "NotARegistry": "Check the host, and whether a proxy or a login page answers in its place.",
    "RateLimited": "Log in, or try again later.",
    "NoSuchRepository": "Check the name. Some registries need the repository before the first push.",
}
"""By the cause; other errors have advice that fits."""


def user_logins(repository: Repository) -> tuple[tuple[Login, ...], str]:
    """Logins of the user for a repository, the best match first, and why files have none that can be used."""
    from componentrun.core.images.pullsecrets import logins_for  # noqa: PLC0415 - few commands need it

    files = [found for path in _login_files() if (found := _login_file(path)) is not None]
    logins = next((usable for file in files if (usable := logins_for(repository, [file]))), ())
    return logins, "; ".join(file.problem.removeprefix("Secret ") for file in files if file.problem)


def _login_files() -> list[Path]:
    """Files in which tools keep logins, in the order in which they are read."""
    environment = os.environ
    paths = [environment.get("REGISTRY_AUTH_FILE")]
    paths.append(f"{environment['DOCKER_CONFIG']}/config.json" if environment.get("DOCKER_CONFIG") else None)
    if runtime := environment.get("XDG_RUNTIME_DIR"):
        paths.append(f"{runtime}/containers/auth.json")
    paths.append(str(Path("~/.docker/config.json").expanduser()))
    return [Path(path) for path in paths if path]


def _login_file(path: Path) -> PullSecret | None:
    from componentrun.core.images.pullsecrets import read_pull_secret  # noqa: PLC0415 - few commands need it

    try:
        content = path.read_bytes()
    except OSError:
        return None
    data = {".dockerconfigjson": base64.b64encode(content).decode()}
    return read_pull_secret(str(path), {"type": "kubernetes.io/dockerconfigjson", "data": data})


def carried_out(work: Coroutine[Any, Any, _Result]) -> _Result:
    """The result of requests to a registry, with errors for the person at the terminal."""
    from componentrun.registry.errors import RegistryError  # noqa: PLC0415 - few commands need it

    try:
        return asyncio.run(work)
    except RegistryError as error:
        raise _explained(error) from error


def _explained(error: RegistryError) -> BadRequestError | EnvironmentFault:
    from componentrun.registry.errors import ImageError  # noqa: PLC0415 - few commands need it

    kind = BadRequestError if isinstance(error, ImageError) else EnvironmentFault
    summary = error.summary.replace(" from Secret `", " from `").replace("no pull secret has one", "you have none")
    return kind(summary, _ADVICE.get(str(error.problem), error.advice))
