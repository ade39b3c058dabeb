"""Combine what a run requests and what its Component allows in one frozen value, from which everything is built."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from componentrun import contract
from componentrun.api import names
from componentrun.api.common import quantity_value
from componentrun.core.queue.concurrency import effective_group
from componentrun.core.request.allowed import check_tag
from componentrun.core.request.buckets import default_bucket
from componentrun.core.request.config import check_secret_paths, config_json, environment, plain_secrets
from componentrun.core.request.files import EffectiveFiles, input_files, output_files, system_tags
from componentrun.core.request.image import component_id, image_reference
from componentrun.core.request.imageparameters import image_parameters, image_secret_refs
from componentrun.core.request.mapping import check_configuration, check_input, output_of, where_of_input
from componentrun.core.request.network import effective_network
from componentrun.core.request.parameters import parameters_of
from componentrun.core.request.processors import EffectiveProcessor, PodLimits, effective_processors
from componentrun.core.request.requested import EffectiveInput
from componentrun.core.request.resources import container_resources, timeout_seconds, user_id
from componentrun.errors import Reason, UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from componentrun.api.channels import ImageResolution
    from componentrun.api.common import SecretKeyRef
    from componentrun.api.component import Component, ForwardToken, Gelf, Network
    from componentrun.api.componentrun import ComponentRun, ComponentRunSpec
    from componentrun.api.mapping.tables import InputTable
    from componentrun.api.retry import Retry
    from componentrun.wire.agents import OutputFile, OutputTable

__all__ = ["EffectiveRun", "ResolvedImage", "resolve"]


_FILE_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. -]*")
"""The API's FileName, which also applies to a name taken from an object's key."""


@dataclass(frozen=True, slots=True)
class ResolvedImage:
    """The image of a run whose Component has channels."""

    reference: str
    """Full name with the digest."""
    resolution: ImageResolution
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EffectiveRun:
    """All decisions about one run. Contains no secrets except those that the run's author wrote in plain text."""

    namespace: str
    name: str
    uid: str
    storage: str
    """Name of the Storage."""
    component_id: str
    """The Component's name, or the last part of the image's name."""
    image: str
    """Image with tag or digest, as passed to the container runtime."""
    command: tuple[str, ...] | None
    args: tuple[str, ...] | None
    limits: dict[str, str]
    """Limits of `cpu`, `memory` and optionally `ephemeral-storage`, as Kubernetes quantities."""
    requests: dict[str, str]
    timeout_seconds: int
    network: Network
    user_id: int
    read_only_root: bool
    data_size: str
    """Size limit of the data folder, a Kubernetes quantity."""
    inputs: tuple[EffectiveInput, ...]
    outputs: tuple[OutputTable, ...]
    default_bucket: str | None
    config: dict[str, Any]
    """Content of config.json, without the parts that stage-in inserts: values of `configuration.secrets`, and
    parameters that are given as text."""
    env: dict[str, str]
    """The contract's variables, KBC_ and COMPONENTRUN_."""
    image_secrets: Mapping[str, SecretKeyRef] = field(default_factory=dict)
    """Sources of secret values to insert into `image_parameters`, by path."""
    parameters_text: str | None = field(default=None, repr=False)
    """The original text of the parameters; None: they are in `config`."""
    type_support: str = contract.DEFAULT_TYPE_SUPPORT
    """`none`, `hints` or `authoritative`."""
    forward_token: ForwardToken | None = None
    """Source of the token that is forwarded to the component; None: no token."""
    gelf: Gelf | None = None
    """GELF server for the component; None: no server."""
    configuration_id: str | None = None
    configuration_row: str | None = None
    branch: str = contract.DEFAULT_BRANCH
    input_files: tuple[EffectiveFiles, ...] = ()
    output_files: tuple[OutputFile, ...] = ()
    file_tags: tuple[str, ...] = ()
    """Tags that every output file gets in addition to its own."""
    retry: Retry | None = None
    """Retry policy of the run or its Component; None if neither has one."""
    concurrency_group: str | None = None
    """None if the run waits for no other run, for example because its policy is Allow."""
    queue_labels: dict[str, str] = field(default_factory=dict)
    """Labels for Kueue: those of the run and of its pod template."""
    image_resolution: ImageResolution | None = None
    """How the digest in `image` was found; None: the node resolves the tag."""
    pull_secrets: tuple[str, ...] = ()
    """Names of all pull secrets of the pod."""
    plain_secrets: tuple[str, ...] = field(default=(), repr=False)
    """Values of `#` keys that the author wrote in plain text. They are redacted like those from Secrets."""
    processors: tuple[EffectiveProcessor, ...] = ()
    """Those before the component come first."""

    @property
    def before(self) -> tuple[EffectiveProcessor, ...]:
        """Processors that run before the component."""
        return tuple(item for item in self.processors if item.position == "before")

    @property
    def after(self) -> tuple[EffectiveProcessor, ...]:
        """Processors that run after the component."""
        return tuple(item for item in self.processors if item.position == "after")

    @property
    def total_seconds(self) -> int:
        """The timeouts of all steps together."""
        return self.timeout_seconds + sum(item.timeout_seconds for item in self.processors)


def resolve(
    run: ComponentRun,
    component: Component | None,
    storage_name: str,
    referenced: str | None = None,
    processors: Mapping[str, Component] | None = None,
    image: ResolvedImage | None = None,
    pull_secrets: tuple[str, ...] = (),
) -> EffectiveRun:
    """Decide everything about a run that does not depend on the cluster.

    Args:
        run: the run.
        component: the Component that `spec.component` names; None if the run names none, or if it does not exist.
        storage_name: the Storage that the run names, or the namespace's default one.
        referenced: the text that `configuration.parametersFrom` refers to; None if it is not set.
        processors: the Components that `processors_of` the run names and that exist, by name.
        image: the image with its digest, if the Component has channels; None: the node resolves the tag.
        pull_secrets: names of all pull secrets, see `pull_secret_names`.

    Raises:
        UserError: (InvalidSpec) the spec is invalid, and the message names the field; (ComponentNotFound) the Component
            or that of a processor does not exist.
    """
    spec = run.spec
    _check_kind(spec, component)
    _check_action(spec.action, component)
    parameters = parameters_of(spec.configuration, referenced)
    check_secret_paths(spec.configuration.secrets, parameters)
    check_configuration(spec)
    for_image = image_parameters(spec.configuration, component)
    if component is not None:
        check_tag(spec.tag, component, "spec.tag")
    reference = image.reference if image is not None else image_reference(spec, component)
    identifier = component_id(reference, component)
    limits, requests = container_resources(spec, component)
    inputs = _inputs(spec.input.tables)
    bucket = default_bucket(spec.output, component, spec.configuration.id)
    files = input_files(spec.input)
    type_support = (component.spec.data_type_support if component else None) or contract.DEFAULT_TYPE_SUPPORT
    gelf = component.spec.logging.gelf if component and component.spec.logging else None
    network = effective_network(spec, component)
    timeout = timeout_seconds(spec.timeout, component)
    steps = effective_processors(run, component, processors or {}, PodLimits(network, timeout, type_support))
    return EffectiveRun(
        namespace=run.metadata.namespace,
        name=run.metadata.name,
        uid=run.metadata.uid,
        storage=storage_name,
        component_id=identifier,
        image=reference,
        image_resolution=image.resolution if image is not None else None,
        image_secrets=image_secret_refs(component),
        command=component.spec.command if component else spec.command,
        args=component.spec.args if component else spec.args,
        limits=limits,
        requests=requests,
        timeout_seconds=timeout,
        network=network,
        user_id=user_id(component),
        read_only_root=component.spec.read_only_root_filesystem if component else False,
        data_size=_data_size(component),
        inputs=inputs,
        outputs=_outputs(spec),
        default_bucket=bucket,
        config=config_json(
            run, parameters, for_image, inputs, files, spec.output.model_copy(update={"default_bucket": bucket})
        ),
        env=environment(run, identifier, type_support, logger=gelf is not None),
        parameters_text=parameters.text,
        type_support=type_support,
        forward_token=component.spec.forward_token if component else None,
        gelf=gelf,
        configuration_id=spec.configuration.id,
        configuration_row=spec.configuration.row,
        branch=spec.configuration.branch or contract.DEFAULT_BRANCH,
        input_files=files,
        output_files=output_files(spec.output),
        file_tags=system_tags(run, identifier),
        retry=spec.retry or (component.spec.retry if component else None),
        concurrency_group=effective_group(run, component),
        queue_labels=_queue_labels(run),
        pull_secrets=pull_secrets,
        plain_secrets=plain_secrets(
            parameters, for_image, [values for step in steps for values in (step.parameters, step.image_parameters)]
        ),
        processors=steps,
    )


def _queue_labels(run: ComponentRun) -> dict[str, str]:
    template = run.spec.pod_template.labels if run.spec.pod_template else None
    labels = (template or {}) | run.metadata.labels
    return {key: value for key, value in labels.items() if key.startswith(names.KUEUE_PREFIX)}


def _check_kind(spec: ComponentRunSpec, component: Component | None) -> None:
    """Check that the run has either a Component or an image, and no fields that belong to the other kind."""
    if bool(spec.component) == bool(spec.image):
        raise UserError(
            "spec.component: exactly one of spec.component and spec.image must be given", Reason.INVALID_SPEC
        )
    if not spec.component:
        return
    if component is None:
        raise UserError(
            f"spec.component: there is no Component `{spec.component}` in the namespace, and no ClusterComponent",
            Reason.COMPONENT_NOT_FOUND,
            advice="Create it, or name another one.",
        )
    for name in ("command", "args"):
        if getattr(spec, name) is not None:
            raise UserError(
                f"spec.{name}: belongs to spec.image; Component `{spec.component}` has its own",
                Reason.INVALID_SPEC,
                advice="Remove it.",
            )


def _check_action(action: str, component: Component | None) -> None:
    """Refuse an action that the Component does not list. Every component has `run`."""
    actions = component.spec.actions if component is not None else ()
    if component is None or not actions or action in {contract.DEFAULT_ACTION, *actions}:
        return
    known = ", ".join(f"`{name}`" for name in dict.fromkeys((contract.DEFAULT_ACTION, *actions)))
    raise UserError(
        f"spec.action: found `{action}`, which Component `{component.metadata.name}` does not support; "
        f"expected one of {known}",
        Reason.INVALID_SPEC,
    )


def _data_size(component: Component | None) -> str:
    size = (component.spec.data_size if component else None) or contract.DEFAULT_DATA_SIZE
    try:
        is_enough = quantity_value(size) >= 1
    except ValueError:  # the API server accepts any number
        is_enough = False
    if not is_enough:
        name = component.metadata.name if component else ""
        raise UserError(
            f"Component `{name}`: spec.dataSize: `{size}` holds nothing",
            Reason.INVALID_SPEC,
            advice="Give a size such as `10Gi`.",
        )
    return size


def _inputs(tables: tuple[InputTable, ...]) -> tuple[EffectiveInput, ...]:
    """Inputs with their destinations. Refuses duplicate destinations, and inputs without exactly one source."""
    positions: dict[str, int] = {}
    inputs = []
    for i, table in enumerate(tables):
        path = f"spec.input.tables[{i}]"
        if bool(table.source) == bool(table.object):
            raise UserError(f"{path}: exactly one of source and object must be given", Reason.INVALID_SPEC)
        destination = table.destination or _default_destination(table, path)
        if destination in positions:
            raise UserError(
                f"{path}.destination: `{destination}` is also the file of spec.input.tables[{positions[destination]}]",
                Reason.INVALID_SPEC,
                advice="Give one of them another name.",
            )
        positions[destination] = i
        check_input(table, path)
        where = where_of_input(table, path)
        inputs.append(
            EffectiveInput(
                table.source,
                table.object,
                destination,
                table.columns,
                where,
                table.changed_since,
                table.limit,
                table.sliced,
            )
        )
    return tuple(inputs)


def _default_destination(table: InputTable, path: str) -> str:
    """The default file name: `foo.csv` for the table `in.c-main.foo` and for the object `exports/foo.csv`."""
    if table.source:
        return table.source.rsplit(".", 1)[-1] + ".csv"
    name = (table.object or "").rsplit("/", 1)[-1]
    name = name if name.endswith(".csv") else f"{name}.csv"
    if not _FILE_NAME.fullmatch(name):
        raise UserError(
            f"{path}.destination: `{name}`, taken from the object's key, can't be a file name here",
            Reason.INVALID_SPEC,
            advice="Give a destination.",
        )
    return name


def _outputs(spec: ComponentRunSpec) -> tuple[OutputTable, ...]:
    """The output mapping for stage-out. Refuses two files for one table, because one would replace the other."""
    positions: dict[str, int] = {}
    outputs = []
    for i, table in enumerate(spec.output.tables):
        if table.destination in positions:
            raise UserError(
                f"spec.output.tables[{i}].destination: `{table.destination}` is also the table of "
                f"spec.output.tables[{positions[table.destination]}]",
                Reason.INVALID_SPEC,
                advice="Write each table from one source.",
            )
        positions[table.destination] = i
        outputs.append(output_of(table, f"spec.output.tables[{i}]"))
    return tuple(outputs)
