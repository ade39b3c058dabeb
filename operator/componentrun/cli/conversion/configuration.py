"""Configurations that Keboola's API exported, as ComponentRuns: one for each row that is enabled. Pure.

An export is one configuration with its rows, a list of such, or components with their configurations; or what a
configuration holds by itself (`parameters`, `storage`, ...). Rows are laid over their configuration key by key, and
their lists replace its lists. Keys keep their order, and numbers the form in which they were written.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from componentrun.api.common import API_VERSION
from componentrun.api.names import MAX_RUN_NAME
from componentrun.catalogue.imported.naming import component_name
from componentrun.cli.conversion.mapping import input_of, output_of
from componentrun.cli.conversion.processors import processors_of
from componentrun.cli.errors import BadRequestError
from componentrun.contract import SECRET_KEY_PREFIX
from componentrun.wire.jsontext import kind_of
from componentrun.wire.phpvalues import EMPTY, list_at, object_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from componentrun.client.kubernetes.cluster import JsonObject
    from componentrun.wire.phpvalues import Tell

__all__ = ["Converted", "convert"]

_CONTENT: Final = frozenset({"parameters", "storage", "processors", "runtime", "authorization", "image_parameters"})
"""Keys of a configuration's content."""
_ABOUT: Final = frozenset({
    "changeDescription", "componentId", "configuration", "created", "creatorToken", "currentVersion", "description",
    "id", "isDeleted", "isDisabled", "name", "rowVersion", "rows", "rowsSortOrder", "state", "version",
})  # fmt: skip
"""Other keys that are used, or do not affect runs."""
_SIZES: Final = frozenset({"xsmall", "small", "medium", "large"})
_ENCRYPTED: Final = "KBC::"
_IDENTIFIER: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")


class _Number:
    """A number as text, so that `1.0` and long numbers are kept as written."""

    def __init__(self, text: str) -> None:
        self.text = text


@dataclass(slots=True)
class Converted:
    """The result of a conversion."""

    runs: list[JsonObject] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    """Parts that were not converted, with their paths."""
    to_do: list[str] = field(default_factory=list)
    """What to create before the runs can start."""

    def tell_of(self, title: str) -> Tell:
        """A function that reports, once each, what of this configuration is left out."""

        def tell(path: str, problem: str) -> None:
            line = f"{title}: {path}: {problem}"
            if line not in self.left_out:
                self.left_out.append(line)

        return tell


@dataclass(frozen=True, slots=True)
class _Source:
    """A configuration, or one of its rows, to convert to a run."""

    component: str | None
    about: JsonObject
    content: JsonObject
    row: JsonObject | None = None

    @property
    def title(self) -> str:
        """What messages call it."""
        configuration, row = _scalar(self.about.get("id")), _scalar((self.row or {}).get("id"))
        return ", ".join([configuration or "configuration", *([f"row {row}"] if row else [])])


def convert(text: str, component: str | None) -> Converted:
    """Convert an export to runs.

    Args:
        text: JSON.
        component: name of the component; None: the one in the export.

    Raises:
        BadRequestError: it is not an export, or does not name a component.
    """
    try:
        document = json.loads(text, parse_float=_Number, parse_int=_Number)
    except ValueError as error:
        raise BadRequestError(f"the export is not JSON: {error}", "Export the configuration again.") from error
    except RecursionError as error:
        raise BadRequestError("the export is nested too deep to be read", "Export the configuration again.") from error
    converted = Converted()
    names: set[str] = set()
    for source in _sources(document, component, converted):
        name = component or source.component
        if name is None:
            raise BadRequestError(
                f"{source.title}: the export does not say which component it belongs to",
                "Pass `--component NAME`, e.g. `--component keboola.ex-aws-s3`.",
            )
        converted.runs.append(_run(source, name, converted, names))
    if not converted.runs and not converted.left_out:
        raise _nothing()
    return converted


def _nothing() -> BadRequestError:
    return BadRequestError(
        "the export holds no configuration: none of `configuration`, `configurations`, `parameters`, `storage`",
        "Export it with the API call `components/{component}/configs/{configuration}`.",
    )


def _sources(document: Any, component: str | None, converted: Converted) -> Iterator[_Source]:
    if isinstance(document, list):
        for item in document:
            yield from _sources(item, component, converted)
        return
    if not isinstance(document, dict) or not document.keys() & (_CONTENT | {"configuration", "configurations", "rows"}):
        raise _nothing()
    if "configurations" in document:
        component_id = component or _scalar(document.get("id")) or None
        for item in list_at(
            document["configurations"], "configurations", converted.tell_of(component_id or "the export")
        ):
            yield from _sources(item, component_id, converted)
        return
    yield from _of_configuration(document, component, converted)


def _of_configuration(document: JsonObject, component: str | None, converted: Converted) -> Iterator[_Source]:
    is_bare = "configuration" not in document and "rows" not in document
    about = {} if is_bare else document
    component_id = component or _scalar(about.get("componentId")) or None
    tell = converted.tell_of(_Source(component_id, about, {}).title)
    content = document if is_bare else object_at(document.get("configuration"), "configuration", tell)
    source = _Source(component_id, about, content)
    for word in ("isDisabled", "isDeleted"):
        if about.get(word) is True:
            converted.left_out.append(f"{source.title}: it is {word[2:].lower()}, so no run is made of it")
            return
    rows = list_at(about.get("rows"), "rows", tell)
    if not rows:
        yield source
    for number, row in enumerate(rows):
        if isinstance(row, dict):
            yield from _of_row(source, row, converted)
        else:
            tell(f"rows[{number}]", f"found {kind_of(row)}, expected an object")


def _of_row(source: _Source, row: JsonObject, converted: Converted) -> Iterator[_Source]:
    tell = converted.tell_of(_Source(source.component, source.about, {}, row).title)
    content = _merged(source.content, object_at(row.get("configuration"), "configuration", tell))
    row_source = _Source(source.component, source.about, content, row)
    if row.get("isDisabled") is True or row.get("isDeleted") is True:
        converted.left_out.append(f"{row_source.title}: the row is disabled, so no run is made of it")
    else:
        yield row_source


def _merged(base: Any, override: Any) -> Any:
    """Merge objects key by key; replace anything else."""
    if isinstance(base, dict) and override == []:
        return base  # an empty object, as PHP writes it
    if not isinstance(base, dict) or not isinstance(override, dict):
        return override
    return base | {key: _merged(base[key], value) if key in base else value for key, value in override.items()}


def _run(source: _Source, component: str, converted: Converted, names: set[str]) -> JsonObject:
    tell = converted.tell_of(source.title)
    content = source.content
    name = _name(source, component, names)
    configuration = _identity(source, tell)
    parameters, secrets = _secrets(object_at(content.get("parameters"), "parameters", tell), name)
    if parameters:
        configuration["parametersText"] = _json(parameters)
    if secrets:
        configuration["secrets"] = secrets
        keys = " ".join(f"--from-literal={item['secretKeyRef']['key']}=VALUE" for item in secrets)
        converted.to_do.append(
            f"{source.title}: kubectl create secret generic {secrets[0]['secretKeyRef']['name']} {keys}"
        )
    image_parameters = _plain(object_at(content.get("image_parameters"), "image_parameters", tell))
    if image_parameters := _without_encrypted(image_parameters, "image_parameters", tell):
        configuration["imageParameters"] = image_parameters
    processors = _plain(object_at(content.get("processors"), "processors", tell))
    storage = _plain(object_at(content.get("storage"), "storage", tell))
    for key in storage:
        if key not in {"input", "output"} and storage[key] not in EMPTY:
            tell(f"storage.{key}", "a run has no such setting")
    parts = {
        "component": component_name(component),
        **_runtime(object_at(content.get("runtime"), "runtime", tell), tell),
        "configuration": configuration,
        "input": input_of(storage, tell),
        "output": output_of(storage, tell),
        "processors": processors_of(_without_encrypted(processors, "processors", tell), tell),
    }
    _tell_of_the_rest(source, tell)
    return {
        "apiVersion": API_VERSION,
        "kind": "ComponentRun",
        "metadata": {"name": name},
        "spec": {key: value for key, value in parts.items() if value not in EMPTY},
    }


def _identity(source: _Source, tell: Tell) -> JsonObject:
    identity: JsonObject = {}
    values = {"id": source.about.get("id"), "row": (source.row or {}).get("id")}
    for key, value in values.items():
        text = _scalar(value)
        if text and _IDENTIFIER.fullmatch(text):
            identity[key] = text
        elif text:
            tell(key, f"`{text}` is no identifier here (letters, digits, `_`, `.` and `-`, at most 63)")
    version = _scalar((source.row or {}).get("version") or source.about.get("version"))
    return identity | ({"version": version} if version else {})


def _runtime(runtime: JsonObject, tell: Tell) -> JsonObject:
    settings: JsonObject = {}
    for key, value in runtime.items():
        if key in {"tag", "image_tag"} and _scalar(value):
            settings["tag"] = _scalar(value)
        elif key == "backend":
            for part, item in object_at(value, "runtime.backend", tell).items():
                if part == "type" and isinstance(item, str) and item in _SIZES:
                    settings["size"] = item
                elif item not in EMPTY:
                    tell(f"runtime.backend.{part}", "a run has no such setting; use `size` or `resources` instead")
        elif key == "parallelism" and value:
            tell("runtime.parallelism", "it belongs to the Component: set its `parallelism`")
        elif value not in EMPTY:
            tell(f"runtime.{key}", "a run has no such setting")
    return settings


def _tell_of_the_rest(source: _Source, tell: Tell) -> None:
    content = source.content
    for key, value in object_at(content.get("authorization"), "authorization", tell).items():
        if value not in EMPTY:
            tell(
                f"authorization.{key}", "a run has no authorization; pass what the component needs as secret parameters"
            )
    for owner, path in ((source.about, "state"), (source.row or {}, "row.state")):
        if owner.get("state") not in EMPTY:
            tell(path, "a run holds no state; set it with `componentrun state put`")
    other_keys = source.about.keys() - _ABOUT if source.content is not source.about else set()
    unknown = [(key, content[key]) for key in content if key not in _CONTENT]
    for key, value in [*unknown, *((key, source.about[key]) for key in sorted(other_keys))]:
        if value not in EMPTY:
            tell(key, "a run has no such setting")


def _secrets(parameters: JsonObject, name: str) -> tuple[JsonObject, list[JsonObject]]:
    """Return the parameters with an empty text for each secret, which keeps the order of keys, and the references."""
    references: list[JsonObject] = []
    keys: set[str] = set()

    def walk(value: Any, key_path: tuple[str, ...]) -> Any:
        if isinstance(value, list):
            return [walk(item, (*key_path, str(number))) for number, item in enumerate(value)]
        if isinstance(value, dict):
            return {key: walk(item, (*key_path, key)) for key, item in value.items()}
        is_marked = any(key.startswith(SECRET_KEY_PREFIX) for key in key_path)
        if isinstance(value, str) and (value.startswith(_ENCRYPTED) or (is_marked and value)):
            path = ".".join(re.sub(r"([.\\])", r"\\\1", key) for key in key_path)
            references.append(
                {"path": path, "secretKeyRef": {"name": f"{name}-secrets", "key": _secret_key(key_path, keys)}}
            )
            return ""
        return value

    return walk(parameters, ()), references


def _without_encrypted(value: Any, path: str, tell: Tell) -> Any:
    """Return the value without encrypted texts, and report each of them."""
    if isinstance(value, list):
        return [_without_encrypted(item, f"{path}[{number}]", tell) for number, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    plain = {}
    for key, item in value.items():
        if isinstance(item, str) and item.startswith(_ENCRYPTED):
            tell(f"{path}.{key}", "it is encrypted, and only the original can decrypt it; set it in the Component")
        else:
            plain[key] = _without_encrypted(item, f"{path}.{key}", tell)
    return plain


def _secret_key(key_path: tuple[str, ...], keys: set[str]) -> str:
    stem = re.sub(r"[^A-Za-z0-9._-]+", "-", ".".join(key_path).replace(SECRET_KEY_PREFIX, "")).strip("-.") or "secret"
    key, number = stem, 2
    while key in keys:
        key, number = f"{stem}-{number}", number + 1
    keys.add(key)
    return key


def _name(source: _Source, component: str, names: set[str]) -> str:
    parts = [component, _scalar(source.about.get("id")), _scalar((source.row or {}).get("id"))]
    stem = re.sub(r"[^a-z0-9-]+", "-", "-".join(part for part in parts if part).lower()).strip("-")
    # The suffix distinguishes configurations and rows.
    stem = stem[-MAX_RUN_NAME + 4 :].strip("-") or "run"
    name, number = stem, 2
    while name in names:
        name, number = f"{stem}-{number}", number + 1
    names.add(name)
    return name


def _json(value: Any, indent: str = "") -> str:
    """JSON, indented by two spaces, with numbers as they were written."""
    if isinstance(value, _Number):
        return value.text
    deeper = f"{indent}  "
    if isinstance(value, dict) and value:
        items = [f"{deeper}{json.dumps(key, ensure_ascii=False)}: {_json(item, deeper)}" for key, item in value.items()]
        return "{\n" + ",\n".join(items) + f"\n{indent}}}"
    if isinstance(value, list) and value:
        return "[\n" + ",\n".join(f"{deeper}{_json(item, deeper)}" for item in value) + f"\n{indent}]"
    return json.dumps(value, ensure_ascii=False)


def _plain(value: Any) -> Any:
    """The value with ordinary numbers."""
    if isinstance(value, _Number):
        return json.loads(value.text)
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _scalar(value: Any) -> str:
    if isinstance(value, _Number):
        return value.text
    return value if isinstance(value, str) else ""
