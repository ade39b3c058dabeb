"""Components that log in GELF on the real cluster, with the most common library and with plain sockets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from dev.images import ensure
from e2e.tenant.tenant import SMALL

if TYPE_CHECKING:
    from componentrun.storage.events.events import Event
    from dev.cluster.connection import Connection
    from e2e.tenant import Tenant

SECRET = "correct-horse-battery"
WITH_THE_LIBRARY = """
import logging
from keboola.component import CommonInterface
ci = CommonInterface()
logging.info("started")
logging.debug("nobody reads this")
logging.warning("half of it", extra={"rows": 7})
logging.error("the password is " + ci.configuration.parameters["#password"])
logging.critical("where the treasure is")
print("a line beside it")
"""
MANY = """
import json, os, socket
where = (os.environ["KBC_LOGGER_ADDR"], int(os.environ["KBC_LOGGER_PORT"]))
for i in range(20):
    with socket.create_connection(where) as connection:
        for j in range(100):
            connection.sendall(json.dumps({"short_message": f"message {i * 100 + j}", "level": 6}).encode() + b"\\0")
"""


def run_with(tenant: Tenant, image: str, program: str, gelf: dict[str, Any], **spec: Any) -> list[Event]:
    """Component events of a run of this program."""
    repository, _, tag = image.rpartition(":")
    tenant.apply(
        "Component",
        "speaker",
        {"image": repository, "tag": tag, "command": ["python3", "-c", program], "logging": {"gelf": gelf}},
    )
    tenant.apply("ComponentRun", "speech", {"component": "speaker", "resources": SMALL, "timeout": "2m", **spec})
    run = tenant.wait("speech", lambda run: bool(run.get("status", {}).get("events", {}).get("delivered")))
    assert run["status"]["phase"] == "Succeeded", run["status"]
    return [event for event in tenant.events("speech") if event.source.startswith("component")]


def test_a_component_that_logs_in_gelf_is_heard(tenant: Tenant, connection: Connection) -> None:
    image = ensure(connection, ["example-delays-python"])["example-delays-python"]
    parameters = {"parameters": {"#password": SECRET}}
    events = run_with(tenant, image, WITH_THE_LIBRARY, {"visibility": {"warning": "verbose"}}, configuration=parameters)
    messages = [(event.type, event.message) for event in events if event.source == "component/gelf"]
    assert ("info", "started") in messages
    assert ("error", "Application error") in messages
    (partial,) = [event for event in events if event.message == "half of it"]
    assert (partial.type, partial.params["_rows"]) == ("warn", 7)
    (error,) = [event for event in events if event.message.startswith("the password is ")]
    assert error.type == "error"
    document = json.dumps([(event.message, event.params) for event in events])
    for secret in (SECRET, "nobody reads this", "treasure"):
        assert secret not in document
    assert "a line beside it" in [event.message for event in events if event.source == "component"]
    output = tenant.cli("logs", "speech").stdout.splitlines()
    assert "started" in output
    assert "a line beside it" in output


def test_all_that_was_sent_before_the_end_arrives_once(tenant: Tenant, components: str) -> None:
    events = run_with(tenant, components, MANY, {"server": "tcp"})
    messages = [event.message for event in events if event.source == "component/gelf"]
    assert sorted(messages) == sorted(f"message {i}" for i in range(2000))
