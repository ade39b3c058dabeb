"""The Secret of a run: its keys, and the grants in it that say what each agent may read and write.

A grant holds capability URLs or temporary keys for the objects of one attempt. Each agent's container mounts its own
grant only, and the component's container mounts none. Like the documents in `agents`, grants are plain dataclasses, so
that agents start fast.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

__all__ = [
    "GRANT_FILE",
    "GRANT_IN_KEY",
    "GRANT_MOUNT",
    "GRANT_OUT_KEY",
    "REDACT_KEY",
    "TOKEN_KEY",
    "GrantIn",
    "GrantOut",
    "PostPolicy",
    "SessionKeys",
]

GRANT_IN_KEY: Final = "grant-in"
"""Key of the run's Secret that only the stage-in container mounts."""
GRANT_OUT_KEY: Final = "grant-out"
"""Key of the run's Secret that only the stage-out container mounts."""
REDACT_KEY: Final = "redact"
"""Key of the run's Secret that no container mounts: a JSON list of the values that must never appear in an event."""
TOKEN_KEY: Final = "token"  # noqa: S105 - the name of a key
"""Key of the run's Secret that becomes the component's KBC_TOKEN; only where its Component forwards one."""
GRANT_MOUNT: Final = "/run/componentrun/grant"
"""Where an agent's container mounts its own grant."""
GRANT_FILE: Final = "grant.json"


@dataclass(frozen=True, slots=True)
class GrantIn:
    """What stage-in may do: read its plan and, through the plan's URLs, the inputs."""

    plan_url: str
    secrets: dict[str, str] = field(default_factory=dict)
    """Values to insert, by path below `parameters` (`db.#password`; list items by index)."""
    ca_bundle: str | None = None
    """PEM of the authorities that sign the store's certificate; None: the image's own."""
    image_secrets: dict[str, str] = field(default_factory=dict)
    """Values to insert, by path below `image_parameters`."""
    step_secrets: dict[str, dict[str, str]] = field(default_factory=dict)
    """Values to insert, by path below `image_parameters` of processors, by the names of their containers."""


@dataclass(frozen=True, slots=True)
class SessionKeys:
    """Temporary keys that can only store objects below the prefix of their grant."""

    url: str
    """URL of the bucket; an object is stored by a signed PUT to `<url>/<key>`."""
    region: str
    access_key: str = field(repr=False)
    secret_key: str = field(repr=False)
    session_token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class PostPolicy:
    """A signed form: POST to `url` with these fields, then `key`, then the file, stores an object below the prefix."""

    url: str
    fields: dict[str, str]
    key_prefix: str
    """Every key must start with it; the store enforces that."""
    max_bytes: int
    """The largest object the policy allows."""
    session: SessionKeys | None = None
    """Temporary keys, for a store that does not enforce forms; then the fields are empty."""


@dataclass(frozen=True, slots=True)
class GrantOut:
    """What stage-out may do: read its plan, and store objects below its own prefix."""

    plan_url: str
    post: PostPolicy
    ca_bundle: str | None = None
