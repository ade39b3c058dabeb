"""PyIceberg's client of a REST catalog: it waits for no answer without end, and the catalog configures little of it."""

from __future__ import annotations

import functools
import tempfile
from typing import TYPE_CHECKING, Any, Final

from pyiceberg.catalog.rest import RestCatalog
from requests.adapters import HTTPAdapter

from componentrun.loader.fileio import LakeFiles
from componentrun.storage.places import catalog_of

if TYPE_CHECKING:
    import requests

    from componentrun.loader.fileio import Clients
    from componentrun.storage.settings import StoreSettings

__all__ = ["PatientCatalog", "client_properties"]

_CONNECT_SECONDS: Final = 5.0
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
        properties |= {
            "rest.sigv4-enabled": "true",
            "rest.signing-name": chosen.sigv4_service,
            "rest.signing-region": chosen.sigv4_region,
            "client.access-key-id": settings.access_key,
            "client.secret-access-key": settings.secret_key,
            "client.session-token": settings.session_token,
        }
    return properties


class PatientCatalog(RestCatalog):
    """PyIceberg's client, which waits for an answer no longer than it should, and lets a catalog configure little.

    What a catalog or a table says could otherwise name any class of Python to be made, with arguments.
    """

    ANSWER_SECONDS: Final = "componentrun.answer-seconds"
    """Property with the timeout of each request."""

    def _fetch_config(self) -> None:
        own = dict(self.properties)
        super()._fetch_config()
        said = self.properties
        self.properties = own | {name: said[name] for name in _CATALOG_SAYS if name in said}

    def _load_file_io(self, properties: Any = None, location: str | None = None) -> LakeFiles:  # noqa: ARG002 - PyIceberg's signature
        return LakeFiles({name: self.properties[name] for name in (LakeFiles.STORE, LakeFiles.CLIENTS)})

    def _init_sigv4(self, session: requests.Session) -> None:
        super()._init_sigv4(session)
        # Its adapter stands before ours, and has no limit.
        limits = (_CONNECT_SECONDS, float(self.properties[self.ANSWER_SECONDS]))
        session.request = functools.partial(session.request, timeout=limits)  # type: ignore[method-assign]

    def _create_legacy_oauth2_auth_manager(self, session: requests.Session) -> Any:
        # Called while the session is made, before the first request, which may be for a token.
        adapter = _TimedAdapter(float(self.properties[self.ANSWER_SECONDS]))
        session.mount("http://", adapter)
        session.mount("https://", adapter)
        return super()._create_legacy_oauth2_auth_manager(session)


class _TimedAdapter(HTTPAdapter):
    """Gives every request a limit that has none of its own."""

    def __init__(self, answer_seconds: float) -> None:
        super().__init__()
        self._limits = (_CONNECT_SECONDS, answer_seconds)

    def send(self, request: requests.PreparedRequest, *arguments: Any, **options: Any) -> requests.Response:
        if options.get("timeout") is None:
            options["timeout"] = self._limits
        return super().send(request, *arguments, **options)


@functools.lru_cache(maxsize=64)
def _authorities(bundle: str) -> str:
    """A file with certificates, as the client takes nothing else."""
    with tempfile.NamedTemporaryFile("w", prefix="ca-", suffix=".pem", encoding="ascii", delete=False) as file:
        file.write(bundle)
    return file.name
