"""Docker configurations for a build, with the logins for one repository each."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING

from componentrun.core.images.pullsecrets import logins_for, read_pull_secret
from componentrun.errors import Reason, UserError
from componentrun.reasons import GUIDANCE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from componentrun.core.images.pullsecrets import Login
    from componentrun.core.images.reference import Repository

__all__ = ["docker_config", "push_config"]


def docker_config(repository: Repository, logins: Sequence[Login]) -> bytes | None:
    """A docker configuration that has these logins for a repository, and none for any other registry.

    Programs try the entry with the longest matching key first. So the first login has the whole name of the repository
    as its key, and each further one a part less.

    Args:
        repository: what is read or written with the logins.
        logins: in the order in which they are to be tried.

    Returns:
        None if there are no logins.
    """
    if not logins:
        return None
    parts = [repository.host, *repository.path.split("/")]
    keys = ["/".join(parts[:length]) for length in range(len(parts), 0, -1)]
    return json.dumps({"auths": {key: _entry(login) for key, login in zip(keys, logins, strict=False)}}).encode()


def _entry(login: Login) -> dict[str, str]:
    return {"auth": base64.b64encode(f"{login.username}:{login.password}".encode()).decode()}


def push_config(target: Repository, name: str, namespace: str, secret: Mapping[str, Any] | None) -> bytes | None:
    """The docker configuration with the login that may push to a repository.

    Args:
        target: the repository.
        name: name of the Secret.
        namespace: its namespace.
        secret: the Secret as the API server returned it; None if it does not exist.

    Raises:
        UserError: (PushRefused) the Secret has no login for the repository.
    """
    found = read_pull_secret(name, secret)
    logins = logins_for(target, [found])
    if not logins:
        problem = found.problem or f"Secret `{name}` has no login for it"
        raise UserError(
            f"nothing can be pushed to `{target.name}`: {problem} (namespace `{namespace}`)",
            Reason.PUSH_REFUSED,
            advice=GUIDANCE[Reason.PUSH_REFUSED].advice,
        )
    return docker_config(target, logins[:1])
