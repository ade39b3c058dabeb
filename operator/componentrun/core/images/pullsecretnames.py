"""Which pull secrets a run has. Its pod names them, and the operator asks registries with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from componentrun.api.component import Component
    from componentrun.api.componentrun import ComponentRun
    from componentrun.api.storage import Storage

__all__ = ["pull_secret_names"]


def pull_secret_names(
    run: ComponentRun | None, components: Iterable[Component], storage: Storage | None, agents: Iterable[str] = ()
) -> tuple[str, ...]:
    """Names of the pull secrets of a run, each once, all in the namespace of the run.

    Those that are closest to the run come first: its pod template, its Component and processors, its Storage, and the
    agents' image. A kubelet tries all of them for each image of the pod.

    Args:
        run: the run; None for what its Components have without one.
        components: its Component, if it has one, and the Components of its processors.
        storage: its Storage, or the namespace's default one; None if there is none.
        agents: pull secrets of the agents' image.
    """
    template = run.spec.pod_template if run is not None else None
    own = [ref.name for ref in (template.image_pull_secrets if template else None) or ()]
    shared = [ref.name for component in components for ref in component.spec.image_pull_secrets or ()]
    default = [ref.name for ref in storage.spec.image_pull_secrets] if storage is not None else []
    return tuple(dict.fromkeys([*own, *shared, *default, *agents]))
