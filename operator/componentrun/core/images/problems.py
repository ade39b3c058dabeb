"""What can be wrong with an image: one sentence for each cause, whoever finds it.

The operator finds a cause when it asks the registry, the kubelet when it pulls. A run says the same in both cases, as
far as the kubelet's message distinguishes the causes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = [
    "ImageProblem",
    "Problem",
    "access_denied",
    "away",
    "delete_denied",
    "deletes_nothing",
    "no_access",
    "no_password",
    "no_such_repository",
    "no_such_tag",
    "no_such_tag_or_repository",
    "push_denied",
    "rate_limited",
    "wrong_architecture",
    "wrong_node",
    "wrong_password",
]


class Problem(StrEnum):
    """Cause of an error. It is finer than the reason of a run, which does not depend on who found the cause."""

    NO_PASSWORD = "NoPassword"  # noqa: S105 - a word, not a password
    WRONG_PASSWORD = "WrongPassword"  # noqa: S105 - likewise
    ACCESS_DENIED = "AccessDenied"
    DELETES_NOTHING = "DeletesNothing"
    NO_SUCH_TAG = "NoSuchTag"
    NO_SUCH_REPOSITORY = "NoSuchRepository"
    NOT_A_REGISTRY = "NotARegistry"
    WRONG_DIGEST = "WrongDigest"
    TOO_LARGE = "TooLarge"
    AWAY = "RegistryAway"
    UNTRUSTED = "UntrustedCertificate"
    RATE_LIMITED = "RateLimited"
    WRONG_ARCHITECTURE = "WrongArchitecture"


@dataclass(frozen=True, slots=True)
class ImageProblem:
    """A cause with its sentence."""

    problem: Problem
    summary: str
    """What was found, and what was expected, without a full stop."""
    advice: str
    """What to do, in whole sentences."""


def no_password(repository: str, known: str = "") -> ImageProblem:
    """The registry wants a login, and no pull secret has one for it.

    Args:
        repository: name of the repository.
        known: what is known about the pull secrets; empty: there are none, or nothing is known.
    """
    found = f" ({known})" if known else ""
    return ImageProblem(
        Problem.NO_PASSWORD,
        f"the registry wants a login for `{repository}`, and no pull secret has one{found}",
        "Name a Secret with a login for this registry in `imagePullSecrets`, and check the name of the image: many "
        "registries answer the same for repositories that do not exist.",
    )


def wrong_password(repository: str, secrets: str) -> ImageProblem:
    """The registry, or its token service, refuses the login of these secrets."""
    return ImageProblem(
        Problem.WRONG_PASSWORD,
        f"the registry refuses the user name or password for `{repository}` from {secrets}",
        "Correct the login in the Secret.",
    )


def push_denied(repository: str, secrets: str) -> ImageProblem:
    """The login of these secrets is valid, and may not upload to this repository."""
    return ImageProblem(
        Problem.ACCESS_DENIED,
        f"the login from {secrets} may not push to `{repository}`",
        "Check the name, and have the registry allow this account to push.",
    )


def delete_denied(repository: str, secrets: str) -> ImageProblem:
    """The login of these secrets is valid, and may not delete from this repository."""
    return ImageProblem(
        Problem.ACCESS_DENIED,
        f"the login from {secrets} may not delete images of `{repository}`",
        "Use an account that may: have the registry allow it, or pass `--secret NAMESPACE/NAME`.",
    )


def deletes_nothing(host: str, status: int) -> ImageProblem:
    """The registry does not offer deletion over its API."""
    return ImageProblem(
        Problem.DELETES_NOTHING,
        f"registry `{host}` does not delete images over its API: it answered {status}",
        "Enable that in the registry (`storage.delete.enabled` of the Docker registry), or use its own retention.",
    )


def access_denied(repository: str, secrets: str) -> ImageProblem:
    """The login of these secrets is valid, and does not suffice for this repository."""
    return ImageProblem(
        Problem.ACCESS_DENIED,
        f"the login from {secrets} may not read `{repository}`, or there is no such repository",
        "Check the name, and have the registry allow this account to read it.",
    )


def no_access(repository: str) -> ImageProblem:
    """The kubelet does not say whether there is no login, or one that does not suffice."""
    return ImageProblem(
        Problem.ACCESS_DENIED,
        f"the pull secrets have no login that may read `{repository}`, or there is no such repository",
        "Check the name, name a Secret with a login for this registry in `imagePullSecrets`, and have the registry "
        "allow this account to read the repository.",
    )


def no_such_tag(repository: str, tag: str) -> ImageProblem:
    """The repository exists, and has no such tag or digest."""
    what = _kind(tag)
    return ImageProblem(
        Problem.NO_SUCH_TAG, f"repository `{repository}` has no {what} `{tag}`", f"Push it, or correct the {what}."
    )


def no_such_repository(repository: str) -> ImageProblem:
    """The registry has no such repository."""
    return ImageProblem(
        Problem.NO_SUCH_REPOSITORY,
        f"the registry has no repository `{repository}`",
        "Push the image, or correct its name.",
    )


def no_such_tag_or_repository(repository: str, tag: str) -> ImageProblem:
    """The kubelet does not distinguish the two."""
    what = _kind(tag)
    return ImageProblem(
        Problem.NO_SUCH_TAG,
        f"repository `{repository}` has no {what} `{tag}`, or there is no such repository",
        f"Push the image, or correct its name or {what}.",
    )


def away(host: str, why: str, who: str) -> ImageProblem:
    """The registry does not respond, or reports an error of its own. `who` must be able to reach it."""
    return ImageProblem(
        Problem.AWAY, f"registry `{host}` does not respond: {why}", f"Check whether {who} can reach it."
    )


def rate_limited(host: str, retry_after: float = 0.0) -> ImageProblem:
    """The registry refuses requests because there were too many. `retry_after`: seconds that it asks to wait."""
    wait = f"; it asks to wait {retry_after:.0f} s" if retry_after else ""
    return ImageProblem(
        Problem.RATE_LIMITED,
        f"registry `{host}` refuses more requests for now (429){wait}",
        "Log in with a pull secret, which usually raises the limit, or use a mirror.",
    )


def wrong_architecture(image: str, there: str, wanted: str) -> ImageProblem:
    """The image exists for other platforms only."""
    return ImageProblem(
        Problem.WRONG_ARCHITECTURE, f"image `{image}` exists for {there}, and the run needs {wanted}", _BUILD
    )


def wrong_node(image: str) -> ImageProblem:
    """The image does not exist for the platform of the node, and nothing more is known."""
    return ImageProblem(
        Problem.WRONG_ARCHITECTURE, f"image `{image}` does not exist for the node's architecture", _BUILD
    )


_BUILD = "Build the image for this architecture, or choose other nodes by `podTemplate.nodeSelector`."


def _kind(tag: str) -> str:
    return "digest" if ":" in tag else "tag"
