"""The manifest of a run from the arguments of `submit`. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, TypedDict

from componentrun.api.common import API_VERSION
from componentrun.client.request.naming import generated_name
from componentrun.client.request.parameters import json_text
from componentrun.client.request.validation import check

if TYPE_CHECKING:
    from componentrun.api.common import ApiModel
    from componentrun.api.componentrun import ComponentRun
    from componentrun.api.mapping.files import InputFile
    from componentrun.api.mapping.tables import InputTable, OutputTableMapping
    from componentrun.client.kubernetes.cluster import JsonObject

__all__ = ["RunOptions", "is_same_request", "manifest_of"]

_MUTABLE: Final = {"suspend", "cancel", "ttl_after_finished", "pod_ttl_after_finished"}


class RunOptions(TypedDict, total=False):
    """Further arguments of `submit`. All are optional."""

    image: str
    """Image to run instead of a component."""
    tag: str
    """Tag of the component's image."""
    channel: str
    """Channel of the component."""
    action: str
    """Action of the component. Defaults to `run`."""
    outputs: Mapping[str, str] | Iterable[OutputTableMapping]
    """Tables to publish, by the name of the file: `{"bar.csv": "out.c-main.bar"}`; or full mappings."""
    default_bucket: str
    """Bucket of tables without a mapping."""
    files: Iterable[InputFile]
    """Files that the component reads."""
    configuration: str
    """Id of the configuration. Runs with the same id share state, and run one after another."""
    row: str
    """Row of the configuration."""
    branch: str
    """Branch of the configuration."""
    secrets: Mapping[str, tuple[str, str]]
    """Parameters from Secrets: path of the parameter, then name and key of the Secret."""
    storage: str
    """Storage. Defaults to that of the client, or to the default one of the namespace."""
    timeout: timedelta | float | str
    """Maximum run time of the component: seconds, or a text such as `15m`."""
    size: str
    """`xsmall`, `small`, `medium` or `large`, instead of `cpu` and `memory`."""
    cpu: str
    """CPU request and limit."""
    memory: str
    """Memory request and limit."""
    network: str
    """`none`, `no-internet` or `bridge`."""
    ttl: timedelta | float | str
    """How long after its end the run is deleted. Defaults to never."""
    labels: Mapping[str, str]
    """Labels of the run."""
    annotations: Mapping[str, str]
    """Annotations of the run."""
    spec: Mapping[str, Any]
    """Fields of the spec that have no argument, in the form of a manifest. Arguments override them."""


def manifest_of(
    component: str | None,
    *,
    name: str | None,
    tables: Mapping[str, str] | Iterable[InputTable],
    parameters: Mapping[str, Any] | None,
    options: RunOptions,
) -> JsonObject:
    """The manifest of a run; see `Client.submit`.

    Raises:
        BadRequestError: a value is invalid; the message names the field.
    """
    spec: JsonObject = dict(options.get("spec", {}))
    plain = {
        "component": component,
        "image": options.get("image"),
        "tag": options.get("tag"),
        "channel": options.get("channel"),
        "action": options.get("action"),
        "storage": options.get("storage"),
        "size": options.get("size"),
        "timeout": _duration(options.get("timeout")),
        "ttlAfterFinished": _duration(options.get("ttl")),
    }
    spec |= {key: value for key, value in plain.items() if value is not None}
    _merge(spec, "configuration", _configuration(parameters, options))
    _merge(spec, "input", _input(tables, options))
    _merge(spec, "output", _output(options))
    _merge(spec, "network", {"mode": options["network"]} if "network" in options else {})
    limits = {key: options[key] for key in ("cpu", "memory") if key in options}
    _merge(spec, "resources", {"limits": limits} if limits else {})
    metadata = {key: dict(options[key]) for key in ("labels", "annotations") if key in options}
    manifest = {
        "apiVersion": API_VERSION,
        "kind": "ComponentRun",
        "metadata": {"name": name or generated_name(spec)} | metadata,
        "spec": spec,
    }
    check(manifest)
    return manifest


def is_same_request(run: ComponentRun, manifest: JsonObject) -> bool:
    """Whether the run was created from this manifest, apart from fields that may change later."""
    wanted = type(run).model_validate(manifest)
    return run.spec.model_dump(exclude=_MUTABLE) == wanted.spec.model_dump(exclude=_MUTABLE)


def _merge(spec: JsonObject, key: str, fields: JsonObject) -> None:
    if fields:
        spec[key] = dict(spec.get(key) or {}) | fields


def _configuration(parameters: Mapping[str, Any] | None, options: RunOptions) -> JsonObject:
    names = {"id": "configuration", "row": "row", "branch": "branch"}
    fields: JsonObject = {key: options[name] for key, name in names.items() if name in options}  # type: ignore[literal-required]
    if parameters is not None:
        fields["parametersText"] = json_text(dict(parameters), "parameters")
    if "secrets" in options:
        fields["secrets"] = [
            {"path": path, "secretKeyRef": {"name": secret, "key": key}}
            for path, (secret, key) in options["secrets"].items()
        ]
    return fields


def _input(tables: Mapping[str, str] | Iterable[InputTable], options: RunOptions) -> JsonObject:
    fields: JsonObject = {}
    if isinstance(tables, Mapping):
        mapped = [{"source": source, "destination": file} for source, file in tables.items()]
    else:
        mapped = [_plain(table) for table in tables]
    if mapped:
        fields["tables"] = mapped
    if "files" in options:
        fields["files"] = [_plain(file) for file in options["files"]]
    return fields


def _output(options: RunOptions) -> JsonObject:
    fields: JsonObject = {}
    outputs = options.get("outputs", ())
    if isinstance(outputs, Mapping):
        mapped = [{"source": file, "destination": table} for file, table in outputs.items()]
    else:
        mapped = [_plain(table) for table in outputs]
    if mapped:
        fields["tables"] = mapped
    if "default_bucket" in options:
        fields["defaultBucket"] = options["default_bucket"]
    return fields


def _plain(model: ApiModel) -> JsonObject:
    return model.model_dump(mode="json", by_alias=True, exclude_unset=True)


def _duration(value: timedelta | float | str | None) -> str | None:
    """A duration of the API, in whole seconds."""
    if value is None or isinstance(value, str):
        return value
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    return f"{round(seconds)}s"
