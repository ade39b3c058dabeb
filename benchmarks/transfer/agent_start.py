"""How long an agent takes from its interpreter's start to its first request."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.harness.interleave import figures, interleave
from componentrun.wire.agents import to_json
from componentrun.wire.grants import GRANT_FILE, GrantIn, GrantOut, PostPolicy

if TYPE_CHECKING:
    from benchmarks.harness.interleave import Measure
    from benchmarks.harness.testbed import Testbed
    from benchmarks.report.results import Figure

__all__ = ["agent"]

_PATIENCE_SECONDS: Final = 30.0


def agent(_: Testbed, repeats: int) -> list[Figure]:
    """Both agents, in turns, with a server that does not respond."""
    values = interleave(
        [_first_request("start.agent.stage-in", "stage-in"), _first_request("start.agent.stage-out", "stage-out")],
        repeats,
        warm_ups=2,
    )
    return figures(values, "s")


def _first_request(name: str, command: str) -> Measure:
    return lambda: {name: _seconds(command)}


def _seconds(command: str) -> float:
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(_PATIENCE_SECONDS)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/plan"
        grant = GrantIn(url) if command == "stage-in" else GrantOut(url, PostPolicy(url, {}, "data/", 1))
        (Path(folder) / GRANT_FILE).write_text(to_json(grant), encoding="utf-8")
        options = ["--data", folder, "--grant", folder, "--termination-log", os.devnull]
        begun = time.monotonic()
        with subprocess.Popen(
            [sys.executable, "-m", "componentrun.agent", command, *options],
            env={"PATH": os.defpath, "LANG": "C.UTF-8"},
            stdout=subprocess.DEVNULL,
        ) as process:
            try:
                with server.accept()[0] as connection:
                    connection.settimeout(_PATIENCE_SECONDS)
                    connection.recv(1)
                    return time.monotonic() - begun
            finally:
                process.kill()
