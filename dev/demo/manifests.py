"""The objects of the demo's namespace, as files that a person can read and apply again."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from dev.cluster import paths
from dev.cluster.connection import Connection

NAMESPACE: Final = "demo"
EXAMPLES: Final = Path(__file__).resolve().parents[2] / "examples"
_STORE: Final = "store"
_CATALOG: Final = "catalog"


def folder() -> Path:
    """The folder of the files. Only the owner can read it, because one file contains the store's keys."""
    return paths.make_private(paths.home() / "demo")


def write_namespace(connection: Connection) -> Path:
    """Write the namespace with its default Storage, and the Secrets with the keys of its store and catalog."""
    labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    lake = connection.lake
    storage = {
        "endpoint": lake.endpoint,
        "bucket": lake.bucket,
        "prefix": "demo",
        "region": lake.region,
        "credentials": {"secretName": _STORE},
        "catalog": {
            "uri": lake.catalog_uri,
            "warehouse": lake.catalog_warehouse,
            "namespacePrefix": "demo_",
            "credentials": {"secretName": _CATALOG},
        },
        "default": True,
    }
    keys = {"accessKeyId": lake.access_key, "secretAccessKey": lake.secret_key}
    client = {"clientId": lake.catalog_client_id, "clientSecret": lake.catalog_client_secret}
    documents = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": _metadata(_STORE), "stringData": keys},
        {"apiVersion": "v1", "kind": "Secret", "metadata": _metadata(_CATALOG), "stringData": client},
    ]
    spec = {
        "apiVersion": "componentrun.dev/v1alpha1",
        "kind": "Storage",
        "metadata": _metadata(_STORE),
        "spec": storage,
    }
    return _write("storage.yaml", [*documents, spec])


def write_components(images: Mapping[str, str]) -> Path:
    """Write the examples' Components, with the images that were built from the examples."""
    return _write("components.yaml", [_component(path, images) for path in sorted(EXAMPLES.glob("*/component.yaml"))])


def _component(path: Path, images: Mapping[str, str]) -> dict[str, Any]:
    component: dict[str, Any] = yaml.safe_load(path.read_text())
    image, _, tag = images[f"example-{path.parent.name}"].rpartition(":")
    component["metadata"]["namespace"] = NAMESPACE
    component["spec"] |= {"image": image, "tag": tag}
    return component


def _metadata(name: str) -> dict[str, str]:
    return {"name": name, "namespace": NAMESPACE}


def _write(name: str, documents: list[dict[str, Any]]) -> Path:
    file = folder() / name
    paths.write_private(file, yaml.safe_dump_all(documents, sort_keys=False))
    return file
