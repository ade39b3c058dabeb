"""What can go wrong at a registry: one sentence for each cause.

Each error has a `Problem`, which is finer than the `Reason` of a run: the kubelet reports several of these causes with
one reason, and a run should not end with another reason because the operator found the cause earlier. Sentences that
the kubelet's messages lead to as well are in `core.images.problems`.
"""

from __future__ import annotations

from urllib.parse import urlsplit

from componentrun.core.images import problems
from componentrun.core.images.problems import ImageProblem, Problem
from componentrun.errors import ComponentRunError, Reason, TransientError, UserError

__all__ = [
    "ImageError",
    "Problem",
    "RegistryAwayError",
    "RegistryError",
    "away",
    "dishonest",
    "image_error",
    "no_version",
    "not_a_registry",
    "rate_limited",
    "redirected_to_login",
    "too_large",
    "too_many_tags",
    "untrusted",
]


class RegistryError(ComponentRunError):
    """Base of both kinds of errors."""

    problem: Problem


class ImageError(RegistryError, UserError):
    """The image can't be used. Trying again changes nothing."""

    def __init__(self, problem: Problem, summary: str, advice: str) -> None:
        """`problem` is the cause."""
        super().__init__(summary, Reason.IMAGE_PULL_FAILED, advice=advice)
        self.problem = problem


class RegistryAwayError(RegistryError, TransientError):
    """The registry does not serve the request now; a later one may succeed."""

    def __init__(self, problem: Problem, summary: str, advice: str, retry_after: float = 0.0) -> None:
        """`retry_after`: seconds that the registry asks to wait."""
        super().__init__(summary, Reason.REGISTRY_UNAVAILABLE, advice=advice)
        self.problem = problem
        self.retry_after = retry_after


def no_version(repository: str, versions: str, tags: int) -> ImageError:
    """No tag of the repository is a version of the range."""
    return ImageError(
        Problem.NO_SUCH_TAG,
        f"none of the {tags} tags of repository `{repository}` is a version in the range `{versions}`",
        "Push a version, or correct `semver` of the channel.",
    )


def redirected_to_login(host: str, target: str) -> ImageError:
    """The registry redirects to another origin, which wants a login. It does not get the one for the registry."""
    return not_a_registry(host, f"it redirects to `{urlsplit(target).netloc}`, which wants a login of its own")


def not_a_registry(host: str, found: str) -> ImageError:
    """Something else than a registry answers at this address."""
    return ImageError(
        Problem.NOT_A_REGISTRY,
        f"`{host}` did not answer like a registry: {found}",
        "Check the host in the name of the image, and whether a proxy or a login page answers in its place.",
    )


def dishonest(image: str, expected: str, found: str) -> ImageError:
    """The content does not have the digest that was asked for, or announced."""
    return ImageError(
        Problem.WRONG_DIGEST,
        f"the registry delivered other content than announced for `{image}`: expected {expected}, found {found}",
        "Ask the people who run the registry to check its storage, and any cache in front of it.",
    )


def too_large(host: str, what: str, limit: int) -> ImageError:
    """The answer exceeds its limit."""
    return ImageError(
        Problem.TOO_LARGE,
        f"`{host}` sent more than {limit} bytes as {what}",
        "Check whether the name is that of an image.",
    )


def too_many_tags(repository: str, limit: int) -> ImageError:
    """The repository has more tags than are looked through."""
    return ImageError(
        Problem.TOO_LARGE,
        f"repository `{repository}` has more than {limit} tags, too many to find the highest version",
        "Delete old tags, or use `tag` instead of `semver` in the channel.",
    )


def away(host: str, why: str) -> RegistryAwayError:
    """The registry does not respond, or reports an error of its own."""
    return _away_error(problems.away(host, why, "the operator"))


def untrusted(host: str, why: str) -> RegistryAwayError:
    """There is no trusted TLS connection to the registry."""
    return RegistryAwayError(
        Problem.UNTRUSTED,
        f"there is no trusted connection to registry `{host}`: {why}",
        "Add its certificate authority to the chart's `operator.registries.caBundle`.",
    )


def rate_limited(host: str, retry_after: float) -> RegistryAwayError:
    """The registry refuses requests because there were too many."""
    return _away_error(problems.rate_limited(host, retry_after), retry_after)


def image_error(found: ImageProblem) -> ImageError:
    """The error of a cause that a kubelet may find as well."""
    return ImageError(found.problem, found.summary, found.advice)


def _away_error(found: ImageProblem, retry_after: float = 0.0) -> RegistryAwayError:
    return RegistryAwayError(found.problem, found.summary, found.advice, retry_after)
