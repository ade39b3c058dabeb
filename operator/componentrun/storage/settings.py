"""How to reach a Storage: the facts that every client of it is made from."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from componentrun.encoding import COMPRESSIONS, DEFAULT_COMPRESSION
from componentrun.errors import Reason, UserError
from componentrun.storage.layout import Layout, clean_prefix

if TYPE_CHECKING:
    from urllib.parse import SplitResult

__all__ = ["StoreSettings"]

# A bucket name that no store accepts must not reach the client library: it would panic.
_BUCKET: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """One Storage: an S3-compatible bucket, a prefix in it, and the keys to it. Its repr shows no key.

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
    """PEM of further authorities to trust; None: the usual ones."""
    sts_endpoint: str | None = None
    """Where temporary keys with a policy of their own come from; None: nowhere."""
    sts_role: str | None = None
    """Role to assume there; None: none is wanted."""
    virtual_hosted: bool = False
    """Whether the bucket is part of the host name (`https://bucket.host`)."""
    compression: str = DEFAULT_COMPRESSION
    """How new slices are stored: `none`, `gzip` or `zstd`. Those that are there are read however they are stored."""
    name: str = ""
    """What people call this Storage; for messages."""

    def __post_init__(self) -> None:
        """Refuse what no client could work with, and bring the prefix into its one form."""
        object.__setattr__(self, "prefix", clean_prefix(self.prefix))
        if not _BUCKET.fullmatch(self.bucket):
            raise UserError(
                f"the bucket of {self.title} is {self.bucket!r}; expected 3 to 63 letters, digits, `.`, `_` or `-`",
                Reason.INVALID_SPEC,
            )
        if self.endpoint is not None and not _is_plain(urlsplit(self.endpoint)):
            raise UserError(
                f"the endpoint of {self.title} is not `https://host[:port]`: expected a URL with a scheme and a host, "
                "without user, path and query",
                Reason.INVALID_SPEC,
            )
        if self.compression not in COMPRESSIONS:
            raise UserError(
                f"the compression of {self.title} is {self.compression!r}; expected one of {', '.join(COMPRESSIONS)}",
                Reason.INVALID_SPEC,
            )
        if (self.access_key is None) != (self.secret_key is None) or self.access_key == "" or self.secret_key == "":
            raise UserError(
                f"{self.title} has half of a key pair; give an access key and a secret key, or neither",
                Reason.INVALID_SPEC,
            )

    @property
    def title(self) -> str:
        """The Storage, as messages call it."""
        return f"Storage `{self.name}`" if self.name else "the Storage"

    @property
    def layout(self) -> Layout:
        """Where its objects lie."""
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
        """URL of the bucket, without a slash at its end; objects lie at `<bucket url>/<key>`."""
        if not self.virtual_hosted:
            return f"{self.base_url}/{self.bucket}"
        parts = urlsplit(self.base_url)
        return f"{parts.scheme}://{self.bucket}.{parts.netloc}"

    @property
    def secure(self) -> bool:
        """Whether the store is reached by TLS."""
        return self.base_url.startswith("https://")

    def where(self, key: str | None = None) -> str:
        """Where something lies, for messages: `s3://bucket/key at https://host`."""
        return f"`s3://{self.bucket}/{key or self.prefix}` at {self.base_url}"


def _is_plain(parts: SplitResult) -> bool:
    return (
        parts.scheme in {"http", "https"}
        and bool(parts.hostname)
        and "@" not in parts.netloc
        and parts.path in {"", "/"}
        and not parts.query
        and not parts.fragment
    )
