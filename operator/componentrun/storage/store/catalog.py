"""Connection settings of a Storage's Apache Iceberg REST catalog."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from componentrun.errors import Reason, UserError
from componentrun.storage.store.clientvalues import has_control_character, is_base_url, is_region, plain_pem

__all__ = ["DEFAULT_SCOPE", "SIGV4_SERVICES", "CatalogSettings"]

DEFAULT_SCOPE: Final = "catalog"
SIGV4_SERVICES: Final = ("glue", "s3tables")
_TOKENS_PATH: Final = "/v1/oauth/tokens"
_VERSION: Final = "/v1"
_PREFIX: Final = re.compile(r"(?:(?=[a-z])(?:(?!(?:in|out)_)[a-z0-9]+_)+)?")
_MAX_PREFIX: Final = 32
_SCOPE: Final = re.compile(r"[!#-\[\]-~]+(?: [!#-\[\]-~]+)*")  # RFC 6749, section 3.3


@dataclass(frozen=True, slots=True)
class CatalogSettings:
    """One catalog, a warehouse in it, and the credentials for it. Its repr shows no credential.

    Raises:
        UserError: (InvalidSpec) a value is malformed, or two ways of authentication are given; the message names which.
    """

    uri: str
    """`https://host[:port][/path]`, without a slash and without `/v1` at its end."""
    warehouse: str
    """Parameter of `GET <uri>/v1/config?warehouse=`: a location or a name."""
    namespace_prefix: str = ""
    """Prefix of the namespaces of this Storage's tables; see `componentrun.loader.catalog.names`."""
    client_id: str | None = field(default=None, repr=False)
    """For OAuth2 client credentials; None: another way of authentication, or none."""
    client_secret: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    """Sent as a bearer token; None: another way of authentication, or none."""
    oauth2_server_uri: str = ""
    """Token endpoint for OAuth2. Defaults to `<uri>/v1/oauth/tokens`, so it is never empty."""
    scope: str = DEFAULT_SCOPE
    """Scope of the OAuth2 tokens that are requested."""
    ca_bundle: str | None = field(default=None, repr=False)
    """PEM of additional certificate authorities; None: the default ones. Reduced to its ASCII characters."""
    sigv4_service: str | None = None
    """`glue` or `s3tables`: requests are signed with the keys of the Storage (its `StoreSettings`), or with the cloud's
    identity if it has none. None: requests are not signed."""
    sigv4_region: str | None = None
    """Region that requests are signed for; None if they are not signed."""
    name: str = ""
    """Name of the Storage in messages."""
    thins_history: bool = True
    """Whether loads remove increments from a table's history before the history's period ends."""

    def __post_init__(self) -> None:
        """Refuse invalid values, and normalize URLs."""
        object.__setattr__(self, "uri", self.uri.rstrip("/"))
        object.__setattr__(self, "oauth2_server_uri", self.oauth2_server_uri or self.uri + _TOKENS_PATH)
        object.__setattr__(self, "ca_bundle", plain_pem(self.ca_bundle))
        self._check_urls()
        self._check_names()
        self._check_credentials()
        self._check_signature()

    @property
    def title(self) -> str:
        """The catalog's name in messages."""
        return f"the catalog of Storage `{self.name}`" if self.name else "the catalog of the Storage"

    def _check_urls(self) -> None:
        for key, url in (("uri", self.uri), ("oauth2ServerUri", self.oauth2_server_uri)):
            if not is_base_url(url):
                raise self._invalid(
                    f"the `{key}` of {self.title} is not `https://host[:port][/path]`: expected a URL with a scheme, "
                    "a host name or address, and optionally a port and a path, without user, query and fragment"
                )
        if self.uri.endswith(_VERSION):
            raise self._invalid(
                f"the `uri` of {self.title} ends in `{_VERSION}`, which clients add: expected "
                f"`{self.uri.removesuffix(_VERSION)}`"
            )

    def _check_names(self) -> None:
        if not self.warehouse.strip() or has_control_character(self.warehouse):
            raise self._invalid(
                f"the warehouse of {self.title} is {self.warehouse!r}; expected a location or a name, such as "
                "`s3://lake/`, without control characters"
            )
        if not _PREFIX.fullmatch(self.namespace_prefix) or len(self.namespace_prefix) > _MAX_PREFIX:
            raise self._invalid(
                f"the namespacePrefix of {self.title} is {self.namespace_prefix!r}; expected words of lowercase "
                f"letters and digits, each followed by `_`, such as `team_`, at most {_MAX_PREFIX} characters, the "
                "first one a letter, and no word `in` or `out`"
            )
        if not _SCOPE.fullmatch(self.scope):
            raise self._invalid(
                f"the scope of {self.title} is {self.scope!r}; expected words of ASCII characters with one space "
                "between them, without quotes and backslashes"
            )

    def _check_credentials(self) -> None:
        if (self.client_id is None) != (self.client_secret is None) or "" in {self.client_id, self.client_secret}:
            raise self._invalid(
                f"{self.title} has only half of its client credentials",
                "Set a client id and a client secret, or neither.",
            )
        if self.token == "":
            raise self._invalid(f"the token of {self.title} is empty", "Set a token, or none.")
        credentials = (("client credentials", self.client_id), ("token", self.token), ("sigV4", self.sigv4_service))
        methods = [f"`{title}`" for title, value in credentials if value is not None]
        if len(methods) > 1:
            raise self._invalid(f"{self.title} has {' and '.join(methods)}; expected one way of authentication at most")
        for title, value in (("client id", self.client_id), ("token", self.token)):
            if value is not None and (has_control_character(value) or not value.isascii()):
                raise self._invalid(
                    f"the {title} of {self.title} contains a line break, another control character or a non-ASCII "
                    "character; expected only the value",
                    "Check the Secret.",
                )

    def _check_signature(self) -> None:
        if self.sigv4_service is None:
            return
        if self.sigv4_service not in SIGV4_SERVICES:
            raise self._invalid(
                f"the sigV4 service of {self.title} is {self.sigv4_service!r}; expected one of "
                f"{', '.join(SIGV4_SERVICES)}"
            )
        if self.sigv4_region is None or not is_region(self.sigv4_region):
            raise self._invalid(
                f"the sigV4 region of {self.title} is {self.sigv4_region!r}; expected letters, digits, `-` or `_`, 63 "
                "at most, such as `eu-central-1`"
            )

    @staticmethod
    def _invalid(summary: str, advice: str = "") -> UserError:
        return UserError(summary, Reason.INVALID_SPEC, advice=advice)
