"""Registries on this machine whose images the node of our own cluster runs."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from componentrun.registry.manifest import MANIFEST_TYPES
from dev.cluster import layout
from tests.integration.registry.realregistry import Authority, Image, RealRegistry, TokenService

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["read_image", "serving", "trusted_by_the_node"]


def read_image(name: str) -> Image:
    """Read an image from the cluster's registry, such as `192.0.2.2:5000/app:1`."""
    repository, _, tag = name.rpartition(":")
    host, _, path = repository.partition("/")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def read(what: str) -> bytes:
        request = urllib.request.Request(
            f"http://{host}/v2/{path}/{what}", headers={"Accept": ", ".join(MANIFEST_TYPES)}
        )
        with opener.open(request, timeout=60) as answer:
            return bytes(answer.read())

    manifest = json.loads(read(f"manifests/{tag}"))
    config: dict[str, Any] = json.loads(read(f"blobs/{manifest['config']['digest']}"))
    return Image(config, tuple((layer["mediaType"], read(f"blobs/{layer['digest']}")) for layer in manifest["layers"]))


@contextmanager
def serving(folder: Path, *, tokens: bool) -> Iterator[RealRegistry]:
    """Run a registry with TLS: with tokens of a service in a thread of this process, or with htpasswd."""
    authority = Authority.create(folder)
    service = TokenService(authority) if tokens else None
    registry = RealRegistry(folder, authority, service)
    registry.start()
    try:
        if service is None:
            yield registry
            return
        with _loop() as loop:
            asyncio.run_coroutine_threadsafe(service.start(), loop).result()
            yield registry
            asyncio.run_coroutine_threadsafe(service.stop(), loop).result()
    finally:
        registry.stop()


@contextmanager
def _loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that runs in a thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def trusted_by_the_node(registry: RealRegistry) -> Iterator[None]:
    """Have the node's container runtime trust the registry's certificate. It reads this folder for each pull."""
    folder = layout.configs() / "registries" / registry.host
    folder.mkdir()
    server = f"https://{registry.host}"
    authority = json.dumps(str(registry.authority.certificate_file))
    (folder / "hosts.toml").write_text(
        f'server = "{server}"\n\n[host."{server}"]\n  capabilities = ["pull", "resolve"]\n  ca = {authority}\n'
    )
    try:
        yield
    finally:
        shutil.rmtree(folder)
