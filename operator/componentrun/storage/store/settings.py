"""Connection settings of a Storage."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from componentrun.errors import Reason, UserError
from componentrun.storage.store.clientvalues import has_control_character, is_region, is_service_url, plain_pem
from componentrun.storage.store.keys import Layout, clean_prefix
from componentrun.wire.encoding import COMPRESSIONS, DEFAULT_COMPRESSION

if TYPE_CHECKING:
    from componentrun.storage.store.catalog import CatalogSettings

__all__ = ["StoreSettings", "StoreTimeouts"]

# Values that no store accepts must not reach the client libraries, which would panic or raise other errors.
_BUCKET: Final = re.compile(r"(?!(?:\d+\.){3}\d+$)(?!.*(?:\.\.|\.-|-\.))[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")


@dataclass(frozen=True, slots=True)
class StoreTimeouts:
    """Timeouts of a client of a store, in seconds. The defaults suit clients that transfer tables."""

    connect: float = 5.0
    """Timeout for connecting."""
    response: float = 60.0
    """Timeout for a response, and for its next bytes. The body of a request must be sent within it."""
    request: float = 3600.0
    """Timeout for a whole request, including its body and response."""


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """One Storage: an S3-compatible bucket, a prefix in it, and its access keys. Its repr shows no key.

    Raises:
        UserError: (InvalidSpec) the endpoint, bucket, prefix or keys are malformed; the message names which.
    """

    bucket: str
    endpoint: str | None = None
    """`https://host[:port]`; None: Amazon S3 of the region."""
    prefix: str = ""
    region: str = "us-east-1"
    access_key: str | None = field(default=None, repr=False)
    """None: the identity of the machine or the service account."""
    secret_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    ca_bundle: str | None = field(default=None, repr=False)
    """PEM of additional certificate authorities; None: the default ones. Reduced to its ASCII characters."""
    sts_endpoint: str | None = None
    """Endpoint of the token service for temporary keys; None: there is none."""
    sts_role: str | None = None
    """Role to assume there, if any."""
    compression: str = DEFAULT_COMPRESSION
    """Compression of new slices: `none`, `gzip` or `zstd`. Existing slices are read in any form."""
    name: str = ""
    """Name of the Storage in messages."""
    catalog: CatalogSettings | None = None
    """How to reach the Iceberg catalog that holds its tables; None: they are in the bucket, or the client of these
    settings needs none."""

    def __post_init__(self) -> None:
        """Refuse invalid values, and normalize the prefix."""
        object.__setattr__(self, "prefix", clean_prefix(self.prefix))
        object.__setattr__(self, "ca_bundle", plain_pem(self.ca_bundle))
        if not _BUCKET.fullmatch(self.bucket):
            raise UserError(
                f"the bucket of {self.title} is {self.bucket!r}; expected 3 to 63 letters, digits, `.`, `_` or `-`, "
                "no IP address, and no `.` beside another one or a `-`",
                Reason.INVALID_SPEC,
            )
        if not is_region(self.region):
            raise UserError(
                f"the region of {self.title} is {self.region!r}; expected letters, digits, `-` or `_`, 63 at most, "
                "such as `eu-central-1`",
                Reason.INVALID_SPEC,
            )
        if self.endpoint is not None and not is_service_url(self.endpoint):
            raise UserError(
                f"the endpoint of {self.title} is not `https://host[:port]`: expected a URL with a scheme, a host's "
                "name or address and perhaps a port, without user, path and query",
                Reason.INVALID_SPEC,
            )
        if self.sts_endpoint is not None and not is_service_url(self.sts_endpoint):
            raise UserError(
                f"the `sts` endpoint of {self.title} is not `https://host[:port]`: expected a URL with a scheme, a "
                "host's name or address and perhaps a port, without user, path and query",
                Reason.INVALID_SPEC,
            )
        if self.compression not in COMPRESSIONS:
            raise UserError(
                f"the compression of {self.title} is {self.compression!r}; expected one of {', '.join(COMPRESSIONS)}",
                Reason.INVALID_SPEC,
            )
        if (self.access_key is None) != (self.secret_key is None) or self.access_key == "" or self.secret_key == "":
            raise UserError(
                f"{self.title} has only half of a key pair",
                Reason.INVALID_SPEC,
                advice="Set an access key and a secret key, or neither.",
            )
        for title, key in (("access key", self.access_key), ("session token", self.session_token)):
            if key is not None and has_control_character(key):
                raise UserError(
                    f"the {title} of {self.title} contains a line break or another control character; expected "
                    "only the key",
                    Reason.INVALID_SPEC,
                    advice="Check the Secret.",
                )

    @property
    def title(self) -> str:
        """The Storage's name in messages."""
        return f"Storage `{self.name}`" if self.name else "the Storage"

    @property
    def layout(self) -> Layout:
        """Builds the keys of its objects."""
        return Layout(self.prefix)

    @property
    def base_url(self) -> str:
        """URL of the service without the bucket: `https://host[:port]`."""
        if self.endpoint is not None:
            parts = urlsplit(self.endpoint)
            return f"{parts.scheme}://{parts.netloc}"
        suffix = "amazonaws.com.cn" if self.region.startswith("cn-") else "amazonaws.com"
        return f"https://s3.{self.region}.{suffix}"

    @property
    def bucket_url(self) -> str:
        """URL of the bucket, without a slash at its end; the URL of an object is `<bucket url>/<key>`."""
        return f"{self.base_url}/{self.bucket}"

    @property
    def secure(self) -> bool:
        """Whether the store uses TLS."""
        return self.base_url.startswith("https://")

    def where(self, key: str | None = None) -> str:
        """Return a location for messages: `s3://bucket/key at https://host`."""
        return f"`s3://{self.bucket}/{key or self.prefix}` at {self.base_url}"
