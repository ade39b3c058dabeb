"""A process of a benchmark is started, awaited until it is ready, and stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from benchmarks.throughput import service_process
from benchmarks.throughput.control_plane import free_ports
from benchmarks.throughput.service_process import ServiceProcess
from dev.cluster.errors import ClusterError
from dev.cluster.host import processes

if TYPE_CHECKING:
    from pathlib import Path

READY = """
import http.server, os
open("readyz", "w").close()
print("started", flush=True)
address = "127.0.0.1", int(os.environ["COMPONENTRUN_PORT"])
http.server.HTTPServer(address, http.server.SimpleHTTPRequestHandler).serve_forever()
"""
NEVER_READY = "import time\nprint('thinking', flush=True)\ntime.sleep(60)"
ENDS = "print('no such table')"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, in which `python -m` finds the program."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def a_process(folder: Path, program: str) -> ServiceProcess:
    (folder / "program.py").write_text(program)
    (port,) = free_ports(1)
    settings = {"PORT": str(port)}
    return ServiceProcess("program", f"http://127.0.0.1:{port}", folder / "log", folder / "kubeconfig", settings)


def is_alive(pid: int) -> bool:
    return processes.start_ticks(pid) is not None


def test_it_is_ready_within_the_block_and_has_ended_behind_it(folder: Path) -> None:
    with a_process(folder, READY) as process:
        assert is_alive(process.pid)
        assert process.seconds_to_ready > 0
        assert "started" in (folder / "log").read_text()
    assert not is_alive(process.pid)


def test_one_that_ends_before_it_is_ready_is_an_error_with_its_last_lines(folder: Path) -> None:
    with pytest.raises(RuntimeError, match="program ended:\nno such table"), a_process(folder, ENDS):
        pass


def test_one_that_does_not_get_ready_is_stopped(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_process, "_READY_WITHIN", 0.5)
    process = a_process(folder, NEVER_READY)
    with pytest.raises(ClusterError), process:
        pass
    assert not is_alive(process.pid)
