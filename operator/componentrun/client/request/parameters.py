"""The parameters of a run on their way from files and flags into `configuration.parametersText`. Pure.

A JSON file stays the text that it is. YAML, and objects in a manifest, become JSON text with their keys in the order in
which they were written: as an object, Kubernetes would sort them.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any, Final

from componentrun.client.errors import BadRequestError
from componentrun.contract import MAX_PARAMETERS_TEXT
from componentrun.wire.documents import MAX_DEPTH, is_too_deep
from componentrun.wire.jsontext import parse_object, trimmed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from componentrun.client.kubernetes.cluster import JsonObject

__all__ = [
    "MAX_RUN_BYTES",
    "USE_A_CONFIG_MAP",
    "check_size",
    "json_text",
    "problems_of_numbers",
    "problems_of_text",
    "with_parameters",
    "written",
]

_FORMS: Final = ("parameters", "parametersText", "parametersFrom")
MAX_RUN_BYTES: Final = 1_400_000
"""Maximum size of a run as JSON. etcd refuses requests of more than 1.5 MiB, and the operator adds the status to the
same object."""
USE_A_CONFIG_MAP: Final = (
    "keep them in a ConfigMap, compressed if they have more than 1 MiB: `gzip -k parameters.json && kubectl create "
    "configmap NAME --from-file=parameters.json.gz`, then `--parameters-from NAME/parameters.json.gz` "
    "(`configuration.parametersFrom`)"
)
_LEAST: Final = -(2**63)
_MOST: Final = 2**63 - 1
"""The API server turns larger or smaller integers into floating point numbers."""
_OF_A_CONFIGURATION: Final = frozenset({
    "action", "authorization", "configuration", "image_parameters", "parameters", "processors", "rows", "runtime",
    "shared_code_id", "shared_code_row_ids", "storage", "variables_id", "variables_values_id",
})  # fmt: skip
"""Keys at the top of a configuration as Keboola's API has it."""


def written(configuration: JsonObject, path: str) -> JsonObject:
    """A configuration whose `parameters`, if they are an object, are a text in their place.

    Raises:
        BadRequestError: a value can't be written as JSON.
    """
    parameters = configuration.get("parameters")
    if not isinstance(parameters, dict) or "parametersText" in configuration:
        return configuration
    return {
        "parametersText" if key == "parameters" else key: json_text(value, f"{path}.parameters")
        if key == "parameters"
        else value
        for key, value in configuration.items()
    }


def with_parameters(configuration: JsonObject, **form: Any) -> JsonObject:
    """A configuration with these parameters in place of those that it has, in whatever form."""
    return {key: value for key, value in configuration.items() if key not in _FORMS} | form


def json_text(value: Mapping[str, Any], path: str) -> str:
    """An object as JSON text, its keys in their order.

    Raises:
        BadRequestError: a value can't be written as JSON; its path is named.
    """
    if is_too_deep(value):
        raise BadRequestError(f"`{path}` is nested more than {MAX_DEPTH} levels deep", "Pass deep structures as text.")
    problems = list(_not_finite(value, path))
    if problems:
        raise BadRequestError("; ".join(problems), 'If it is meant as text, quote it: `".nan"`.')
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except TypeError as error:
        raise BadRequestError(
            f"`{path}` holds a value that JSON does not know: {error}", "Use texts, numbers, lists and objects."
        ) from error


def problems_of_text(text: str, path: str) -> Iterator[str]:
    """Problems of parameters given as text."""
    if len(text) > MAX_PARAMETERS_TEXT:
        yield f"`{path}`: found {len(text)} characters, expected at most {MAX_PARAMETERS_TEXT}; {USE_A_CONFIG_MAP}"
        return
    try:
        value = parse_object(trimmed(text))
    except ValueError as error:
        yield f"`{path}`: {error}"
        return
    if isinstance(value.get("parameters"), dict) and value.keys() <= _OF_A_CONFIGURATION:
        others = ", ".join(f"`{key}`" for key in value if key != "parameters")
        addition = f" beside {others}" if others else ""
        yield (
            f"`{path}`: found a whole configuration (an object `parameters`{addition}), so the component would find "
            "`parameters.parameters`; expected what is below `parameters`: pass that (`jq .parameters FILE`), or make "
            "runs of the whole with `componentrun convert FILE`"
        )


def problems_of_numbers(value: Any, path: str) -> Iterator[str]:
    """Numbers that Kubernetes would change silently or refuse."""
    yield from _too_long(value, path)
    yield from _not_finite(value, path)


def check_size(manifest: JsonObject) -> None:
    """Check that Kubernetes can store a run of this size.

    Raises:
        BadRequestError: with the limit, and what to do.
    """
    size = len(json.dumps(manifest, ensure_ascii=False).encode(errors="surrogatepass"))
    if size > MAX_RUN_BYTES:
        raise BadRequestError(
            f"the run has {size} bytes as JSON; expected at most {MAX_RUN_BYTES} (etcd stores 1.5 MiB, with "
            "the run's status)",
            f"If its parameters are large, {USE_A_CONFIG_MAP}.",
        )


def _too_long(value: Any, path: str) -> Iterator[str]:
    for where, item in _values(value, path):
        if isinstance(item, int) and not _LEAST <= item <= _MOST:
            yield f"`{where}`: {item} has more than 64 bits, and Kubernetes would round it: write it in quotes"


def _not_finite(value: Any, path: str) -> Iterator[str]:
    for where, item in _values(value, path):
        if isinstance(item, float) and not math.isfinite(item):
            yield f"`{where}`: {item} is not a number in JSON; write it in quotes"


def _values(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Iterate over the scalar values with their paths."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _values(item, f"{path}.{key}")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from _values(item, f"{path}[{number}]")
    else:
        yield path, value
