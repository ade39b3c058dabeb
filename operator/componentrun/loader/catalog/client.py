"""PyIceberg's client of a REST catalog, with request timeouts and without most of the catalog's configuration."""

from __future__ import annotations

import functools
import tempfile
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from pyiceberg.catalog.rest import RestCatalog
from requests.auth import AuthBase

from componentrun.errors import PlatformError, Reason
from componentrun.loader.catalog.fileio import LakeFiles
from componentrun.loader.catalog.transport import LimitedAdapter
from componentrun.storage.access.grants import KeySource
from componentrun.storage.store.places import catalog_of
from componentrun.wire.signatures import signed_headers

if TYPE_CHECKING:
    import requests

    from componentrun.loader.catalog.fileio import Clients
    from componentrun.storage.store.settings import StoreSettings

__all__ = ["PatientCatalog", "client_properties"]

_CATALOG_SAYS: Final = ("prefix", "uri")
"""The only client properties that a catalog may set."""


def client_properties(settings: StoreSettings, clients: Clients) -> dict[str, Any]:
    """PyIceberg's client properties for the catalog of a Storage."""
    access = catalog_of(settings)
    properties: dict[str, Any] = {
        "uri": access.uri,
        "warehouse": access.warehouse,
        LakeFiles.STORE: settings,
        LakeFiles.CLIENTS: clients,
    }
    if access.ca_bundle is not None:
        properties["ssl"] = {"cabundle": _authorities(access.ca_bundle)}
    if access.client_id is not None:
        properties |= {
            "credential": f"{access.client_id}:{access.client_secret}",
            "oauth2-server-uri": access.oauth2_server_uri,
            "scope": access.scope,
        }
    if access.token is not None:
        properties["token"] = access.token
    if access.sigv4_service is not None:
        properties["rest.sigv4-enabled"] = "true"
    return properties


class PatientCatalog(RestCatalog):
    """PyIceberg's client, with request timeouts and without most of the catalog's configuration.

    Otherwise, properties of a catalog or a table could make PyIceberg create instances of any Python class.
    """

    ANSWER_SECONDS: Final = "componentrun.answer-seconds"
    """Property with the timeout of each request."""
    ENDS_AT: Final = "componentrun.ends-at"
    """Property with the deadline of all requests; None: no deadline."""

    def _fetch_config(self) -> None:
        local = dict(self.properties)
        super()._fetch_config()
        all_properties = self.properties
        self.properties = local | {name: all_properties[name] for name in _CATALOG_SAYS if name in all_properties}

    def _load_file_io(self, properties: Any = None, location: str | None = None) -> LakeFiles:  # noqa: ARG002 - PyIceberg's signature
        return LakeFiles({name: self.properties[name] for name in (LakeFiles.STORE, LakeFiles.CLIENTS)})

    def end_by(self, moment: float) -> None:
        """Set the deadline of all requests, in `time.monotonic` seconds."""
        self._limited.ends_at = moment

    def _init_sigv4(self, session: requests.Session) -> None:
        # PyIceberg's own implementation imports boto3, and never refreshes the keys with which it signs.
        settings = self.properties[LakeFiles.STORE]
        session.auth = _Signed(settings)

    def _create_legacy_oauth2_auth_manager(self, session: requests.Session) -> Any:
        # PyIceberg calls this while it creates the session, before the first request, which may be a token request.
        properties: dict[str, Any] = self.properties
        self._limited = LimitedAdapter(float(properties[self.ANSWER_SECONDS]))
        self._limited.ends_at = properties[self.ENDS_AT]
        session.mount("http://", self._limited)
        session.mount("https://", self._limited)
        return super()._create_legacy_oauth2_auth_manager(session)


class _Signed(AuthBase):
    """Signs requests with the keys of a Storage (AWS Signature Version 4)."""

    def __init__(self, settings: StoreSettings) -> None:
        access = catalog_of(settings)
        self._service, self._region = access.sigv4_service or "", access.sigv4_region or ""
        self._source = KeySource(settings)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        body, url = request.body, request.url or ""
        if body is not None and not isinstance(body, str | bytes):
            raise PlatformError(f"a body of the type {type(body).__name__} can't be signed", Reason.INTERNAL)
        # Signature verifiers disagree on how to encode a plus sign that stands for a space.
        path, mark, query = url.partition("?")
        request.url = url = f"{path}{mark}{query.replace('+', '%20')}"
        headers = signed_headers(
            self._source.keys(),
            (self._service, self._region),
            request.method or "GET",
            url,
            body.encode() if isinstance(body, str) else body or b"",
            datetime.now(UTC),
        )
        request.headers.update(headers)
        return request


@functools.lru_cache(maxsize=64)
def _authorities(bundle: str) -> str:
    """Write the certificates to a file, because the client accepts only a path; return the path."""
    with tempfile.NamedTemporaryFile("w", prefix="ca-", suffix=".pem", encoding="ascii", delete=False) as file:
        file.write(bundle)
    return file.name
