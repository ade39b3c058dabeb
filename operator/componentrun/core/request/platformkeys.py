"""Secrets of Storages, which no run may pass to its component."""

from __future__ import annotations

from typing import TYPE_CHECKING

from componentrun.core.request.imageparameters import image_secret_refs
from componentrun.errors import Reason, UserError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from componentrun.api.component import Component
    from componentrun.api.componentrun import ComponentRunSpec
    from componentrun.api.storage import Storage

__all__ = ["check_secret_names", "check_secrets"]


def check_secrets(spec: ComponentRunSpec, component: Component | None, storages: Iterable[Storage]) -> None:
    """Refuse secret parameters from a Secret that a Storage of the namespace uses itself.

    Args:
        spec: spec of the run.
        component: its Component, if it has one.
        storages: all Storages of its namespace.

    Raises:
        UserError: (InvalidSpec) a Storage uses the Secret; the message names the field, the Secret and the Storage.
    """
    named = {
        f"spec.configuration.secrets[{number}].secretKeyRef.name": secret.secret_key_ref.name
        for number, secret in enumerate(spec.configuration.secrets)
    }
    for path, ref in image_secret_refs(component).items():
        name = component.metadata.name if component is not None else ""
        named[f"Component `{name}`: spec.imageParameterSecrets[`{path}`].name"] = ref.name
    check_secret_names(named, storages)


def check_secret_names(named: Mapping[str, str], storages: Iterable[Storage]) -> None:
    """Refuse Secrets that a Storage of the namespace uses itself.

    Args:
        named: names of Secrets, by the fields that name them.
        storages: all Storages of the namespace.

    Raises:
        UserError: (InvalidSpec) a Storage uses the Secret; the message names the field, the Secret and the Storage.
    """
    owners = {name: storage.metadata.name for storage in storages for name in _secrets_of(storage)}
    for field, name in named.items():
        if name in owners:
            raise UserError(
                f"{field}: Secret `{name}` holds keys of Storage `{owners[name]}`, which no component may have",
                Reason.INVALID_SPEC,
                advice="Name another Secret, and copy into it what is to be shared.",
            )


def _secrets_of(storage: Storage) -> set[str]:
    """The Secrets with keys of the store and the catalog, the signing key of webhooks, and headers for OTLP."""
    spec, events, catalog = storage.spec, storage.spec.events, storage.spec.catalog
    names = {
        spec.credentials.secret_name if spec.credentials is not None else None,
        catalog.credentials.secret_name if catalog is not None and catalog.credentials is not None else None,
        events.webhook.secret_name if events is not None and events.webhook is not None else None,
        events.otlp.headers_secret_name if events is not None and events.otlp is not None else None,
    }
    return {name for name in names if name is not None}
