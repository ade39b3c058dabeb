"""Runs the ssh client with one key and known hosts. Nothing else of the user or the machine is used."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dulwich.client import SSHVendor, SubprocessWrapper

if TYPE_CHECKING:
    from pathlib import Path

    from componentrun.core.builds.login import SshLogin
    from componentrun.git.budget import Budget
    from componentrun.git.settings import GitSettings

__all__ = ["StrictSsh"]

_NEWEST_VERSION: Final = 2
_MOST_WORDS: Final = 4096
_PATIENCE_SECONDS: Final = 5.0
"""Time for ssh to print what the server's program has said at its end."""


class _Ended(SubprocessWrapper):
    """Ends its process when it is closed, even if the server does not end."""

    def close(self, timeout: int | None = 60) -> None:
        """Close the pipes, and end the process."""
        if self.proc.stdin is not None:
            self.proc.stdin.close()
        try:
            self.proc.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.proc.terminate()
        super().close(timeout)


@dataclass(frozen=True, slots=True)
class StrictSsh(SSHVendor):
    """Starts `ssh`. A host is trusted only if `known_hosts` has its key."""

    key_file: Path
    known_hosts_file: Path
    errors_file: Path
    """What ssh, and the server's program, print. A pipe that nobody reads would make them wait when it is full."""
    settings: GitSettings
    budget: Budget

    @classmethod
    def create(cls, folder: Path, login: SshLogin, settings: GitSettings, budget: Budget) -> StrictSsh:
        """Write the files that `ssh` reads into a folder, which only its owner may read."""
        key, hosts = folder / "key", folder / "known_hosts"
        for path, text in ((key, login.private_key), (hosts, login.known_hosts)):
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(text)
        return cls(key, hosts, folder / "errors", settings, budget)

    def last_words(self) -> list[bytes]:
        """The last lines that the last process has printed."""
        with self.errors_file.open("rb") as errors:
            errors.seek(-min(_MOST_WORDS, self.errors_file.stat().st_size), os.SEEK_END)
            return errors.read().splitlines()

    def run_command(
        self,
        host: str,
        command: bytes,
        username: str | None = None,
        port: int | None = None,
        password: str | None = None,  # noqa: ARG002 - dulwich's signature
        key_filename: str | None = None,  # noqa: ARG002 - likewise
        ssh_command: str | None = None,  # noqa: ARG002 - likewise
        protocol_version: int | None = None,
    ) -> SubprocessWrapper:
        """Run a command on a host."""
        options = {
            "BatchMode": "yes",
            "IdentityFile": str(self.key_file),
            "IdentitiesOnly": "yes",
            "IdentityAgent": "none",
            "PreferredAuthentications": "publickey",
            "StrictHostKeyChecking": "yes",
            "UserKnownHostsFile": str(self.known_hosts_file),
            "GlobalKnownHostsFile": "/dev/null",
            "UpdateHostKeys": "no",
            "ConnectTimeout": str(int(self.settings.connect_seconds)),
            "ServerAliveInterval": str(int(self.settings.read_seconds)),
            "ServerAliveCountMax": "1",
            "LogLevel": "ERROR",
            # With version 2, servers give commits that are not the head of a branch (any more).
            "SetEnv": f"GIT_PROTOCOL=version={_NEWEST_VERSION if protocol_version is None else protocol_version}",
        }
        arguments = ["ssh", "-F", "none", "-T", "-x", "-p", str(port or 22), "-l", str(username)]
        for name, value in options.items():
            arguments += ["-o", f"{name}={value}"]
        with self.errors_file.open("wb") as errors:
            process = subprocess.Popen(
                [*arguments, "--", host.strip("[]"), command.decode()],
                bufsize=0,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
            )
        wrapper = _Ended(process)
        wrapper.read = self.budget.reading(wrapper.read)  # type: ignore[assignment]  # dulwich always names a size
        return wrapper
