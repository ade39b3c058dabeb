"""Looks up which commit a branch or tag means now."""

from __future__ import annotations

import asyncio
import base64
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Final

from componentrun.controller.images.awayhosts import git_timeout
from componentrun.core.builds.login import read_login
from componentrun.core.builds.source import COMMIT, FoundCommit
from componentrun.errors import Reason, UserError
from componentrun.git.refs import look_up
from componentrun.process.kubernetes.storages import find_secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from componentrun.controller.images.awayhosts import AwayHosts
    from componentrun.core.builds.lifecycle.request import BuildRequest
    from componentrun.core.builds.login import HttpsLogin, SshLogin
    from componentrun.git.settings import GitSettings
    from componentrun.process.kubernetes.client import Kube

__all__ = ["GitCommits"]

_AT_ONCE: Final = 4
"""Threads of a namespace. A host can hold one for as long as it sends a byte now and then, also after its look-up was
given up, and then the namespace has one thread less."""
_THREADS: Final = 256
"""Threads for all look-ups, created on demand. They are not those of asyncio, which the operator needs for everything
else, such as its own credentials."""


class GitCommits:
    """Looks up commits."""

    def __init__(self, kube: Kube, settings: GitSettings, away: AwayHosts) -> None:
        """`settings` are timeouts and trusted authorities."""
        self._kube = kube
        self._settings = settings
        self._away = away
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="git")
        self._slots: dict[str, asyncio.Semaphore] = defaultdict(partial(asyncio.Semaphore, _AT_ONCE))

    async def find(self, request: BuildRequest) -> FoundCommit:
        """The commit that a channel's `ref` means. A commit is returned without a request.

        Raises:
            UserError: there is no such ref or repository, it may not be read, or the Secret can't be used.
            GitAwayError: the host can't answer now.
            KubeError: the API server refused or is unavailable.
        """
        if COMMIT.fullmatch(request.ref):
            return FoundCommit(request.ref, "")
        login = await self._login(request)
        look = partial(look_up, request.url, request.ref, login, self._settings)
        async with self._away.asking(request.namespace, request.url.host, git_timeout):
            return await self._in_thread(request.namespace, look)

    async def _in_thread(self, namespace: str, look: Callable[[], FoundCommit]) -> FoundCommit:
        """Run a look-up in a thread of a namespace. The thread is free again when the look-up has really ended."""
        slot = self._slots[namespace]
        await slot.acquire()
        running = asyncio.get_running_loop().run_in_executor(self._threads, look)
        running.add_done_callback(partial(_released, slot))
        return await asyncio.shield(running)

    async def _login(self, request: BuildRequest) -> HttpsLogin | SshLogin | None:
        name = request.secret
        if name is None:
            return read_login(request.url, {}, "the channel's `secretRef`")
        secret = await find_secret(self._kube, request.namespace, name)
        if secret is None:
            raise UserError(
                f"Secret `{name}` with the login for `{request.url.text}` does not exist", Reason.SECRET_NOT_FOUND
            )
        content = {key: base64.b64decode(value) for key, value in (secret.get("data") or {}).items()}
        return read_login(request.url, content, f"Secret `{name}`")


def _released(slot: asyncio.Semaphore, ended: asyncio.Future[FoundCommit]) -> None:
    """Free the thread of a look-up that has ended, and take note of its error: nobody may wait for it any more."""
    slot.release()
    if not ended.cancelled():
        ended.exception()
