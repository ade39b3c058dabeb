"""The processors of a run: what each container gets, within what the run's component and its pod allow. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from componentrun import contract
from componentrun.api import names
from componentrun.api.common import duration_text
from componentrun.api.componentrun import ComponentRunSpec
from componentrun.api.processors import MOST_PROCESSORS, Processors
from componentrun.core.images.channels import choose_image
from componentrun.core.request.allowed import check_tag
from componentrun.core.request.config import environment
from componentrun.core.request.image import ResolvedImage, check_no_channel, component_image
from componentrun.core.request.imageparameters import image_secret_refs, own_image_parameters
from componentrun.core.request.network import check_processor
from componentrun.core.request.parameters import check_depth
from componentrun.core.request.resources import processor_resources, timeout_seconds, user_id
from componentrun.errors import Reason, UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from componentrun.api.channels import ImageResolution
    from componentrun.api.common import SecretKeyRef
    from componentrun.api.component import Component, Network
    from componentrun.api.componentrun import ComponentRun
    from componentrun.api.processors import Position, ProcessorStep

__all__ = [
    "EffectiveProcessor",
    "PodLimits",
    "WantedStep",
    "check_processor_image",
    "effective_processors",
    "processor_names",
    "processors_of",
    "wanted_steps",
]

PROCESSOR: Final = "processor"
"""Type of a Component that can be a processor."""
_NONE: Final = Processors()


@dataclass(frozen=True, slots=True)
class EffectiveProcessor:
    """One processor of a run."""

    position: Position
    container: str
    """Name of its container, such as `before-1`."""
    path: str
    """Path of its field, for messages: `spec.processors.before[0]`."""
    component: str
    """Name of its Component."""
    image: str
    """Image with tag or digest, as passed to the container runtime."""
    command: tuple[str, ...] | None
    args: tuple[str, ...] | None
    limits: dict[str, str]
    requests: dict[str, str]
    timeout_seconds: int
    user_id: int
    read_only_root: bool
    config: dict[str, Any]
    """Content of config.json while it runs, without values from Secrets: its own parameters, image parameters and the
    action, and nothing of the component."""
    image_secrets: Mapping[str, SecretKeyRef]
    """Sources of secret values to insert into its `image_parameters`, by path."""
    env: dict[str, str]
    """The contract's variables, KBC_ and COMPONENTRUN_, with its own KBC_COMPONENTID."""
    image_resolution: ImageResolution | None = None
    """How the digest in `image` was found; None: the node resolves the tag."""

    @property
    def parameters(self) -> dict[str, Any]:
        """`parameters` in config.json."""
        found: dict[str, Any] = self.config["parameters"]
        return found

    @property
    def image_parameters(self) -> dict[str, Any]:
        """`image_parameters` in config.json."""
        found: dict[str, Any] = self.config["image_parameters"]
        return found


@dataclass(frozen=True, slots=True)
class WantedStep:
    """One processor as the run, or its Component, names it."""

    position: Position
    container: str
    """Name of its container, such as `before-1`."""
    path: str
    """Path of its field, for messages."""
    step: ProcessorStep


@dataclass(frozen=True, slots=True)
class PodLimits:
    """What the processors share with the component, because they are in the same pod."""

    network: Network
    """Network access of the pod."""
    timeout_seconds: int
    """Timeout of the component."""
    type_support: str
    """Support for column types of the component, whose manifests the processors read and write."""


def processors_of(run: ComponentRun, component: Component | None) -> Processors:
    """The processors that are to run: those of the run, or else of its Component. None for actions other than `run`."""
    if run.spec.action != contract.DEFAULT_ACTION:
        return _NONE
    own = component.spec.processors if component is not None else None
    return (own if run.spec.processors is None else run.spec.processors) or _NONE


def processor_names(run: ComponentRun, component: Component | None) -> tuple[str, ...]:
    """Names of the Components of all processors of a run, each once."""
    wanted = processors_of(run, component)
    return tuple(dict.fromkeys(step.component for step in (*wanted.before, *wanted.after)))


def wanted_steps(run: ComponentRun, component: Component | None) -> tuple[WantedStep, ...]:
    """The processors that are to run, those before the component first."""
    wanted = processors_of(run, component)
    owner = _owner(run, component)
    sides: tuple[tuple[Position, tuple[ProcessorStep, ...]], ...] = (
        ("before", wanted.before),
        ("after", wanted.after),
    )
    return tuple(
        WantedStep(
            position,
            names.processor_container(position, index + 1),
            f"{owner}spec.processors.{position}[{index}]",
            step,
        )
        for position, steps in sides
        for index, step in enumerate(steps)
    )


def _owner(run: ComponentRun, component: Component | None) -> str:
    """The beginning of the path of the processors."""
    return "" if run.spec.processors is not None or component is None else f"Component `{component.metadata.name}`: "


def check_processor_image(step: ProcessorStep, component: Component, path: str) -> None:
    """Refuse a tag or a channel that the Component of a processor does not have or allow.

    Raises:
        UserError: (InvalidSpec) the message names the field.
    """
    check_tag(step.tag, component, f"{path}.tag")
    if component.spec.channels:
        spec = ComponentRunSpec(component=step.component, tag=step.tag, channel=step.channel)
        choose_image(spec, component, path=path)
    else:
        check_no_channel(step.channel, component, path)


def effective_processors(
    run: ComponentRun,
    component: Component | None,
    found: Mapping[str, Component],
    pod: PodLimits,
    images: Mapping[str, ResolvedImage],
) -> tuple[EffectiveProcessor, ...]:
    """The processors of a run, in the order in which they run, those before the component first.

    Args:
        run: the run.
        component: its Component; None if it has an image of its own.
        found: the Components of the processors that exist, by name.
        pod: what the component allows.
        images: the images of processors whose Components have channels, by container.

    Raises:
        UserError: (ComponentNotFound) a processor's Component does not exist; (InvalidSpec) it is not a processor, is
            not meant for this position, or needs more than the pod has; or there are too many. The message names the
            field.
    """
    wanted = wanted_steps(run, component)
    if len(wanted) > MOST_PROCESSORS:
        raise UserError(
            f"{_owner(run, component)}spec.processors: found {len(wanted)} processors; "
            f"expected at most {MOST_PROCESSORS}",
            Reason.INVALID_SPEC,
            advice="Use fewer, or do the rest in another run.",
        )
    steps = tuple(_effective(run, found, pod, step, images.get(step.container)) for step in wanted)
    _check_time(steps, pod)
    return steps


def _effective(
    run: ComponentRun,
    found: Mapping[str, Component],
    pod: PodLimits,
    wanted: WantedStep,
    image: ResolvedImage | None,
) -> EffectiveProcessor:
    path, step = wanted.path, wanted.step
    component = _processor(found, step, wanted.position, f"{path}.component")
    check_processor(component, pod.network, f"{path}.component")
    check_depth(step.parameters, f"{path}.parameters")
    check_processor_image(step, component, path)
    limits, requests = processor_resources(run.spec.size, component)
    return EffectiveProcessor(
        position=wanted.position,
        container=wanted.container,
        path=path,
        component=step.component,
        image=image.reference if image else component_image(component, step.tag, f"{path}.tag"),
        image_resolution=image.resolution if image else None,
        command=component.spec.command,
        args=component.spec.args,
        limits=limits,
        requests=requests,
        timeout_seconds=timeout_seconds(None, component),
        user_id=user_id(component),
        read_only_root=component.spec.read_only_root_filesystem,
        config={
            "parameters": step.parameters,
            "image_parameters": own_image_parameters(component),
            "action": run.spec.action,
        },
        image_secrets=image_secret_refs(component),
        env=environment(run, step.component, pod.type_support),
    )


def _processor(found: Mapping[str, Component], step: ProcessorStep, position: Position, path: str) -> Component:
    component = found.get(step.component)
    if component is None:
        raise UserError(
            f"{path}: there is no Component `{step.component}` in the namespace, and no ClusterComponent",
            Reason.COMPONENT_NOT_FOUND,
            advice="Create it, or name another one.",
        )
    if component.spec.type != PROCESSOR:
        found_type = f"the type `{component.spec.type}`" if component.spec.type else "no type"
        raise UserError(
            f"{path}: Component `{step.component}` has {found_type}; expected the type `{PROCESSOR}`",
            Reason.INVALID_SPEC,
            advice=f"Name another one, or set `type: {PROCESSOR}` if its image is one.",
        )
    settings = component.spec.processor
    if settings is not None and position not in settings.positions:
        allowed = " or ".join(f"`{item}`" for item in settings.positions)
        raise UserError(
            f"{path}: Component `{step.component}` runs only {allowed} the component; found it in `{position}`",
            Reason.INVALID_SPEC,
            advice="Move it, or use another processor.",
        )
    return component


def _check_time(steps: tuple[EffectiveProcessor, ...], pod: PodLimits) -> None:
    """Refuse a run whose steps together may take longer than any run may.

    Grants, and the time for which the data of unfinished runs is kept, are made for the longest run.
    """
    total = pod.timeout_seconds + sum(step.timeout_seconds for step in steps)
    if steps and total > contract.MAX_TIMEOUT_SECONDS:
        raise UserError(
            f"spec.processors: the timeouts of the component ({duration_text(pod.timeout_seconds)}) and its processors "
            f"add up to {duration_text(total)}; expected at most {duration_text(contract.MAX_TIMEOUT_SECONDS)}",
            Reason.INVALID_SPEC,
            advice="Lower `spec.timeout`, or the `timeout` of the processors' Components.",
        )
