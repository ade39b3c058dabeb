"""How to reach a Storage: the facts that every client of it is made from."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from componentrun.encoding import COMPRESSIONS, DEFAULT_COMPRESSION
from componentrun.errors import Reason, UserError
from componentrun.storage.layout import Layout, clean_prefix

__all__ = ["StoreSettings", "StoreTimeouts", "plain_pem"]

# What no store accepts must not reach the client libraries: they would panic, or raise errors of their own.
_BUCKET: Final = re.compile(r"(?!(?:\d+\.){3}\d+$)(?!.*(?:\.\.|\.-|-\.))[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")
_REGION: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?")
_HOST: Final = re.compile(r"[A-Za-z0-9._-]+")
_NUMBER: Final = re.compile(r"\d+|0[xX][0-9a-fA-F]*")
"""A name whose last part is one is read as an address."""
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class StoreTimeouts:
    """How long a client waits for a store, in seconds. The defaults suit clients that move tables."""

    connect: float = 5.0
    """For a connection."""
    response: float = 60.0
    """For an answer, and for the next bytes of it. The body of a request must be sent by then."""
    request: float = 3600.0
    """For a whole request, with its body and its answer."""


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
    """PEM of further authorities to trust; None: the usual ones. Only what is ASCII is kept of it."""
    sts_endpoint: str | None = None
    """Where temporary keys with a policy of their own come from; None: nowhere."""
    sts_role: str | None = None
    """Role to assume there; None: none is wanted."""
    compression: str = DEFAULT_COMPRESSION
    """How new slices are stored: `none`, `gzip` or `zstd`. Those that are there are read however they are stored."""
    name: str = ""
    """What people call this Storage; for messages."""

    def __post_init__(self) -> None:
        """Refuse what no client could work with, and bring the prefix into its one form."""
        object.__setattr__(self, "prefix", clean_prefix(self.prefix))
        object.__setattr__(self, "ca_bundle", plain_pem(self.ca_bundle))
        if not _BUCKET.fullmatch(self.bucket):
            raise UserError(
                f"the bucket of {self.title} is {self.bucket!r}; expected 3 to 63 letters, digits, `.`, `_` or `-`, "
                "no IP address, and no `.` beside another one or a `-`",
                Reason.INVALID_SPEC,
            )
        if not _REGION.fullmatch(self.region):
            raise UserError(
                f"the region of {self.title} is {self.region!r}; expected letters, digits, `-` or `_`, 63 at most, "
                "such as `eu-central-1`",
                Reason.INVALID_SPEC,
            )
        if self.endpoint is not None and not _is_plain(self.endpoint):
            raise UserError(
                f"the endpoint of {self.title} is not `https://host[:port]`: expected a URL with a scheme, a host's "
                "name or address and perhaps a port, without user, path and query",
                Reason.INVALID_SPEC,
            )
        if self.sts_endpoint is not None and not _is_plain(self.sts_endpoint):
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
                f"{self.title} has half of a key pair; give an access key and a secret key, or neither",
                Reason.INVALID_SPEC,
            )
        for what, key in (("access key", self.access_key), ("session token", self.session_token)):
            if key is not None and _CONTROL.search(key):
                raise UserError(
                    f"the {what} of {self.title} has a line break or another control character in it; expected the "
                    "key alone: look at the Secret",
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
        return f"{self.base_url}/{self.bucket}"

    @property
    def secure(self) -> bool:
        """Whether the store is reached by TLS."""
        return self.base_url.startswith("https://")

    def where(self, key: str | None = None) -> str:
        """Where something lies, for messages: `s3://bucket/key at https://host`."""
        return f"`s3://{self.bucket}/{key or self.prefix}` at {self.base_url}"


def plain_pem(bundle: str | None) -> str | None:
    """Certificates as every client takes them: names in other letters, as stand before them in many bundles, are none.

    Python's TLS refuses a whole bundle for one such letter in a comment.
    """
    return None if bundle is None else bundle.encode("ascii", "ignore").decode()


def _is_plain(url: str) -> bool:
    try:
        parts = urlsplit(url)
        known = parts.port is None or parts.port > 0
    except ValueError:  # brackets without an address in them, a port that is none
        return False
    return (
        known
        and parts.scheme in {"http", "https"}
        and _is_host(parts.hostname or "")
        and "@" not in parts.netloc
        and parts.path in {"", "/"}
        and not parts.query
        and not parts.fragment
    )


def _is_host(host: str) -> bool:
    """Whether all clients take it for a name, or for an address."""
    if ":" not in host and not _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
        return _HOST.fullmatch(host) is not None
    try:
        return "%" not in str(ipaddress.ip_address(host))
    except ValueError:
        return False
