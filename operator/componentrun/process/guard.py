"""Authentication of callers: certain service accounts, by tokens for this audience.

The API server reviews tokens (TokenReview); a result is cached for a minute. Reviews of unknown tokens have a short
queue of their own, so that many of them neither load the API server nor delay known callers. Requests that show the
same token share one review, so a restarted process refuses no user for sending many requests at once.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter, OrderedDict
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
    """Too many unknown tokens are under review."""


class Guard:
    """Recognises some users by their tokens."""

    def __init__(
        self, kube: Kube, users: Collection[str], audience: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Admit these users by tokens for this audience."""
        self._kube, self._users, self._audience, self._clock = kube, frozenset(users), audience, clock
        self._known: OrderedDict[bytes, tuple[bool, float]] = OrderedDict()
        """By digest of a token: whether it belongs to one of the users, and when it was reviewed."""
        self._renewals, self._strangers = asyncio.Lock(), asyncio.Lock()
        self._waiting: Counter[bytes] = Counter()
        """By digest of an unknown token: requests that wait for its review."""

    async def admits(self, authorization: str) -> bool:
        """Whether this header has a token of one of the users.

        Raises:
            BusyError: too many unknown tokens are under review.
            KubeError: the token can't be reviewed.
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
        if digest not in self._waiting and len(self._waiting) >= _MOST_STRANGERS:
            raise BusyError("too many unknown tokens are shown at the same time; try again later")
        self._waiting[digest] += 1
        try:
            async with self._strangers:
                return await self._ask_once(token, digest)
        finally:
            self._waiting[digest] -= 1
            if not self._waiting[digest]:
                del self._waiting[digest]

    async def _ask_once(self, token: str, digest: bytes) -> bool:
        known = self._fresh(digest)  # another caller may have reviewed it in the meantime
        if known is not None:
            return known
        is_users_token = await self._ask(token)
        self._known[digest] = (is_users_token, self._clock())
        self._known.move_to_end(digest)
        while len(self._known) > _MOST_KNOWN:
            # Keep the users' tokens longest: without them, users would share the queue of unknown tokens.
            strangers = (known for known, (is_users, _) in self._known.items() if not is_users)
            del self._known[next(strangers, next(iter(self._known)))]
        return is_users_token

    def _fresh(self, digest: bytes) -> bool | None:
        is_users_token, asked_at = self._known.get(digest, (False, float("-inf")))
        return is_users_token if self._clock() - asked_at <= _HOLDS else None

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
