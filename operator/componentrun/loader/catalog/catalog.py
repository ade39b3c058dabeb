"""Interface to an Iceberg REST catalog. All methods raise only errors of `componentrun.errors`.

PyIceberg's client sends all requests except commits. For a commit it must be certain whether it was applied, or
certain that this is unknown.
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
from pyiceberg.partitioning import UNPARTITIONED_PARTITION_SPEC

from componentrun.errors import ComponentRunError, PlatformError, Reason, TransientError, UnknownOutcomeError
from componentrun.loader.catalog.client import PatientCatalog, client_properties
from componentrun.loader.catalog.fileio import Clients
from componentrun.loader.catalog.properties import STATE
from componentrun.loader.catalog.quoting import quotable, told_by
from componentrun.loader.catalog.transport import AnswerTooLargeError
from componentrun.storage.store.places import catalog_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pyiceberg.partitioning import PartitionSpec
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
"""Longer than for other requests, because the outcome of a commit without a response is unknown."""
_DONE: Final = frozenset({200, 201, 202, 204})
_CONFLICT: Final = 409
_TOKEN_ENDED: Final = frozenset({401, 419})
_NOT_FOUND: Final = 404
_LATER: Final = frozenset({408, 425, 429})
_REFUSED: Final = frozenset({401, 403, 419})
_NOT_OFFERED: Final = frozenset({404, 405, 501})
_SERVER_ERRORS: Final = 500


class ConflictError(TransientError):
    """Another writer has changed a table since it was read. Nothing of the commit was applied."""


class NonAtomicError(PlatformError):
    """The catalog can't commit several tables at once. Nothing of the commit was applied."""


class CatalogAwayError(TransientError):
    """The catalog did not respond: a timeout, a refused or broken connection, or a host name that does not resolve."""


class CommitUnknownError(UnknownOutcomeError):
    """A commit was sent, and it is unknown whether it was applied."""

    def __init__(self, message: str, reason: Reason, *, is_answered: bool = True) -> None:
        """`is_answered` says whether the catalog responded."""
        super().__init__(message, reason)
        self.is_answered = is_answered


class TableChange:
    """Updates of one table, and their requirements."""

    def __init__(
        self, name: IcebergName, requirements: Sequence[TableRequirement], updates: Sequence[TableUpdate]
    ) -> None:
        """Requirements and updates as defined by the REST specification."""
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
            # The requirement that a table has no snapshot contains a null, which must be sent.
            "requirements": [json.loads(item.model_dump_json(by_alias=True)) for item in self._requirements],
            "updates": [json.loads(item.model_dump_json(by_alias=True, exclude_none=True)) for item in self._updates],
        }


@dataclass(frozen=True, slots=True)
class Limits:
    """Timeouts of requests to a catalog and to the store with its files."""

    answer: float = field(default_factory=lambda: _ANSWER_SECONDS)
    """Seconds for each request including its response."""
    commit: float = field(default_factory=lambda: _COMMIT_SECONDS)
    """Seconds for each commit including its response."""
    ends_at: float | None = None
    """Deadline of all requests to the catalog, in `time.monotonic` seconds; None: no deadline."""
    store: StoreTimeouts | None = None
    """Timeouts of the store; None: the defaults of `StoreTimeouts`."""


class Catalog:
    """The catalog of a Storage."""

    def __init__(self, settings: StoreSettings, limits: Limits | None = None) -> None:
        """Connect. Requests the catalog's configuration and, if needed, a token.

        Args:
            settings: settings of the Storage.
            limits: timeouts of requests; None: the defaults, which apply to runs.

        Raises:
            PlatformError: (Internal) the Storage has no catalog; (StorageAccessDenied) the catalog denied access.
            TransientError: (StorageUnavailable) the catalog does not respond.
        """
        access, limits = catalog_of(settings), limits or Limits()
        self.settings = settings
        self.clients = Clients(settings, limits.store)
        self.prefix = access.namespace_prefix
        self.thins_history = access.thins_history
        self._title = access.title
        self._uri = access.uri
        self._check_in = "`catalog.credentials` of the Storage"
        if access.sigv4_service is not None:
            signing = f"`{access.sigv4_service}` in `{access.sigv4_region}`"
            self._check_in = (
                f"the keys of the Storage, what they may do there, `catalog.sigV4` (requests are signed for {signing}) "
                "and the clock of this machine"
            )
        self._commit_seconds = limits.commit
        self._credentials = (
            access.client_secret, access.token, settings.secret_key, settings.session_token,
            f"{access.client_id}:{access.client_secret}" if access.client_id is not None else None,
        )  # fmt: skip
        with self._border("connect"):
            properties = client_properties(settings, self.clients) | {
                PatientCatalog.ANSWER_SECONDS: limits.answer,
                PatientCatalog.ENDS_AT: limits.ends_at,
            }
            self._client = PatientCatalog("catalog", **properties)

    def end_by(self, moment: float) -> None:
        """Set the deadline of all requests to the catalog, in `time.monotonic` seconds."""
        self._client.end_by(moment)

    def find(self, name: IcebergName) -> Table | None:
        """Load the current state of a table; None if it does not exist."""
        with self._border(f"read the table `{name}`"):
            try:
                table: Table = self._client.load_table(tuple(name))
            except (NoSuchTableError, NoSuchNamespaceError):
                return None
            return table

    def create(
        self,
        name: IcebergName,
        schema: Schema,
        properties: dict[str, str],
        partitions: PartitionSpec = UNPARTITIONED_PARTITION_SPEC,
    ) -> Table:
        """Create a table without rows and snapshots.

        Raises:
            ConflictError: the table already exists. Another writer may have loaded or fenced it.
        """
        with self._border(f"create the table `{name}`"), contextlib.suppress(TableAlreadyExistsError):
            try:
                table: Table = self._client.create_table(tuple(name), schema, None, partitions, properties=properties)
            except NoSuchNamespaceError:
                with contextlib.suppress(NamespaceAlreadyExistsError):
                    self._client.create_namespace((name.namespace,))
                table = self._client.create_table(tuple(name), schema, None, partitions, properties=properties)
            # If the table exists, SeaweedFS returns it as if it had just been created.
            if not table.metadata.snapshots and table.properties.get(STATE) == properties.get(STATE):
                return table
        raise ConflictError(f"the table `{name}` was made by somebody else meanwhile", Reason.PUBLISH_FAILED)

    def drop(self, name: IcebergName) -> None:
        """Remove a table from the catalog, but keep its files. A table that does not exist is not an error."""
        with self._border(f"drop the table `{name}`"), contextlib.suppress(NoSuchTableError, NoSuchNamespaceError):
            self._client.drop_table(tuple(name))

    def drop_namespace(self, namespace: str) -> None:
        """Drop an empty namespace. A namespace that does not exist or has tables is not an error."""
        absent_errors = (NoSuchNamespaceError, NamespaceNotEmptyError)
        with self._border(f"drop the namespace `{namespace}`"), contextlib.suppress(*absent_errors):
            self._client.drop_namespace((namespace,))

    def namespaces(self) -> list[str]:
        """Names of all namespaces of one level."""
        with self._border("list the namespaces"):
            return [name[0] for name in self._client.list_namespaces() if len(name) == 1]

    def tables(self, namespace: str) -> list[str]:
        """Names of a namespace's tables; empty if the namespace does not exist."""
        with self._border(f"list the tables of `{namespace}`"):
            try:
                return [name[-1] for name in self._client.list_tables((namespace,))]
            except NoSuchNamespaceError:
                return []

    def commit(self, changes: Sequence[TableChange], *, allow_non_atomic: bool = False) -> None:
        """Apply all changes at once, or none of them.

        Args:
            changes: one for each table.
            allow_non_atomic: whether to commit one table after the other if the catalog can't commit them at once.

        Raises:
            ConflictError: a requirement is not met, or a table does not exist anymore; nothing was applied.
            TransientError: (StorageUnavailable) the catalog does not respond, or is busy; nothing was applied.
            CommitUnknownError: it is unknown whether the commit was applied.
            NonAtomicError: the catalog can't commit them at once, and `allow_non_atomic` is false.
            PlatformError: the catalog refused the commit; nothing was applied.
        """
        if len(changes) == 1:
            self._commit_one(changes[0])
            return
        response = self._send("transactions/commit", {"table-changes": [change.to_json() for change in changes]})
        if response.status_code in _NOT_OFFERED and not _names_a_table(response):
            if not allow_non_atomic:
                raise NonAtomicError(
                    f"{self._title} ({self._uri}) can't commit several tables at once (HTTP {response.status_code}), "
                    f"and this publishes {len(changes)}",
                    Reason.PUBLISH_FAILED,
                    advice="Use a catalog that can, publish one table in each run, or set `allowNonAtomic` of the "
                    "Storage and accept that readers may see some of a run's tables before the others.",
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
            # Nothing was applied. The token may have expired during a long load.
            with self._border("get another token"):
                self._client._refresh_token()  # noqa: SLF001 - PyIceberg refreshes tokens for its own requests only
            response = self._post(endpoint, body)
        return response

    def _post(self, endpoint: str, body: dict[str, Any]) -> requests.Response:
        session = self._client._session  # noqa: SLF001 - it has the credentials
        try:
            # A redirect would become a GET, whose response says nothing about the commit.
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
        status, message = response.status_code, told_by(response, self._credentials)
        if status == _CONFLICT:
            raise ConflictError(f"{self._title}: a table has changed meanwhile ({message})", Reason.PUBLISH_FAILED)
        if status == _NOT_FOUND and _names_a_table(response):
            raise ConflictError(f"{self._title}: a table was dropped meanwhile ({message})", Reason.PUBLISH_FAILED)
        if status in _LATER:
            raise TransientError(
                f"{self._title} ({self._uri}) takes no commits at the moment (HTTP {status}: {message})",
                Reason.STORAGE_UNAVAILABLE,
            )
        if status >= _SERVER_ERRORS:
            raise self._unknown(f"HTTP {status}: {message}")
        if status in _REFUSED:
            raise self._denied(f"HTTP {status}: {message}")
        raise PlatformError(
            f"{self._title} ({self._uri}) refused a commit with HTTP {status}: {message}", Reason.PUBLISH_FAILED
        )

    @contextlib.contextmanager
    def _border(self, action: str) -> Iterator[None]:
        try:
            yield
        except ComponentRunError:
            raise
        except (UnauthorizedError, ForbiddenError, OAuthError) as error:
            raise self._denied(f"can't {action}: {self._told(error)}") from None
        except AnswerTooLargeError as error:
            raise PlatformError(
                f"{self._title} ({self._uri}): can't {action}: it gives {error}", Reason.STORAGE_UNAVAILABLE
            ) from None
        except requests.RequestException as error:
            raise self._away(error) from None
        except RESTError as error:
            raise TransientError(
                f"{self._title} ({self._uri}): can't {action}: {self._told(error)}", Reason.STORAGE_UNAVAILABLE
            ) from None
        except NotImplementedError as error:  # the catalog's list of endpoints does not contain this one
            raise PlatformError(
                f"{self._title} ({self._uri}): can't {action}: {self._told(error)}", Reason.PUBLISH_FAILED
            ) from None
        except ValueError as error:
            raise PlatformError(
                f"{self._title} ({self._uri}): can't {action}: what it answered can't be read: {self._told(error)}",
                Reason.STORAGE_UNAVAILABLE,
            ) from None

    def _told(self, error: Exception) -> str:
        """The catalog's error message, with the HTTP status if there is one."""
        response = getattr(error.__cause__, "response", None)
        if isinstance(response, requests.Response):
            return f"HTTP {response.status_code}: {told_by(response, self._credentials)}"
        first = str(error).strip().partition("\n")[0]
        return quotable(first, self._credentials) or type(error).__name__

    def _denied(self, message: str) -> PlatformError:
        return PlatformError(
            f"{self._title} ({self._uri}) refused the credentials, or they lack a permission ({message})",
            Reason.STORAGE_ACCESS_DENIED,
            advice=f"Check {self._check_in}",
        )

    def _away(self, error: Exception) -> CatalogAwayError:
        return CatalogAwayError(
            f"{self._title} ({self._uri}) does not answer ({type(error).__name__})",
            Reason.STORAGE_UNAVAILABLE,
            advice="Check the catalog and `catalog.uri` of the Storage.",
        )

    def _unknown(self, message: str, *, is_answered: bool = True) -> CommitUnknownError:
        return CommitUnknownError(
            f"{self._title} ({self._uri}) did not say whether a commit was applied ({message})",
            Reason.STORAGE_UNAVAILABLE,
            is_answered=is_answered,
        )


def _was_refused(error: requests.ConnectionError) -> bool:
    """Whether the connection failed before any part of the request was sent."""
    text = str(error)
    return "NewConnectionError" in text or "NameResolutionError" in text or "ConnectTimeoutError" in text


def _names_a_table(response: requests.Response) -> bool:
    return b"NoSuchTable" in response.content or b"NoSuchNamespace" in response.content
