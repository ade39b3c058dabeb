"""PyIceberg's client of a REST catalog: it waits for no answer without end, and the catalog configures little of it."""

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
"""What a catalog may configure of its own client."""


def client_properties(settings: StoreSettings, clients: Clients) -> dict[str, Any]:
    """How PyIceberg reaches the catalog of a Storage."""
    chosen = catalog_of(settings)
    properties: dict[str, Any] = {
        "uri": chosen.uri,
        "warehouse": chosen.warehouse,
        LakeFiles.STORE: settings,
        LakeFiles.CLIENTS: clients,
    }
    if chosen.ca_bundle is not None:
        properties["ssl"] = {"cabundle": _authorities(chosen.ca_bundle)}
    if chosen.client_id is not None:
        properties |= {
            "credential": f"{chosen.client_id}:{chosen.client_secret}",
            "oauth2-server-uri": chosen.oauth2_server_uri,
            "scope": chosen.scope,
        }
    if chosen.token is not None:
        properties["token"] = chosen.token
    if chosen.sigv4_service is not None:
        properties["rest.sigv4-enabled"] = "true"
    return properties


class PatientCatalog(RestCatalog):
    """PyIceberg's client, which waits for an answer no longer than it should, and lets a catalog configure little.

    What a catalog or a table says could otherwise name any class of Python to be made, with arguments.
    """

    ANSWER_SECONDS: Final = "componentrun.answer-seconds"
    """Property with the timeout of each request."""
    ENDS_AT: Final = "componentrun.ends-at"
    """Property with the time at which all requests must have ended; None: there is no such time."""

    def _fetch_config(self) -> None:
        own = dict(self.properties)
        super()._fetch_config()
        said = self.properties
        self.properties = own | {name: said[name] for name in _CATALOG_SAYS if name in said}

    def _load_file_io(self, properties: Any = None, location: str | None = None) -> LakeFiles:  # noqa: ARG002 - PyIceberg's signature
        return LakeFiles({name: self.properties[name] for name in (LakeFiles.STORE, LakeFiles.CLIENTS)})

    def end_by(self, moment: float) -> None:
        """Have all requests ended by then, in `time.monotonic` seconds."""
        self._limited.ends_at = moment

    def _init_sigv4(self, session: requests.Session) -> None:
        # PyIceberg's own way imports boto3. And it signs with the keys that it was given first, as long as it lives.
        settings = self.properties[LakeFiles.STORE]
        session.auth = _Signed(settings)

    def _create_legacy_oauth2_auth_manager(self, session: requests.Session) -> Any:
        # Called while the session is made, before the first request, which may be for a token.
        properties: dict[str, Any] = self.properties
        self._limited = LimitedAdapter(float(properties[self.ANSWER_SECONDS]))
        self._limited.ends_at = properties[self.ENDS_AT]
        session.mount("http://", self._limited)
        session.mount("https://", self._limited)
        return super()._create_legacy_oauth2_auth_manager(session)


class _Signed(AuthBase):
    """Signs requests with the keys of a Storage (AWS Signature Version 4)."""

    def __init__(self, settings: StoreSettings) -> None:
        chosen = catalog_of(settings)
        self._service, self._region = chosen.sigv4_service or "", chosen.sigv4_region or ""
        self._source = KeySource(settings)

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        body, url = request.body, request.url or ""
        if body is not None and not isinstance(body, str | bytes):
            raise PlatformError(f"a body of the type {type(body).__name__} can't be signed", Reason.INTERNAL)
        # A plus sign for a space is signed in two ways by different verifiers.
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
    """A file with certificates, as the client takes nothing else."""
    with tempfile.NamedTemporaryFile("w", prefix="ca-", suffix=".pem", encoding="ascii", delete=False) as file:
        file.write(bundle)
    return file.name
