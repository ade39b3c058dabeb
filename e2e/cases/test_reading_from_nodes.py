"""Logs read from the nodes' files: separate streams, rotation, restarts, and access control."""

from __future__ import annotations

import base64
import http.client
import json
import socket
import ssl
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from componentrun.wire import logserver
from dev.cluster import own, waiting
from dev.images import ensure
from dev.install import IMAGES, NAMESPACE, install
from e2e.tenant.tenant import SMALL

if TYPE_CHECKING:
    from collections.abc import Iterator

    from componentrun.storage.events.events import Event
    from dev.cluster.connection import Connection
    from e2e.tenant import Tenant

pytestmark = pytest.mark.disruptive

TRACEBACK = """
import os, sys
for number in range(300):
    os.write(1, f"line {number}\\n".encode())
    if number == 150:
        for text in ("Traceback (most recent call last):", '  File "a.py", line 1, in <module>', "ValueError: odd"):
            os.write(2, f"{text}\\n".encode())
            os.write(1, f"between {text[:9]}\\n".encode())
"""
NUMBERED = """
import sys, time
lines, size, rate = (int(word) for word in sys.argv[1:])
begun = time.monotonic()
for number in range(1, lines + 1):
    stream = sys.stderr if number % 10 == 0 else sys.stdout
    stream.write(f"{number:08} ".ljust(size, "x") + "\\n")
    if number % 100 == 0:
        stream.flush()
        time.sleep(max(0.0, begun + number / rate - time.monotonic()))
"""
LIMITS = {"limits": {**SMALL["limits"], "cpu": "1"}}


@pytest.fixture(scope="module", autouse=True)
def _installed(connection: Connection) -> Iterator[None]:
    images = ensure(connection, IMAGES)
    # Two collectors: each log server answers both, and each pod gets its number from the StatefulSet.
    install(connection, images, {"collector": {"reader": "node", "shards": 2}})
    yield
    install(connection, images)


def delivered(tenant: Tenant, name: str, *, timeout: float = 660) -> list[Event]:
    tenant.wait(
        name, lambda run: ((run.get("status") or {}).get("events") or {}).get("delivered", False), timeout=timeout
    )
    return tenant.events(name)


def numbers(events: list[Event]) -> list[int]:
    return [int(event.message[:8]) for event in events if event.source == "component"]


def assert_whole(tenant: Tenant, name: str, lines: int) -> None:
    """Assert that each line exists once, in order within its stream."""
    events = delivered(tenant, name)
    line_numbers = numbers(events)
    assert sorted(line_numbers) == list(range(1, lines + 1))
    assert [number for number in line_numbers if number % 10] == [
        number for number in range(1, lines + 1) if number % 10
    ]
    assert tenant.get(name)["status"]["events"]["message"] == ""


def pods(tenant: Tenant, part: str) -> list[str]:
    """Names of the pods of a part of the installation."""
    selector = f"app.kubernetes.io/component={part}"
    result = tenant.kubectl("get", "pods", f"--namespace={NAMESPACE}", f"--selector={selector}", "--output=name")
    return result.stdout.split()


def test_a_trace_on_stderr_is_one_event_whatever_stdout_says_meanwhile(tenant: Tenant, components: str) -> None:
    name = tenant.run(components, command=["python3", "-c", TRACEBACK])
    messages = [event.message for event in delivered(tenant, name) if event.source == "component"]
    assert 'Traceback (most recent call last):\n  File "a.py", line 1, in <module>\nValueError: odd' in messages
    assert [message for message in messages if message.startswith("line ")] == [f"line {n}" for n in range(300)]


def test_a_log_that_is_rotated_again_and_again_is_read_whole(tenant: Tenant, components: str) -> None:
    """At 4 MB/s a file reaches the kubelet's default size before each of its checks, which are ten seconds apart."""
    command = ["python3", "-c", NUMBERED, "100000", "1000", "4000"]
    name = tenant.run(components, command=command, resources=LIMITS, timeout="10m")
    assert_whole(tenant, name, 100_000)


def test_whoever_is_killed_while_it_prints_nothing_is_lost_or_doubled(
    tenant: Tenant, components: str, connection: Connection
) -> None:
    name = tenant.run(components, command=["python3", "-c", NUMBERED, "30000", "60", "1000"], resources=LIMITS)
    tenant.wait(name, lambda run: (run.get("status") or {}).get("phase") == "Running")
    for part in ("collector", "node-logs", "collector"):
        time.sleep(3)  # let the component print
        # A pod that was killed before may just be replaced.
        waiting.until(lambda: None if pods(tenant, part) else "none", what=f"pods of {part}", timeout=60)  # noqa: B023 - called before the loop goes on
        force = ("--grace-period=0", "--force", "--wait=false", "--ignore-not-found")
        tenant.kubectl("delete", f"--namespace={NAMESPACE}", *pods(tenant, part), *force)
    if connection.own:
        kubelet = own.plan().named("kubelet")
        try:
            assert kubelet.end()
        finally:
            kubelet.begin()
            kubelet.await_ready()
    assert_whole(tenant, name, 30_000)


class TestStrangers:
    @pytest.fixture
    def server(self, tenant: Tenant) -> str:
        """Address of the log server to ask."""
        (pod,) = pods(tenant, "node-logs")
        result = tenant.kubectl("get", f"--namespace={NAMESPACE}", pod, "--output=json")
        return str(json.loads(result.stdout)["status"]["podIP"])

    def test_a_component_does_not_reach_it(self, tenant: Tenant, components: str, server: str) -> None:
        logs, metrics = f"{server}:{logserver.PORT}", f"{server}:8080"
        name = tenant.run(components, "probe", logs, metrics, network={"mode": "bridge"})
        events = delivered(tenant, name)
        findings = [json.loads(event.message) for event in events if event.message.startswith("{")]
        addresses = {item["what"] for item in findings if item["kind"] == "network"}
        assert metrics in addresses, "the network between the pods is there"
        assert logs not in addresses

    def test_no_token_but_the_collectors_opens_it(self, tenant: Tenant, server: str, connection: Connection) -> None:
        if not connection.own:
            pytest.skip("the log server's port is open to its own node only")

        def token(account: str, audience: str) -> str:
            result = tenant.kubectl(
                "create", "token", account, f"--namespace={NAMESPACE}", f"--audience={audience}", "--duration=10m"
            )
            return result.stdout.strip()

        path = f"/v1/logs/{tenant.namespace}/nobody/00000000-0000-4000-8000-000000000000/component"
        collector, operator = "componentrun-collector", "componentrun-operator"
        result = tenant.kubectl(
            "get", "secret", f"--namespace={NAMESPACE}", "componentrun-node-logs-tls", "--output=json"
        )
        ask = Asking(server, base64.b64decode(json.loads(result.stdout)["data"]["ca.crt"]).decode())
        assert ask(path, "") == 401
        assert ask(path, token(operator, logserver.AUDIENCE)) == 401
        assert ask(path, token(collector, "https://kubernetes.default.svc")) == 401
        collector_token = token(collector, logserver.AUDIENCE)
        assert ask(path, collector_token) == 404
        assert ask(path.replace("nobody", "%2e%2e%2f%2e%2e"), collector_token) == 400
        assert ask(path.replace("component", "kube-apiserver"), collector_token) == 403


class Asking:
    """An unauthorized client that trusts the chart's CA."""

    def __init__(self, server: str, authority: str) -> None:
        self._server = server
        self._context = ssl.create_default_context(cadata=authority)

    def __call__(self, path: str, token: str) -> int:
        """Send a request and return the HTTP status."""
        address = (self._server, logserver.PORT)
        with (
            socket.create_connection(address, timeout=10) as plain,
            self._context.wrap_socket(plain, server_hostname=logserver.SERVER_NAME) as encrypted,
            closing(http.client.HTTPConnection(logserver.SERVER_NAME)) as connection,
        ):
            connection.sock = encrypted
            connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
            with connection.getresponse() as response:
                return response.status
