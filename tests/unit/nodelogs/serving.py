"""A log server on a free port, an API server that knows some tokens, and the collector's way to it."""

from __future__ import annotations

import asyncio
import ssl
import tempfile
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from componentrun.collector.readers.node.servers import NodeLogs
from componentrun.collector.settings import NodeLogSettings
from componentrun.nodelogs.app import LogServer
from componentrun.nodelogs.folders import Folders
from componentrun.nodelogs.metrics import Metrics
from componentrun.nodelogs.settings import Settings
from componentrun.process.guard import Guard
from componentrun.process.serving.certificate import Certificate
from componentrun.wire.logserver import AUDIENCE
from e2e.tenant.certificates import make_certificate
from tests.unit.nodelogs.runtime import Runtime
from tests.unit.process.reviewer import Reviewer

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

READER = "system:serviceaccount:componentrun-system:collector"
WHERE = ("team", "clean-1", "0a1b2c3d-0000-4000-8000-000000000001", "component")
NODE = "node-1"
TOKEN = "the.collector.s"


@cache
def a_certificate() -> Path:
    """One for all log servers of the tests that do not care: keys take a while."""
    return make_certificate(Path(tempfile.mkdtemp()))


def a_reviewer() -> Reviewer:
    """An API server that knows the collector's token."""
    return Reviewer(AUDIENCE, {TOKEN: READER})


@dataclass
class Served:
    """A running log server."""

    root: Path
    reviewer: Reviewer
    folders: Folders
    server: LogServer
    certificates: Path
    certificate: Certificate

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.server.port}"

    @property
    def tls(self) -> ssl.SSLContext:
        """What a client that trusts it connects with, whatever name it asks for."""
        context = ssl.create_default_context(cafile=str(self.certificates / "ca.crt"))
        context.check_hostname = False
        return context

    def runtime(self, container: str = WHERE[3]) -> Runtime:
        return Runtime(self.root / "_".join(WHERE[:3]) / container)

    def pod(self, *, ready: bool = True, uid: str = "server-1", **metadata: Any) -> dict[str, Any]:
        """Its pod, as the API server has it."""
        return {
            "metadata": {"uid": uid, **metadata},
            "spec": {
                "nodeName": NODE,
                "containers": [{"ports": [{"name": "http", "containerPort": 1}, self.port]}],
            },
            "status": {"podIP": "127.0.0.1", "conditions": [{"type": "Ready", "status": str(ready)}]},
        }

    @property
    def port(self) -> dict[str, Any]:
        return {"name": "logs", "containerPort": self.server.port}


@asynccontextmanager
async def serving(
    root: Path,
    reviewer: Reviewer | None = None,
    *,
    namespaces: tuple[str, ...] = (),
    certificates: Path | None = None,
) -> AsyncIterator[Served]:
    reviewer = reviewer or a_reviewer()
    metrics = Metrics()
    chosen = Settings(
        nodelogs_reader=READER,
        host="127.0.0.1",
        namespaces=namespaces,
        nodelogs_folder=str(root),
        nodelogs_port=0,
    )
    folders = Folders(str(root), metrics)
    certificates = certificates or a_certificate()
    certificate = Certificate(str(certificates), "log server", "nodeLogs.tls")
    server = LogServer(chosen, folders, Guard(reviewer, {READER}, AUDIENCE), metrics, certificate)
    await server.start()
    tending = asyncio.create_task(folders.tend())
    try:
        yield Served(root, reviewer, folders, server, certificates, certificate)
    finally:
        tending.cancel()
        await asyncio.gather(tending, return_exceptions=True)
        await server.stop()
        folders.close()


@asynccontextmanager
async def the_way(served: Served, tmp_path: Path) -> AsyncIterator[NodeLogs]:
    """The collector's way to that server."""
    token = tmp_path / "token"
    token.write_text(TOKEN)
    authority = str(served.certificates / "ca.crt")
    async with NodeLogs(NodeLogSettings("componentrun-system", str(token), authority)) as nodes:
        nodes.changed(served.pod())
        yield nodes


SHOWN = f"Bearer {TOKEN}"


class Gate:
    """A guard, the API server behind it, and its clock."""

    def __init__(self, **tokens: dict[str, Any]) -> None:
        self.reviewer = a_reviewer()
        self.reviewer.tokens |= tokens
        self.now = 1000.0
        self.guard = Guard(self.reviewer, {READER}, AUDIENCE, lambda: self.now)

    async def admits(self, shown: str = SHOWN) -> bool:
        return await self.guard.admits(shown)
