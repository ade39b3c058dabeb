"""What has to be written so that a cluster has a catalogue. Pure: objects in, a plan out.

A catalogue owns the objects that have its label. Only those are changed and deleted. An object of the same name without
the label, or with that of another catalogue, is a conflict that stops the whole sync, unless it is adopted.

An object is left alone if the annotation has the digest of what would be applied, and the object still has all of it.
So a second sync writes nothing, and a change that somebody made to a field of the catalogue is undone.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from componentrun.api.names import API_VERSION, CATALOGUE_DIGEST_ANNOTATION, CATALOGUE_LABEL
from componentrun.catalogue.defaults import without_nulls
from componentrun.catalogue.difference import FieldChange, contains, field_changes
from componentrun.catalogue.entry import Catalogue, CatalogueEntry, Finding, canonical_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from componentrun.catalogue.entry import JsonObject

__all__ = ["FIELD_MANAGER", "Prune", "SyncPlan", "Write", "plan_sync"]

FIELD_MANAGER: Final = "componentrun-catalogue"
"""Name under which the API server records the fields that a sync applies."""


@dataclass(frozen=True, slots=True)
class Write:
    """An object to apply."""

    action: Literal["added", "changed"]
    manifest: JsonObject
    fields: tuple[FieldChange, ...] = ()
    """What differs from the object in the cluster."""

    @property
    def kind(self) -> str:
        """`Component` or `ClusterComponent`."""
        return str(self.manifest["kind"])

    @property
    def name(self) -> str:
        """Name of the object."""
        return str(self.manifest["metadata"]["name"])


@dataclass(frozen=True, slots=True)
class Prune:
    """An object to delete: it has the catalogue's label, and the catalogue no longer has it."""

    kind: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class SyncPlan:
    """What a sync does."""

    writes: tuple[Write, ...] = ()
    prunes: tuple[Prune, ...] = ()
    unchanged: int = 0
    conflicts: tuple[Finding, ...] = ()
    """Objects that the catalogue does not own. If there is one, nothing must be written."""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not self.writes and not self.prunes


def plan_sync(
    catalogue: Catalogue, name: str, existing: Iterable[JsonObject], *, adopt: bool = False, prune: bool = True
) -> SyncPlan:
    """Compare a catalogue with the objects of a namespace and of the cluster.

    Args:
        catalogue: the wanted Components, none twice.
        name: name of the catalogue, the value of the label.
        existing: all Components of the namespace, and all ClusterComponents.
        adopt: whether objects that the catalogue does not own become its own.
        prune: whether objects that the catalogue no longer has are deleted.
    """
    actual = {(str(item["kind"]), str(item["metadata"]["name"])): item for item in existing}
    writes: list[Write] = []
    conflicts: list[Finding] = []
    unchanged = 0
    for entry in catalogue.entries:
        manifest, found = _manifest(entry, name), actual.get(entry.key)
        if found is None:
            writes.append(Write("added", manifest))
            continue
        owner = _owner(found)
        if owner != name and not adopt:
            conflicts.append(_conflict(entry, owner))
        elif owner == name and _is_applied(found, manifest):
            unchanged += 1
        else:
            writes.append(Write("changed", manifest, field_changes(found, entry.manifest)))
    wanted = {entry.key for entry in catalogue.entries}
    prunes = [
        Prune(*key, str(item["metadata"].get("uid") or ""))
        for key, item in sorted(actual.items(), key=lambda pair: pair[0])
        if prune and key not in wanted and _owner(item) == name
    ]
    return SyncPlan(tuple(writes), tuple(prunes), unchanged, tuple(conflicts))


def _manifest(entry: CatalogueEntry, name: str) -> JsonObject:
    """The object to apply."""
    metadata, spec = entry.manifest["metadata"], without_nulls(entry.spec)
    content = {"labels": dict(metadata.get("labels") or {}), "annotations": dict(metadata.get("annotations") or {})}
    content["labels"][CATALOGUE_LABEL] = name
    text = canonical_json([content, spec])
    content["annotations"][CATALOGUE_DIGEST_ANNOTATION] = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    return {
        "apiVersion": API_VERSION,
        "kind": entry.kind,
        "metadata": {"name": entry.name, **content},
        "spec": spec,
    }


def _is_applied(found: Mapping[str, Any], manifest: JsonObject) -> bool:
    """Whether the object was applied from this manifest and still has all of it."""
    metadata = {part: found["metadata"].get(part) or {} for part in ("labels", "annotations")}
    expected = {part: manifest["metadata"][part] for part in metadata}
    return contains(metadata, expected) and contains(found.get("spec") or {}, manifest["spec"])


def _owner(item: Mapping[str, Any]) -> str:
    """Name of the catalogue that owns an object; empty if none does."""
    return str((item["metadata"].get("labels") or {}).get(CATALOGUE_LABEL) or "")


def _conflict(entry: CatalogueEntry, owner: str) -> Finding:
    """The finding about an object that the catalogue does not own."""
    if owner:
        message = (
            f"it belongs to the catalogue `{owner}`. Remove it from one of the two catalogues, or pass `--adopt` to "
            "move it to this one"
        )
        return Finding("error", "OtherCatalogue", f"{entry.kind} `{entry.name}`", message)
    message = "it exists, and no catalogue created it. Delete it, rename it, or pass `--adopt` to manage it from now on"
    return Finding("error", "NotOwned", f"{entry.kind} `{entry.name}`", message)
