"""The images of processors whose Components have channels. They are resolved like the image of a run."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from componentrun.api.componentrun import ComponentRun, ComponentRunSpec, ComponentRunStatus
from componentrun.core.request.processors import check_processor_image, wanted_steps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from componentrun.api.component import Component
    from componentrun.controller.images.resolving import Images
    from componentrun.core.request.image import ResolvedImage
    from componentrun.core.request.processors import WantedStep

__all__ = ["images_of_steps"]


async def images_of_steps(
    images: Images,
    run: ComponentRun,
    component: Component | None,
    found: Mapping[str, Component],
    pull_secrets: tuple[str, ...],
) -> dict[str, ResolvedImage]:
    """The images of a run's processors with their digests, by container; without those whose tag the node resolves.

    Args:
        images: resolves them.
        run: the run.
        component: its Component; None if it has an image of its own.
        found: the Components of the processors that exist, by name.
        pull_secrets: names of the pull secrets of the run, see `pull_secret_names`.

    Raises:
        UserError, TransientError, PlatformError: as `Images.of`, for the first processor that has such a problem.
    """
    wanted = [item for item in wanted_steps(run, component) if item.step.component in found]
    for item in wanted:
        check_processor_image(item.step, found[item.step.component], item.path)
    answers = await asyncio.gather(
        *(images.of(_as_run(run, item), found[item.step.component], pull_secrets) for item in wanted),
        return_exceptions=True,
    )
    result = {}
    for item, answer in zip(wanted, answers, strict=True):
        if isinstance(answer, BaseException):
            raise answer
        if answer is not None:
            warnings = tuple(f"{item.path}: {warning}" for warning in answer.warnings)
            result[item.container] = replace(answer, warnings=warnings)
    return result


def _as_run(run: ComponentRun, wanted: WantedStep) -> ComponentRun:
    """A run of the processor alone, in the pod of the run. It has the digest that an earlier attempt used."""
    step = wanted.step
    spec = ComponentRunSpec(
        component=step.component, tag=step.tag, channel=step.channel, pod_template=run.spec.pod_template
    )
    kept = next(
        (
            item
            for item in run.status.steps or ()
            if (item.name, item.component) == (wanted.container, step.component) and item.image_resolution
        ),
        None,
    )
    build = run.status.build
    status = ComponentRunStatus(
        image=kept.image if kept else None,
        image_resolution=kept.image_resolution if kept else None,
        build=build if build is not None and build.component == step.component else None,
    )
    return run.model_copy(update={"spec": spec, "status": status})
