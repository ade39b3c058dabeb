"""How to reach registries."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["RegistrySettings"]


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """Settings for all registries."""

    plain_http: frozenset[str] = frozenset()
    """Hosts, with the port if the images' names have one, that are reached over HTTP without TLS."""
    ca_bundle: str | None = None
    """Certificate authorities, as PEM text, to trust in addition to those of the system."""
    connect_seconds: float = 3.0
    request_seconds: float = 10.0
    """Timeout of one request, including the body of the response. A redirect is a request of its own."""
