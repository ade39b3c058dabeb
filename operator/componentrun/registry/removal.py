"""Deletes images from a repository, with a login that may do so. The operator never does.

An image is deleted by its digest, and with it all tags that point to it: not all registries can delete single tags.

https://github.com/opencontainers/distribution-spec (end-9)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

from componentrun.core.images import problems
from componentrun.registry import errors
from componentrun.registry.authorized import AuthorizedExchange, refusal_of

if TYPE_CHECKING:
    from componentrun.core.images.pullsecrets import Login
    from componentrun.core.images.reference import Repository
    from componentrun.registry.exchange import Answer
    from componentrun.registry.settings import RegistrySettings

__all__ = ["RegistryRemover"]

_DELETED: Final = frozenset({200, 202, 204})
_NOT_FOUND: Final = 404
_FORBIDDEN: Final = 403
_NOT_ALLOWED: Final = 405
_NOT_IMPLEMENTED: Final = 501
_UNSUPPORTED: Final = b'"UNSUPPORTED"'
_ANSWER_BYTES: Final = 2**20


class RegistryRemover:
    """Deletes images. Close it to free its connections."""

    def __init__(self, settings: RegistrySettings) -> None:
        """Nothing is sent yet."""
        self._exchange = AuthorizedExchange(settings, "pull,delete")

    async def __aenter__(self) -> Self:
        """Return itself."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all connections."""
        await self._exchange.close()

    async def delete(self, repository: Repository, digest: str, login: Login | None, known: str = "") -> bool:
        """Delete an image and the tags that point to it.

        Args:
            repository: the repository.
            digest: digest of the image.
            login: user name and password; None: the registry must accept this from everybody.
            known: what is known about places without a login for it, for messages.

        Returns:
            False if there was no such image.

        Raises:
            RegistryAwayError: the registry can't answer now.
            ImageError: the login may not delete, or the registry does not delete images.
        """
        what = f"the deletion of `{repository.at(digest)}`"
        answer = await self._exchange.send(
            "DELETE", repository, login, f"manifests/{digest}", {}, what=what, limit=_ANSWER_BYTES
        )
        if answer.status in _DELETED:
            return True
        if answer.status == _NOT_FOUND:
            return False
        raise self._refused(answer, repository, login, known)

    def _refused(self, answer: Answer, repository: Repository, login: Login | None, known: str) -> errors.ImageError:
        if answer.status in {_NOT_ALLOWED, _NOT_IMPLEMENTED} or _UNSUPPORTED in answer.body:
            return errors.image_error(problems.deletes_nothing(repository.host, answer.status))
        if answer.status == _FORBIDDEN and login is not None:
            return errors.image_error(problems.delete_denied(repository.name, f"Secret `{login.secret}`"))
        refusal = refusal_of(answer, repository, login, known)
        if refusal is not None and refusal.problem is errors.Problem.ACCESS_DENIED and login is not None:
            # The token service has issued a token without the right to delete.
            return errors.image_error(problems.delete_denied(repository.name, f"Secret `{login.secret}`"))
        return refusal or errors.not_a_registry(repository.host, f"it answered {answer.status} to a deletion")
