"""From a context of a kubeconfig to an Access."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

from componentrun.process.kubernetes.access.access import Access
from componentrun.process.kubernetes.access.credentials import (
    Certificate,
    Credential,
    Credentials,
    FixedCredentials,
    TokenFileCredentials,
)
from componentrun.process.kubernetes.access.errors import AccessError
from componentrun.process.kubernetes.access.execplugin import ExecCredentials, read_plugin
from componentrun.process.kubernetes.access.section import Section

if TYPE_CHECKING:
    from collections.abc import Iterator

    from componentrun.process.kubernetes.access.kubeconfig import Kubeconfig

__all__ = ["access_of"]

_PLUGIN_EXTENSION: Final = "client.authentication.k8s.io/exec"
_REMOVED: Final = {
    "username": "basic authentication, which Kubernetes removed in 1.19",
    "password": "basic authentication, which Kubernetes removed in 1.19",
    "auth-provider": "an authentication provider, which kubectl removed in 1.26",
}
_ASK_FOR_ANOTHER: Final = "Ask your cluster's administrator for a kubeconfig with a token, a certificate or `exec`."


def access_of(kubeconfig: Kubeconfig, name: str | None = None) -> Access:
    """How to reach the cluster of a context.

    Args:
        kubeconfig: the merged files.
        name: the context; None: the current one.

    Raises:
        AccessError: there is no such context, or something that it names is missing or malformed.
    """
    context = _context(kubeconfig, name)
    cluster = _entry(kubeconfig.clusters, "cluster", context)
    user = _entry(kubeconfig.users, "user", context)
    if cluster is None:
        raise context.error("cluster", "it is not set", "the name of a cluster")
    authority, is_insecure = cluster.pem("certificate-authority"), cluster.flag("insecure-skip-tls-verify")
    if is_insecure and authority is not None:
        raise cluster.error(
            "insecure-skip-tls-verify", "found `true` together with a certificate authority", "one of the two"
        )
    return Access(
        server=_url(cluster, "server", ("https", "http")).rstrip("/"),
        credentials=_credentials(user, cluster) if user is not None else FixedCredentials(),
        namespace=context.text("namespace") or "default",
        authority=authority,
        is_verified=not is_insecure,
        tls_server_name=cluster.text("tls-server-name"),
        proxy_url=_url(cluster, "proxy-url", ("http", "https")) if cluster.text("proxy-url") else "",
        headers=tuple(_impersonation(user)) if user is not None else (),
    )


def _context(kubeconfig: Kubeconfig, name: str | None) -> Section:
    if not kubeconfig.contexts:
        raise AccessError(
            f"{kubeconfig.source}: there are no contexts",
            advice="Set KUBECONFIG to the file that your cluster's administrator gave you.",
        )
    wanted = name or kubeconfig.current_context
    names = ", ".join(f"`{one}`" for one in kubeconfig.contexts)
    if not wanted:
        raise AccessError(
            f"{kubeconfig.source}: `current-context` is not set; the contexts are {names}",
            advice="`kubectl config use-context NAME` sets it.",
        )
    if wanted not in kubeconfig.contexts:
        origin = "" if name else ", which `current-context` names"
        raise AccessError(
            f"{kubeconfig.source}: there is no context `{wanted}`{origin}; the contexts are {names}",
            advice="`kubectl config get-contexts` lists them.",
        )
    return kubeconfig.contexts[wanted]


def _entry(entries: dict[str, Section], kind: str, context: Section) -> Section | None:
    """The cluster or the user that a context names; None if it names none."""
    name = context.text(kind)
    if name and name not in entries:
        names = ", ".join(f"`{one}`" for one in entries) or "none"
        raise context.error(kind, f"there is no {kind} `{name}`", f"one of those that are there: {names}")
    return entries[name] if name else None


def _url(section: Section, name: str, schemes: tuple[str, ...]) -> str:
    expected = f"a URL that starts with {' or '.join(f'`{scheme}://`' for scheme in schemes)}"
    text = section.required(name, expected)
    try:
        parts = urlsplit(text)
        is_url = parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        is_url = False
    if not is_url:
        raise section.error(name, f"found `{text}`", expected)
    return text


def _credentials(user: Section, cluster: Section) -> Credentials:
    for name, kind in _REMOVED.items():
        if user.fields.get(name):
            raise user.error(name, f"found {kind}", "a token, a client certificate or `exec`", _ASK_FOR_ANOTHER)
    certificate = _certificate(user)
    plugin = user.section("exec")
    if user.text("tokenFile"):
        return TokenFileCredentials(user.path("tokenFile"), certificate)
    if user.text("token") or plugin is None:
        return FixedCredentials(Credential(user.text("token"), certificate))
    return ExecCredentials(read_plugin(plugin, _for_plugins(cluster)), certificate)


def _certificate(user: Section) -> Certificate | None:
    chain, key = user.pem("client-certificate"), user.pem("client-key")
    if chain is not None and key is not None:
        return Certificate(chain, key)
    if chain is not None:
        raise user.error("client-key", "it is not set", "the key of `client-certificate`")
    if key is not None:
        raise user.error("client-certificate", "it is not set", "the certificate of `client-key`")
    return None


def _for_plugins(cluster: Section) -> dict[str, Any]:
    """The cluster as a credential plugin gets it."""
    names = ("server", "tls-server-name", "insecure-skip-tls-verify", "proxy-url", "disable-compression")
    known = {name: cluster.fields[name] for name in names if name in cluster.fields}
    authority = cluster.pem("certificate-authority")
    if authority is not None:
        known["certificate-authority-data"] = base64.b64encode(authority.content).decode()
    for entry in cluster.sections("extensions"):
        if entry.text("name") == _PLUGIN_EXTENSION:
            known["config"] = entry.fields.get("extension")
    return known


def _impersonation(user: Section) -> Iterator[tuple[str, str]]:
    """Headers that say whom to act as."""
    for name, header in (("as", "Impersonate-User"), ("as-uid", "Impersonate-Uid")):
        if text := user.text(name):
            yield header, text
    for group in user.texts("as-groups"):
        yield "Impersonate-Group", group
    extra = user.section("as-user-extra") or Section({}, user.file)
    for key in extra.fields:
        for text in extra.texts(key):
            yield f"Impersonate-Extra-{quote(key, safe='')}", text
