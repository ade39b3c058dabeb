"""Why the commands of a build failed, and what to do about it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun.core.builds.failures.commands import CommandFailure, command_failure
from componentrun.core.podstatus.view import ContainerView
from componentrun.reasons import GUIDANCE, Reason

USUAL = GUIDANCE[Reason.BUILD_FAILED].advice


def failed(words: str | None, code: int = 1) -> CommandFailure:
    return command_failure(ContainerView("commands", "terminated", exit_code=code), words)


def step(line: str, *printed: str) -> str:
    return "\n".join([f"componentrun: step 1 of 2: {line}", *printed])


@pytest.mark.parametrize(
    "printed",
    [
        "/bin/sh: 1: uv: not found",
        "/bin/sh: line 1: uv: command not found",
        "/bin/sh: uv: not found",
        "sh: uv: not found",
        "bash: line 1: uv: command not found",
    ],
)
def test_a_program_that_the_parent_does_not_have(printed: str) -> None:
    found = failed(step("uv sync", printed), 127)
    assert found.reason is Reason.BUILD_FAILED
    assert found.advice.startswith("The parent image has no program `uv`:")
    assert "`uv sync` ended with exit code 127" in found.summary


ROOT = [
    step("apt-get update", "Reading package lists...", "E: List directory /var/lib/apt/lists/partial is missing."),
    step("apk add git", "ERROR: Unable to lock database: Permission denied"),
    step("make install", "install: cannot create regular file '/usr/local/bin/x': Permission denied"),
    step("pip install x", "ERROR: Could not install: [Errno 13] Permission denied: '/opt/x'"),
    step("./setup", "error: this program must be run as root"),
    step("./setup", "E: Could not open lock file (13), are you root?"),
    step("chown root main.py", "chown: changing ownership of 'main.py': Operation not permitted"),
]


@pytest.mark.parametrize("words", ROOT)
def test_what_needs_root_is_up_to_the_parent_image(words: str) -> None:
    found = failed(words, 100)
    assert found.reason is Reason.BUILD_FAILED
    assert "Choose a parent image that has what needs root" in found.advice


@pytest.mark.parametrize("program", ["apt-get", "apk", "sudo", "yum"])
def test_a_package_manager_that_is_missing_would_not_help(program: str) -> None:
    found = failed(step(f"{program} install git", f"/bin/sh: 1: {program}: not found"), 127)
    assert "needs root" in found.advice


@pytest.mark.parametrize(
    "printed",
    [
        "curl: (6) Could not resolve host: pypi.org",
        "WARNING: Retrying: NewConnectionError('Failed to establish a new connection: Connection refused')",
        "npm ERR! code ENOTFOUND",
        "socket.gaierror: [Errno -3] Temporary failure in name resolution",
    ],
)
def test_a_host_that_is_not_reached(printed: str) -> None:
    assert "whether the platform lets builds connect to it" in failed(step("get", printed)).advice


@pytest.mark.parametrize("printed", ["tar: x: No space left on device", "write error: Disk quota exceeded"])
def test_a_full_disk(printed: str) -> None:
    assert failed(step("tar x", printed)).reason is Reason.BUILD_DISK_FULL


def test_only_the_last_command_counts() -> None:
    words = step("cd /usr && touch x || true", "touch: x: Permission denied in /usr")
    words += "\ncomponentrun: step 2 of 2: python3 check.py\nValueError: 3 tests failed"
    assert failed(words) == (
        Reason.BUILD_FAILED,
        "Command 2 of 2 `python3 check.py` ended with exit code 1: ValueError: 3 tests failed.",
        USUAL,
    )


def test_a_stack_trace_is_told_by_its_error() -> None:
    trace = ("Traceback (most recent call last):", '  File "x.py", line 1, in <module>', "ValueError: no such column")
    assert failed(step("python3 x.py", *trace)).summary.endswith("ended with exit code 1: no such column.")


def test_where_npm_has_its_log_is_no_cause() -> None:
    printed = (
        "npm error 404 'no-such-package@1' is not in this registry.",
        "npm error A complete log of this run can be found in: /home/x.log",
    )
    assert failed(step("npm ci", *printed)).summary.endswith("'no-such-package@1' is not in this registry.")


def test_without_any_words() -> None:
    assert failed(None, 3).summary == "The commands ended with exit code 3 and printed nothing."
    assert failed("…\nlast line").summary == "The commands ended with exit code 1: last line."


def test_long_commands_and_lines_are_cut() -> None:
    found = failed(step("x" * 4000, "y" * 4000))
    assert len(found.summary) < 600


@given(st.text(max_size=200), st.integers(1, 255))
def test_anything_can_be_printed(words: str, code: int) -> None:
    found = failed(words, code)
    assert found.summary.endswith(".")
    assert found.advice
