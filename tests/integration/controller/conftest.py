"""Operator and loader of the work tree as processes on this machine, with the real cluster and the real agents.

The operator has its own name and processes only runs with its label, so an operator that is installed on the cluster
does not interfere.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import yaml

from componentrun.api.common import API_VERSION, GROUP, VERSION
from componentrun.api.names import OPERATOR_LABEL
from dev.cluster import connection as cluster_connection
from dev.cluster import waiting
from dev.cluster.host.ports import free_port
from dev.images import ensure
from e2e import tenant as tenants
from e2e.faults.wire import Wire
from e2e.tenant.failure_report import add_runs
from e2e.tenant.repository import Repository
from e2e.tenant.tenant import SMALL
from tests.integration import forks
from tests.integration.forks import Child
from tests.integration.loader.running import Loader

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

    from dev.cluster.connection import Connection
    from e2e.tenant import Tenant


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.cluster)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    add_runs(item, report)
    return report


LONG = "10m"
"""Timeout of runs: no test needs so long on a slow machine, though some run others while a component waits."""


def has_been(phase: str, run: dict[str, Any]) -> bool:
    """Whether the run is or was in this phase. Phases that ended unobserved are recorded later."""
    return any(item["phase"] == phase for item in run.get("status", {}).get("phases", []))


@dataclass
class OperatorProcess:
    """`python -m componentrun.controller`, which a test can start and stop repeatedly.

    Attributes:
        is_forked: whether the process is forked from one that has imported its modules, which saves 2 s of CPU time.
    """

    environment: dict[str, str]
    log: Path
    name: str = field(default_factory=lambda: f"test-{uuid.uuid4().hex[:8]}")
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | Child | None = None
    is_forked: bool = True

    def start(self, **settings: str) -> None:
        environment = {
            **os.environ,
            **self.environment,
            "COMPONENTRUN_OPERATOR_NAME": self.name,
            "COMPONENTRUN_PORT": str(self.port),
            "COMPONENTRUN_LOG_FORMAT": "text",
            "COMPONENTRUN_EVENTS_WAIT_SECONDS": "3",
            **settings,
        }
        if self.is_forked:
            self.process = Child(forks.operator, environment, self.log)
            return
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "componentrun.controller"], env=environment, stdout=output, stderr=output
            )

    def ask(self, path: str) -> tuple[int, str]:
        """Status and text of /healthz, /readyz or /metrics. The status is 0 if nothing listens on the port."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
                return int(answer.status), answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def wait_ready(self) -> None:
        deadline = time.monotonic() + 120
        while self.ask("/readyz")[0] != 200:
            assert time.monotonic() < deadline, f"not ready: {self.ask('/readyz')}; {self.log.read_text()[-2000:]}"
            time.sleep(0.1)

    def kill(self) -> None:
        """Send SIGKILL, like `kill -9` or a lost node."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def terminate(self) -> tuple[int, float]:
        """Send SIGTERM, and return the exit code and the duration in seconds."""
        assert self.process is not None
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=60), time.monotonic() - began

    def end(self) -> None:
        """Stop the process in any state."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=10)
            self.kill()

    def resident_mib(self) -> float:
        assert self.process is not None
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.fixture
def wire(connection: Connection, operator: OperatorProcess, tmp_path: Path) -> Iterator[Wire]:
    """A connection to the API server that tests can cut. Request this fixture before the operator is started."""
    if not connection.own:
        pytest.skip("a stranger's API server may have no certificate for 127.0.0.1")
    config = yaml.safe_load(connection.kubeconfig.read_text())
    server = urlsplit(config["clusters"][0]["cluster"]["server"])
    with Wire(server.hostname or "", server.port or 443) as made:
        config["clusters"][0]["cluster"]["server"] = f"https://127.0.0.1:{made.port}"
        path = tmp_path / "through-the-wire"
        path.write_text(yaml.safe_dump(config))
        operator.environment["KUBECONFIG"] = str(path)
        yield made


@pytest.fixture(scope="session")
def connection() -> Connection:
    return cluster_connection.load()


@pytest.fixture(scope="session")
def images(connection: Connection) -> dict[str, str]:
    return dict(ensure(connection, ["componentrun", "test-components"]))


@pytest.fixture(scope="session")
def loader(connection: Connection, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loader]:
    """The loader for all operators of these tests."""
    made = Loader(connection, tmp_path_factory.mktemp("loader"))
    made.start()
    yield made
    made.delete()


@pytest.fixture(scope="session")
def settings(connection: Connection, images: dict[str, str], loader: Loader) -> dict[str, str]:
    """Environment of every operator."""
    return {
        "KUBECONFIG": str(connection.kubeconfig),
        "COMPONENTRUN_AGENT_IMAGE": images["componentrun"],
        **loader.of_an_operator(),
    }


@pytest.fixture
def tenant(connection: Connection) -> Iterator[Tenant]:
    made = tenants.create(connection, "ctl")
    yield made
    made.kubectl("delete", "namespace", made.namespace, "--ignore-not-found", "--wait=false")
    made.close()


@pytest.fixture
def operator(settings: dict[str, str], tenant: Tenant, tmp_path: Path) -> Iterator[OperatorProcess]:
    environment = settings | {"COMPONENTRUN_NAMESPACES": tenant.namespace}
    made = OperatorProcess(environment, tmp_path / "operator.log")
    yield made
    made.end()


@pytest.fixture
def second(operator: OperatorProcess, tmp_path: Path) -> Iterator[OperatorProcess]:
    """Another operator for the same runs."""
    made = OperatorProcess(operator.environment, tmp_path / "second.log", name=operator.name)
    yield made
    made.end()


def left(tenant: Tenant, name: str) -> str | None:
    """Existing runs, pods and Secrets whose names begin with `name`; None if there are none."""
    found = tenant.kubectl("get", "componentruns,pods,secrets", "-o", "name").stdout.split()
    return ", ".join(item for item in found if item.rpartition("/")[2].startswith(name)) or None


@dataclass
class Place:
    """A tenant with its own operator, shared by the tests of a module, which use the same settings."""

    tenant: Tenant
    operator: OperatorProcess
    image: str

    def run(self, *args: str, **spec: Any) -> str:
        """Create a run for this operator with one attempt. `spec` sets fields; None unsets a field."""
        name = f"r-{uuid.uuid4().hex[:8]}"
        once = {"limit": 0}
        full: dict[str, Any] = {"image": self.image, "resources": SMALL, "timeout": LONG, "retry": once, **spec}
        if args:
            full["args"] = list(args)
        body = {
            "apiVersion": API_VERSION,
            "kind": "ComponentRun",
            "metadata": {"name": name, "labels": {OPERATOR_LABEL: self.operator.name}},
            "spec": {key: value for key, value in full.items() if value is not None},
        }
        self.tenant.custom.create_namespaced_custom_object(
            GROUP, VERSION, self.tenant.namespace, "componentruns", body, field_validation="Strict"
        )
        return name

    def await_phase(self, name: str, phase: str) -> None:
        """Wait until the run is in this phase."""
        self.tenant.wait(name, lambda run: run.get("status", {}).get("phase") == phase, timeout=120)

    def await_line(self, name: str, words: str) -> None:
        """Wait until the component of the run's first attempt has printed these words, so its traps are set."""

        def missing() -> str | None:
            printed = self.tenant.kubectl("logs", f"{name}-1", "--container=component").stdout
            return None if words in printed else f"it has printed {printed!r}"

        waiting.until(missing, what=f"the line `{words}` of {name}", timeout=120)

    def failed(self, name: str, reason: str, *words: str, seconds: float = 120) -> dict[str, Any]:
        """Status of a run, which must be Failed with this reason and a message that contains these words."""
        status = dict(self.tenant.wait(name, timeout=seconds)["status"])
        assert (status["phase"], status["reason"]) == ("Failed", reason), status["message"]
        for word in words:
            assert word in status["message"], status["message"]
        succeeded = next(item for item in status["conditions"] if item["type"] == "Succeeded")
        assert (succeeded["status"], succeeded["reason"], succeeded["message"]) == ("False", reason, status["message"])
        return status


@pytest.fixture(scope="module")
def place(
    request: pytest.FixtureRequest,
    connection: Connection,
    images: dict[str, str],
    settings: dict[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Place]:
    """A Place whose operator has the module's `SETTINGS`."""
    made = tenants.create(connection, "ends")
    environment = settings | {"COMPONENTRUN_NAMESPACES": made.namespace} | getattr(request.module, "SETTINGS", {})
    running = OperatorProcess(environment, tmp_path_factory.mktemp("operator") / "operator.log")
    running.start()
    yield Place(made, running, images["test-components"])
    running.end()
    made.delete()


@pytest.fixture
def submit(tenant: Tenant, operator: OperatorProcess, images: dict[str, str]) -> Any:
    """Create a run for this operator and return its name: `submit("copy", output=...)`. None unsets a field."""

    def create(*args: str, **spec: Any) -> str:
        name = f"r-{uuid.uuid4().hex[:8]}"
        full = {
            "image": images["test-components"],
            "args": list(args),
            "resources": SMALL,
            "timeout": LONG,
            **spec,
        }
        body = {
            "apiVersion": API_VERSION,
            "kind": "ComponentRun",
            "metadata": {"name": name, "labels": {OPERATOR_LABEL: operator.name}},
            "spec": {field: value for field, value in full.items() if value is not None},
        }
        tenant.custom.create_namespaced_custom_object(
            GROUP, VERSION, tenant.namespace, "componentruns", body, field_validation="Strict"
        )
        return name

    return create


@dataclass(frozen=True)
class Tags:
    """Tags of the tests' components in the cluster's registry, which can be moved."""

    repository: Repository
    source: str

    @property
    def name(self) -> str:
        """Name of the image."""
        return self.repository.name

    def move(self, tag: str, note: str) -> str:
        """Point a tag to the tests' components with this note. Returns the digest."""
        return self.repository.move(self.source, tag, note)


@pytest.fixture
def tags(connection: Connection, images: dict[str, str]) -> Tags:
    if connection.registry is None:
        pytest.skip("the cluster has no registry that this machine can push to")
    return Tags(*Repository.of(images["test-components"]))


@pytest.fixture
def registry_place(tenant: Tenant, operator: OperatorProcess, images: dict[str, str], tags: Tags) -> Place:
    """A tenant whose operator reaches the cluster's registry."""
    operator.start(COMPONENTRUN_REGISTRY_PLAIN_HTTP=tags.repository.host)
    operator.wait_ready()
    return Place(tenant, operator, images["test-components"])
