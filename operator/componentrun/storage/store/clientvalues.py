"""Checks for values that all clients of a store or a catalog accept. Other values make libraries panic or raise."""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from urllib.parse import SplitResult

__all__ = ["has_control_character", "is_base_url", "is_region", "is_service_url", "plain_pem"]

_HOST: Final = re.compile(r"[A-Za-z0-9._-]+")
_NUMBER: Final = re.compile(r"\d+|0[xX][0-9a-fA-F]*")
"""A host whose last part is a number is parsed as an address."""
_PATH: Final = re.compile(r"(?:/[A-Za-z0-9._~!$&'()*+,;=:@%-]*)*")
_REGION: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9])?")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


def is_service_url(url: str) -> bool:
    """Whether the URL is `https://host[:port]`: no user, path, query or fragment."""
    parts = _plain(url)
    return parts is not None and parts.path in {"", "/"}


def is_base_url(url: str) -> bool:
    """Whether the URL is `https://host[:port][/path]`: no user, query or fragment."""
    parts = _plain(url)
    # Splitting drops line breaks and an empty query, but clients send the URL unchanged.
    return parts is not None and _PATH.fullmatch(parts.path) is not None and url == parts.geturl()


def is_region(region: str) -> bool:
    """Whether requests can be signed for a region of this name."""
    return _REGION.fullmatch(region) is not None


def has_control_character(value: str) -> bool:
    """Whether it contains a line break or another control character, which can't be sent in a header."""
    return _CONTROL.search(value) is not None


def plain_pem(bundle: str | None) -> str | None:
    """Return the certificates without non-ASCII characters, such as in the names before them.

    Python's TLS refuses a whole bundle because of one such character in a comment.
    """
    return None if bundle is None else bundle.encode("ascii", "ignore").decode()


def _plain(url: str) -> SplitResult | None:
    """Return the parts of a URL; None if it has a user, query or fragment, or is malformed."""
    try:
        parts = urlsplit(url)
        is_valid_port = parts.port is None or parts.port > 0
    except ValueError:  # brackets without an address in them, an invalid port
        return None
    plain = (
        is_valid_port
        and parts.scheme in {"http", "https"}
        and _is_host(parts.hostname or "")
        and "@" not in parts.netloc
        and not parts.query
        and not parts.fragment
    )
    return parts if plain else None


def _is_host(host: str) -> bool:
    """Whether all clients accept it as a name or as an address."""
    if ":" not in host and not _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2]):
        return _HOST.fullmatch(host) is not None
    try:
        return "%" not in str(ipaddress.ip_address(host))
    except ValueError:
        return False
