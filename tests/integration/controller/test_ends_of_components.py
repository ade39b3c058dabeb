"""Failures of a component or of an agent next to it: each has its reason, exit code and last words."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from dev.cluster import waiting
from e2e.faults import kill
from e2e.tenant.holding import UNTIL_TOLD, let_go

if TYPE_CHECKING:
    from dev.cluster.connection import Connection
    from tests.integration.controller.conftest import Place

RESULT = {"tables": [{"source": "result.csv", "destination": "out.c-main.result"}]}
LATER = {"tables": [{"source": "later.csv", "destination": "out.c-main.later"}]}
FILL = """
import time
open("/var/tmp/big", "wb").write(bytes(80 * 2**20))
print("filled", flush=True)
time.sleep(300)
"""
LARGE_ARTIFACT = """
import os
os.makedirs("/data/artifacts/out/current", exist_ok=True)
open("/data/artifacts/out/current/big", "w").truncate(2**30 + 1)
"""
HOLES = 'open("/data/out/files/holes", "w").truncate(2**40)'
LARGE_TABLE = """
with open("/data/out/tables/big.csv", "w") as table:
    table.write("a\\n")
    for number in range(200_000):
        table.write(f"{number * number}\\n" * 100)
"""


def python(program: str) -> dict[str, Any]:
    return {"command": ["python3", "-c", program]}


def component(place: Place, name: str, **spec: Any) -> str:
    """Create a Component of the tests' image."""
    image, _, tag = place.image.rpartition(":")
    place.tenant.apply("Component", name, {"image": image, "tag": tag, **spec})
    return name


class TestSignals:
    def test_a_crash_names_the_signal(self, place: Place) -> None:
        crash = "import ctypes; print('reading address 0', flush=True); ctypes.string_at(0)"
        name = place.run(**python(crash))
        status = place.failed(name, "ApplicationError", "killed by SIGSEGV", "developer")
        assert (status["exitCode"], place.tenant.last_words(name)) == (139, "reading address 0")

    def test_a_component_that_is_killed_from_outside(self, place: Place, connection: Connection) -> None:
        if not connection.own:
            pytest.skip("its processes are on another machine")
        name = place.run("sleep-for", "300")
        place.await_phase(name, "Running")
        place.await_line(name, "s left")
        kill(place.tenant.pods(name)[0], "component", ".*sleep-for")
        status = place.failed(name, "ApplicationError", "killed by SIGKILL")
        assert status["exitCode"] == 137
        assert "s left" in place.tenant.last_words(name)


class TestWrongProgram:
    def test_a_program_for_another_kind_of_processor(self, place: Place) -> None:
        name = place.run(command=["/component/other-machine"])
        place.failed(
            name, "StartFailed", "`/component/other-machine`", "exec format error", "another kind of processor"
        )

    def test_a_script_whose_interpreter_is_missing(self, place: Place) -> None:
        name = place.run(command=["/component/no-interpreter"])
        place.failed(name, "StartFailed", "`/component/no-interpreter`", "no such file or directory", "first line")


class TestDisk:
    def test_a_component_that_fills_the_shared_volume(self, place: Place) -> None:
        small = component(place, "small-disk", dataSize="96Mi", args=["fill-disk", "2"])
        # A kubelet may measure a new volume before it is full, and then again only after one to two minutes.
        name = place.run(image=None, component=small, timeout="10m")
        place.failed(name, "DiskFull", 'EmptyDir volume "data" exceeds the limit "96Mi"', "`dataSize`", seconds=400)

    def test_a_component_that_fills_its_own_disk(self, place: Place) -> None:
        limits = {"cpu": "200m", "memory": "256Mi", "ephemeral-storage": "32Mi"}
        name = place.run(**python(FILL), resources={"limits": limits})
        place.failed(name, "DiskFull", "32Mi", "`ephemeral-storage`")


class TestTooMuchOutput:
    def test_a_result_that_is_no_message(self, place: Place) -> None:
        write = "import json; json.dump({'message': 'x' * 2**21}, open('/data/out/result.json', 'w'))"
        status = place.failed(
            place.run(**python(write)), "OutputInvalid", "out/result.json", "expected at most 1048576"
        )
        assert status["exitCode"] == 0

    def test_a_file_with_holes_that_says_more_than_its_volume_may_hold(self, place: Place) -> None:
        holes = component(place, "holes", dataSize="96Mi", **python(HOLES))
        place.failed(place.run(image=None, component=holes), "OutputInvalid", f"the run may store {96 * 2**20}")

    def test_artifacts_larger_than_all_may_be(self, place: Place) -> None:
        place.failed(place.run(**python(LARGE_ARTIFACT)), "OutputInvalid", "artifacts")


BOMB = """
import os, sys, time
count = 0
try:
    while True:
        if os.fork() == 0:
            time.sleep(3600)
        count += 1
except OSError as error:
    print(f"{count} processes, then: {error.strerror}", flush=True)
    if sys.argv[1] == "fail":
        sys.exit(3)
    time.sleep(3600)
"""
MUCH = {"limits": {"cpu": "1", "memory": "2Gi"}, "requests": {"cpu": "100m", "memory": "64Mi"}}


class TestForkBomb:
    @pytest.fixture
    def limit(self, place: Place, connection: Connection) -> int:
        """Number of processes that the node allows for one pod."""
        path = f"/api/v1/nodes/{connection.node_name}/proxy/configz"
        config = json.loads(place.tenant.kubectl("get", "--raw", path).stdout)["kubeletconfig"]
        limit = int(config["podPidsLimit"])
        if not 0 < limit <= 10_000:
            pytest.skip(f"the kubelet's podPidsLimit is {limit}: this would be an attack on the node")
        return limit

    def test_one_that_gives_up_at_the_limit(self, place: Place, limit: int) -> None:
        name = place.run(command=["python3", "-c", BOMB, "fail"], resources=MUCH)
        place.failed(name, "ApplicationError", "exit code 3")
        count, _, said = place.tenant.last_words(name).partition(" processes, then: ")
        assert said == "Resource temporarily unavailable"
        assert 0 < int(count) < limit

    def test_one_that_stays_is_stopped_and_its_neighbour_does_not_notice(self, place: Place, limit: int) -> None:
        del limit
        name = place.run(command=["python3", "-c", BOMB, "stay"], resources=MUCH, timeout="50s")
        place.await_phase(name, "Running")
        neighbour = place.run("rows", output=RESULT)
        assert place.tenant.wait(neighbour)["status"]["phase"] == "Succeeded"
        place.failed(name, "Timeout", "50s", seconds=240)
        assert "Resource temporarily unavailable" in place.tenant.last_words(name)


def _runs_again(place: Place, name: str) -> str | None:
    """None when stage-out runs for the second time."""
    told = place.tenant.pods(name)[0].status.init_container_statuses
    (found,) = [item for item in told if item.name == "stage-out"]
    return None if found.restart_count == 1 and found.state.running is not None else str(found.state)


class TestSidecar:
    @pytest.fixture(autouse=True)
    def own(self, connection: Connection) -> None:
        if not connection.own:
            pytest.skip("its processes are on another machine")

    def test_killed_while_the_component_runs_it_is_started_again_and_uploads(self, place: Place) -> None:
        name = place.run("sh", "-c", f"{UNTIL_TOLD}; printf 'a\\n1\\n' > /data/out/tables/later.csv", output=LATER)
        place.await_phase(name, "Running")
        kill(place.tenant.pods(name)[0], "stage-out")
        waiting.until(lambda: _runs_again(place, name), what="the second start of stage-out", timeout=120)
        let_go(place.tenant, name)
        status = place.tenant.wait(name)["status"]
        assert status["phase"] == "Succeeded", status
        assert place.tenant.table("out.c-main.later") == "a\n1\n"

    def test_killed_while_it_uploads_nothing_is_published(self, place: Place) -> None:
        output = {"tables": [{"source": "big.csv", "destination": "out.c-main.big"}]}
        name = place.run(command=["sh", "-c", f'python3 -c "$0" && {UNTIL_TOLD}', LARGE_TABLE], output=output)
        place.await_phase(name, "Running")
        (pod,) = place.tenant.pods(name)
        with ThreadPoolExecutor(1) as beside:
            killed = beside.submit(kill, pod, "stage-out", "python3 ", seconds=120)
            let_go(place.tenant, name)
            killed.result()
        status = place.failed(
            name, "StageOutFailed", "`stage-out`", "exit code 137 (killed by SIGKILL)", "Nothing was published"
        )
        assert status["exitCode"] == 0
        assert place.tenant.table("out.c-main.big") is None
