"""From flags and a file's text to a ComponentRun, validated by the models before the API server sees it. Pure."""

from __future__ import annotations

import difflib
import re
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from componentrun.api.common import API_VERSION
from componentrun.api.names import MAX_RUN_NAME
from componentrun.catalogue.yamltext import RepeatedKeyError, documents
from componentrun.cli.errors import BadRequestError
from componentrun.cli.request import flags
from componentrun.cli.request.parameters import (
    check_size,
    json_text,
    problems_of_numbers,
    problems_of_text,
    with_parameters,
    written,
)
from componentrun.wire.documents import MAX_DEPTH, is_too_deep
from componentrun.wire.jsontext import parse_object, trimmed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from componentrun.cli.kubernetes.cluster import JsonObject

__all__ = ["RunFlags", "build", "check", "generated_name", "parse"]

_SUFFIX_LETTERS: Final = "bcdfghjklmnpqrstvwxz2456789"
"""The alphabet of names that Kubernetes generates: no vowels, so no words; no letters that look alike."""
_SUFFIX_LENGTH: Final = 5
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_CREATE_ADVICE: Final = "`componentrun submit --dry-run` prints the manifest without creating it."
_METADATA: Final = frozenset(
    {"name", "generateName", "namespace", "labels", "annotations", "finalizers", "ownerReferences"}
)  # fmt: skip
_TEXT: Final = "`spec.configuration.parametersText`"
_SHOWN: Final = 80
"""Maximum length of a quoted value."""
_WHERE: Final = "where: {column: COLUMN, operator: eq, values: [VALUE]}"
_DELETE_WHERE: Final = "deleteWhere: {column: COLUMN, operator: eq, values: [VALUE]}"
_ORIGINALS: Final = {
    **{f"where_{part}": ("where", _WHERE) for part in ("column", "operator", "values", "type")},
    **{f"delete_where_{part}": ("deleteWhere", _DELETE_WHERE) for part in ("column", "operator", "values")},
    "changed_since": ("changedSince", ""),
    "days": ("changedSince", "changedSince: -3 days"),
    "default_bucket": ("defaultBucket", ""),
    "image_parameters": ("imageParameters", ""),
    "is_permanent": ("permanent", ""),
    "primary_key": ("primaryKey", ""),
    "write_always": ("writeAlways", ""),
}
"""Fields of a configuration in Keboola's API: their names here, and an example if the form differs."""
_TOP: Final = frozenset({"apiVersion", "kind", "metadata", "spec", "status"})


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
            raise BadRequestError(f"`spec.configuration.parametersText`: {error}", _CREATE_ADVICE) from error
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
        raise BadRequestError(f"`{path}`: expected an object, found {repr(value)[:_SHOWN]}", _CREATE_ADVICE)
    return dict(value)


def generated_name(spec: Mapping[str, Any], prefix: str | None = None) -> str:
    """Generate `<component>-<5 characters>`, with the name of the image if there is no component."""
    if prefix is None:
        image = str(spec.get("image") or "run").partition("@")[0].rpartition("/")[2].partition(":")[0]
        prefix = f"{spec.get('component') or image}-"
    suffix = "".join(secrets.choice(_SUFFIX_LETTERS) for _ in range(_SUFFIX_LENGTH))
    stem = re.sub(r"[^a-z0-9.-]+", "-", prefix.lower()).lstrip("-.")[: MAX_RUN_NAME - _SUFFIX_LENGTH]
    return f"{stem or 'run-'}{suffix}"


def check(manifest: JsonObject) -> None:
    """Validate a manifest as the API server does, with errors that name the field.

    Raises:
        BadRequestError: fields are unknown, missing or invalid; all of them are named.
    """
    from pydantic import ValidationError  # noqa: PLC0415 - the models take a while to load

    from componentrun.api.componentrun import ComponentRun, ComponentRunSpec  # noqa: PLC0415 - likewise
    from componentrun.api.problems import problems as sentences  # noqa: PLC0415 - likewise

    problems = [*_unknown(manifest, _TOP, ""), *_unknown(manifest["metadata"], _METADATA, "metadata.")]
    schema = ComponentRunSpec.model_json_schema(by_alias=True)
    problems += _unknown_below(manifest["spec"], schema, schema.get("$defs", {}), "spec")
    try:
        ComponentRun.model_validate(manifest)
    except ValidationError as error:
        problems += sentences(error)
    combined = list(_combinations(manifest))
    if any(problem.startswith(_TEXT) for problem in combined):
        # These say more of the text than its lengths do.
        problems = [problem for problem in problems if not problem.startswith(_TEXT)]
    problems += combined
    if problems:
        raise BadRequestError(
            f"ComponentRun `{manifest['metadata'].get('name', '')}` is not valid: {'; '.join(problems)}", _CREATE_ADVICE
        )
    check_size(manifest)


def _combinations(manifest: JsonObject) -> Iterator[str]:
    """Problems across fields; the rules of the CRD and the operator are the same."""
    spec, name = manifest["spec"], str(manifest["metadata"].get("name", ""))
    if bool(spec.get("component")) == bool(spec.get("image")):
        presence = "both" if spec.get("component") else "neither"
        yield f"`spec`: found {presence} of `component` and `image`, expected one of them"
    if not _NAME.fullmatch(name):
        yield f"`metadata.name`: expected small letters, digits, `-` and `.`, found {name!r}"
    if len(name) > MAX_RUN_NAME:
        yield f"`metadata.name`: {len(name)} characters, expected at most {MAX_RUN_NAME}"
    if spec.get("size") and spec.get("resources"):
        yield "`spec`: `size` does not go together with `resources`"
    if spec.get("tag") and spec.get("image"):
        yield "`spec.tag`: only for a `component`; write the tag into `image`"
    if spec.get("command") and spec.get("component"):
        yield "`spec.command`: only for an `image`; the Component says what it starts"
    configuration = spec.get("configuration") or {}
    image_parameters = configuration.get("imageParameters")
    if is_too_deep(image_parameters):
        yield f"`spec.configuration.imageParameters`: nested more than {MAX_DEPTH} levels deep: give it as text"
    else:
        yield from problems_of_numbers(image_parameters, "spec.configuration.imageParameters")
    if isinstance(text := configuration.get("parametersText"), str):
        yield from problems_of_text(text, _TEXT.strip("`"))
    forms = [name for name in ("parameters", "parametersText", "parametersFrom") if configuration.get(name) is not None]
    if len(forms) > 1:
        yield f"`spec.configuration`: found {' and '.join(f'`{name}`' for name in forms)}, expected at most one of them"


def _unknown(value: Any, names: frozenset[str], path: str) -> Iterator[str]:
    for key in value if isinstance(value, dict) else ():
        if key not in names:
            yield f"`{path}{key}`: there is no such field{_instead(str(key), names)}"


def _instead(key: str, names: frozenset[str]) -> str:
    """Suggestion for an unknown key: the name of a known key of Keboola's API here, else the most similar field."""
    field_name, example = _ORIGINALS.get(key, ("", ""))
    if field_name in names:
        return f"; write `{example or field_name}`"
    close = difflib.get_close_matches(key, names, 1)
    return f"; did you mean `{close[0]}`?" if close else ""


def _unknown_below(value: Any, schema: Mapping[str, Any], definitions: Mapping[str, Any], path: str) -> Iterator[str]:
    """Unknown fields at any depth, by the schema of the models."""
    schema = _resolve(schema, definitions)
    if isinstance(value, list) and "items" in schema:
        for i, item in enumerate(value):
            yield from _unknown_below(item, schema["items"], definitions, f"{path}[{i}]")
    if isinstance(value, dict) and "properties" in schema:
        properties = schema["properties"]
        yield from _unknown(value, frozenset(properties), f"{path}.")
        for key in value.keys() & properties.keys():
            yield from _unknown_below(value[key], properties[key], definitions, f"{path}.{key}")


def _resolve(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """Resolve references, and the type of an optional field that is not `null`."""
    for option in schema.get("anyOf", ()):
        if option.get("type") != "null":
            return _resolve(option, definitions)
    reference = schema.get("$ref")
    return _resolve(definitions[reference.rpartition("/")[2]], definitions) if reference else schema


def _one_line(text: str) -> str:
    return " ".join(text.split())
