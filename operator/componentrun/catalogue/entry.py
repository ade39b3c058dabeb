"""A Component of a catalogue, the catalogue itself, and findings about them. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final, Literal

__all__ = ["KINDS", "Catalogue", "CatalogueEntry", "Finding", "JsonObject", "Severity", "canonical_json"]

JsonObject = dict[str, Any]

KINDS: Final = ("ClusterComponent", "Component")
"""Kinds that a catalogue may hold."""

Severity = Literal["error", "warning", "note"]
"""`error`: the catalogue can't be used. `warning`: somebody should look. `note`: an import changed something."""


@dataclass(frozen=True, slots=True)
class CatalogueEntry:
    """One Component or ClusterComponent."""

    manifest: JsonObject
    """The object, with `apiVersion`, `kind`, `metadata.name` and `spec`."""
    source: str = ""
    """File that it comes from, relative to the folder or bundle; for messages."""

    @property
    def kind(self) -> str:
        """`Component` or `ClusterComponent`."""
        return str(self.manifest["kind"])

    @property
    def name(self) -> str:
        """Name of the object."""
        return str(self.manifest["metadata"]["name"])

    @property
    def key(self) -> tuple[str, str]:
        """Kind and name, which identify it in a catalogue."""
        return self.kind, self.name

    @property
    def spec(self) -> JsonObject:
        """Its `spec`; empty if that is not an object, which `lint` reports."""
        spec = self.manifest.get("spec")
        return spec if isinstance(spec, dict) else {}

    @property
    def title(self) -> str:
        """The entry as messages call it."""
        return f"{self.kind} `{self.name}`" + (f" (`{self.source}`)" if self.source else "")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that `lint` or an import says about a catalogue."""

    severity: Severity
    rule: str
    """One CamelCase word that scripts may match."""
    subject: str
    """What it is about: a Component or a file."""
    message: str
    """What was found, what was expected and what to do."""

    def __str__(self) -> str:
        """One line."""
        return f"{self.subject}: {self.message} [{self.rule}]"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Components that are applied together. Entries are ordered by kind and name."""

    name: str
    """Name of the catalogue, which labels what `sync` creates; empty if nothing says it."""
    entries: tuple[CatalogueEntry, ...]
    findings: tuple[Finding, ...] = ()
    """What was found while it was read."""

    def by_key(self) -> dict[tuple[str, str], CatalogueEntry]:
        """The entries by kind and name. Of two with the same name, the first."""
        entries: dict[tuple[str, str], CatalogueEntry] = {}
        for entry in self.entries:
            entries.setdefault(entry.key, entry)
        return entries


def canonical_json(value: Any) -> str:
    """The one text for this value, whatever the order of its keys: for digests and comparisons."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
