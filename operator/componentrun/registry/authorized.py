"""Requests to registries with a login: by Basic, or by a token of the service that the registry refers to."""

from __future__ import annotations

import time
from collections import OrderedDict
from typing import IO, TYPE_CHECKING, Final, Self
from urllib.parse import urljoin

from componentrun.core.images import problems
from componentrun.core.images.reference import DOCKER_HUB
from componentrun.registry import errors
from componentrun.registry.challenge import choose_challenge
from componentrun.registry.exchange import Answer, Exchange
from componentrun.registry.origin import origin
from componentrun.registry.tokens import basic, fetch_token

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from componentrun.core.images.pullsecrets import Login
    from componentrun.core.images.reference import Repository
    from componentrun.registry.exchange import Content
    from componentrun.registry.settings import RegistrySettings

__all__ = ["AuthorizedExchange", "refusal_of"]

_API_HOSTS: Final = {DOCKER_HUB: "registry-1.docker.io"}
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_MOST_REMEMBERED: Final = 1024
_SPARE_SECONDS: Final = 10.0
"""A token is not used for the last seconds of its validity."""


class AuthorizedExchange:
    """Sends requests to repositories, and logs in when a registry wants it. Close it to free its connections.

    What a registry accepted is remembered for each repository and login, so that one tenant's token is never used for
    another tenant.
    """

    def __init__(
        self,
        settings: RegistrySettings,
        actions: str = "pull",
        ticks: Callable[[], float] = time.monotonic,
        mounted: Repository | None = None,
    ) -> None:
        """Nothing is sent yet.

        Args:
            settings: how to reach registries.
            actions: what tokens are for, `pull` or `pull,push`.
            ticks: returns the time in seconds.
            mounted: another repository of the same registry, which tokens may read as well.
        """
        self._mounted = mounted
        self._exchange = Exchange(settings)
        self._actions = actions
        self._ticks = ticks
        self._remembered: OrderedDict[tuple[Repository, Login | None], tuple[str, float]] = OrderedDict()
        """What a registry accepted as Authorization, and until when it may be used."""

    async def close(self) -> None:
        """Close all connections."""
        await self._exchange.close()

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections."""
        await self.close()

    def base(self, repository: Repository) -> str:
        """URL below which the API of a repository is."""
        return f"{self._registry(repository)}v2/{repository.path}/"

    async def send(
        self,
        method: str,
        repository: Repository,
        login: Login | None,
        path: str,
        headers: Mapping[str, str],
        *,
        what: str,
        limit: int,
        data: Content | None = None,
        sink: IO[bytes] | None = None,
    ) -> Answer:
        """Send a request; if the registry wants another Authorization than before, once more.

        Args:
            method: see `Exchange.send`.
            repository: the repository.
            login: user name and password; None: none.
            path: path below the API of the repository, or a URL of its registry.
            headers: see `Exchange.send`.
            what: see `Exchange.send`.
            limit: see `Exchange.send`.
            data: see `Exchange.send`.
            sink: see `Exchange.send`.

        Returns:
            The response. Its status may be 401 or 403, if the login is refused; see `refusal_of`.

        Raises:
            RegistryAwayError: the registry can't answer now.
            ImageError: its token service refuses the login, or it answers unlike a registry.
        """
        url = urljoin(self.base(repository), path)
        known = self._authorization(repository, login)
        answer = await self._exchange.send(
            method, url, headers, what=what, limit=limit, authorization=known, data=data, sink=sink
        )
        if answer.status != _UNAUTHORIZED:
            return answer
        if answer.origin != origin(url):
            raise errors.redirected_to_login(_host(repository), answer.origin)
        self._remembered.pop((repository, login), None)
        value, seconds = await self._log_in(repository, login, answer, is_known=bool(known))
        if not value:
            return answer
        answer = await self._exchange.send(
            method, url, headers, what=what, limit=limit, authorization=value, data=data, sink=sink
        )
        if answer.status not in {_UNAUTHORIZED, _FORBIDDEN}:
            self._remember(repository, login, value, seconds)
        return answer

    async def _log_in(
        self, repository: Repository, login: Login | None, answer: Answer, *, is_known: bool
    ) -> tuple[str, float]:
        """The Authorization that the registry asks for, and its validity in seconds; empty if there is none to try."""
        challenge = choose_challenge(answer.challenges)
        if challenge is not None and challenge.scheme == "bearer":
            registry = self._registry(repository)
            return await fetch_token(
                self._exchange, challenge, repository, registry, login, self._actions, self._mounted
            )
        if challenge is not None and login is not None and not is_known:
            return basic(login), float("inf")
        return "", 0.0

    def _registry(self, repository: Repository) -> str:
        return f"{self._exchange.scheme(repository.host)}://{_host(repository)}/"

    def _authorization(self, repository: Repository, login: Login | None) -> str:
        value, until = self._remembered.get((repository, login), ("", 0.0))
        return value if self._ticks() < until else ""

    def _remember(self, repository: Repository, login: Login | None, value: str, seconds: float) -> None:
        self._remembered[repository, login] = value, self._ticks() + seconds - _SPARE_SECONDS
        self._remembered.move_to_end((repository, login))
        if len(self._remembered) > _MOST_REMEMBERED:
            self._remembered.popitem(last=False)


def refusal_of(
    answer: Answer, repository: Repository, login: Login | None, known: str = "", *, is_push: bool = False
) -> errors.ImageError | None:
    """Why a request was refused; None if it was not.

    Args:
        answer: the response.
        repository: the repository.
        login: what was tried; None: nothing.
        known: what is known about pull secrets without a login for it.
        is_push: the request was part of an upload.
    """
    if answer.status not in {_UNAUTHORIZED, _FORBIDDEN}:
        return None
    if login is None:
        return errors.image_error(problems.no_password(repository.name, known))
    challenge = choose_challenge(answer.challenges)
    is_login_valid = answer.status == _FORBIDDEN or (challenge is not None and challenge.scheme == "bearer")
    denied = problems.push_denied if is_push else problems.access_denied
    refused = denied if is_login_valid else problems.wrong_password
    return errors.image_error(refused(repository.name, f"Secret `{login.secret}`"))


def _host(repository: Repository) -> str:
    return _API_HOSTS.get(repository.host, repository.host)
