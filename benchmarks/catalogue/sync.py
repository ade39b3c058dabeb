"""Sync and list of a catalogue of 200 Components with schemas, as a user types the commands."""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.harness.interleave import figures

if TYPE_CHECKING:
    from benchmarks.harness.interleave import Values
    from benchmarks.harness.testbed import Testbed
    from benchmarks.report.results import Figure
    from e2e.tenant import Tenant

__all__ = ["sync"]

_COMPONENTS: Final = 200
_PROPERTIES: Final = 40
"""Properties of each schema, which then has 7 KiB: the median of public schemas."""


def sync(testbed: Testbed, repeats: int) -> list[Figure]:
    """The first sync, the second one, a list and a search, each in a new namespace."""
    values: Values = {}
    for _ in range(repeats):
        with testbed.tenant("bench") as tenant, tempfile.TemporaryDirectory() as folder:
            _write(Path(folder), max(1, round(_COMPONENTS * testbed.scale)))
            for name, arguments in {
                "first": ("sync", folder, "--name", "bench"),
                "second": ("sync", folder, "--name", "bench"),
                "list": ("list",),
                "search": ("search", "orders"),
            }.items():
                before = _versions(tenant)
                values.setdefault(f"catalogue.sync.{name}", []).append(_seconds(tenant, *arguments))
                assert name == "first" or _versions(tenant) == before, f"{name} wrote to the cluster"
    return figures(values, "s")


def _write(folder: Path, count: int) -> None:
    """A file for each Component."""
    properties = {
        f"field_{i}": {
            "type": "string",
            "title": f"Field {i}",
            "description": "What this field means, and where a user of the component finds its value.",
            "propertyOrder": i,
            "options": {"tooltip": "Shown beside the field."},
        }
        for i in range(_PROPERTIES)
    }
    schema = json.dumps({"type": "object", "properties": properties}, indent=1)
    for i in range(count):
        spec: dict[str, Any] = {
            "image": f"registry.example.com/acme/ex-{i}",
            "tag": "1.0.0",
            "type": "extractor",
            "title": f"Extractor {i}",
            "summary": "Copies orders and customers into tables.",
            "configuration": {"schema": schema, "validation": "Warn"},
        }
        manifest = {
            "apiVersion": "componentrun.dev/v1alpha1",
            "kind": "Component",
            "metadata": {"name": f"acme.ex-{i}"},
            "spec": spec,
        }
        (folder / f"acme.ex-{i}.json").write_text(json.dumps(manifest))


def _seconds(tenant: Tenant, *arguments: str) -> float:
    """Time of one command, the start of its interpreter included."""
    started = time.monotonic()
    result = tenant.cli("catalogue", *arguments)
    seconds = time.monotonic() - started
    if result.returncode:
        raise RuntimeError(f"`catalogue {arguments[0]}` ended with {result.returncode}: {result.stderr[-2000:]}")
    return seconds


def _versions(tenant: Tenant) -> set[tuple[str, int]]:
    """Names and generations of the Components. A status that the operator writes does not change them."""
    items = json.loads(tenant.kubectl("get", "components", "-o", "json").stdout)["items"]
    return {(item["metadata"]["name"], item["metadata"]["generation"]) for item in items}
