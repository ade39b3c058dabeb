"""Tokens of registries that refer to a token service (`WWW-Authenticate: Bearer`).

https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode, urlsplit

from componentrun.core.images import problems
from componentrun.registry import errors
from componentrun.registry.origin import origin

if TYPE_CHECKING:
    from componentrun.core.images.pullsecrets import Login
    from componentrun.core.images.reference import Repository
    from componentrun.registry.challenge import Challenge
    from componentrun.registry.exchange import Exchange

__all__ = ["basic", "fetch_token"]

_OK: Final = 200
_REFUSED: Final = frozenset({400, 401, 403})
_LIMIT: Final = 256 * 1024
_SHORTEST_SECONDS: Final = 60.0
"""Validity of a token that names none, as the specification says."""
_LONGEST_SECONDS: Final = 3600.0
_TOKEN_CHARACTERS: Final = frozenset(map(chr, range(0x21, 0x7F)))


def basic(login: Login) -> str:
    """Value of Authorization for Basic authentication."""
    return f"Basic {base64.b64encode(f'{login.username}:{login.password}'.encode()).decode()}"


async def fetch_token(
    exchange: Exchange,
    challenge: Challenge,
    repository: Repository,
    registry: str,
    login: Login | None,
    actions: str = "pull",
    mounted: Repository | None = None,
) -> tuple[str, float]:
    """Request a token for a repository.

    The login goes to the service that the registry names, as the protocol requires, but not over plain HTTP, unless
    the settings allow that for the service's host.

    Args:
        exchange: sends the request.
        challenge: what the registry answered.
        repository: the repository.
        registry: URL of the registry.
        login: user name and password; None: an anonymous token.
        actions: what the token is for: `pull`, or `pull,push`.
        mounted: another repository of the registry that the token is to read.

    Returns:
        The value of Authorization, and for how many seconds it is valid.

    Raises:
        RegistryAwayError: the token service does not respond.
        ImageError: it refuses the login, or the registry names no usable service.
    """
    realm = challenge.parameters.get("realm", "")
    host = urlsplit(registry).netloc
    parts = urlsplit(realm) if realm.startswith(("https://", "http://")) else None
    if parts is None or not parts.hostname or "@" in parts.netloc:
        raise errors.not_a_registry(host, "it refers to a token service without a usable address")
    if parts.scheme != exchange.scheme(parts.netloc) and parts.scheme == "http":
        raise errors.not_a_registry(host, f"it refers to a token service at `{parts.netloc}` over plain HTTP")
    query = [(name, challenge.parameters[name]) for name in ("service",) if name in challenge.parameters]
    # The registry's own scope would let it ask for more than these actions on this repository.
    query.append(("scope", f"repository:{repository.path}:{actions}"))
    if mounted is not None:
        query.append(("scope", f"repository:{mounted.path}:pull"))
    url = parts._replace(query="&".join(filter(None, [parts.query, urlencode(query)])), fragment="").geturl()
    answer = await exchange.send(
        "GET", url, {"Accept": "application/json"}, what="a token", limit=_LIMIT,
        authorization=basic(login) if login is not None else "",
    )  # fmt: skip
    if answer.origin != origin(url):
        raise errors.not_a_registry(parts.netloc, "the token service redirects to another host")
    if answer.status in _REFUSED:
        if login is None:
            raise errors.image_error(problems.no_password(repository.name, ""))
        raise errors.image_error(problems.wrong_password(repository.name, f"Secret `{login.secret}`"))
    return _token(answer.status, answer.body, parts.netloc)


def _token(status: int, body: bytes, host: str) -> tuple[str, float]:
    try:
        content = json.loads(body) if status == _OK else {}
        token = content.get("token") or content.get("access_token")
        seconds = float(content.get("expires_in") or 0)
    except (ValueError, AttributeError, TypeError, RecursionError):
        token, seconds = None, 0.0
    if not isinstance(token, str) or not token or not _TOKEN_CHARACTERS.issuperset(token):
        raise errors.not_a_registry(host, f"the token service answered {status} without a token")
    return f"Bearer {token}", min(max(seconds, _SHORTEST_SECONDS), _LONGEST_SECONDS)
