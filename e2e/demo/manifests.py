"""The objects of the demo's namespace, as files that a person may look at and apply again."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from e2e.cluster import paths
from e2e.cluster.connection import Connection

NAMESPACE: Final = "demo"
EXAMPLES: Final = Path(__file__).resolve().parents[2] / "examples"
_STORE: Final = "store"
_CATALOG: Final = "catalog"


def folder() -> Path:
    """Where the files are; for their owner only, as one of them holds the store's keys."""
    return paths.make_private(paths.home() / "demo")


def write_namespace(connection: Connection) -> Path:
    """The namespace with its default Storage, and the Secrets with the keys to it.

    Its tables are in the Iceberg catalog where the cluster has one.
    """
    labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    lake = connection.lake if connection.catalog_uri else None
    storage = {
        "endpoint": lake.endpoint if lake is not None else connection.store_endpoint,
        "bucket": lake.bucket if lake is not None else connection.store_bucket,
        "prefix": "demo",
        "region": lake.region if lake is not None else connection.store_region,
        "credentials": {"secretName": _STORE},
        "default": True,
    }
    keys = {
        "accessKeyId": lake.access_key if lake is not None else connection.store_access_key,
        "secretAccessKey": lake.secret_key if lake is not None else connection.store_secret_key,
    }
    documents = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": _metadata(_STORE), "stringData": keys},
    ]
    if lake is not None:
        client = {"clientId": lake.catalog_client_id, "clientSecret": lake.catalog_client_secret}
        documents.append({"apiVersion": "v1", "kind": "Secret", "metadata": _metadata(_CATALOG), "stringData": client})
        storage["catalog"] = {
            "uri": lake.catalog_uri,
            "warehouse": lake.catalog_warehouse,
            "namespacePrefix": "demo_",
            "credentials": {"secretName": _CATALOG},
        }
    spec = {
        "apiVersion": "componentrun.dev/v1alpha1",
        "kind": "Storage",
        "metadata": _metadata(_STORE),
        "spec": storage,
    }
    return _write("storage.yaml", [*documents, spec])


def write_components(images: Mapping[str, str]) -> Path:
    """The examples' Components, with the images that were built from them."""
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
