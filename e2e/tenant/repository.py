"""A repository of a registry: tests move its tags and copy images into it."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urljoin

from componentrun.registry.manifest import MANIFEST_TYPES, digest_of

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping, Sequence

__all__ = ["Repository"]

_OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
_OCI_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
_OCI_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
_BINARY: Final = {"Content-Type": "application/octet-stream"}


@dataclass(frozen=True)
class Repository:
    """A repository that this machine can read and write.

    Attributes:
        host: host and port.
        path: path below the host.
        context: TLS; None: plain HTTP.
        headers: of each request, for example with a login.
    """

    host: str
    path: str
    context: ssl.SSLContext | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, image: str) -> tuple[Repository, str]:
        """Repository and tag of an image of the cluster's registry, which has plain HTTP and no login."""
        name, _, tag = image.rpartition(":")
        host, _, path = name.partition("/")
        return cls(host, path), tag

    @property
    def name(self) -> str:
        """Name of an image without its tag."""
        return f"{self.host}/{self.path}"

    def move(self, source: str, tag: str, note: str) -> str:
        """Point a tag to the image of another tag with a label of its own. Returns the new digest.

        A label is part of the configuration, so that the container runtime takes it for another image. It takes images
        that differ only in their manifests for one, and reports the digest that it knew first.
        """
        manifest, media_type = self.manifest(source)
        config = json.loads(self.blob(manifest["config"]["digest"]))
        config["config"] = config.get("config", {}) | {"Labels": {"note": note}}
        content = json.dumps(config).encode()
        self.upload(content)
        manifest["config"] |= {"digest": digest_of(content), "size": len(content)}
        return self.put_manifest(tag, json.dumps(manifest).encode(), media_type)

    def with_layer(self, source: str, tag: str, layer: bytes) -> str:
        """Point a tag to the image of another tag with one more layer, a tar archive. Returns the digest."""
        manifest, _ = self.manifest(source)
        config = json.loads(self.blob(manifest["config"]["digest"]))
        return self.put(tag, config, layer, manifest["layers"])

    def put(self, tag: str, config: dict[str, Any], layer: bytes, layers: Sequence[Mapping[str, Any]] = ()) -> str:
        """Upload an image: its configuration without the last layer, and this layer. Returns the digest."""
        digest = digest_of(layer)
        self._upload(layer)
        config["rootfs"] = {"type": "layers", "diff_ids": [*config.get("rootfs", {}).get("diff_ids", ()), digest]}
        config["history"] = [*config.get("history", ()), {"created_by": "a test"}]
        content = json.dumps(config).encode()
        self._upload(content)
        manifest = {
            "schemaVersion": 2,
            "mediaType": _OCI_MANIFEST,
            "config": {"mediaType": _OCI_CONFIG, "digest": digest_of(content), "size": len(content)},
            "layers": [*layers, {"mediaType": _OCI_LAYER, "digest": digest, "size": len(layer)}],
        }
        return self._put_manifest(tag, json.dumps(manifest).encode(), _OCI_MANIFEST)

    def copy(self, source: Repository, tag: str, as_tag: str) -> str:
        """Copy an image from another repository, under a tag of its own. Returns its digest."""
        manifest, media_type = source.manifest(tag)
        for part in (manifest["config"], *manifest["layers"]):
            self.upload(source.blob(part["digest"]))
        return self.put_manifest(as_tag, json.dumps(manifest).encode(), media_type)

    def manifest(self, reference: str) -> tuple[dict[str, Any], str]:
        """Manifest and media type of a tag or digest."""
        with self._open("GET", f"manifests/{reference}", {"Accept": ", ".join(MANIFEST_TYPES)}) as answer:
            return json.load(answer), str(answer.headers["Content-Type"])

    def blob(self, digest: str) -> bytes:
        """Content of a blob."""
        with self._open("GET", f"blobs/{digest}") as answer:
            return bytes(answer.read())

    def upload(self, content: bytes) -> None:
        """Store a blob."""
        with self._open("POST", "blobs/uploads/", data=b"") as answer:
            place = urljoin(answer.url, answer.headers["Location"])
        sign = "&" if "?" in place else "?"
        self._open("PUT", f"{place}{sign}digest={digest_of(content)}", _BINARY, content).close()

    def put_manifest(self, tag: str, content: bytes, media_type: str) -> str:
        """Store a manifest below a tag or its digest. Returns the digest."""
        with self._open("PUT", f"manifests/{tag}", {"Content-Type": media_type}, content) as answer:
            return str(answer.headers["Docker-Content-Digest"])

    def _open(self, method: str, path: str, headers: Mapping[str, str] | None = None, data: bytes | None = None) -> Any:
        base = f"{'https' if self.context else 'http'}://{self.host}/v2/{self.path}/"
        request = urllib.request.Request(  # noqa: S310 - the scheme is one of two
            urljoin(base, path), data=data, headers={**self.headers, **(headers or {})}, method=method
        )
        handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})]
        if self.context is not None:
            handlers.append(urllib.request.HTTPSHandler(context=self.context))
        return urllib.request.build_opener(*handlers).open(request, timeout=30)
