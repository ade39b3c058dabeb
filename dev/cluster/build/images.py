"""Deliver a built image to a cluster: push it to the cluster's registry, or run the configured load command."""

import http
import json
import shlex
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import urllib3

from dev.cluster import commands
from dev.cluster.build import archives
from dev.cluster.connection import Connection
from dev.cluster.errors import ClusterError

MANIFESTS = ("application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json")


@dataclass(frozen=True)
class Registry:
    """A registry at `host`, reached over `scheme`. `prefix` is prepended to image names."""

    scheme: str
    host: str
    prefix: str

    def url(self, repository: str) -> str:
        return f"{self.scheme}://{self.host}/v2/{self.prefix}{repository}"


def bring(connection: Connection, archive: Path, name: str) -> str:
    """Deliver the image in `archive` (an OCI archive) to the cluster, and return the image name for a pod.

    Args:
        connection: the cluster.
        archive: for example a file written by `buildah push IMAGE oci-archive:FILE:NAME`.
        name: `repository:tag`, without a registry. With a load command, the archive must contain this name prefixed
            with `localhost/`.

    Raises:
        ClusterError: the archive is invalid, or the registry or the load command rejected it.
    """
    if connection.registry is not None:
        _push(connection.registry, archive, name)
        return f"{connection.registry}/{name}"
    if connection.image_load_command is None:
        raise ClusterError("the cluster has neither a registry nor a load command", hint="set IMAGE_REGISTRY")
    command = [word.replace("{archive}", str(archive)) for word in shlex.split(connection.image_load_command)]
    commands.run(command, timeout=600, hint="this is IMAGE_LOAD_COMMAND")
    return f"localhost/{name}"


def bring_program(connection: Connection, program: Path) -> str:
    """Deliver an image that contains only the static `program`, and return the image name for a pod."""
    name = archives.name(program)
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "image.tar"
        reference = archives.reference(program) if connection.registry is None else f"{connection.registry}/{name}"
        archive.write_bytes(archives.archive(program, reference))
        return bring(connection, archive, name)


def split(registry: str) -> tuple[str, str]:
    """Split into host and name prefix: `r:5000/team/x` is (`r:5000`, `team/x/`)."""
    host, _, prefix = registry.partition("/")
    return host, f"{prefix}/" if prefix else ""


def _push(registry: str, archive: Path, name: str) -> None:
    repository, separator, tag = name.rpartition(":")
    if not separator or "/" in tag:
        raise ClusterError(f"`{name}` names no tag", hint="expected repository:tag")
    with _opened(archive) as tar, urllib3.PoolManager() as pool:
        place = _find(registry, pool).url(repository)
        descriptor = _only_manifest(_json(tar, "index.json"), archive)
        manifest = _blob(tar, descriptor["digest"]).read()
        document = json.loads(manifest)
        for part in (document["config"], *document["layers"]):
            _push_blob(pool, place, part, _blob(tar, part["digest"]))
        headers = {"Content-Type": descriptor["mediaType"]}
        answer = pool.request("PUT", f"{place}/manifests/{tag}", body=manifest, headers=headers)
        _expect(answer, http.HTTPStatus.CREATED, registry)


def _push_blob(pool: urllib3.PoolManager, place: str, part: dict[str, Any], content: IO[bytes]) -> None:
    if pool.request("HEAD", f"{place}/blobs/{part['digest']}").status == http.HTTPStatus.OK:
        return
    response = pool.request("POST", f"{place}/blobs/uploads/")
    _expect(response, http.HTTPStatus.ACCEPTED, place)
    target = urllib3.util.parse_url(response.headers["Location"])
    origin = urllib3.util.parse_url(place)
    query = f"{target.query}&digest={part['digest']}" if target.query else f"digest={part['digest']}"
    url = target._replace(scheme=target.scheme or origin.scheme, host=target.host or origin.host, query=query)
    if target.host is None:
        url = url._replace(port=origin.port)
    headers = {"Content-Length": str(part["size"]), "Content-Type": "application/octet-stream"}
    _expect(pool.request("PUT", url.url, body=content, headers=headers), http.HTTPStatus.CREATED, place)


def _find(registry: str, pool: urllib3.PoolManager) -> Registry:
    """Try TLS first, so that nothing is sent in clear text to a registry that supports TLS."""
    host, prefix = split(registry)
    problems = []
    for scheme in ("https", "http"):
        try:
            answer = pool.request("GET", f"{scheme}://{host}/v2/", retries=False, timeout=5)
        except urllib3.exceptions.HTTPError as error:
            problems.append(f"{scheme}: {error}")
            continue
        _expect(answer, http.HTTPStatus.OK, registry)
        return Registry(scheme, host, prefix)
    raise ClusterError(f"no registry answers at {host}: {'; '.join(problems)}", hint="is IMAGE_REGISTRY right?")


def _expect(answer: urllib3.BaseHTTPResponse, status: http.HTTPStatus, registry: str) -> None:
    if answer.status != status:
        message = answer.data[:500].decode(errors="replace")
        hint = "it wants a login: push with `buildah push` after `buildah login`" if answer.status == 401 else ""
        raise ClusterError(f"{registry} answered {answer.status}, expected {status.value}: {message}", hint=hint)


@contextmanager
def _opened(archive: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(archive) as tar:
            yield tar
    except (tarfile.TarError, FileNotFoundError) as error:
        raise ClusterError(f"{archive} is no image archive: {error}") from error


def _only_manifest(index: dict[str, Any], archive: Path) -> dict[str, Any]:
    manifests: list[dict[str, Any]] = index["manifests"]
    if len(manifests) != 1 or manifests[0]["mediaType"] not in MANIFESTS:
        kinds = [entry["mediaType"] for entry in manifests]
        raise ClusterError(f"{archive} holds {kinds}, expected one image for one platform")
    return manifests[0]


def _json(tar: tarfile.TarFile, name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.load(_member(tar, name))
    return document


def _blob(tar: tarfile.TarFile, digest: str) -> IO[bytes]:
    return _member(tar, f"blobs/{digest.replace(':', '/')}")


def _member(tar: tarfile.TarFile, name: str) -> IO[bytes]:
    try:
        content = tar.extractfile(name)
    except KeyError as error:
        raise ClusterError(
            f"{tar.name!r} has no {name}", hint="an OCI archive is expected, not a docker archive"
        ) from error
    if content is None:
        raise ClusterError(f"{name} in {tar.name!r} is no file")
    return content
