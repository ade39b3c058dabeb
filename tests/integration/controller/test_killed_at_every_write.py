"""An operator that is killed at any write of a run, and the one that goes on.

After each write: it was made, and nobody has learned of it. To be killed before a write leaves the same behind as after
the one before it, but for the first ones (plans), several of which are under way at the same time.
"""

from __future__ import annotations

import asyncio
import os
import signal
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.api.common import API_VERSION, GROUP, VERSION
from componentrun.api.names import OPERATOR_LABEL, RUN_LABEL
from componentrun.storage.connection import open_store
from componentrun.storage.layout import TableId
from componentrun.storage.tables import read_pointer
from e2e.cluster import waiting
from e2e.cluster.errors import ClusterError
from e2e.tenant.tenant import TERMINAL, phase_of
from tests.integration.controller import killing
from tests.integration.controller.conftest import free_port
from tests.integration.controller.killing import Death
from tests.integration.controller.seen import PodsSeen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from e2e.cluster.connection import Connection
    from e2e.tenant import Tenant

AT_ONCE = 6
"""Runs that are tried at the same time; a small machine takes no more pods."""
PATIENCE = 240
PLANS = 3
"""Writes at the start of a run that don't wait for each other."""
WORDS = "id,text\n1,one\n2,two\n3,three\n"
EVERY_KIND = {
    "write runs/stage-in.json",
    "write runs/stage-out.json",
    "POST pods",
    "POST secrets",
    "PATCH componentruns/status",
    "create runs/journal.json",
    "create tables/table.json",
    "replace runs/journal.json",
    "create state/state.json",
    "DELETE pods",
}
"""What a run that publishes a table writes at least."""


@dataclass(frozen=True)
class Lab:
    tenant: Tenant
    environment: dict[str, str]
    image: str
    folder: Path
    seen: PodsSeen

    def submit(self, name: str) -> str:
        """A run for the operator of the same name, which appends to a table of that name; its uid."""
        body = {
            "apiVersion": API_VERSION,
            "kind": "ComponentRun",
            "metadata": {"name": name, "labels": {OPERATOR_LABEL: name}},
            "spec": {
                "image": self.image,
                "args": ["copy"],
                "resources": {"limits": {"cpu": "100m", "memory": "64Mi"}},
                "timeout": "2m",
                "configuration": {"id": name},
                "input": {
                    "tables": [{"source": "in.c-main.words", "destination": "words.csv", "changedSince": "adaptive"}]
                },
                "output": {
                    "tables": [{"source": "words.csv", "destination": f"out.c-main.{name}", "incremental": True}]
                },
            },
        }
        made = self.tenant.custom.create_namespaced_custom_object(
            GROUP, VERSION, self.tenant.namespace, "componentruns", body, field_validation="Strict"
        )
        return str(made["metadata"]["uid"])

    def operator(self, name: str, process: str, death: Death | None = None) -> Any:
        environment = {**self.environment, "COMPONENTRUN_OPERATOR_NAME": name, "COMPONENTRUN_PORT": str(free_port())}
        return killing.start(environment, self.folder, process, death)

    def over(self, name: str) -> bool:
        """Whether the run has ended and its pod is gone."""
        return phase_of(self.tenant.get(name)) in TERMINAL and not self.tenant.pods(name)

    def try_one(self, death: Death | None) -> tuple[str, list[str]]:
        """A run whose operator dies so, and another one that ends it; what killed it, and what is wrong then."""
        name = f"k-{uuid.uuid4().hex[:8]}"
        first = self.operator(name, f"{name}-first", death)
        uid = self.submit(name)
        waiting.until(
            lambda: None if not first.is_alive() or self.over(name) else "alive",
            what=f"{name}, to be killed at {death}",
            timeout=PATIENCE,
        )
        first.terminate()
        first.join()
        died = first.exitcode == -signal.SIGKILL
        assert died or first.exitcode == 0, f"{name}: its operator ended with {first.exitcode}, see {self.folder}"
        heir = self.operator(name, f"{name}-heir")
        try:
            waiting.until(
                lambda: None if self.over(name) else str(self.tenant.get(name).get("status")),
                what=f"{name}, killed at {death}",
                timeout=PATIENCE,
            )
        except ClusterError as error:
            pods = self.tenant.kubectl("describe", "pods", f"--selector={RUN_LABEL}={name}").stdout
            raise AssertionError(f"{error}\n{pods[-3000:]}") from error
        finally:
            heir.terminate()
            heir.join()
        last = killing.writes(self.folder, f"{name}-first")[-1] if died else ""
        return last.removesuffix(" +"), self.wrong(name, uid)

    def wrong(self, name: str, uid: str) -> list[str]:
        """What is not as it should be after a run; empty where all is well."""
        status = self.tenant.get(name)["status"]
        found = {
            "end": (status["phase"], status["reason"], len(status["attempts"])),
            "pods ever": len(self.seen.of(name)),
            "secrets": [
                item for item in self.tenant.kubectl("get", "secrets", "-o", "name").stdout.split() if name in item
            ],
            "data": asyncio.run(self._data(uid)),
            "loads": asyncio.run(self._loads(name)),
        }
        wanted = {
            "end": ("Succeeded", "Succeeded", 1),
            "pods ever": 1,
            "secrets": [],
            "data": {f"{uid}-1"},
            "loads": [3],
        }
        return [f"{what}: {found[what]}, not {right}" for what, right in wanted.items() if found[what] != right]

    async def _loads(self, name: str) -> list[int]:
        """Rows of each time that something was put into the run's table."""
        pointer = await read_pointer(open_store(self.tenant.settings), TableId.parse(f"out.c-main.{name}"))
        return [] if pointer is None else [segment.rows for segment in pointer.pointer.segments]

    async def _data(self, uid: str) -> set[str]:
        """Prefixes of the run's attempts that hold anything."""
        store = open_store(self.tenant.settings)
        return {
            folder.rstrip("/").split("/")[-1]
            for folder in await store.folders(store.layout.data_root())
            if uid in folder
        }


@pytest.fixture
def lab(connection: Connection, images: dict[str, str], tenant: Tenant, tmp_path: Path) -> Iterator[Lab]:
    environment = {
        "KUBECONFIG": str(connection.kubeconfig),
        "COMPONENTRUN_AGENT_IMAGE": images["componentrun"],
        "COMPONENTRUN_NAMESPACES": tenant.namespace,
        "COMPONENTRUN_LOG_FORMAT": "text",
        "COMPONENTRUN_EVENTS_WAIT_SECONDS": "1",
        "PATH": os.environ["PATH"],
    }
    with PodsSeen(tenant) as seen:
        yield Lab(tenant, environment, images["test-components"], tmp_path, seen)


def test_whichever_write_it_dies_at_the_run_ends_as_if_it_had_not(lab: Lab) -> None:
    lab.tenant.put_table("in.c-main.words", WORDS)
    _, wrong = lab.try_one(None)
    assert not wrong
    (notes,) = lab.folder.glob("*-first.writes")
    whole = notes.read_text().splitlines()
    assert set(whole) >= EVERY_KIND, whole
    deaths = [Death(whole[: index + 1].count(what), before=False, of=what) for index, what in enumerate(whole)] + [
        Death(at, before=True) for at in range(1, PLANS + 2)
    ]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        tried = dict(zip(deaths, pool.map(lab.try_one, deaths), strict=True))
    assert {death: wrong for death, (_, wrong) in tried.items() if wrong} == {}
    assert {last for death, (last, _) in tried.items() if not death.before} >= EVERY_KIND, tried
