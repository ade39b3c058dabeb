"""Generates the CustomResourceDefinitions from the pydantic models.

A CRD's schema must be structural (no `$ref`, no `anyOf` with types, no `null`); pydantic's JSON schema is rewritten to
that. What one field's schema can't say is said in CEL (Kubernetes 1.29 and newer):
https://kubernetes.io/docs/reference/using-api/cel/ .
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import yaml

from componentrun.api import names
from componentrun.api.common import GROUP, VERSION
from componentrun.api.component import Component
from componentrun.api.componentrun import ComponentRun, ComponentRunSpec
from componentrun.api.storage import Storage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from componentrun.api.common import ApiModel

__all__ = ["CRD_FILES", "crd", "render", "write"]

MUTABLE_SPEC_FIELDS: Final = ("suspend", "cancel", "ttlAfterFinished", "podTtlAfterFinished")
"""The fields of a run that may be changed after its creation."""

_KEPT: Final = (
    "type", "description", "pattern", "enum", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems",
    "maxProperties", "default", "format", "x-kubernetes-int-or-string",
)  # fmt: skip


@dataclass(frozen=True)
class Kind:
    """How one model becomes a CRD."""

    model: type[ApiModel]
    singular: str
    plural: str
    short_names: tuple[str, ...]
    columns: tuple[dict[str, Any], ...]
    has_status: bool = False
    selectable: tuple[str, ...] = ()
    """Paths that a field selector may name."""


def _column(name: str, path: str, kind: str = "string", *, wide: bool = False) -> dict[str, Any]:
    return {"name": name, "type": kind, "jsonPath": path, **({"priority": 1} if wide else {})}


_AGE: Final = _column("Age", ".metadata.creationTimestamp", "date")

KINDS: Final = (
    Kind(
        ComponentRun, "componentrun", "componentruns", ("crun",),
        (
            _column("Phase", ".status.phase"),
            _column("Reason", ".status.reason"),
            _column("Component", ".spec.component"),
            _column("Place", ".status.queue.position", "integer"),
            _column("Exit", ".status.exitCode", "integer", wide=True),
            _column("Message", ".status.message", wide=True),
            _AGE,
        ),
        has_status=True,
        selectable=(".spec.component", ".status.phase"),
    ),
    Kind(
        Component, "component", "components", ("ccomp",),
        (
            _column("Image", ".spec.image"),
            _column("Tag", ".spec.tag"),
            _column("Network", ".spec.network.mode"),
            _AGE,
        ),
    ),
    Kind(
        Storage, "storage", "storages", ("cstore",),
        (
            _column("Endpoint", ".spec.endpoint"),
            _column("Bucket", ".spec.bucket"),
            _column("Prefix", ".spec.prefix", wide=True),
            _column("Default", ".spec.default", "boolean"),
            _column("Ready", ".status.conditions[?(@.type=='Ready')].status"),
            _column("Scoped", ".status.conditions[?(@.type=='Scoped')].reason", wide=True),
            _AGE,
        ),
        has_status=True,
    ),
)  # fmt: skip

CRD_FILES: Final = {kind.model.KIND: f"{GROUP}_{kind.plural}.yaml" for kind in KINDS}  # type: ignore[attr-defined]  # every resource has a KIND
"""File below crds/ of each kind."""


def crd(kind: Kind) -> dict[str, Any]:
    """The whole CustomResourceDefinition of one kind."""
    schema = kind.model.model_json_schema(by_alias=True, mode="validation")
    root = _structural(schema, schema.get("$defs", {}))
    properties = root["properties"]
    openapi: dict[str, Any] = {
        "type": "object",
        "description": _doc(kind.model),
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": {**properties["spec"], **_rules(kind.model, "spec")},
        },
        **_rules(kind.model, "root"),
    }
    version: dict[str, Any] = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": list(kind.columns),
        "schema": {"openAPIV3Schema": openapi},
    }
    if kind.has_status:
        openapi["properties"]["status"] = _status(properties["status"])
        version["subresources"] = {"status": {}}
    if kind.selectable:
        version["selectableFields"] = [{"jsonPath": path} for path in kind.selectable]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind.model.KIND,  # type: ignore[attr-defined]  # every resource has a KIND
                "listKind": f"{kind.model.KIND}List",  # type: ignore[attr-defined]  # likewise
                "plural": kind.plural,
                "singular": kind.singular,
                "shortNames": list(kind.short_names),
            },
            "versions": [version],
        },
    }


def _doc(model: type) -> str:
    return " ".join(inspect.cleandoc(model.__doc__ or "").split())


def _status(schema: dict[str, Any]) -> dict[str, Any]:
    """The status: conditions merge by type; nothing is defaulted, so what is there was written by somebody."""
    schema = _without_defaults(schema)
    schema["properties"]["conditions"] = {
        **schema["properties"]["conditions"],
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    }
    return schema


def _without_defaults(node: dict[str, Any]) -> dict[str, Any]:
    node = {key: value for key, value in node.items() if key != "default"}
    if "properties" in node:
        node["properties"] = {name: _without_defaults(item) for name, item in node["properties"].items()}
    if "items" in node:
        node["items"] = _without_defaults(node["items"])
    return node


def _structural(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """One node of a JSON schema as a structural schema."""
    node = _resolved(_without_null(_resolved(node, definitions)), definitions)
    kept = {key: node[key] for key in _KEPT if node.get(key) is not None}
    if kept.get("default") in ([], ""):
        del kept["default"]  # the same as not given; objects stay free of noise
    if "description" in kept:
        kept["description"] = " ".join(kept["description"].split())
    if kept.get("x-kubernetes-int-or-string"):
        kept.pop("type", None)
        kept.pop("maxLength", None)
    if "const" in node:
        kept["enum"] = [node["const"]]
    if node.get("type") == "array":
        kept["items"] = _structural(node["items"], definitions)
    elif node.get("type") == "object":
        kept |= _object(node, definitions)
    return kept


def _resolved(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    """The node with its `$ref` put in; what stands beside the reference wins."""
    if "$ref" not in node:
        return node
    target = definitions[node["$ref"].rsplit("/", 1)[1]]
    return {**_resolved(target, definitions), **{key: value for key, value in node.items() if key != "$ref"}}


def _without_null(node: dict[str, Any]) -> dict[str, Any]:
    """`anyOf [X, null]` is X that may be left out."""
    if "anyOf" not in node:
        return node
    options = [option for option in node["anyOf"] if option.get("type") != "null"]
    if len(options) != 1:
        raise ValueError(f"a CRD can't say this union: {node['anyOf']}")
    rest = {key: value for key, value in node.items() if key not in {"anyOf", "default"}}
    return {**options[0], **rest}


def _object(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    if "properties" in node:
        properties = {name: _structural(item, definitions) for name, item in node["properties"].items()}
        required = [name for name in node.get("required", []) if "default" not in properties[name]]
        return {"properties": properties, **({"required": required} if required else {})}
    values = node.get("additionalProperties")
    if isinstance(values, dict) and values:
        names_of = node.get("propertyNames", {}).get("enum")
        if names_of:
            return {"properties": {name: _structural(values, definitions) for name in names_of}}
        return {"additionalProperties": _structural(values, definitions)}
    return {"x-kubernetes-preserve-unknown-fields": True}


def _rules(model: type[ApiModel], where: str) -> dict[str, Any]:
    rules = list(_cel(model, where))
    return {"x-kubernetes-validations": rules} if rules else {}


def _cel(model: type[ApiModel], where: str) -> Iterator[dict[str, Any]]:
    """What the fields' own schemas can't say."""
    if model is ComponentRun and where == "root":
        yield {
            "rule": f"self.metadata.name.size() <= {names.MAX_RUN_NAME}",
            "message": f"metadata.name: at most {names.MAX_RUN_NAME} characters (the pod's name is made from it)",
        }
        yield {
            "rule": (
                "!(self.spec.suspend && !oldSelf.spec.suspend)"
                " || !has(oldSelf.status) || !has(oldSelf.status.startTime)"
            ),
            "message": "spec.suspend: the run has started and can't be suspended; set spec.cancel to stop it",
        }
    if model is ComponentRun and where == "spec":
        yield from _run_rules()
    if model in {ComponentRun, Component} and where == "spec":
        yield {
            "rule": (
                "!has(self.retry) || !has(self.retry.backoff)"
                " || (duration(self.retry.backoff.initial) >= duration('1s')"
                " && duration(self.retry.backoff.initial) <= duration(self.retry.backoff.max)"
                " && duration(self.retry.backoff.max) <= duration('1h'))"
            ),
            "message": "spec.retry.backoff: initial must be at least 1s and at most max, and max at most 1h",
            "fieldPath": ".retry",
        }
    if model is Storage and where == "spec":
        yield {
            "rule": "!has(self.sts) || has(self.credentials)",
            "message": "spec.sts asks with the keys of spec.credentials; give these, too",
            "fieldPath": ".sts",
        }


def _run_rules() -> Iterator[dict[str, Any]]:
    yield {
        "rule": "has(self.component) != has(self.image)",
        "message": "give either spec.component (the name of a Component) or spec.image, and not both",
    }
    yield {
        "rule": "!has(self.tag) || has(self.component)",
        "message": "spec.tag belongs to spec.component; with spec.image write the tag into the image",
        "fieldPath": ".tag",
    }
    yield {
        "rule": "!(has(self.command) || has(self.args)) || has(self.image)",
        "message": "spec.command and spec.args go with spec.image; a Component has its own",
    }
    yield {
        "rule": "!(has(self.size) && has(self.resources))",
        "message": "give either spec.size or spec.resources, and not both",
    }
    yield {
        "rule": (
            "!has(self.timeout)"
            " || (duration(self.timeout) <= duration('24h') && duration(self.timeout) > duration('0s'))"
        ),
        "message": "spec.timeout must be more than 0s and at most 24h",
        "fieldPath": ".timeout",
    }
    yield {
        "rule": (
            "!has(self.input) || !has(self.input.tables) || self.input.tables.all(t, has(t.source) != has(t.object))"
        ),
        "message": "spec.input.tables: give each either source (a table id) or object (a key), and not both",
    }
    yield from _mapping_rules()
    yield from _file_rules()
    yield {
        "rule": "!oldSelf.cancel || self.cancel",
        "message": "spec.cancel can't be taken back; create a new run",
        "fieldPath": ".cancel",
    }
    fixed = [field.alias or name for name, field in ComponentRunSpec.model_fields.items()]
    yield _fixed_rule([alias for alias in fixed if alias not in MUTABLE_SPEC_FIELDS])


def _fixed_rule(fields: list[str]) -> dict[str, Any]:
    """Fields that stay as they are.

    One rule and not one for each: all are asked at every write of a status, too, and looking at a field of a large
    schema is what costs the API server time. Mostly nothing has changed, which is one comparison. The first field that
    has is named.
    """
    same = "(has(self.{0}) == has(oldSelf.{0}) && (!has(self.{0}) || self.{0} == oldSelf.{0}))"
    named = " ".join(f"!{same.format(name)} ? 'spec.{name}' :" for name in fields)
    return {
        "rule": f"self == oldSelf || ({' && '.join(same.format(name) for name in fields)})",
        "messageExpression": f"({named} 'spec') + ' can\\'t be changed once the run is created; create a new run'",
    }


def _mapping_rules() -> Iterator[dict[str, Any]]:
    of_inputs = "!has(self.input) || !has(self.input.tables) || self.input.tables.all(t, {})"
    ordered = "['gt', 'ge', 'lt', 'le']"
    yield {
        "rule": of_inputs.format("!has(t.changedSince) || has(t.source)"),
        "message": "spec.input.tables: changedSince belongs to source; of an object it is not known",
    }
    yield {
        "rule": of_inputs.format("!has(t.sliced) || !t.sliced || has(t.source)"),
        "message": "spec.input.tables: sliced belongs to source; an object is one file with a header line",
    }
    yield {
        "rule": of_inputs.format("!has(t.changedSince) || t.changedSince != 'adaptive'")
        + " || (has(self.configuration) && has(self.configuration.id))",
        "message": "spec.input.tables: changedSince adaptive needs spec.configuration.id, whose last run it looks for",
    }
    yield {
        "rule": of_inputs.format(
            f"!has(t.where) || !(t.where.operator in {ordered})"
            " || (t.where.values.size() == 1 && !(has(t.where.type) && t.where.type == 'text'))"
        ),
        "message": "spec.input.tables: where with gt, ge, lt or le takes one value, and type number or timestamp",
    }
    yield {
        "rule": of_inputs.format(
            f"!has(t.where) || t.where.operator in {ordered} || !has(t.where.type) || t.where.type == 'text'"
        ),
        "message": "spec.input.tables: where with eq or ne compares text; leave type out",
    }


def _file_rules() -> Iterator[dict[str, Any]]:
    of_files = "!has(self.input) || !has(self.input.files) || self.input.files.all(f, {})"
    yield {
        "rule": of_files.format("has(f.id) || has(f.name) || has(f.glob) || (has(f.tags) && f.tags.size() > 0)"),
        "message": "spec.input.files: say which by id, name, glob or tags",
    }
    yield {
        "rule": of_files.format(
            "!has(f.id) || !(has(f.name) || has(f.glob) || has(f.limit) || (has(f.tags) && f.tags.size() > 0))"
        ),
        "message": "spec.input.files: an id says which file; leave name, glob, tags and limit out",
    }
    yield {
        "rule": of_files.format("!has(f.name) || !has(f.glob)"),
        "message": "spec.input.files: give either name or glob, and not both",
    }


def render(kind: Kind) -> str:
    """The CRD as YAML, with a line that says where it comes from."""
    body = yaml.safe_dump(crd(kind), sort_keys=False, width=120, allow_unicode=True)
    return f"# Generated from operator/componentrun/api by `make generate`. Do not edit.\n{body}"


def write(folder: Path) -> list[Path]:
    """Write all CRDs below `folder`; returns the files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for kind in KINDS:
        path = folder / CRD_FILES[kind.model.KIND]  # type: ignore[attr-defined]  # every resource has a KIND
        path.write_text(render(kind), encoding="utf-8")
        written.append(path)
    return written
