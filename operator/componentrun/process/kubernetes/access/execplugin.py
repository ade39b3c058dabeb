"""Credential plugins: programs that print a token or a client certificate (`client.authentication.k8s.io`)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from componentrun.process.kubernetes.access.credentials import Certificate, Credential, Pem
from componentrun.process.kubernetes.access.errors import AccessError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from componentrun.process.kubernetes.access.section import Section

__all__ = ["ExecCredentials", "Plugin", "read_plugin"]

_GROUP: Final = "client.authentication.k8s.io"
_VERSIONS: Final = (f"{_GROUP}/v1", f"{_GROUP}/v1beta1")
_MODES: Final = ("Never", "IfAvailable", "Always")
_INFO: Final = "KUBERNETES_EXEC_INFO"


@dataclass(frozen=True, slots=True)
class Plugin:
    """The `exec` section of a user."""

    command: str
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    version: str
    """`apiVersion` of the ExecCredential that goes in and comes out."""
    interactive: str
    """Whether the plugin may ask the person at the terminal: `Never`, `IfAvailable` or `Always`."""
    install_hint: str
    cluster: Mapping[str, Any] | None
    """What the plugin learns about the cluster; None: nothing."""
    source: str
    """File and section, for messages."""


def read_plugin(section: Section, cluster: Mapping[str, Any]) -> Plugin:
    """The plugin that a user's `exec` section describes. `cluster`: as the plugin gets it, if it asks for it."""
    version = section.text("apiVersion")
    if version not in _VERSIONS:
        raise section.error("apiVersion", f"found `{version}`", " or ".join(f"`{one}`" for one in _VERSIONS))
    mode = section.text("interactiveMode") or "IfAvailable"
    if mode not in _MODES:
        raise section.error("interactiveMode", f"found `{mode}`", ", ".join(f"`{one}`" for one in _MODES))
    command = section.required("command", "a program on the PATH, or its path")
    if os.sep in command:
        command = str(section.path("command"))
    variables = section.sections("env")
    return Plugin(
        command,
        section.texts("args"),
        {one.required("name", "the name of a variable"): one.text("value") for one in variables},
        version,
        mode,
        section.text("installHint"),
        cluster if section.flag("provideClusterInfo") else None,
        f"kubeconfig `{section.file}`: {section.where}",
    )


class ExecCredentials:
    """The credential that a plugin printed, kept until it expires or the server refuses it."""

    def __init__(
        self, plugin: Plugin, certificate: Certificate | None = None, now: Callable[[], datetime] | None = None
    ) -> None:
        """The plugin is started at the first use. `certificate`: the user's own, next to the plugin's token."""
        self._plugin, self._certificate = plugin, certificate
        self._now = now or (lambda: datetime.now(UTC))
        self._credential: Credential | None = None
        self._lock = threading.Lock()

    def is_ready(self) -> bool:
        """Whether there is a credential that has not expired."""
        return self._current() is not None

    def get(self) -> Credential:
        """The credential; starts the plugin if there is none that is still good."""
        with self._lock:
            credential = self._current()
            if credential is None:
                credential = self._credential = _credential(self._plugin, _output(self._plugin), self._certificate)
            return credential

    def discard(self, refused: Credential) -> bool:
        """Start the plugin again at the next use, unless that has happened since."""
        # Called on the event loop, so it must not wait for the lock, which is held while the plugin runs.
        if self._credential is refused:
            self._credential = None
        return True

    def _current(self) -> Credential | None:
        """The credential if it has not expired."""
        credential = self._credential
        if credential is None or (credential.expires_at is not None and self._now() >= credential.expires_at):
            return None
        return credential


def _output(plugin: Plugin) -> bytes:
    """What the plugin prints. Its stderr is the caller's, so that a person can follow a login."""
    is_interactive = plugin.interactive != "Never" and sys.stdin is not None and sys.stdin.isatty()
    if plugin.interactive == "Always" and not is_interactive:
        raise AccessError(
            f"{plugin.source}: credential plugin `{plugin.command}` needs a terminal, and stdin is none",
            advice="Run the command in a terminal.",
        )
    spec: dict[str, Any] = {"interactive": is_interactive}
    if plugin.cluster is not None:
        spec["cluster"] = plugin.cluster
    info = {"apiVersion": plugin.version, "kind": "ExecCredential", "spec": spec}
    try:
        ended = subprocess.run(
            [plugin.command, *plugin.arguments],
            env={**os.environ, **plugin.environment, _INFO: json.dumps(info)},
            stdin=None if is_interactive else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            check=False,
        )
    except OSError as error:
        raise AccessError(
            f"{plugin.source}: credential plugin `{plugin.command}` could not be started: {error.strerror}",
            advice=plugin.install_hint or "Install it, or correct `command`.",
        ) from error
    if ended.returncode:
        raise AccessError(
            f"{plugin.source}: credential plugin `{plugin.command}` ended with exit code {ended.returncode}",
            advice="Its messages stand above; logging in again may be enough.",
        )
    return ended.stdout


def _credential(plugin: Plugin, output: bytes, certificate: Certificate | None) -> Credential:
    """The credential in what a plugin printed."""
    status = _status(plugin, output)
    chain, key = status.get("clientCertificateData"), status.get("clientKeyData")
    if bool(chain) != bool(key):
        raise _malformed(plugin, "only one of `clientCertificateData` and `clientKeyData`", "both, or a `token`")
    if chain and key:
        source = f"credential plugin `{plugin.command}`"
        certificate = Certificate(Pem(str(chain).encode(), source), Pem(str(key).encode(), source))
    elif not status.get("token"):
        raise _malformed(plugin, "neither a token nor a client certificate", "`status.token`")
    return Credential(str(status.get("token") or ""), certificate, _expiry(plugin, status.get("expirationTimestamp")))


def _status(plugin: Plugin, output: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(output)
    except ValueError as error:
        raise _malformed(plugin, "something that is not JSON", "an ExecCredential") from error
    if not isinstance(document, dict) or document.get("kind") != "ExecCredential":
        raise _malformed(plugin, "another kind of object", "an ExecCredential")
    if document.get("apiVersion") != plugin.version:
        raise _malformed(plugin, f"apiVersion `{document.get('apiVersion')}`", f"`{plugin.version}`")
    status = document.get("status")
    if not isinstance(status, dict):
        raise _malformed(plugin, "an ExecCredential without `status`", "one with `status.token`")
    return status


def _expiry(plugin: Plugin, text: Any) -> datetime | None:
    if text is None:
        return None
    try:
        expiry = datetime.fromisoformat(text)
    except (TypeError, ValueError) as error:
        raise _malformed(plugin, f"expirationTimestamp `{text}`", "a time such as `2026-01-31T12:00:00Z`") from error
    return expiry if expiry.tzinfo is not None else expiry.replace(tzinfo=UTC)


def _malformed(plugin: Plugin, found: str, expected: str) -> AccessError:
    return AccessError(
        f"{plugin.source}: credential plugin `{plugin.command}` printed {found}; expected {expected}",
        advice="Update the plugin, or set the `apiVersion` that it speaks.",
    )
