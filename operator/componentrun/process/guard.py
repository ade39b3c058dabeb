"""Who may ask a server: some service accounts, by tokens that were made for this purpose.

The API server says whose token it is (TokenReview). What it said holds for a minute. Strangers ask in a line of their
own and a short one, so that many of them neither burden the API server nor delay those who may ask.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from componentrun.errors import TransientError
from componentrun.process.kubernetes.resources import TOKEN_REVIEWS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from componentrun.process.kubernetes.client import Kube

__all__ = ["BusyError", "Guard"]

_HOLDS: Final = 60.0
_MOST_KNOWN: Final = 256
_MOST_STRANGERS: Final = 8
_LONGEST_TOKEN: Final = 8192
_SCHEME: Final = "Bearer "


class BusyError(TransientError):
    """Too many strangers ask at the same time."""


class Guard:
    """Knows some users by their tokens."""

    def __init__(
        self, kube: Kube, users: Collection[str], audience: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Let in whoever shows a token of one of these users for this audience."""
        self._kube, self._users, self._audience, self._clock = kube, frozenset(users), audience, clock
        self._known: OrderedDict[bytes, tuple[bool, float]] = OrderedDict()
        """Digest of a token: whether it is one of the users', and when that was asked."""
        self._renewals, self._strangers = asyncio.Lock(), asyncio.Lock()
        self._waiting = 0

    async def admits(self, authorization: str) -> bool:
        """Whether this header shows a token of one of the users.

        Raises:
            BusyError: see there.
            KubeError: the API server can't say.
        """
        token = authorization.removeprefix(_SCHEME).strip()
        if not token or not authorization.startswith(_SCHEME) or len(token) > _LONGEST_TOKEN:
            return False
        digest = hashlib.sha256(token.encode()).digest()
        known = self._fresh(digest)
        if known is not None:
            return known
        if self._known.get(digest, (False, 0.0))[0]:
            async with self._renewals:
                return await self._ask_once(token, digest)
        if self._waiting >= _MOST_STRANGERS:
            raise BusyError("too many unknown tokens are shown at the same time; try again later")
        self._waiting += 1
        try:
            async with self._strangers:
                return await self._ask_once(token, digest)
        finally:
            self._waiting -= 1

    async def _ask_once(self, token: str, digest: bytes) -> bool:
        known = self._fresh(digest)  # somebody else may have asked meanwhile
        if known is not None:
            return known
        said = await self._ask(token)
        self._known[digest] = (said, self._clock())
        self._known.move_to_end(digest)
        while len(self._known) > _MOST_KNOWN:
            # The users' go last: without them they would stand in the strangers' line.
            strangers = (known for known, (is_users, _) in self._known.items() if not is_users)
            del self._known[next(strangers, next(iter(self._known)))]
        return said

    def _fresh(self, digest: bytes) -> bool | None:
        said, asked_at = self._known.get(digest, (False, float("-inf")))
        return said if self._clock() - asked_at <= _HOLDS else None

    async def _ask(self, token: str) -> bool:
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [self._audience]},
        }
        review = await self._kube.request("POST", TOKEN_REVIEWS.path(None), body=body)
        status = review.get("status") or {}
        return (
            bool(status.get("authenticated"))
            and self._audience in (status.get("audiences") or ())
            and (status.get("user") or {}).get("username") in self._users
        )
