"""The processes of fetch and push: what they print and report if something is wrong."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from componentrun.builder import __main__ as process
from componentrun.builder.settings import read_settings
from componentrun.core.builds.exchange import (
    INPUTS_FILE,
    LAYERS_FILE,
    PULL_FILE,
    PUSH_FILE,
    StepReport,
    read_report,
)
from componentrun.core.builds.pod import build_inputs, build_pod
from dev.cluster.host.ports import free_port
from tests.unit.core.builds.podexamples import SETTINGS, build

if TYPE_CHECKING:
    from pathlib import Path

PASSWORD = "hunter2-password"
CONFIG = json.dumps({"auths": {"127.0.0.1:1": {"username": "ann", "password": PASSWORD}}})


@pytest.fixture
def grant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder with the Secret of a step, with a host on which nothing listens."""
    folder = tmp_path / "grant"
    for path in (folder, tmp_path / "code", tmp_path / "control"):
        path.mkdir()
    monkeypatch.setattr(process, "_GRANT", folder)
    monkeypatch.setattr(process, "_CODE", tmp_path / "code")
    monkeypatch.setattr(process, "_CONTROL", tmp_path / "control")
    write(folder, free_port())
    return folder


def write(folder: Path, port: int, **files: str) -> None:
    inputs = replace(
        build_inputs(build().spec),
        url=f"https://127.0.0.1:{port}/app.git",
        parent=f"127.0.0.1:{port}/base@sha256:" + "1" * 64,
        target=f"127.0.0.1:{port}/app",
    )
    (folder / INPUTS_FILE).write_bytes(inputs.canonical())
    (folder / LAYERS_FILE).write_text("[]")
    for name, text in {"username": "ann", "password": PASSWORD, PULL_FILE: CONFIG, PUSH_FILE: CONFIG, **files}.items():
        (folder / name).write_text(text)


def ended(step: str, grant: Path) -> tuple[int, StepReport]:
    log = grant.parent / "termination-log"
    code = process.main([step], str(log))
    report = read_report(log.read_text())
    assert report is not None
    return code, report


@pytest.mark.parametrize("arguments", [[], ["commands"], ["fetch", "push"]])
def test_anything_else_than_a_step_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert process.main(arguments) == 64
    assert "fetch|push" in capsys.readouterr().err


def test_a_git_host_that_is_away_may_be_back_later(
    grant: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("componentrun.builder.retrying._GIT_WAITS", (0.0, 0.0))
    code, report = ended("fetch", grant)
    assert (code, report.reason, report.is_transient) == (1, "SourceUnavailable", True)
    printed = capsys.readouterr()
    assert f"componentrun: error: {report.message}" in printed.out
    assert not printed.err, "an expected error has no stack"
    assert PASSWORD not in printed.out + repr(report)


@pytest.mark.parametrize(
    ("name", "text"), [("username", ""), ("password", "a\x00b"), (INPUTS_FILE, "{}"), (INPUTS_FILE, '{"format":2}')]
)
def test_a_secret_that_can_not_be_used_is_told(grant: Path, name: str, text: str) -> None:
    (grant / name).write_text(text)
    code, report = ended("fetch", grant)
    assert (code, report.is_transient) == (1, False)
    assert report.reason == ("Internal" if name == INPUTS_FILE else "SourceUnavailable")
    assert report.advice
    assert PASSWORD not in repr(report)


def test_a_defect_is_told_without_its_values(
    grant: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError(f"https://ann:{PASSWORD}@git.example.com")

    monkeypatch.setattr(process, "read_git_login", fail)
    code, report = ended("fetch", grant)
    printed = capsys.readouterr()
    assert (code, report.reason) == (1, "Internal")
    assert "RuntimeError" in (report.message or "")
    assert "in fail" in printed.err
    assert printed.err.endswith("RuntimeError\n")
    assert PASSWORD not in printed.out + printed.err.replace("raise RuntimeError(f", "") + repr(report)


def test_push_without_a_recipe_is_a_defect(grant: Path) -> None:
    code, report = ended("push", grant)
    assert (code, report.reason, report.is_transient) == (1, "Internal", False)
    assert "ENOENT" in (report.message or "")


def test_the_settings_are_those_that_the_pod_has() -> None:
    pod = build_pod(build(), SETTINGS)
    environment = {item["name"]: item["value"].replace("$$", "$") for item in pod["spec"]["containers"][0]["env"]}
    found = read_settings(environment)
    assert found.registry.plain_http == {"registry.example.com", "mirror.example.com:5000"}
    assert found.registry.ca_bundle == found.git.ca_bundle == SETTINGS.ca_bundle
    assert read_settings({}).registry.plain_http == frozenset()
    assert read_settings({}).git.ca_bundle is None


def test_sigterm_ends_a_step_at_once(tmp_path: Path) -> None:
    """As the first process of a container, which ignores signals without a handler."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        write(tmp_path, silent.getsockname()[1])
        code = (
            "import sys; from pathlib import Path; from componentrun.builder import __main__ as process; "
            "process._GRANT = process._CODE = process._CONTROL = Path(sys.argv[1]); "
            "sys.exit(process.main(['fetch'], sys.argv[1] + '/log'))"
        )
        with subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.DEVNULL) as running:
            connection, _ = silent.accept()
            with connection:
                running.send_signal(signal.SIGTERM)
                assert running.wait(20) == 128 + signal.SIGTERM
    assert not (tmp_path / "log").exists()
