"""Validation of a ComponentRun before the API server sees it, with errors that name the field. Pure."""

from __future__ import annotations

import difflib
import re
from typing import TYPE_CHECKING, Any, Final

from componentrun.api.names import MAX_RUN_NAME
from componentrun.client.errors import BadRequestError
from componentrun.client.request.parameters import check_size, problems_of_numbers, problems_of_text
from componentrun.wire.documents import MAX_DEPTH, is_too_deep

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from componentrun.client.kubernetes.cluster import JsonObject

__all__ = ["CREATE_ADVICE", "check"]

CREATE_ADVICE: Final = "`componentrun submit --dry-run` prints the manifest without creating it."
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_METADATA: Final = frozenset(
    {"name", "generateName", "namespace", "labels", "annotations", "finalizers", "ownerReferences"}
)  # fmt: skip
_TEXT: Final = "`spec.configuration.parametersText`"
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
            f"ComponentRun `{manifest['metadata'].get('name', '')}` is not valid: {'; '.join(problems)}", CREATE_ADVICE
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
