"""Failures: each ends the run with its own reason and a message that says what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from e2e import tenant as tenants
from e2e.tenant.tenant import SMALL

if TYPE_CHECKING:
    from dev.cluster.connection import Connection
    from e2e.tenant import Tenant

RESULT = {"tables": [{"source": "result.csv", "destination": "out.c-main.result"}]}


@pytest.mark.parametrize(
    ("arguments", "spec", "reason", "exit_code", "words"),
    [
        (["exit1"], {}, "UserError", 1, "The column 'price' is missing in orders.csv"),
        (["exit2"], {}, "ApplicationError", 2, "exit code 2"),
        (["exit", "42"], {}, "ApplicationError", 42, "exit code 42"),
        (["no-output"], {"output": RESULT}, "OutputMissing", 0, "result.csv"),
        (["malformed"], {"output": RESULT}, "OutputInvalid", 0, "result.csv"),
        (["oom"], {}, "OutOfMemory", 137, "more memory than its limit"),
        (["oom-child"], {}, "OutOfMemory", 0, "more memory than its limit"),
        (["no-such-program"], {}, "StartFailed", None, "no-such-program"),
        (["links", "grant"], {"output": RESULT}, "OutputInvalid", 0, "result.csv"),
        (["links", "folder"], {"output": RESULT}, "OutputInvalid", 0, "result.csv"),
        (["links", "fifo"], {"output": RESULT}, "OutputInvalid", 0, "result.csv"),
        (["links", "parent"], {"output": RESULT}, "OutputInvalid", 0, "out/tables"),
        (["links", "unsearchable"], {"output": RESULT}, "OutputInvalid", 0, "out/tables: may not be read"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else None,
)
def test_what_a_component_does_wrong_has_its_reason(
    tenant: Tenant, components: str, arguments: list[str], spec: dict[str, Any], reason: str, exit_code: int | None,
    words: str,
) -> None:  # fmt: skip
    status = tenant.wait(tenant.run(components, *arguments, **spec))["status"]
    assert (status["phase"], status["reason"]) == ("Failed", reason), status
    assert words in status["message"], status["message"]
    if exit_code is not None:
        assert status["exitCode"] == exit_code
    assert tenant.table("out.c-main.result") is None
    condition = next(item for item in status["conditions"] if item["type"] == "Succeeded")
    assert (condition["status"], condition["reason"], condition["message"]) == ("False", reason, status["message"])


def test_an_application_error_keeps_the_last_words(tenant: Tenant, components: str) -> None:
    name = tenant.run(components, "exit2")
    status = tenant.wait(name)["status"]
    assert "ZeroDivisionError: division by zero" in tenant.last_words(name)
    assert "ZeroDivisionError" not in status["message"]


PYTHON_TEMPLATE = """
import logging, sys
class UserException(Exception): pass
def encrypt(): raise UserException("AES method is not supported")
try: encrypt()
except UserException as exc:
    logging.exception(exc)
    sys.exit(1)
"""


def test_a_user_error_shows_the_sentence_of_the_exception(tenant: Tenant, components: str) -> None:
    name = tenant.run(components, "python3", "-c", PYTHON_TEMPLATE)
    status = tenant.wait(name)["status"]
    assert status["reason"] == "UserError", status
    assert status["message"] == "The component ended with exit code 1: AES method is not supported"
    assert "Traceback" in status["lastWords"]


def test_a_long_user_error_keeps_its_beginning(tenant: Tenant, components: str) -> None:
    """The node keeps 2,048 bytes of the message; the rest comes from the collector."""
    program = "import sys; sys.exit('The cause stands here. ' + 'Some more is said of it. ' * 130)"
    name = tenant.run(components, "python3", "-c", program)

    def told(run: dict[str, Any]) -> bool:
        return "The cause stands here." in ((run.get("status") or {}).get("message") or "")

    status = tenant.wait(name, told)["status"]
    condition = next(item for item in status["conditions"] if item["type"] == "Succeeded")
    assert (status["reason"], condition["message"]) == ("UserError", status["message"])
    assert len(status["message"]) > 3000
    assert "The cause stands here." in status["lastWords"]


def test_a_full_disk_has_its_reason_and_the_last_lines(tenant: Tenant, components: str) -> None:
    """The kubelet keeps no output of a container that it evicts for disk use, so the lines come from the collector."""
    image, _, tag = components.rpartition(":")
    tenant.apply(
        "Component", "small-disk", {"image": image, "tag": tag, "dataSize": "96Mi", "args": ["fill-disk", "2"]}
    )
    tenant.apply("ComponentRun", "fills", {"component": "small-disk", "resources": SMALL, "retry": {"limit": 0}})
    # The kubelet measures volumes only every one to two minutes, at worst just before this one is full.
    status = tenant.wait("fills", lambda run: "lastWords" in (run.get("status") or {}), timeout=300)["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "DiskFull"), status
    assert 'EmptyDir volume "data" exceeds the limit "96Mi"' in status["message"]
    assert "`dataSize`" in status["message"]
    assert "wrote 64 MiB" in status["lastWords"]


def test_an_image_that_does_not_exist(tenant: Tenant, components: str) -> None:
    image = components.rsplit(":", 1)[0] + ":no-such-tag"
    status = tenant.wait(tenant.run(image, "true"))["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "ImagePullFailed"), status
    assert image in status["message"]


def test_a_missing_table_is_named_and_how_to_list_those_that_are_there(tenant: Tenant, components: str) -> None:
    tenant.put_table("in.c-main.flights", "a\n1\n")
    status = tenant.wait(
        tenant.run(components, "copy", input={"tables": [{"source": "in.c-main.flight"}]})
    )["status"]  # fmt: skip
    assert (status["phase"], status["reason"]) == ("Failed", "InputNotFound"), status
    assert "there is no table `in.c-main.flight` " in status["message"]
    assert "`componentrun table ls`" in status["message"]
    assert not status.get("attempts") or not tenant.pods(status["attempts"][0]["pod"])


@pytest.mark.parametrize(
    ("spec", "reason", "words"),
    [
        ({"component": "no-such"}, "ComponentNotFound", "no-such"),
        ({"storage": "no-such"}, "StorageNotFound", "`main`"),
        ({"podTemplate": {"affinity": {"nodeAfinity": {}}}}, "PodRejected", "nodeAfinity"),
        (
            {
                "configuration": {
                    "secrets": [{"path": "#password", "secretKeyRef": {"name": "no-such", "key": "password"}}]
                }
            },
            "SecretNotFound",
            "no-such",
        ),
    ],
)
def test_what_the_run_names_must_be_there(
    tenant: Tenant, components: str, spec: dict[str, Any], reason: str, words: str
) -> None:
    name = "names-what-is-missing"
    tenant.apply("ComponentRun", name, spec if "component" in spec else {"image": components, **spec})
    status = tenant.wait(name)["status"]
    assert (status["phase"], status["reason"]) == ("Failed", reason), status
    assert words in status["message"]


@pytest.mark.parametrize(
    ("storage", "keys", "reason", "words"),
    [
        ({"bucket": "componentrun-no-such"}, None, "StorageBucketNotFound", "componentrun-no-such"),
        ({}, ("nobody", "wrong-secret-key"), "StorageAccessDenied", "main"),
        ({"credentials": {"secretName": "missing"}}, None, "SecretNotFound", "missing"),
    ],
    ids=["bucket", "credentials", "secret"],
)
def test_a_storage_that_will_not_do(
    connection: Connection, components: str, storage: dict[str, Any], keys: tuple[str, str] | None, reason: str,
    words: str,
) -> None:  # fmt: skip
    if keys:
        storage = {**storage, "credentials": {"secretName": "wrong"}}
    tenant = tenants.create(connection, **storage)
    try:
        if keys:
            tenant.secret("wrong", {"accessKeyId": keys[0], "secretAccessKey": keys[1]})
        name = tenant.run(components, "copy", input={"tables": [{"source": "in.c-main.a"}]})
        status = tenant.wait(name)["status"]
        assert (status["phase"], status["reason"]) == ("Failed", reason), status
        assert words in status["message"]
        assert "wrong-secret-key" not in str(tenant.get(name))
    finally:
        tenant.delete()


def test_a_failed_run_changes_nothing_but_its_write_always_tables(tenant: Tenant, components: str) -> None:
    output = {
        "tables": [
            {"source": "result.csv", "destination": "out.c-main.result"},
            {"source": "log.csv", "destination": "out.c-main.log", "writeAlways": True},
        ]
    }
    status = tenant.wait(tenant.run(components, "write-then-fail", output=output))["status"]
    assert (status["phase"], status["reason"], status["exitCode"]) == ("Failed", "ApplicationError", 2), status
    assert tenant.table("out.c-main.result") is None
    assert tenant.table("out.c-main.log") == "time,message\n0,began\n"
