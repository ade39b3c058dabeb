"""Generates the CustomResourceDefinitions from the pydantic models.

A CRD's schema must be structural (no `$ref`, no `anyOf` with types, no `null`); pydantic's JSON schema is rewritten to
that. What one field's schema can't say stands in `rules`.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import yaml

from componentrun.api.build.componentbuild import ComponentBuild
from componentrun.api.common import GROUP, VERSION
from componentrun.api.component import ClusterComponent, Component
from componentrun.api.componentrun import ComponentRun
from componentrun.api.rules import MUTABLE_SPEC_FIELDS, RULES, with_rules
from componentrun.api.storage import Storage

if TYPE_CHECKING:
    from pathlib import Path

    from componentrun.api.common import ApiModel

__all__ = ["CRD_FILES", "crd", "render", "spec_schema", "write"]

_KEPT: Final = (
    "type", "description", "pattern", "enum", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems",
    "maxProperties", "default", "format", "x-kubernetes-int-or-string", "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type",
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
    is_namespaced: bool = True
    selectable: tuple[str, ...] = ()
    """Paths that a field selector may name."""


def _column(name: str, path: str, kind: str = "string", *, wide: bool = False) -> dict[str, Any]:
    return {"name": name, "type": kind, "jsonPath": path, **({"priority": 1} if wide else {})}


_AGE: Final = _column("Age", ".metadata.creationTimestamp", "date")
_OF_COMPONENTS: Final = (
    _column("Type", ".spec.type"),
    _column("Image", ".spec.image", wide=True),
    _column("Tag", ".spec.tag"),
    _column("Network", ".spec.network.mode", wide=True),
    _column("Channel", ".status.channels[0].name"),
    _column("Resolved", ".status.channels[0].tag"),
    _column("Digest", ".status.channels[0].digest", wide=True),
    _column("Ready", ".status.conditions[?(@.type=='Ready')].status"),
    _AGE,
)

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
        _OF_COMPONENTS, has_status=True,
    ),
    Kind(
        ClusterComponent, "clustercomponent", "clustercomponents", ("cccomp",),
        _OF_COMPONENTS, has_status=True, is_namespaced=False,
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
    Kind(
        ComponentBuild, "componentbuild", "componentbuilds", ("cbuild",),
        (
            _column("Component", ".spec.component"),
            _column("Phase", ".status.phase"),
            _column("Reason", ".status.reason"),
            _column("Ref", ".spec.git.ref", wide=True),
            _column("Commit", ".spec.git.commit", wide=True),
            _column("Digest", ".status.digest", wide=True),
            _AGE,
        ),
        has_status=True,
        selectable=(".spec.component",),
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
            "spec": _spec(kind.model, properties["spec"]),
        },
    }
    if kind.has_status:
        openapi["properties"]["status"] = _status(properties["status"])
    version: dict[str, Any] = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": list(kind.columns),
        "schema": {"openAPIV3Schema": with_rules(openapi, RULES[kind.model])},
    }
    if kind.has_status:
        version["subresources"] = {"status": {}}
    if kind.selectable:
        version["selectableFields"] = [{"jsonPath": path} for path in kind.selectable]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced" if kind.is_namespaced else "Cluster",
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


def spec_schema(model: type[ApiModel]) -> dict[str, Any]:
    """The structural schema of a kind's `spec`, without the rules that span fields."""
    schema = model.model_json_schema(by_alias=True, mode="validation")
    properties: dict[str, Any] = _structural(schema, schema.get("$defs", {}))["properties"]
    return _spec(model, properties["spec"])


def _doc(model: type) -> str:
    return " ".join(inspect.cleandoc(model.__doc__ or "").split())


_ONE_OWNER: Final = {"x-kubernetes-map-type": "atomic"}
"""Of all fields of an object together: the API server does not keep account of who set which."""


def _spec(model: type[ApiModel], schema: dict[str, Any]) -> dict[str, Any]:
    """The spec: what is fixed once a run is created was set by whoever created it."""
    if model is not ComponentRun:
        return schema
    properties = {
        name: node | _ONE_OWNER if node.get("type") == "object" and name not in MUTABLE_SPEC_FIELDS else node
        for name, node in schema["properties"].items()
    }
    return {**schema, "properties": properties}


def _status(schema: dict[str, Any]) -> dict[str, Any]:
    """The status: nothing is defaulted, so what is there was written by somebody; and it is ours as a whole.

    Who wrote which field of it is nobody's question, and to keep account of that was a third of each object, worked out
    anew at each of its writes.
    """
    schema = _without_defaults(schema) | _ONE_OWNER
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
