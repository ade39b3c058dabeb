"""Components and catalogues for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from componentrun.catalogue.entry import Catalogue, CatalogueEntry

if TYPE_CHECKING:
    from pathlib import Path


def component(name: str = "acme.ex-weather", kind: str = "Component", **spec: Any) -> dict[str, Any]:
    """A Component with a type and a title."""
    fields = {"image": "registry.example.com/weather", "type": "extractor", "title": "Weather"}
    return {
        "apiVersion": "componentrun.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {key: value for key, value in (fields | spec).items() if value is not None},
    }


def catalogue(*manifests: dict[str, Any], name: str = "sales") -> Catalogue:
    """A catalogue of these."""
    entries = [CatalogueEntry(manifest, f"file{i}.yaml") for i, manifest in enumerate(manifests)]
    return Catalogue(name, tuple(sorted(entries, key=lambda entry: (entry.key, entry.source))))


def write(root: Path, **files: str) -> None:
    """Write files; `__` in a name stands for `/`."""
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
