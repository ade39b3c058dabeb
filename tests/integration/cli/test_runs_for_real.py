"""Runs on the real API server: rejection, following, waiting, cancelling. The tests replace the operator."""

from __future__ import annotations

import json
import signal
import subprocess
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.integration.cli.conftest import Place

pytestmark = [pytest.mark.cluster, pytest.mark.store]


def now() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def over(phase: str = "Succeeded", reason: str = "Succeeded", **more: Any) -> dict[str, Any]:
    return {"phase": phase, "reason": reason, "startTime": now(), "completionTime": now(), **more}


def endpoint(place: Place) -> tuple[str, str]:
    return "--endpoint", place.endpoint


class Following:
    """A running command and its output lines."""

    def __init__(self, place: Place, *arguments: str, text: str | None = None) -> None:
        pipe = subprocess.PIPE
        # Background jobs ignore SIGINT, and so would their children.
        command = ["env", "--default-signal=INT", *place.command(*arguments)]
        self.process = subprocess.Popen(
            command,
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
            text=True,
            env={**place.environment(), "PYTHONFAULTHANDLER": "1"},
        )
        assert self.process.stdin is not None
        self.process.stdin.write(text or "")
        self.process.stdin.close()
        self.lines: list[str] = []
        self.errors: list[str] = []
        self._threads = [threading.Thread(target=self._read), threading.Thread(target=self._read_errors)]
        for thread in self._threads:
            thread.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self.lines.append(line.rstrip("\n"))

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr as lines:
            for line in lines:
                self.errors.append(line.rstrip("\n"))

    def wait_for(self, words: str, seconds: float = 60.0) -> None:
        """Wait for a line with these words on stdout or stderr."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if any(words in line for line in (*self.lines, *self.errors)):
                return
            time.sleep(0.02)
        raise AssertionError(f"no `{words}` in {self.lines} {self.errors}")

    def ended(self) -> int:
        try:
            code = self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)  # it prints the stack of each thread
            for thread in self._threads:
                thread.join()
            raise AssertionError(f"it did not end; {self.lines}\n" + "\n".join(self.errors)) from None
        for thread in self._threads:
            thread.join()
        return code


def test_events_are_followed_as_they_come_and_each_once(place: Place) -> None:
    run = place.submit()
    uid = place.uid(run)
    place.say(uid, 1, ["before"])
    following = Following(place, "events", run, "--follow", *endpoint(place))
    following.wait_for("before")
    for number in range(5):
        place.say(uid, 2 + number, [f"line {number}"])
        following.wait_for(f"line {number}")
    place.status(run, **over())
    place.say(uid, 7, ["after the end"])
    place.status(run, events={"count": 7, "delivered": True})
    assert following.ended() == 0
    messages = [line.partition("component: ")[2] for line in following.lines]
    assert messages == ["before", *(f"line {number}" for number in range(5)), "after the end"]


def test_submit_follow_shows_phases_lines_and_the_outcome(place: Place) -> None:
    following = Following(
        place, "submit", "-f", "-", "--name", "played-follow", "--follow", *endpoint(place), text=place.manifest()
    )
    following.wait_for("created in namespace")
    assert "played-follow" in place.cli("list", "-o", "name").stdout
    uid = place.uid("played-follow")
    phases = [{"phase": "Running", "startTime": now()}]
    place.status("played-follow", phase="Running", phases=phases)
    place.say(uid, 1, ["working"])
    following.wait_for("working")
    ended = over("Failed", "UserError", message="The file has no column `price`.", lastWords="no column price")
    events = {"count": 1, "delivered": True}
    place.status("played-follow", phases=[*phases, {"phase": "Failed", "startTime": now()}], events=events, **ended)
    assert following.ended() == 1
    told = "\n".join(following.errors)
    for words in (
        "created in namespace",
        " Running",
        " Failed",
        "(UserError)",
        "no column `price`",
        "  | no column price",
    ):
        assert words in told


@pytest.mark.parametrize(
    ("phase", "reason", "code"),
    [
        ("Succeeded", "Succeeded", 0),
        ("Failed", "OutputMissing", 1),
        ("Failed", "OutOfMemory", 2),
        ("Cancelled", "Cancelled", 2),
    ],
)
def test_wait_exits_as_the_run_did(place: Place, phase: str, reason: str, code: int) -> None:
    run = place.submit()
    following = Following(place, "wait", run)
    place.status(run, **over(phase, reason))
    assert following.ended() == code


def test_ctrl_c_leaves_the_run(place: Place) -> None:
    run = place.submit()
    place.say(place.uid(run), 1, ["working"])
    following = Following(place, "events", run, "-f", *endpoint(place))
    following.wait_for("working")
    following.process.send_signal(signal.SIGINT)
    assert following.ended() == 130
    assert f"`componentrun cancel {run} --namespace {place.namespace}` stops it" in "\n".join(following.errors)


def test_waiting_too_long_is_124(place: Place) -> None:
    done = place.cli("wait", place.submit(), "--wait-timeout", "1s")
    assert (done.returncode, "is not over yet" in done.stderr) == (124, True)


def test_cancel_and_delete(place: Place) -> None:
    run = place.submit()
    assert place.cli("cancel", run).returncode == 0
    assert json.loads(place.cli("get", run, "-o", "json").stdout)["spec"]["cancel"] is True
    assert place.cli("delete", run, "--yes").returncode == 0
    assert place.cli("get", run).returncode == 1


def test_latest_list_and_selectors(place: Place) -> None:
    time.sleep(1.1)  # creation times have a resolution of one second
    run = place.submit("--label", "which=this")
    assert f"Name:         {run}\n" in place.cli("get", "@latest").stdout
    assert place.cli("list", "-l", "which=this", "-o", "name").stdout == f"{run}\n"
    place.status(run, **over())
    assert run in place.cli("list", "--phase", "succeeded", "-o", "name").stdout
    assert "no such runs" in place.cli("list", "--phase", "publishing").stderr


REFUSED = [
    (["--timeout", "48h"], '`spec.timeout`: "48h": spec.timeout must be more than 0s and at most 24h'),
    (["--memory", "lots"], "`spec.resources.limits.memory`: found `lots`, expected a quantity"),
]


@pytest.mark.parametrize(("flags", "told"), REFUSED)
def test_a_refused_manifest_names_the_field(place: Place, flags: list[str], told: str) -> None:
    done = place.cli("submit", "-f", "-", *flags, text=place.manifest())
    assert (done.returncode, done.stdout) == (1, "")
    assert told in done.stderr


def test_the_same_name_twice_is_refused(place: Place) -> None:
    run = place.submit()
    done = place.cli("submit", "-f", "-", "--name", run, text=place.manifest())
    assert (done.returncode, f"ComponentRun `{run}` exists already" in done.stderr) == (1, True)


def test_dry_run_is_checked_by_the_cluster_and_creates_nothing(place: Place) -> None:
    arguments = ("submit", "--image", "a", "--name", "only-dry", "--dry-run")
    assert place.cli(*arguments).returncode == 0
    assert place.cli("get", "only-dry").returncode == 1
    refused = place.cli(*arguments, "--timeout", "48h")
    assert (refused.returncode, "spec.timeout must be" in refused.stderr) == (1, True)


def test_doctor_looks_at_every_storage(place: Place) -> None:
    done = place.cli("doctor", "-o", "json")
    assert done.returncode == 1, done.stderr
    checks = {check["what"]: check for check in json.loads(done.stdout)}
    for what in (
        "cluster",
        "CRD componentruns.componentrun.dev",
        "Storage",
        "Storage main, compare and swap",
        "Storage main, catalog, connect",
    ):
        assert checks[what]["state"] == "ok", checks[what]
    for what in (
        "Storage locked, list",
        "Storage away, list",
        "Storage keyless",
        "Storage no-bucket, list",
        "Storage barred, catalog, connect",
        "Storage catalog-away, catalog, connect",
    ):
        assert checks[what]["state"] == "fail", checks[what]
    assert checks["Storage no-catalog, catalog"]["state"] == "warn"


def test_a_person_without_rights_is_told_the_verb_and_the_resource(place: Place) -> None:
    place.kubectl("create", "serviceaccount", "nobody", "-n", place.namespace)
    token = place.kubectl("create", "token", "nobody", "-n", place.namespace).strip()
    config = place.kubectl("config", "view", "--raw", "--minify", "-o", "json")
    kubeconfig = json.loads(config)
    kubeconfig["users"][0]["user"] = {"token": token}
    file = place.connection.logs.parent / f"{place.namespace}.kubeconfig"
    file.write_text(json.dumps(kubeconfig))
    try:
        env = place.environment() | {"KUBECONFIG": str(file)}
        done = subprocess.run(place.command("list"), capture_output=True, text=True, check=False, env=env)
    finally:
        file.unlink()
    told = f"you are not allowed to list `componentruns.componentrun.dev` in namespace `{place.namespace}`"
    assert (done.returncode, told in done.stderr) == (1, True), done.stderr


@pytest.mark.parametrize("content", ["", "{}", "clusters: 7"])
def test_a_kubeconfig_that_is_none_is_a_sentence(place: Place, tmp_path: Any, content: str) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(content)
    env = place.environment() | {"KUBECONFIG": str(file)}
    done = subprocess.run(place.command("list"), capture_output=True, text=True, check=False, env=env)
    assert (done.returncode, "Traceback" in done.stderr) == (1, False), done.stderr
    assert "KUBECONFIG" in done.stderr.partition("\n\nhint: ")[2]


def test_a_cluster_that_is_away_is_a_sentence(place: Place, tmp_path: Any) -> None:
    config = {
        "apiVersion": "v1", "kind": "Config", "current-context": "x",
        "clusters": [{"name": "x", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "x", "user": {}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
    }  # fmt: skip
    file = tmp_path / "kubeconfig"
    file.write_text(json.dumps(config))
    env = place.environment() | {"KUBECONFIG": str(file)}
    done = subprocess.run(place.command("list"), capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 2
    assert done.stderr.startswith("error: the cluster at https://127.0.0.1:1 does not answer: Connection refused\n")
