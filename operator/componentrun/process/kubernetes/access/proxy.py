"""Which proxy to use."""

from __future__ import annotations

import base64
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies_environment, proxy_bypass_environment  # type: ignore[attr-defined]  # typeshed lacks it

__all__ = ["proxy_for", "proxy_url"]


def proxy_for(server: str, configured: str) -> tuple[str | None, dict[str, str] | None]:
    """The proxy to a server, and the headers for it; None for both if there is none.

    Meant to be called once: aiohttp, which could do the same (`trust_env`), looks for a netrc file and for proxies anew
    for every request, in a thread each, which took a tenth of the operator's time.

    Args:
        server: its URL.
        configured: the proxy that a kubeconfig names; empty: the one of the environment.
    """
    url = proxy_url(server, configured)
    if url is None:
        return None, None
    proxy = urlsplit(url)
    if proxy.username is None:
        return url, None
    login = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
    address = proxy._replace(netloc=proxy.netloc.rpartition("@")[2]).geturl()
    return address, {"Proxy-Authorization": f"Basic {base64.b64encode(login.encode()).decode()}"}


def proxy_url(server: str, configured: str) -> str | None:
    """The URL of the proxy to a server, with the login that it may contain; None if there is none.

    Args:
        server: its URL.
        configured: the proxy that a kubeconfig names; empty: the one of the environment.
    """
    if configured:
        return configured
    parts = urlsplit(server)
    return None if proxy_bypass_environment(parts.netloc) else getproxies_environment().get(parts.scheme)
