"""An operator is killed at every write of a run, and another one continues.

It is killed after each write, which was made but whose response was not seen. A kill before a write has the same effect
as one after the previous write, except for the first writes (plans), which are made concurrently.
"""

from __future__ import annotations

import asyncio
import os
import signal
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.api.common import API_VERSION, GROUP, VERSION
from componentrun.api.names import OPERATOR_LABEL, RUN_LABEL
from componentrun.loader.catalog.catalog import Catalog
from componentrun.loader.catalog.names import to_iceberg
from componentrun.loader.reading.versions import versions_of
from componentrun.storage.store.connection import open_store
from componentrun.storage.store.keys import TableId
from dev.cluster import waiting
from dev.cluster.errors import ClusterError
from dev.cluster.host.ports import free_port
from e2e.tenant.tenant import TERMINAL, phase_of
from tests.integration.controller import killing
from tests.integration.controller.killing import Death
from tests.integration.controller.seen import PodsSeen

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from e2e.tenant import Tenant

AT_ONCE = 6
"""Number of concurrent runs; a small machine has no room for more pods."""
PATIENCE = 240
PLANS = 3
"""Number of concurrent writes at the start of a run."""
WORDS = "id,text\n1,one\n2,two\n3,three\n"
EVERY_KIND = {
    "write runs/stage-in.json",
    "write runs/stage-out.json",
    "POST pods",
    "POST secrets",
    "PATCH componentruns/status",
    "load",
    "create state/state.json",
    "DELETE pods",
}
"""Minimum set of writes of a run that publishes a table."""
START = "POST secrets"
"""All runs make the same writes up to this one."""
CLEAN_UP = 2
"""Number of writes after the end of any run: the result of the event delivery, and the pod's deletion."""
FIRST_FAILS = """
case "$(cat /etc/hostname)" in *-1) exit 2;; esac
cp /data/in/tables/words.csv /data/out/tables/words.csv
"""
SLEEPS = {"args": ["sleep-for", "300"]}
AGAIN = {"limit": 1, "afterStart": ["ApplicationError"], "backoff": {"initial": "1s", "max": "1s"}}


@dataclass(frozen=True)
class Life:
    """A scenario of a run and its expected result.

    Attributes:
        spec: fields that override the common spec.
        end: expected phase and reason.
        attempts: expected number of attempts, each with a pod.
        loads: expected number of rows of each load into the run's table.
        cancelled: whether the run is cancelled while it runs.
    """

    spec: dict[str, Any]
    end: tuple[str, str]
    attempts: int = 1
    loads: tuple[int, ...] = ()
    cancelled: bool = False


SUCCEEDS = Life({"args": ["copy"]}, ("Succeeded", "Succeeded"), loads=(3,))
OTHERS = {
    "fails, and writes a table all the same": Life(
        {"args": ["write-then-fail"]}, ("Failed", "ApplicationError"), loads=(1,)
    ),
    "takes too long": Life({**SLEEPS, "timeout": "1s"}, ("Failed", "Timeout")),
    "is cancelled": Life(SLEEPS, ("Cancelled", "Cancelled"), cancelled=True),
    "succeeds at the second attempt": Life(
        {"command": ["sh", "-c", FIRST_FAILS], "retry": AGAIN}, ("Succeeded", "Succeeded"), attempts=2, loads=(3,)
    ),
}


@dataclass(frozen=True)
class Lab:
    tenant: Tenant
    environment: dict[str, str]
    image: str
    folder: Path
    seen: PodsSeen

    def submit(self, name: str, life: Life) -> str:
        """Create a run for the operator of the same name, which appends to a table of that name, and return its uid."""
        table = {"destination": f"out.c-main.{name}", "incremental": True, "writeAlways": True}
        fails = life.end[0] == "Failed"
        body = {
            "apiVersion": API_VERSION,
            "kind": "ComponentRun",
            "metadata": {"name": name, "labels": {OPERATOR_LABEL: name}},
            "spec": {
                "image": self.image,
                "resources": {"limits": {"cpu": "100m", "memory": "64Mi"}, "requests": {"cpu": "20m"}},
                "timeout": "2m",
                "configuration": {"id": name},
                "input": {
                    "tables": [{"source": "in.c-main.words", "destination": "words.csv", "changedSince": "adaptive"}]
                },
                "output": {"tables": [{**table, "source": "log.csv" if fails else "words.csv"}]},
                **life.spec,
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
        """Whether the run has ended, and its pod and the pod's Secret are deleted."""
        if phase_of(self.tenant.get(name)) not in TERMINAL or self.tenant.pods(name):
            return False
        return not self.secrets(name)

    def secrets(self, name: str) -> list[str]:
        """Existing Secrets of the run."""
        found = self.tenant.kubectl("get", "secrets", "-o", "name").stdout.split()
        return [item for item in found if name in item]

    def look(self, name: str, life: Life) -> str | None:
        """Return None if the run is over. If the scenario requires it, cancel the run when it runs."""
        run = self.tenant.get(name)
        if life.cancelled and phase_of(run) == "Running" and not run["spec"].get("cancel"):
            self.tenant.patch(name, {"cancel": True})
        return None if self.over(name) else str(run.get("status"))

    def try_one(self, life: Life, death: Death | None, name: str = "") -> tuple[str, list[str]]:
        """Run with an operator that dies, and another one that continues. Returns the fatal write, and problems."""
        name = name or f"k-{uuid.uuid4().hex[:8]}"
        first = self.operator(name, f"{name}-first", death)
        uid = self.submit(name, life)
        waiting.until(
            lambda: self.look(name, life) if killing.lives(first) else None,
            what=f"{name}, to be killed at {death}",
            timeout=PATIENCE,
        )
        code = killing.end(first)
        died = code == -signal.SIGKILL
        assert died or code == 0, f"{name}: its operator ended with {code}, see {self.folder}"
        heir = self.operator(name, f"{name}-heir")
        try:
            waiting.until(
                lambda: self.look(name, life),
                what=f"{name}, killed at {death}",
                timeout=PATIENCE,
            )
        except ClusterError as error:
            pods = self.tenant.kubectl("describe", "pods", f"--selector={RUN_LABEL}={name}").stdout
            raise AssertionError(f"{error}\n{pods[-3000:]}") from error
        finally:
            killing.end(heir)
        last = killing.writes(self.folder, f"{name}-first")[-1] if died else ""
        return last.removesuffix(" +"), self.wrong(name, uid, life)

    def whole(self, life: Life) -> list[str]:
        """All writes of an operator in this scenario, in order."""
        name = f"k-{uuid.uuid4().hex[:8]}"
        _, wrong = self.try_one(life, None, name)
        assert not wrong
        return killing.writes(self.folder, f"{name}-first")

    def wrong(self, name: str, uid: str, life: Life) -> list[str]:
        """Deviations from the expected result of a run; empty if there are none."""
        status = self.tenant.get(name)["status"]
        found = {
            "end": (status["phase"], status["reason"], len(status["attempts"])),
            "pods ever": len(self.seen.of(name)),
            "secrets": self.secrets(name),
            "data of others": asyncio.run(self._data(uid)) - {f"{uid}-{1 + i}" for i in range(life.attempts)},
            "loads": self._loads(name),
        }
        wanted = {
            "end": (*life.end, life.attempts),
            "pods ever": life.attempts,
            "secrets": [],
            "data of others": set(),
            "loads": list(life.loads),
        }
        return [f"{what}: {found[what]}, not {right}" for what, right in wanted.items() if found[what] != right]

    def _loads(self, name: str) -> list[int]:
        """Number of rows of each load into the run's table."""
        catalog = Catalog(self.tenant.settings)
        found = catalog.find(to_iceberg(catalog.prefix, TableId.parse(f"out.c-main.{name}")))
        if found is None:
            return []
        totals = [0, *reversed([version.rows or 0 for version in versions_of(found.metadata)])]
        return [after - before for before, after in pairwise(totals)]

    async def _data(self, uid: str) -> set[str]:
        """Prefixes of the run's attempts that are not empty."""
        store = open_store(self.tenant.settings)
        return {
            folder.rstrip("/").split("/")[-1]
            for folder in await store.folders(store.layout.data_root())
            if uid in folder
        }


@pytest.fixture
def lab(settings: dict[str, str], images: dict[str, str], tenant: Tenant, tmp_path: Path) -> Iterator[Lab]:
    environment = settings | {
        "COMPONENTRUN_NAMESPACES": tenant.namespace,
        "COMPONENTRUN_LOG_FORMAT": "text",
        "COMPONENTRUN_EVENTS_WAIT_SECONDS": "1",
        "PATH": os.environ["PATH"],
    }
    with PodsSeen(tenant) as seen:
        yield Lab(tenant, environment, images["test-components"], tmp_path, seen)


def deaths_behind(writes: list[str], after: str = "") -> list[Death]:
    """A death after each of these writes, starting with the first one of the kind `after`."""
    begin = writes.index(after) + 1 if after else 0
    return [
        Death(writes[: index + 1].count(what), before=False, of=what)
        for index, what in enumerate(writes)
        if index >= begin
    ]


@pytest.mark.long
def test_whichever_write_it_dies_at_the_run_ends_as_if_it_had_not(lab: Lab) -> None:
    lab.tenant.put_table("in.c-main.words", WORDS)
    whole = lab.whole(SUCCEEDS)
    assert set(whole) >= EVERY_KIND, whole
    deaths = deaths_behind(whole) + [Death(at, before=True) for at in range(1, PLANS + 2)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        tried = dict(zip(deaths, pool.map(partial(lab.try_one, SUCCEEDS), deaths), strict=True))
    assert {death: wrong for death, (_, wrong) in tried.items() if wrong} == {}
    assert {last for death, (last, _) in tried.items() if not death.before} >= EVERY_KIND, tried


@pytest.mark.long
def test_nor_do_other_ends_differ(lab: Lab) -> None:
    """Covers the writes from the pod's Secret to the end. All other writes are the same as in any other run.

    Every other write of each end, odd ones of one and even ones of the next, because most writes of the ends are the
    same. The simulation of the unit tests restarts operators at all of them.
    """
    lab.tenant.put_table("in.c-main.words", WORDS)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        writes = dict(zip(OTHERS, pool.map(lab.whole, OTHERS.values()), strict=True))
        deaths = [
            (name, death)
            for number, name in enumerate(OTHERS)
            for death in deaths_behind(writes[name][:-CLEAN_UP], START)[number % 2 :: 2]
        ]
        tried = pool.map(lambda it: lab.try_one(OTHERS[it[0]], it[1]), deaths)
        wrong = {death: found for death, (_, found) in zip(deaths, tried, strict=True) if found}
    assert wrong == {}
