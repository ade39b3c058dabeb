"""What a run asks for and what its Component allows, brought together: one frozen answer for all that builds things."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from componentrun import contract
from componentrun.api import names
from componentrun.api.common import duration_seconds, quantity_value
from componentrun.core.queue.concurrency import effective_group
from componentrun.core.request.config import check_secret_paths, config_json, environment, plain_secrets
from componentrun.core.request.files import EffectiveFiles, input_files, output_files, system_tags
from componentrun.core.request.image import component_id, image_reference
from componentrun.core.request.mapping import check_configuration, check_input, output_of, where_of_input
from componentrun.core.request.network import effective_network
from componentrun.core.request.parameters import parameters_of
from componentrun.core.request.requested import EffectiveInput
from componentrun.core.request.resources import container_resources
from componentrun.errors import Reason, UserError

if TYPE_CHECKING:
    from componentrun.api.component import Component, ForwardToken, Gelf, Network
    from componentrun.api.componentrun import ComponentRun, ComponentRunSpec
    from componentrun.api.retry import Retry
    from componentrun.api.tables import InputTable
    from componentrun.wire.agents import OutputFile, OutputTable

__all__ = ["EffectiveRun", "resolve"]


_FILE_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. -]*")
"""As the API's FileName: a name taken from an object's key must be one, too."""


@dataclass(frozen=True, slots=True)
class EffectiveRun:
    """All decisions about one run, made once. Nothing secret is in it but what the run's author wrote in plain text."""

    namespace: str
    name: str
    uid: str
    storage: str
    """Name of the Storage."""
    component_id: str
    """The Component's name, or the last part of the image's name."""
    image: str
    """With tag or digest, as given to the container runtime."""
    command: tuple[str, ...] | None
    args: tuple[str, ...] | None
    limits: dict[str, str]
    """cpu, memory and perhaps ephemeral-storage, as Kubernetes quantities."""
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
    """Content of config.json, without what stage-in puts in: values of `configuration.secrets`, and parameters that are
    a text."""
    env: dict[str, str]
    """The contract's variables, KBC_ and COMPONENTRUN_."""
    parameters_text: str | None = field(default=None, repr=False)
    """The parameters as their author wrote them; None: they are in `config`."""
    type_support: str = contract.DEFAULT_TYPE_SUPPORT
    """`none`, `hints` or `authoritative`."""
    forward_token: ForwardToken | None = None
    """Where the token comes from that the component gets."""
    gelf: Gelf | None = None
    """The GELF server beside the component, where there is one."""
    configuration_id: str | None = None
    configuration_row: str | None = None
    branch: str = contract.DEFAULT_BRANCH
    input_files: tuple[EffectiveFiles, ...] = ()
    output_files: tuple[OutputFile, ...] = ()
    file_tags: tuple[str, ...] = ()
    """That every output file gets besides its own."""
    retry: Retry | None = None
    """When another attempt follows one that failed, where the run or its Component says so."""
    concurrency_group: str | None = None
    """None: the run minds nobody, also where its policy is Allow."""
    queue_labels: dict[str, str] = field(default_factory=dict)
    """Labels for Kueue: the run's own, which the pod gets, too, and those of its template."""
    plain_secrets: tuple[str, ...] = field(default=(), repr=False)
    """Values of `#` keys that the author wrote in plain text: to be redacted like those from Secrets."""


def resolve(
    run: ComponentRun, component: Component | None, storage_name: str, referenced: str | None = None
) -> EffectiveRun:
    """Decide everything about a run that does not depend on the cluster.

    Args:
        run: the run.
        component: what `spec.component` names; None where the run names none, or where there is none of that name.
        storage_name: the Storage that the run names, or the namespace's default one.
        referenced: the text that `configuration.parametersFrom` refers to.

    Raises:
        UserError: INVALID_SPEC naming the field's path, or COMPONENT_NOT_FOUND.
    """
    spec = run.spec
    _check_kind(spec, component)
    parameters = parameters_of(spec.configuration, referenced)
    check_secret_paths(spec.configuration.secrets, parameters)
    check_configuration(spec)
    image = image_reference(spec, component)
    identifier = component_id(image, component)
    limits, requests = container_resources(spec, component)
    inputs = _inputs(spec.input.tables)
    files = input_files(spec.input)
    type_support = (component.spec.data_type_support if component else None) or contract.DEFAULT_TYPE_SUPPORT
    gelf = component.spec.logging.gelf if component and component.spec.logging else None
    return EffectiveRun(
        namespace=run.metadata.namespace,
        name=run.metadata.name,
        uid=run.metadata.uid,
        storage=storage_name,
        component_id=identifier,
        image=image,
        command=component.spec.command if component else spec.command,
        args=component.spec.args if component else spec.args,
        limits=limits,
        requests=requests,
        timeout_seconds=_timeout(spec, component),
        network=effective_network(spec, component),
        user_id=_user_id(component),
        read_only_root=component.spec.read_only_root_filesystem if component else False,
        data_size=_data_size(component),
        inputs=inputs,
        outputs=_outputs(spec),
        default_bucket=spec.output.default_bucket,
        config=config_json(run, parameters, inputs, files, spec.output),
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
        plain_secrets=plain_secrets(parameters, spec.configuration.image_parameters),
    )


def _queue_labels(run: ComponentRun) -> dict[str, str]:
    template = run.spec.pod_template.labels if run.spec.pod_template else None
    labels = (template or {}) | run.metadata.labels
    return {key: value for key, value in labels.items() if key.startswith(names.KUEUE_PREFIX)}


def _check_kind(spec: ComponentRunSpec, component: Component | None) -> None:
    """Either a Component or an image; what belongs to the one is an error with the other."""
    if bool(spec.component) == bool(spec.image):
        raise UserError(
            "spec.component: exactly one of spec.component and spec.image must be given", Reason.INVALID_SPEC
        )
    if not spec.component:
        return
    if component is None:
        raise UserError(
            f"spec.component: there is no Component `{spec.component}` in the namespace: create it, or name another",
            Reason.COMPONENT_NOT_FOUND,
        )
    for name in ("command", "args"):
        if getattr(spec, name) is not None:
            raise UserError(
                f"spec.{name}: belongs to spec.image; Component `{spec.component}` has its own: leave it out",
                Reason.INVALID_SPEC,
            )


def _timeout(spec: ComponentRunSpec, component: Component | None) -> int:
    text = spec.timeout or (component.spec.timeout if component else None)
    if text is None:
        return contract.DEFAULT_TIMEOUT_SECONDS
    owner = "" if spec.timeout or component is None else f"Component `{component.metadata.name}`: "
    try:
        seconds = duration_seconds(text)
    except ValueError as error:
        raise UserError(f"{owner}spec.timeout: {error}", Reason.INVALID_SPEC) from error
    if not 0 < seconds <= contract.MAX_TIMEOUT_SECONDS:
        raise UserError(
            f"{owner}spec.timeout: `{text}` is out of bounds: expected more than 0s and at most 24h",
            Reason.INVALID_SPEC,
        )
    return seconds


def _user_id(component: Component | None) -> int:
    given = component.spec.run_as_user if component else None
    return contract.DEFAULT_USER_ID if given is None else given


def _data_size(component: Component | None) -> str:
    size = (component.spec.data_size if component else None) or contract.DEFAULT_DATA_SIZE
    try:
        is_enough = quantity_value(size) >= 1
    except ValueError:  # the API server takes any number
        is_enough = False
    if not is_enough:
        name = component.metadata.name if component else ""
        raise UserError(
            f"Component `{name}`: spec.dataSize: `{size}` holds nothing: give a size such as `10Gi`",
            Reason.INVALID_SPEC,
        )
    return size


def _inputs(tables: tuple[InputTable, ...]) -> tuple[EffectiveInput, ...]:
    """Inputs with their places. Two at one place, or one that is neither a table nor an object, are errors."""
    placed: dict[str, int] = {}
    inputs = []
    for i, table in enumerate(tables):
        path = f"spec.input.tables[{i}]"
        if bool(table.source) == bool(table.object):
            raise UserError(f"{path}: exactly one of source and object must be given", Reason.INVALID_SPEC)
        destination = table.destination or _default_destination(table, path)
        if destination in placed:
            raise UserError(
                f"{path}.destination: `{destination}` is also the file of spec.input.tables[{placed[destination]}]: "
                "give one of them another name",
                Reason.INVALID_SPEC,
            )
        placed[destination] = i
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
    """`in.c-main.foo` is `foo.csv`; the object `exports/foo.csv` too."""
    if table.source:
        return table.source.rsplit(".", 1)[-1] + ".csv"
    name = (table.object or "").rsplit("/", 1)[-1]
    name = name if name.endswith(".csv") else f"{name}.csv"
    if not _FILE_NAME.fullmatch(name):
        raise UserError(
            f"{path}.destination: `{name}`, taken from the object's key, can't be a file name here: give a destination",
            Reason.INVALID_SPEC,
        )
    return name


def _outputs(spec: ComponentRunSpec) -> tuple[OutputTable, ...]:
    """The output mapping as stage-out gets it. Two files for one table are an error: one would undo the other."""
    placed: dict[str, int] = {}
    outputs = []
    for i, table in enumerate(spec.output.tables):
        if table.destination in placed:
            raise UserError(
                f"spec.output.tables[{i}].destination: `{table.destination}` is also the table of "
                f"spec.output.tables[{placed[table.destination]}]: a table is written once a run",
                Reason.INVALID_SPEC,
            )
        placed[table.destination] = i
        outputs.append(output_of(table, f"spec.output.tables[{i}]"))
    return tuple(outputs)
