"""Files of the Secret that only this step mounts: what goes into the build, and logins."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

from componentrun.core.builds.dependencies.layer import parse_layers
from componentrun.core.builds.exchange import INPUTS_FILE, LAYERS_FILE
from componentrun.core.builds.identity import BuildInputs
from componentrun.core.builds.login import LOGIN_KEYS, read_login
from componentrun.core.builds.source import parse_git_url
from componentrun.core.images.pullsecrets import read_pull_secret
from componentrun.errors import PlatformError

if TYPE_CHECKING:
    from pathlib import Path

    from componentrun.core.builds.dependencies.layer import DependencyLayer
    from componentrun.core.builds.login import HttpsLogin, SshLogin
    from componentrun.core.images.pullsecrets import PullSecret

__all__ = ["read_docker_config", "read_git_login", "read_inputs", "read_layers"]

_OWNER: Final = "the Secret of `build.source.git.secretRef`"
_DOCKER_CONFIG: Final = "kubernetes.io/dockerconfigjson"


def read_inputs(grant: Path) -> BuildInputs:
    """Everything that goes into the build.

    Raises:
        PlatformError: the file is missing, or of another release.
    """
    try:
        return BuildInputs.parse((grant / INPUTS_FILE).read_bytes())
    except (OSError, ValueError) as error:
        raise PlatformError(
            f"`{INPUTS_FILE}` of the step's Secret can't be read: {type(error).__name__}",
            advice="Check whether the operator and the builder's image are of the same release.",
        ) from error


def read_layers(grant: Path) -> tuple[DependencyLayer, ...]:
    """Layers of dependencies that earlier builds have pushed."""
    return parse_layers((grant / LAYERS_FILE).read_bytes())


def read_git_login(grant: Path, inputs: BuildInputs) -> HttpsLogin | SshLogin | None:
    """The login for the repository; None if it is to be read without one.

    Raises:
        BuildError: the Secret does not have what this kind of URL needs.
    """
    secret = {key: (grant / key).read_bytes() for key in LOGIN_KEYS if (grant / key).exists()}
    return read_login(parse_git_url(inputs.url, "url"), secret, _OWNER)


def read_docker_config(grant: Path, name: str) -> PullSecret:
    """The logins of a docker configuration.

    Args:
        grant: the folder.
        name: name of its file.
    """
    content = base64.b64encode((grant / name).read_bytes()).decode()
    return read_pull_secret(name, {"type": _DOCKER_CONFIG, "data": {".dockerconfigjson": content}})
