"""versitygw on a folder, with TLS and its own CA, to prove that nothing assumes MinIO or plain HTTP."""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
import socket
import subprocess
import time
from typing import TYPE_CHECKING

import urllib3
from minio import Minio

from componentrun.process.serving.certificate import CERTIFICATE, KEY
from componentrun.storage.store.settings import StoreSettings
from dev.cluster import paths
from dev.cluster.build import builds
from e2e.tenant.certificates import self_signed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUCKET = "componentrun"
REGION = "eu-test-1"
STARTS_WITHIN_SECONDS = 60
PORTS = 5
"""Number of ports to try, because a free port may be taken before the server listens on it."""


@contextlib.contextmanager
def second_store(folder: Path, host: str = "127.0.0.1") -> Iterator[StoreSettings]:
    """Run a private store at this address of the machine within the block."""
    builds.build(["versitygw"])
    self_signed(folder, host, is_authority=False)
    certificate, key = folder / CERTIFICATE, folder / KEY
    settings = StoreSettings(
        bucket=BUCKET,
        region=REGION,
        access_key="second",
        secret_key=secrets.token_hex(16),
        ca_bundle=certificate.read_text(),
        name="second",
    )
    (folder / "data").mkdir()
    for tries_left in reversed(range(PORTS)):
        reached = dataclasses.replace(settings, endpoint=f"https://{host}:{_free_port(host)}")
        process = _start(reached, folder, certificate, key)
        try:
            _make_bucket(reached, certificate, process, folder / "log.txt")
        except AssertionError:
            _end(process)
            if not tries_left or "address already in use" not in (folder / "log.txt").read_text():
                raise
        else:
            break
    try:
        yield reached
    finally:
        _end(process)


def _start(settings: StoreSettings, folder: Path, certificate: Path, key: Path) -> subprocess.Popen[bytes]:
    command = [
        str(paths.links() / "versitygw"),
        *("--port", settings.base_url.removeprefix("https://"), "--region", REGION, "--quiet"),
        *("--cert", str(certificate), "--key", str(key)),
        *("posix", str(folder / "data")),
    ]
    keys = {"ROOT_ACCESS_KEY": settings.access_key or "", "ROOT_SECRET_KEY": settings.secret_key or ""}
    with (folder / "log.txt").open("wb") as log:
        return subprocess.Popen(command, env=keys, stdout=log, stderr=subprocess.STDOUT)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:  # it waits for open connections
        process.kill()
        process.wait()


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _make_bucket(settings: StoreSettings, certificate: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + STARTS_WITHIN_SECONDS
    with urllib3.PoolManager(ca_certs=str(certificate), retries=False) as pool:
        client = Minio(
            settings.base_url.removeprefix("https://"),
            access_key=settings.access_key,
            secret_key=settings.secret_key,
            region=settings.region,
            http_client=pool,
        )
        while True:
            try:
                client.make_bucket(settings.bucket)
            except urllib3.exceptions.HTTPError as error:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise AssertionError(f"versitygw does not answer: {log.read_text()}") from error
                time.sleep(0.05)
            else:
                return
