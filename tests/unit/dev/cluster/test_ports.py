"""Ports for the processes that tests start."""

import os
import socket
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dev.cluster.host import ports


def test_no_port_is_given_twice_though_several_threads_ask_at_once() -> None:
    with ThreadPoolExecutor(6) as pool:
        given = list(pool.map(lambda _: ports.free_port(), range(60)))
    assert len(set(given)) == 60


def test_workers_have_none_in_common_and_nobody_is_given_one_by_chance(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[set[int]] = []
    for worker in ("gw0", "gw1", "gw7", None):  # None: a process that is no worker
        if worker is None:
            monkeypatch.delenv("PYTEST_XDIST_WORKER")
        else:
            monkeypatch.setenv("PYTEST_XDIST_WORKER", worker)
        given.append({ports.free_port() for _ in range(20)})
    assert len(set.union(*given)) == 80
    assert 20_244 < min(set.union(*given)) <= max(set.union(*given)) < 30_000


def test_one_that_somebody_holds_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "_given", iter([7, 7, 8]))
    with socket.create_server(("127.0.0.1", ports.free_port())) as held:
        assert ports.free_port() == held.getsockname()[1] + 1


def test_where_all_are_held_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "holder", lambda _: (1, "somebody"))
    with pytest.raises(RuntimeError, match="are held"):
        ports.free_port()


def inode(held: socket.socket) -> str:
    return str(os.fstat(held.fileno()).st_ino)


def myself() -> tuple[int, str]:
    return os.getpid(), Path("/proc/self/comm").read_text().strip()


def test_a_holder_that_closes_other_files_meanwhile_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        read = os.readlink

        def closed(path: Path) -> str:
            target = read(path)
            if target != f"socket:[{inode(held)}]":
                raise FileNotFoundError(path)
            return target

        monkeypatch.setattr(os, "readlink", closed)
        assert ports.holder(held.getsockname()[1]) == myself()


def test_a_child_that_holds_a_port_like_its_parent_is_not_taken_for_its_holder(monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as held,
        subprocess.Popen(["sleep", "60"], pass_fds=[held.fileno()]) as child,
    ):
        # Numbers of processes are used again: a child may come before its parent.
        both = [(child.pid, inode(held)), (os.getpid(), inode(held))]
        monkeypatch.setattr(ports, "_open_sockets", lambda: iter(both))
        found = ports.holder(held.getsockname()[1])
        child.kill()
    assert found == myself()
