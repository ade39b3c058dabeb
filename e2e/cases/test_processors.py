"""Processors before and after a component, in real pods.

Three of them are programs of their own in the tests' image, which know the data folder and nothing else.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dev.images import ensure
from e2e.tenant.tenant import SMALL

if TYPE_CHECKING:
    from e2e.tenant import Tenant

COMPONENT = """
import json, pathlib, shutil
data = pathlib.Path("/data")
config = json.loads((data / "config.json").read_text())
assert config["parameters"]["#password"] == "a-password", sorted(config["parameters"])
assert set(config) == {"parameters", "storage", "image_parameters", "authorization", "action"}
for source in (data / "in/tables").iterdir():
    if source.suffix != ".manifest":
        source.rename(data / "out/tables" / source.name)
state = json.loads((data / "in/state.json").read_text())
(data / "out/state.json").write_text(json.dumps({"runs": state.get("runs", 0) + 1}))
(data / "out/result.json").write_text(json.dumps({"message": "words were moved"}))
(data / "artifacts/out/current/report.txt").write_text("of the component")
print("words were moved")
"""
WRITE_AND_FAIL = """
import pathlib, sys
pathlib.Path("/data/out/tables/log.csv").write_text("line\\nkept\\n")
print("something is wrong in here", file=sys.stderr)
sys.exit(2)
"""
WITH_CLIENT = Path(__file__).parents[1] / "components" / "with_client"
MOVE_ALL = """
import pathlib
for source in pathlib.Path("/data/in/tables").iterdir():
    source.rename("/data/out/tables/" + source.name)
"""
NAMES = ("add-column", "compress", "decompress")
TABLE = {"source": "words.csv", "destination": "out.c-main.words"}


@pytest.fixture
def parts(tenant: Tenant, components: str) -> Tenant:
    """A tenant with the processors, a component, and an input table."""
    for name in NAMES:
        add_processor(tenant, components, name, command=[f"processor-{name}"])
    tenant.secret("login", {"password": "a-password"})
    tenant.put_table("in.c-main.words", "id,text\n1,a\n2,b\n")
    add(tenant, components, "mover", COMPONENT)
    return tenant


def add(tenant: Tenant, components: str, name: str, program: str, **spec: Any) -> None:
    image, _, tag = components.rpartition(":")
    full = {"image": image, "tag": tag, "resources": SMALL, "command": ["python3", "-c", program], **spec}
    tenant.apply("Component", name, full)


def add_processor(tenant: Tenant, components: str, name: str, program: str = "", **spec: Any) -> None:
    add(tenant, components, name, program, **{"type": "processor", **spec})


def run(tenant: Tenant, name: str, **spec: Any) -> dict[str, Any]:
    """Run the component with these processors; returns the status at its end."""
    tenant.apply("ComponentRun", name, {"component": "mover", "timeout": "2m", **spec})
    found: dict[str, Any] = tenant.wait(name, timeout=180)["status"]
    return found


def step(component: str, **parameters: Any) -> dict[str, Any]:
    return {"component": component, **({"parameters": parameters} if parameters else {})}


CONFIGURATION = {
    "id": "77",
    "secrets": [{"path": "#password", "secretKeyRef": {"name": "login", "key": "password"}}],
}
INPUT = {"tables": [{"source": "in.c-main.words"}]}
OUTPUT = {"tables": [TABLE]}


def test_a_chain_before_and_after_a_component(parts: Tenant, tmp_path: Path) -> None:
    processors = {
        "before": [step("add-column", name="before", value="x"), step("compress")],
        "after": [step("decompress"), step("add-column", name="after", value="y")],
    }
    spec = {"configuration": CONFIGURATION, "input": INPUT, "output": OUTPUT, "processors": processors}
    status = run(parts, "first", **spec)
    assert (status["phase"], status["result"]) == ("Succeeded", "Success"), status
    assert parts.table("out.c-main.words") == "id,text,before,after\n1,a,x,y\n2,b,x,y\n"

    steps = status["steps"]
    assert [(item["name"], item["component"], item["exitCode"]) for item in steps] == [
        ("before-1", "add-column", 0),
        ("before-2", "compress", 0),
        ("component", "mover", 0),
        ("after-1", "decompress", 0),
        ("after-2", "add-column", 0),
    ]
    assert all("@sha256:" in item["imageID"] or "sha256:" in item["imageID"] for item in steps)
    times = [time for item in steps for time in (item["startTime"], item["completionTime"])]
    assert times == sorted(times)

    parts.wait("first", lambda found: bool(found["status"].get("events", {}).get("delivered")))
    events = parts.events("first")
    printed = [(event.source, event.message) for event in events]
    assert ("before-1", "add-column: column before added to words.csv") in printed
    assert ("before-2", "compressed words.csv") in printed
    assert ("component", "words were moved") in printed
    assert ("after-1", "decompressed words.csv.gz") in printed
    found = [(event.source, event.params) for event in events if event.message == "found"]
    assert [source for source, _ in found] == ["before-1", "after-2"]
    for _, params in found:
        assert params["config"] == ["action", "image_parameters", "parameters"]
        assert params["parameters"] == ["name", "value"]
        assert params["state"] is False
    ended = [event.params["step"] for event in events if event.message.startswith("step ")]
    assert sorted(ended) == sorted(item["name"] for item in steps)

    # What the component left counts, although processors behind it wrote a state of their own.
    assert status["resultMessage"] == "words were moved"
    result = parts.cli("artifacts", "first", "--to", str(tmp_path))
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "artifacts/out/current/report.txt").read_text() == "of the component"
    assert run(parts, "second", **spec)["phase"] == "Succeeded"
    state = parts.cli("state", "get", "mover", "77")
    assert json.loads(state.stdout) == {"runs": 2}, state.stderr
    # No volume of the agents is left in the data folder, and no secret in the pod's own events.
    assert not [event for event in events if "a-password" in event.message]


def test_steps_of_other_users_read_and_change_what_was_left(parts: Tenant, components: str) -> None:
    add_processor(parts, components, "other-user", command=["processor-add-column"], runAsUser=2000)
    processors = {
        "before": [step("other-user", name="before", value="x")],
        "after": [step("other-user", name="after", value="y")],
    }
    status = run(parts, "users", configuration=CONFIGURATION, input=INPUT, output=OUTPUT, processors=processors)
    assert status["phase"] == "Succeeded", status
    assert parts.table("out.c-main.words") == "id,text,before,after\n1,a,x,y\n2,b,x,y\n"


def test_a_processor_that_fails_ends_the_run_with_its_words(parts: Tenant) -> None:
    """`decompress` finds nothing, because the one before it left nothing: that is a warning, and the cause."""
    parts.apply("Component", "eater", {**component_of(parts, "compress"), "command": ["true"]})
    processors = {"after": [step("eater"), step("decompress"), step("compress")]}
    status = run(parts, "fails", configuration=CONFIGURATION, input=INPUT, output=OUTPUT, processors=processors)
    assert (status["phase"], status["reason"], status["exitCode"]) == ("Failed", "UserError", 1), status
    assert status["message"].startswith("Processor `decompress` (after-2) ended with exit code 1: There is nothing to")
    assert [item.get("exitCode") for item in status["steps"]] == [0, 0, 1, None]
    assert parts.table("out.c-main.words") is None
    parts.wait("fails", lambda found: bool(found["status"].get("events", {}).get("delivered")))
    warnings = [event.message for event in parts.events("fails") if event.type == "warn"]
    assert any("processor `eater` (after-1) left nothing in /data/out" in message for message in warnings)


def component_of(tenant: Tenant, name: str) -> dict[str, Any]:
    """The spec of a Component."""
    found = tenant.custom.get_namespaced_custom_object(
        "componentrun.dev", "v1alpha1", tenant.namespace, "components", name
    )
    return dict(found["spec"])


def test_the_last_processor_that_leaves_nothing_is_named_in_a_warning(parts: Tenant) -> None:
    parts.apply("Component", "eater", {**component_of(parts, "compress"), "command": ["true"]})
    output = {"tables": [{**TABLE, "optional": True}]}
    status = run(
        parts, "eaten", configuration=CONFIGURATION, input=INPUT, output=output, processors={"after": [step("eater")]}
    )
    assert (status["phase"], status["result"]) == ("Succeeded", "Warning"), status
    assert any("processor `eater` (after-1) left nothing in /data/out" in text for text in status["warnings"])


def test_a_component_that_fails_stops_the_chain_and_saves_what_is_always_written(
    parts: Tenant, components: str
) -> None:
    add(parts, components, "broken", WRITE_AND_FAIL)
    output = {"tables": [{"source": "log.csv", "destination": "out.c-main.log", "writeAlways": True}]}
    status = run(parts, "breaks", component="broken", output=output, processors={"after": [step("compress")]})
    assert (status["phase"], status["reason"], status["exitCode"]) == ("Failed", "ApplicationError", 2), status
    assert "something is wrong in here" in parts.last_words("breaks")
    assert parts.table("out.c-main.log") == "line\nkept\n"


@pytest.mark.parametrize(
    ("command", "spec", "reason"),
    [
        (["sleep-for", "60"], {"timeout": "3s"}, "Timeout"),
        (
            ["oom"],
            {"resources": {"limits": {"memory": "32Mi", "cpu": "200m"}, "requests": {"cpu": "20m"}}},
            "OutOfMemory",
        ),
        (["/no/such/program"], {}, "StartFailed"),
    ],
    ids=["timeout", "memory", "start"],
)
def test_a_step_that_does_not_end_well_is_named(
    parts: Tenant, components: str, command: list[str], spec: dict[str, Any], reason: str
) -> None:
    add_processor(parts, components, "bad", command=command, **spec)
    status = run(
        parts, "bad", configuration=CONFIGURATION, input=INPUT, output=OUTPUT, processors={"before": [step("bad")]}
    )
    assert (status["phase"], status["reason"]) == ("Failed", reason), status
    assert "before-1" in status["message"]
    assert [item["name"] for item in status["steps"] if "startTime" in item] in ([], ["before-1"])
    assert parts.table("out.c-main.words") is None


def test_a_run_that_is_cancelled_during_a_processor_publishes_nothing(parts: Tenant, components: str) -> None:
    add_processor(parts, components, "slow", command=["sleep-for", "100"])
    spec = {"component": "mover", "configuration": CONFIGURATION, "input": INPUT, "output": OUTPUT, "timeout": "5m"}
    parts.apply("ComponentRun", "slow", {**spec, "processors": {"after": [step("slow")]}})
    parts.wait("slow", lambda found: "startTime" in found.get("status", {}).get("steps", [{}])[-1], timeout=120)
    parts.patch("slow", {"cancel": True})
    status = parts.wait("slow")["status"]
    assert status["phase"] == "Cancelled", status
    assert parts.table("out.c-main.words") is None


def test_what_is_no_processor_is_refused_before_a_pod_exists(parts: Tenant) -> None:
    status = run(parts, "refused", configuration=CONFIGURATION, processors={"after": [step("mover")]})
    assert (status["phase"], status["reason"]) == ("Failed", "InvalidSpec"), status
    assert (
        "spec.processors.after[0].component: Component `mover` has no type; expected the type `processor`"
        in (status["message"])
    )
    assert parts.pods("refused") == []


def test_parameters_that_a_processor_does_not_accept_are_refused_before_a_pod_exists(
    parts: Tenant, components: str
) -> None:
    schema = {"type": "object", "required": ["name"], "properties": {"#key": {"type": "string", "minLength": 20}}}
    add_processor(parts, components, "strict", command=["true"], configuration={"schema": schema})
    processors = {"before": [step("compress"), step("strict", **{"#key": "hunter2"})]}
    status = run(parts, "unfit", configuration=CONFIGURATION, input=INPUT, processors=processors)
    assert (status["phase"], status["reason"]) == ("Failed", "InvalidConfiguration"), status
    assert (
        "spec.processors.before[1]: the parameters do not match the schema of Component `strict`" in status["message"]
    )
    assert "`parameters.name`: found nothing, expected a value" in status["message"]
    assert "`parameters.#key`: found a secret, expected at least 20 characters" in status["message"]
    assert "hunter2" not in json.dumps(status)
    assert parts.pods("unfit") == []


def test_processors_that_are_written_with_the_library_of_public_ones(parts: Tenant, components: str) -> None:
    """keboola-component is in the image of an example, in which the processors run as programs."""
    image = ensure(parts.connection, ["example-sign-python"])["example-sign-python"]
    limits = {"resources": {"limits": {"memory": "256Mi"}, "requests": {"cpu": "20m"}}}
    for name in ("filter_rows", "rename_table"):
        add_processor(parts, image, name.replace("_", "-"), (WITH_CLIENT / f"{name}.py").read_text(), **limits)
    add(parts, components, "move-all", MOVE_ALL)
    processors = {
        "before": [step("filter-rows", column="text", **{"#value": "a"})],
        "after": [step("rename-table", name="letters.csv")],
    }
    output = {"tables": [{"source": "letters.csv", "destination": "out.c-main.letters"}]}
    status = run(parts, "library", component="move-all", input=INPUT, output=output, processors=processors)
    assert status["phase"] == "Succeeded", status
    assert parts.table("out.c-main.letters") == "id,text\n1,a\n"
    parts.wait("library", lambda found: bool(found["status"].get("events", {}).get("delivered")))
    printed = [event.message for event in parts.events("library") if event.source == "after-1"]
    keys = ["action", "image_parameters", "parameters"]
    assert any(f"found {keys} and the state {{}} as rename-table" in message for message in printed), printed
