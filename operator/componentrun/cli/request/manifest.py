"""From flags and a file's text to the manifest of a ComponentRun. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from componentrun.api.common import API_VERSION
from componentrun.catalogue.yamltext import RepeatedKeyError, documents
from componentrun.cli.errors import BadRequestError
from componentrun.cli.request import flags
from componentrun.client.request.naming import generated_name
from componentrun.client.request.parameters import json_text, with_parameters, written
from componentrun.client.request.validation import CREATE_ADVICE
from componentrun.wire.jsontext import parse_object, trimmed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from componentrun.client.kubernetes.cluster import JsonObject

__all__ = ["RunFlags", "build", "parse"]

_SHOWN: Final = 80
"""Maximum length of a quoted value."""


@dataclass(frozen=True, slots=True)
class RunFlags:
    """Flags of `submit` as typed."""

    component: str | None = None
    image: str | None = None
    tag: str | None = None
    action: str | None = None
    configuration: str | None = None
    params: Sequence[str] = ()
    parameters: str | None = None
    """Content of `--parameters FILE`, as JSON text."""
    parameters_from: str | None = None
    secrets: Sequence[str] = ()
    inputs: Sequence[str] = ()
    outputs: Sequence[str] = ()
    default_bucket: str | None = None
    storage: str | None = None
    timeout: str | None = None
    cpu: str | None = None
    memory: str | None = None
    size: str | None = None
    network: str | None = None
    ttl: str | None = None
    labels: Sequence[str] = ()
    name: str | None = None
    command: Sequence[str] = field(default=())
    """What follows `--`."""


def parse(text: str, where: str) -> JsonObject:
    """Parse one ComponentRun from YAML or JSON.

    Raises:
        BadRequestError: the text is not YAML, not exactly one ComponentRun, or a field is not an object.
    """
    import yaml  # noqa: PLC0415 - takes a while to load and only files need it

    try:
        contents = [document for document in documents(text) if document is not None]
    except RepeatedKeyError as error:
        raise BadRequestError(f"{where}, {error}", "Remove one of them.") from error
    except (yaml.YAMLError, ValueError) as error:  # ValueError: what looks like a number and is none
        raise BadRequestError(
            f"{where} is not YAML: {_one_line(str(error))}",
            "Indent with spaces; quote texts that hold `: ` or start with `#`.",
        ) from error
    except RecursionError as error:
        raise BadRequestError(f"{where} is nested too deep to be read", "Pass deep structures as text.") from error
    if len(contents) != 1 or not isinstance(contents[0], dict):
        raise BadRequestError(
            f"{where} holds {len(contents)} documents; expected one ComponentRun", "Submit one run at a time."
        )
    manifest = contents[0]
    kind, version = manifest.get("kind"), manifest.get("apiVersion")
    if kind != "ComponentRun" or version != API_VERSION:
        raise BadRequestError(
            f"{where} is a `{kind}` of `{version}`; expected a `ComponentRun` of `{API_VERSION}`",
            "`kubectl apply -f` creates objects of other kinds.",
        )
    return manifest | {name: _object(manifest.get(name), name) for name in ("metadata", "spec")}


def build(flags_: RunFlags, base: JsonObject | None = None) -> JsonObject:
    """Build the manifest from flags and, if given, the manifest of a file, which flags override.

    Raises:
        BadRequestError: flags do not fit the file, or each other.
    """
    manifest: JsonObject = {"apiVersion": API_VERSION, "kind": "ComponentRun", "metadata": {}, "spec": {}}
    for key, value in (base or {}).items():
        if key != "status":
            manifest[key] = value
    manifest["metadata"] = _metadata(flags_, manifest["metadata"])
    manifest["spec"] = _spec(flags_, dict(manifest["spec"]))
    if not manifest["metadata"].get("name"):
        prefix = manifest["metadata"].pop("generateName", None)
        manifest["metadata"] = {"name": generated_name(manifest["spec"], prefix)} | manifest["metadata"]
    return manifest


def _metadata(flags_: RunFlags, base: JsonObject) -> JsonObject:
    metadata = dict(base)
    if flags_.name:
        metadata["name"] = flags_.name
    if flags_.labels:
        metadata["labels"] = _object(metadata.get("labels"), "metadata.labels") | dict(
            flags.pair("--label", text) for text in flags_.labels
        )
    return metadata


def _spec(flags_: RunFlags, spec: JsonObject) -> JsonObject:
    """Put the flags into `spec`."""
    # What a file or another run said about the one does not go with the other.
    for flag, fields in ((flags_.component, ("image", "command", "args")), (flags_.image, ("component", "tag"))):
        for field_ in fields if flag else ():
            spec.pop(field_, None)
    plain = {
        "component": flags_.component, "image": flags_.image, "tag": flags_.tag, "action": flags_.action,
        "storage": flags_.storage, "timeout": flags_.timeout, "size": flags_.size, "ttlAfterFinished": flags_.ttl,
    }  # fmt: skip
    spec |= {key: value for key, value in plain.items() if value is not None}
    if flags_.command:
        spec["command"] = list(flags_.command)
    configuration = _configuration(flags_, _object(spec.get("configuration"), "spec.configuration"))
    if configuration:
        spec["configuration"] = configuration
    if flags_.inputs:
        spec["input"] = _object(spec.get("input"), "spec.input") | {
            "tables": [flags.input_table(text) for text in flags_.inputs]
        }
    output = _object(spec.get("output"), "spec.output")
    if flags_.outputs:
        output["tables"] = [flags.output_table(text) for text in flags_.outputs]
    if flags_.default_bucket:
        output["defaultBucket"] = flags_.default_bucket
    if output:
        spec["output"] = output
    _limits(flags_, spec)
    return spec


def _limits(flags_: RunFlags, spec: JsonObject) -> None:
    limits = {key: value for key, value in (("cpu", flags_.cpu), ("memory", flags_.memory)) if value is not None}
    if limits and flags_.size:
        raise BadRequestError("`--size` does not go together with `--cpu` and `--memory`", "Remove one of them.")
    if flags_.size:
        spec.pop("resources", None)
    if limits:
        spec.pop("size", None)
        resources = _object(spec.get("resources"), "spec.resources")
        spec["resources"] = resources | {"limits": _object(resources.get("limits"), "spec.resources.limits") | limits}
    if flags_.network:
        spec["network"] = _object(spec.get("network"), "spec.network") | {"mode": flags_.network}


def _configuration(flags_: RunFlags, configuration: JsonObject) -> JsonObject:
    if flags_.configuration:
        configuration["id"] = flags_.configuration
    if flags_.parameters is not None:
        configuration = with_parameters(configuration, parametersText=flags_.parameters)
    if flags_.parameters_from is not None:
        configuration = with_parameters(configuration, parametersFrom=flags.parameters_from(flags_.parameters_from))
    configuration = _changed(written(configuration, "spec.configuration"), flags_.params)
    if flags_.secrets:
        configuration["secrets"] = [*(configuration.get("secrets") or []), *map(flags.secret, flags_.secrets)]
    return configuration


def _changed(configuration: JsonObject, params: Sequence[str]) -> JsonObject:
    """Return the configuration with single parameters set; existing keys keep their order."""
    if not params:
        return configuration
    if configuration.get("parametersFrom") is not None:
        raise BadRequestError(
            "`--param` changes parameters that are in the run, and these are in a ConfigMap",
            "Change the ConfigMap, or pass all parameters with `--parameters FILE`.",
        )
    text = configuration.get("parametersText")
    if text is None:
        parameters = _object(configuration.get("parameters"), "spec.configuration.parameters")
    else:
        try:
            parameters = parse_object(trimmed(str(text)))
        except ValueError as error:
            raise BadRequestError(f"`spec.configuration.parametersText`: {error}", CREATE_ADVICE) from error
    for param in params:
        flags.set_parameter(parameters, param)
    return with_parameters(configuration, parametersText=json_text(parameters, "spec.configuration.parameters"))


def _object(value: Any, path: str) -> JsonObject:
    """Return a copy of the object at a path; an empty one if it is not set.

    Raises:
        BadRequestError: the value is not an object.
    """
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise BadRequestError(f"`{path}`: expected an object, found {repr(value)[:_SHOWN]}", CREATE_ADVICE)
    return dict(value)


def _one_line(text: str) -> str:
    return " ".join(text.split())
