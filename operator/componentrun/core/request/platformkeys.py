"""Keys that are the platform's alone: no run may have them brought to its component, whoever may create runs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from componentrun.errors import Reason, UserError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from componentrun.api.componentrun import ComponentRunSpec
    from componentrun.api.storage import Storage

__all__ = ["check_secrets"]


def check_secrets(spec: ComponentRunSpec, storages: Iterable[Storage]) -> None:
    """Refuse secret parameters that are to come from a Secret that a Storage of the namespace uses itself.

    Args:
        spec: of the run.
        storages: all of its namespace.

    Raises:
        UserError: (InvalidSpec) naming the field, the Secret and the Storage.
    """
    taken = {name: storage.metadata.name for storage in storages for name in _secrets_of(storage)}
    for number, secret in enumerate(spec.configuration.secrets):
        name = secret.secret_key_ref.name
        if name in taken:
            raise UserError(
                f"spec.configuration.secrets[{number}].secretKeyRef.name: Secret `{name}` holds keys of Storage "
                f"`{taken[name]}`, which no component may have: expected another Secret; copy what is to be shared",
                Reason.INVALID_SPEC,
            )


def _secrets_of(storage: Storage) -> set[str]:
    """Keys to the store and the catalog, what events are signed with, and what is sent along with them."""
    spec, events, catalog = storage.spec, storage.spec.events, storage.spec.catalog
    names = {
        spec.credentials.secret_name if spec.credentials is not None else None,
        catalog.credentials.secret_name if catalog is not None and catalog.credentials is not None else None,
        events.webhook.secret_name if events is not None and events.webhook is not None else None,
        events.otlp.headers_secret_name if events is not None and events.otlp is not None else None,
    }
    return {name for name in names if name is not None}
