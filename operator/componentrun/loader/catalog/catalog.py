"""The border to an Iceberg REST catalog. All methods raise only errors of `componentrun.errors`.

Requests are sent by PyIceberg's client, but for commits: what became of a commit must be known for certain, or be known
not to be known.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import requests
from pyiceberg.exceptions import (
    ForbiddenError,
    NamespaceAlreadyExistsError,
    NamespaceNotEmptyError,
    NoSuchNamespaceError,
    NoSuchTableError,
    OAuthError,
    RESTError,
    TableAlreadyExistsError,
    UnauthorizedError,
)

from componentrun.errors import ComponentRunError, PlatformError, Reason, TransientError, UnknownOutcomeError
from componentrun.loader.catalog.client import PatientCatalog, client_properties
from componentrun.loader.catalog.fileio import Clients
from componentrun.loader.catalog.properties import STATE
from componentrun.loader.catalog.quoting import quotable, told_by
from componentrun.loader.catalog.transport import AnswerTooLargeError
from componentrun.storage.store.places import catalog_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pyiceberg.schema import Schema
    from pyiceberg.table import Table
    from pyiceberg.table.update import TableRequirement, TableUpdate

    from componentrun.loader.catalog.names import IcebergName
    from componentrun.storage.store.settings import StoreSettings, StoreTimeouts

__all__ = [
    "Catalog",
    "CatalogAwayError",
    "CommitUnknownError",
    "ConflictError",
    "Limits",
    "NonAtomicError",
    "TableChange",
]

_ANSWER_SECONDS: Final = 20.0
_COMMIT_SECONDS: Final = 60.0
"""A commit is waited for longer: nobody knows what became of one that was not answered."""
_DONE: Final = frozenset({200, 201, 202, 204})
_CONFLICT: Final = 409
_TOKEN_ENDED: Final = frozenset({401, 419})
_NOT_FOUND: Final = 404
_LATER: Final = frozenset({408, 425, 429})
_REFUSED: Final = frozenset({401, 403, 419})
_NOT_OFFERED: Final = frozenset({404, 405, 501})
_SERVER_ERRORS: Final = 500


class ConflictError(TransientError):
    """Somebody else has changed a table since it was read. Nothing of the commit was applied."""


class NonAtomicError(PlatformError):
    """The catalog can't commit several tables at once. Nothing of the commit was applied."""


class CatalogAwayError(TransientError):
    """The catalog gave no answer at all: a timeout, a refused or broken connection, a name without an address."""


class CommitUnknownError(UnknownOutcomeError):
    """A commit was sent and the answer does not say whether it was applied."""

    def __init__(self, message: str, reason: Reason, *, is_answered: bool = True) -> None:
        """`is_answered` says whether the catalog gave an answer."""
        super().__init__(message, reason)
        self.is_answered = is_answered


class TableChange:
    """Updates of one table, and what must hold for them."""

    def __init__(
        self, name: IcebergName, requirements: Sequence[TableRequirement], updates: Sequence[TableUpdate]
    ) -> None:
        """In the words of the REST specification."""
        self.name = name
        self._requirements = requirements
        self._updates = updates

    def resting_on(self, requirements: Sequence[TableRequirement]) -> TableChange:
        """The same updates, with other requirements."""
        return TableChange(self.name, requirements, self._updates)

    def to_json(self) -> dict[str, Any]:
        """The change as an element of `table-changes`."""
        return {
            "identifier": {"namespace": [self.name.namespace], "name": self.name.name},
            # A requirement that there is no snapshot has a null in it, which must stay.
            "requirements": [json.loads(item.model_dump_json(by_alias=True)) for item in self._requirements],
            "updates": [json.loads(item.model_dump_json(by_alias=True, exclude_none=True)) for item in self._updates],
        }


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a catalog, and the store with its files, are waited for."""

    answer: float = field(default_factory=lambda: _ANSWER_SECONDS)
    """Seconds for each request with its answer."""
    commit: float = field(default_factory=lambda: _COMMIT_SECONDS)
    """Likewise, for commits."""
    ends_at: float | None = None
    """When all requests to the catalog must have ended, in `time.monotonic` seconds; None: there is no such time."""
    store: StoreTimeouts | None = None
    """None: those of clients that move tables."""


class Catalog:
    """One Storage's catalog."""

    def __init__(self, settings: StoreSettings, limits: Limits | None = None) -> None:
        """Connect; asks for the catalog's configuration and, where needed, for a token.

        Args:
            settings: of the Storage.
            limits: of requests; None: those of runs.

        Raises:
            PlatformError: (Internal) the Storage has none; (StorageAccessDenied) the catalog refused.
            TransientError: (StorageUnavailable) it does not answer.
        """
        chosen, limits = catalog_of(settings), limits or Limits()
        self.settings = settings
        self.clients = Clients(settings, limits.store)
        self.prefix = chosen.namespace_prefix
        self._title = chosen.title
        self._uri = chosen.uri
        self._check_in = "`catalog.credentials` of the Storage"
        if chosen.sigv4_service is not None:
            signing = f"`{chosen.sigv4_service}` in `{chosen.sigv4_region}`"
            self._check_in = (
                f"the keys of the Storage, what they may do there, `catalog.sigV4` (requests are signed for {signing}) "
                "and the clock of this machine"
            )
        self._commit_seconds = limits.commit
        self._credentials = (
            chosen.client_secret, chosen.token, settings.secret_key, settings.session_token,
            f"{chosen.client_id}:{chosen.client_secret}" if chosen.client_id is not None else None,
        )  # fmt: skip
        with self._border("connect"):
            properties = client_properties(settings, self.clients) | {
                PatientCatalog.ANSWER_SECONDS: limits.answer,
                PatientCatalog.ENDS_AT: limits.ends_at,
            }
            self._client = PatientCatalog("catalog", **properties)

    def end_by(self, moment: float) -> None:
        """Have all requests to the catalog ended by then, in `time.monotonic` seconds."""
        self._client.end_by(moment)

    def find(self, name: IcebergName) -> Table | None:
        """A table as it is now; None: there is none."""
        with self._border(f"read the table `{name}`"):
            try:
                found: Table = self._client.load_table(tuple(name))
            except (NoSuchTableError, NoSuchNamespaceError):
                return None
            return found

    def create(self, name: IcebergName, schema: Schema, properties: dict[str, str]) -> Table:
        """A table without rows and without snapshots.

        Raises:
            ConflictError: there is one already; somebody else may have loaded it, or fenced it.
        """
        with self._border(f"create the table `{name}`"), contextlib.suppress(TableAlreadyExistsError):
            try:
                made: Table = self._client.create_table(tuple(name), schema, properties=properties)
            except NoSuchNamespaceError:
                with contextlib.suppress(NamespaceAlreadyExistsError):
                    self._client.create_namespace((name.namespace,))
                made = self._client.create_table(tuple(name), schema, properties=properties)
            # SeaweedFS answers with the table that is there, as if it had just been made.
            if not made.metadata.snapshots and made.properties.get(STATE) == properties.get(STATE):
                return made
        raise ConflictError(f"the table `{name}` was made by somebody else meanwhile", Reason.PUBLISH_FAILED)

    def drop(self, name: IcebergName) -> None:
        """Take a table out of the catalog; its files stay. One that is not there is no error."""
        with self._border(f"drop the table `{name}`"), contextlib.suppress(NoSuchTableError, NoSuchNamespaceError):
            self._client.drop_table(tuple(name))

    def drop_namespace(self, namespace: str) -> None:
        """Drop a namespace without tables. One that is not there, or has tables, is no error."""
        gone = (NoSuchNamespaceError, NamespaceNotEmptyError)
        with self._border(f"drop the namespace `{namespace}`"), contextlib.suppress(*gone):
            self._client.drop_namespace((namespace,))

    def namespaces(self) -> list[str]:
        """Names of all namespaces of one level."""
        with self._border("list the namespaces"):
            return [found[0] for found in self._client.list_namespaces() if len(found) == 1]

    def tables(self, namespace: str) -> list[str]:
        """Names of a namespace's tables; none where there is no such namespace."""
        with self._border(f"list the tables of `{namespace}`"):
            try:
                return [found[-1] for found in self._client.list_tables((namespace,))]
            except NoSuchNamespaceError:
                return []

    def commit(self, changes: Sequence[TableChange], *, allow_non_atomic: bool = False) -> None:
        """Apply all changes at once, or none of them.

        Args:
            changes: one for each table.
            allow_non_atomic: whether they may be applied one after the other, where the catalog can't do it at once.

        Raises:
            ConflictError: a requirement does not hold (any more), or a table is gone; nothing was applied.
            TransientError: (StorageUnavailable) the catalog does not answer, or is busy; nothing was applied.
            CommitUnknownError: nobody knows whether it was applied.
            NonAtomicError: the catalog can't apply them at once, and that was not waived.
            PlatformError: the catalog refused; nothing was applied.
        """
        if len(changes) == 1:
            self._commit_one(changes[0])
            return
        response = self._send("transactions/commit", {"table-changes": [change.to_json() for change in changes]})
        if response.status_code in _NOT_OFFERED and not _names_a_table(response):
            if not allow_non_atomic:
                raise NonAtomicError(
                    f"{self._title} ({self._uri}) can't commit several tables at once (HTTP {response.status_code}), "
                    f"and this publishes {len(changes)}. Use a catalog that can, publish one table in each run, or set "
                    "`allowNonAtomic` of the Storage and accept that readers may see some of a run's tables before the "
                    "others",
                    Reason.PUBLISH_FAILED,
                )
            self._commit_one_by_one(changes)
            return
        self._check(response)

    def _commit_one_by_one(self, changes: Sequence[TableChange]) -> None:
        for number, change in enumerate(changes):
            try:
                self._commit_one(change)
            except ComponentRunError as error:
                if not number:
                    raise
                raise CommitUnknownError(
                    f"{number} of {len(changes)} tables are committed, and then: {error.message}", error.reason
                ) from error

    def _commit_one(self, change: TableChange) -> None:
        name = change.name
        self._check(self._send(f"namespaces/{name.namespace}/tables/{name.name}", change.to_json()))

    def _send(self, endpoint: str, body: dict[str, Any]) -> requests.Response:
        response = self._post(endpoint, body)
        if response.status_code in _TOKEN_ENDED:
            # Nothing was applied. A load may take longer than a token is good for.
            with self._border("get another token"):
                self._client._refresh_token()  # noqa: SLF001 - it does so for its own requests only
            response = self._post(endpoint, body)
        return response

    def _post(self, endpoint: str, body: dict[str, Any]) -> requests.Response:
        session = self._client._session  # noqa: SLF001 - it has the credentials
        try:
            # A redirect would become a GET, whose answer says nothing of a commit.
            url = self._client.url(endpoint)
            return session.post(url, json=body, allow_redirects=False, timeout=self._commit_seconds)
        except requests.ConnectTimeout as error:
            raise self._away(error) from None
        except requests.ConnectionError as error:
            if _was_refused(error):
                raise self._away(error) from None
            raise self._unknown(type(error).__name__, is_answered=False) from None
        except requests.Timeout as error:
            raise self._unknown(type(error).__name__, is_answered=False) from None
        except (requests.RequestException, RESTError) as error:
            raise self._unknown(type(error).__name__) from None

    def _check(self, response: requests.Response) -> None:
        if response.status_code in _DONE:
            return
        status, told = response.status_code, told_by(response, self._credentials)
        if status == _CONFLICT:
            raise ConflictError(f"{self._title}: a table has changed meanwhile ({told})", Reason.PUBLISH_FAILED)
        if status == _NOT_FOUND and _names_a_table(response):
            raise ConflictError(f"{self._title}: a table was dropped meanwhile ({told})", Reason.PUBLISH_FAILED)
        if status in _LATER:
            raise TransientError(
                f"{self._title} ({self._uri}) takes no commits at the moment (HTTP {status}: {told})",
                Reason.STORAGE_UNAVAILABLE,
            )
        if status >= _SERVER_ERRORS:
            raise self._unknown(f"HTTP {status}: {told}")
        if status in _REFUSED:
            raise self._denied(f"HTTP {status}: {told}")
        raise PlatformError(
            f"{self._title} ({self._uri}) refused a commit with HTTP {status}: {told}", Reason.PUBLISH_FAILED
        )

    @contextlib.contextmanager
    def _border(self, what: str) -> Iterator[None]:
        try:
            yield
        except ComponentRunError:
            raise
        except (UnauthorizedError, ForbiddenError, OAuthError) as error:
            raise self._denied(f"can't {what}: {self._told(error)}") from None
        except AnswerTooLargeError as error:
            raise PlatformError(
                f"{self._title} ({self._uri}): can't {what}: it gives {error}", Reason.STORAGE_UNAVAILABLE
            ) from None
        except requests.RequestException as error:
            raise self._away(error) from None
        except RESTError as error:
            raise TransientError(
                f"{self._title} ({self._uri}): can't {what}: {self._told(error)}", Reason.STORAGE_UNAVAILABLE
            ) from None
        except NotImplementedError as error:  # it lists its endpoints, and this is none of them
            raise PlatformError(
                f"{self._title} ({self._uri}): can't {what}: {self._told(error)}", Reason.PUBLISH_FAILED
            ) from None
        except ValueError as error:
            raise PlatformError(
                f"{self._title} ({self._uri}): can't {what}: what it answered can't be read: {self._told(error)}",
                Reason.STORAGE_UNAVAILABLE,
            ) from None

    def _told(self, error: Exception) -> str:
        """What the catalog said, with the HTTP status where there is one."""
        response = getattr(error.__cause__, "response", None)
        if isinstance(response, requests.Response):
            return f"HTTP {response.status_code}: {told_by(response, self._credentials)}"
        first = str(error).strip().partition("\n")[0]
        return quotable(first, self._credentials) or type(error).__name__

    def _denied(self, told: str) -> PlatformError:
        return PlatformError(
            f"{self._title} ({self._uri}) refused the credentials, or they lack a right ({told}). Check "
            f"{self._check_in}",
            Reason.STORAGE_ACCESS_DENIED,
        )

    def _away(self, error: Exception) -> CatalogAwayError:
        return CatalogAwayError(
            f"{self._title} ({self._uri}) does not answer ({type(error).__name__}). Check the catalog and "
            "`catalog.uri` of the Storage",
            Reason.STORAGE_UNAVAILABLE,
        )

    def _unknown(self, told: str, *, is_answered: bool = True) -> CommitUnknownError:
        return CommitUnknownError(
            f"{self._title} ({self._uri}) did not say whether a commit was applied ({told})",
            Reason.STORAGE_UNAVAILABLE,
            is_answered=is_answered,
        )


def _was_refused(error: requests.ConnectionError) -> bool:
    """Whether nothing of a request was sent."""
    text = str(error)
    return "NewConnectionError" in text or "NameResolutionError" in text or "ConnectTimeoutError" in text


def _names_a_table(response: requests.Response) -> bool:
    return b"NoSuchTable" in response.content or b"NoSuchNamespace" in response.content
