"""Why a kubelet could not pull an image, from what it reports of its container runtime.

The messages are those of containerd, Docker and CRI-O. Where one says which cause it was, the sentence is the one that
the operator gives when it asks the registry itself (`core.images.problems`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from componentrun.core.images import problems
from componentrun.core.request.image import split_tag

if TYPE_CHECKING:
    from collections.abc import Callable

    from componentrun.core.images.problems import ImageProblem

__all__ = ["OTHER_MACHINES", "is_outage", "is_refusal", "outage", "refusal"]

OTHER_MACHINES: Final = re.compile(
    r"no match for platform|no matching manifest|no image found in [a-z ]+ for architecture", re.IGNORECASE
)
"""Errors about an image that exists for other architectures only."""
_WILL_NOT_CHANGE: Final = re.compile(
    r"not found|denied|unauthori[sz]ed|authentication required|authorization failed|insufficient_scope|forbidden"
    rf"|manifest unknown|name unknown|does not exist|{OTHER_MACHINES.pattern}",
    re.IGNORECASE,
)
"""Answers of a registry that a retry does not change."""
_AWAY: Final = re.compile(
    r"i/o timeout|timed? ?out|deadline exceeded|connection (refused|reset)|no such host|unreachable|no route to host"
    r"|server misbehaving|\bEOF\b|too ?many ?requests|\b(408|429|50[0234]|52[0-4])\b|Service Unavailable|Bad Gateway"
    r"|RegistryUnavailable|TLS handshake timeout|context canceled|code = Unavailable|QPS exceeded",
    re.IGNORECASE,
)
"""Messages about a registry that does not respond, and about a node that sends too many requests."""
_TOO_MANY_REQUESTS: Final = re.compile(r"too ?many ?requests|\b429\b", re.IGNORECASE)
_NO_ANSWER: Final = re.compile(
    r"i/o timeout|TLS handshake timeout|connection (?:refused|reset)|no such host|no route to host"
    r"|network is unreachable|\b50[0234] [A-Z][A-Za-z ]+[a-z]",
    re.IGNORECASE,
)
"""Words of the network, or a status of the registry, that say by themselves what happened."""


def _repository(image: str) -> str:
    return split_tag(image.partition("@")[0])[0]


def _missing(image: str) -> ImageProblem:
    name, at, digest = image.partition("@")
    return problems.no_such_tag_or_repository(_repository(image), digest if at else split_tag(name)[1] or "latest")


_REFUSALS: Final[tuple[tuple[re.Pattern[str], Callable[[str], ImageProblem]], ...]] = (
    (OTHER_MACHINES, problems.wrong_node),
    (re.compile(r"name unknown", re.IGNORECASE), lambda image: problems.no_such_repository(_repository(image))),
    (re.compile(r": not found|manifest unknown", re.IGNORECASE), _missing),
    (
        re.compile(r"no basic auth credentials|failed to fetch anonymous token", re.IGNORECASE),
        lambda image: problems.no_password(_repository(image)),
    ),
    (
        # A registry that refuses the login, a token service that does, and Docker Hub.
        re.compile(r"401 Unauthorized|failed to fetch oauth token.* 40[03] |incorrect username or password"),
        lambda image: problems.wrong_password(_repository(image), "the pull secrets"),
    ),
    (
        re.compile(r"insufficient_scope|access denied|access to the resource is denied|403 Forbidden", re.IGNORECASE),
        lambda image: problems.no_access(_repository(image)),
    ),
)
"""What a message says about an image that is refused; the first match applies.

The kubelet tries each login, and joins what the registry said to each. A registry says that an image is missing only
to a login that it accepts, so that comes before refused logins.
"""


def is_refusal(message: str) -> bool:
    """Whether the registry refuses the image, so that a retry changes nothing."""
    return _WILL_NOT_CHANGE.search(message) is not None


def is_outage(message: str) -> bool:
    """Whether the registry does not respond. Call `is_refusal` first."""
    return _AWAY.search(message) is not None


def refusal(image: str, message: str) -> ImageProblem | None:
    """Why the image is refused; None if the message does not say it clearly.

    Args:
        image: the image, as the container names it; empty: unknown.
        message: the kubelet's message.
    """
    if not image:
        return None
    words = message.replace(image, "")
    return next((problem(image) for pattern, problem in _REFUSALS if pattern.search(words)), None)


def outage(image: str, message: str) -> ImageProblem | None:
    """Why the registry does not give the image now; None if the message does not say it clearly."""
    host = image.partition("/")[0]
    if not host:
        return None
    words = message.replace(image, "")
    if _TOO_MANY_REQUESTS.search(words):
        return problems.rate_limited(host)
    why = _NO_ANSWER.search(words)
    return problems.away(host, why[0], "the nodes") if why else None
