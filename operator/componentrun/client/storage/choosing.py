"""Which Storage of the namespace is meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

from componentrun.client.errors import EnvironmentFault
from componentrun.client.models import parsed
from componentrun.errors import UserError
from componentrun.process.kubernetes.resources import STORAGES

if TYPE_CHECKING:
    from componentrun.api.storage import Storage
    from componentrun.client.kubernetes.cluster import Cluster, JsonObject

__all__ = ["choose_storage"]


def choose_storage(cluster: Cluster, name: str | None) -> tuple[JsonObject, Storage]:
    """The Storage of this name, or the default one of the namespace: as the API server returns it, and as a model.

    Raises:
        UserError: there is none.
        EnvironmentFault: this release can't read it.
    """
    from componentrun.api.storage import Storage  # noqa: PLC0415 - the models take a while to load
    from componentrun.storage.store.resource import choose  # noqa: PLC0415 - likewise

    storages = {storage["metadata"]["name"]: storage for storage in cluster.list(STORAGES)}
    models: dict[str, Storage] = {}
    faults: dict[str, EnvironmentFault] = {}
    for title, storage in storages.items():
        try:
            models[title] = parsed(Storage, storage)
        except EnvironmentFault as error:
            faults[title] = error
    try:
        choice = choose(models.values(), name, cluster.namespace)
    except UserError:
        # Report a Storage that can't be read only if it is the one that was asked for, or may be.
        for title, fault in faults.items():
            if name in {None, title}:
                raise fault from None
        raise
    return storages[choice.metadata.name], choice
