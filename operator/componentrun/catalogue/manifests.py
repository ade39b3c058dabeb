"""Texts of files with Components, YAML or JSON, as entries of a catalogue. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from componentrun.api.names import API_VERSION, GROUP
from componentrun.catalogue.entry import KINDS, CatalogueEntry, Finding
from componentrun.catalogue.limits import MAX_OBJECT_BYTES
from componentrun.catalogue.yamltext import RepeatedKeyError, many_documents
from componentrun.wire.documents import MAX_DEPTH, is_text, is_too_deep
from componentrun.wire.jsontext import kind_of, trimmed

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["entries_in", "parse_documents"]

_TOO_DEEP: Final = f"it is nested too deeply; expected at most {MAX_DEPTH} lists and objects in each other"
_MAX_VALUES: Final = 200_000
"""Values of one document, aliases expanded. A Component of 1 MiB has far fewer."""
_SERVER_METADATA: Final = frozenset(
    {"creationTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"}
)
"""Metadata that only an API server sets, as in the output of `kubectl get -o yaml`."""


def entries_in(text: str, source: str) -> tuple[list[CatalogueEntry], list[Finding]]:
    """The Components in a file, and what is wrong with the file or is ignored in it."""
    try:
        contents = parse_documents(text, source)
    except ValueError as error:
        return [], [Finding("error", "InvalidFile", f"`{source}`", str(error))]
    entries: list[CatalogueEntry] = []
    findings: list[Finding] = []
    for content in contents:
        for item in _items(content):
            entry, found = _entry(item, source)
            findings += found
            if entry is not None:
                entries.append(entry)
    return entries, findings


def parse_documents(text: str, source: str) -> list[Any]:
    """The documents in a text, those that are empty left out.

    Raises:
        ValueError: it is neither YAML nor JSON, has a key twice, or is nested too deeply or too large.
    """
    import yaml  # noqa: PLC0415 - takes a while to load and only files need it

    try:
        if source.endswith(".json") or text.lstrip()[:1] == "{":
            # JSON is read 50 times as fast by its own parser.
            try:
                contents = [json.loads(trimmed(text), object_pairs_hook=_each_key_once, parse_constant=_refuse)]
            except json.JSONDecodeError:
                contents = many_documents(text)
        else:
            contents = many_documents(text)
    except RepeatedKeyError as error:
        raise ValueError(f"{error}. Remove one of them") from error
    except yaml.YAMLError as error:
        raise ValueError(f"it is not YAML: {' '.join(str(error).split())}") from error
    except RecursionError as error:
        raise ValueError(_TOO_DEEP) from error
    contents = [content for content in contents if content is not None]
    for content in contents:
        _check_size(content)
    return [_plain(content) for content in contents]


def _each_key_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"it has the key `{twice[:100]}` twice in one object; expected each key once")
    return content


def _refuse(name: str) -> Any:
    raise ValueError(f"it holds `{name}`, which JSON does not know")


def _plain(content: Any) -> Any:
    """The content as JSON has it: keys that are numbers become texts, as in kubectl.

    Raises:
        ValueError: it holds values that JSON does not know, such as bytes and infinite numbers, or half of a surrogate
            pair.
    """
    try:
        plain = json.loads(json.dumps(content, allow_nan=False))
    except TypeError as error:
        raise ValueError(f"it holds a value that JSON does not know: {error}") from error
    except ValueError as error:
        raise ValueError("it holds a number that JSON does not know, such as infinity") from error
    if not is_text(plain):
        raise ValueError("it holds half of a surrogate pair, which is no text")
    return plain


def _check_size(content: Any) -> None:
    """Refuse what is too deep or expands to too many values, as aliases in YAML can.

    Raises:
        ValueError: it does.
    """
    if _has_more_values(content, _MAX_VALUES):
        raise ValueError(f"it holds more than {_MAX_VALUES} values, aliases expanded; expected fewer")
    if is_too_deep(content):
        raise ValueError(_TOO_DEEP)


def _has_more_values(content: Any, limit: int) -> bool:
    number, left = 1, [content]
    while left:
        item = left.pop()
        parts = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        number += len(parts)
        if number > limit:
            return True
        left += parts
    return False


def _items(content: Any) -> Iterator[Any]:
    """The objects of a `List`, or the one object."""
    if isinstance(content, dict) and content.get("kind") in {"List", *(f"{kind}List" for kind in KINDS)}:
        items = content.get("items")
        yield from items if isinstance(items, list) else ()
    else:
        yield content


def _entry(item: Any, source: str) -> tuple[CatalogueEntry | None, list[Finding]]:
    """The entry for one document, without what only an API server sets."""
    subject = f"`{source}`"
    if not isinstance(item, dict):
        return None, [Finding("error", "InvalidFile", subject, f"found {kind_of(item)}, expected a Component")]
    kind, version = item.get("kind"), item.get("apiVersion")
    if kind not in KINDS or not str(version).startswith(f"{GROUP}/"):
        message = f"a `{kind}` of `{version}` is no Component and is ignored"
        return None, [Finding("warning", "OtherKind", subject, message)]
    if version != API_VERSION:
        message = f"found `apiVersion: {version}`, expected `{API_VERSION}`"
        return None, [Finding("error", "UnknownVersion", subject, message)]
    metadata = item.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if not isinstance(metadata, dict) or not isinstance(name, str) or not name:
        return None, [Finding("error", "MissingName", subject, f"a {kind} has no `metadata.name`; expected a name")]
    findings = []
    from_server = sorted((_SERVER_METADATA & metadata.keys()) | ({"status"} & item.keys()))
    if from_server:
        fields = ", ".join(f"`{field}`" for field in from_server)
        findings.append(Finding("warning", "ServerFields", subject, f"{fields} of {kind} `{name}` are ignored"))
    manifest = {key: value for key, value in item.items() if key != "status"}
    manifest["metadata"] = {key: value for key, value in metadata.items() if key not in _SERVER_METADATA}
    size = len(json.dumps(manifest, ensure_ascii=False).encode())
    if size > MAX_OBJECT_BYTES:
        message = f"{kind} `{name}` has {size} bytes as JSON; expected at most {MAX_OBJECT_BYTES}"
        findings.append(Finding("error", "TooLarge", subject, message))
        return None, findings
    return CatalogueEntry(manifest, source), findings
