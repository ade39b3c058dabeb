"""The operator's client at a fake API server that reviews tokens, for tests of what `process.guard` guards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.fakekube.inprocess import InProcessKube
from tests.fakekube.server import ApiServer

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Mapping

    from componentrun.process.kubernetes.errors import KubeError


def granted(user: str, *audiences: str) -> dict[str, Any]:
    """Status of the review of a valid token."""
    return {"authenticated": True, "audiences": list(audiences), "user": {"username": user}}


class Reviewer(InProcessKube):
    """Reviews tokens for one audience.

    Attributes:
        tokens: statuses of reviews by token; any other token is invalid.
        asked: the tokens of all requests.
        error: what requests fail with.
        hold: requests wait for this event.
    """

    def __init__(self, audience: str, users: Mapping[str, str]) -> None:
        """`users`: user names by their valid tokens."""
        super().__init__(ApiServer())
        self._audience = audience
        self.tokens = self.server.reviews
        self.tokens |= {token: granted(user, audience) for token, user in users.items()}
        self.asked: list[str] = []
        self.error: KubeError | None = None
        self.hold: asyncio.Event | None = None

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Mapping[str, Any] | None = None,
        kind: str = "application/json",
    ) -> dict[str, Any]:
        assert body is not None
        assert body["spec"]["audiences"] == [self._audience]
        self.asked.append(body["spec"]["token"])
        if self.hold is not None:
            await self.hold.wait()
        if self.error is not None:
            raise self.error
        return await super().request(method, path, query=query, body=body, kind=kind)
