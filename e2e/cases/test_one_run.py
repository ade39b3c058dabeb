"""The main scenario: a table in, a component, a table out, and nothing left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from e2e.tenant.tenant import SMALL

if TYPE_CHECKING:
    from e2e.tenant import Tenant

TABLE = 'id,text\n1,plain\n2,"a ""quoted"" value"\n3,"two\nlines"\n4,Ünïcödé\n5,\n'


def condition(run: dict[str, Any], kind: str) -> dict[str, Any]:
    return next(item for item in run["status"]["conditions"] if item["type"] == kind)


def test_a_table_goes_in_and_comes_out_byte_for_byte(tenant: Tenant, components: str) -> None:
    tenant.put_table("in.c-main.words", TABLE)
    name = tenant.run(
        components, "copy",
        input={"tables": [{"source": "in.c-main.words", "destination": "words.csv"}]},
        output={"tables": [{"source": "words.csv", "destination": "out.c-main.words"}]},
    )  # fmt: skip
    run = tenant.wait(name)
    status = run["status"]
    assert (status["phase"], status["reason"], status["exitCode"]) == ("Succeeded", "Succeeded", 0), status
    assert tenant.table("out.c-main.words") == TABLE
    (table_status,) = status["inputTables"]
    assert (table_status["table"], table_status["rows"]) == ("in.c-main.words", 5)
    assert status["outputTables"] == [{"table": "out.c-main.words", "rows": 5, "bytes": len(TABLE.encode()) - 8}]
    assert condition(run, "Succeeded")["status"] == "True"
    assert condition(run, "Published")["status"] == "True"
    assert status["imageID"].split("@")[-1].startswith("sha256:")
    phases = [item["phase"] for item in status["phases"]]
    assert phases[-2:] == ["Publishing", "Succeeded"], phases


def test_pod_and_secret_go_when_the_events_are_delivered(tenant: Tenant, components: str) -> None:
    name = tenant.run(components, "true")
    tenant.wait(name)
    run = tenant.wait(
        name,
        lambda run: any(
            item["type"] == "EventsDelivered" and item["status"] == "True" for item in run["status"]["conditions"]
        ),
    )
    pod = run["status"]["attempts"][0]["pod"]
    tenant.kubectl("wait", "--for=delete", f"pod/{pod}", "--timeout=60s", check=False)
    assert not tenant.pods(name)
    tenant.kubectl("wait", "--for=delete", f"secret/{pod}", "--timeout=60s", check=False)
    assert tenant.kubectl("get", "secret", pod, check=False).returncode == 1
    assert run["status"]["events"]["delivered"] is True


def test_kubectl_wait_and_the_printer_columns_work(tenant: Tenant, components: str) -> None:
    name = tenant.run(components, "true")
    tenant.kubectl("wait", "--for=condition=Succeeded", f"crun/{name}", "--timeout=120s")
    assert "Succeeded" in tenant.kubectl("get", "crun", name).stdout


def test_a_full_load_replaces_and_an_incremental_one_appends(tenant: Tenant, components: str) -> None:
    for rows, incremental in ((3, False), (2, False), (2, True)):
        mapping = {"source": "result.csv", "destination": "out.c-main.result", "incremental": incremental}
        tenant.wait(tenant.run(components, "rows", str(rows), output={"tables": [mapping]}))
    table = tenant.table("out.c-main.result")
    assert table is not None
    assert [line.split(",")[0] for line in table.splitlines()] == ["id", "1", "2", "1", "2"]


def test_a_plain_object_can_be_an_input(tenant: Tenant, components: str) -> None:
    import asyncio  # noqa: PLC0415 - only this test writes an object by hand

    from componentrun.storage.store.connection import open_store  # noqa: PLC0415 - likewise

    store = open_store(tenant.settings)
    asyncio.run(store.put(tenant.settings.layout.object("landing/words.csv"), TABLE.encode()))
    name = tenant.run(
        components, "copy",
        input={"tables": [{"object": "landing/words.csv"}]},
        output={"tables": [{"source": "words.csv", "destination": "out.c-main.words"}]},
    )  # fmt: skip
    assert tenant.wait(name)["status"]["phase"] == "Succeeded"
    assert tenant.table("out.c-main.words") == TABLE


def test_undeclared_output_goes_to_the_default_bucket_or_is_named_in_a_warning(tenant: Tenant, components: str) -> None:
    run = tenant.wait(tenant.run(components, "rows", output={"defaultBucket": "out.c-other"}))
    assert run["status"]["result"] == "Success"
    assert tenant.table("out.c-other.result") is not None
    run_without_bucket = tenant.wait(tenant.run(components, "rows"))
    assert (run_without_bucket["status"]["phase"], run_without_bucket["status"]["result"]) == ("Succeeded", "Warning")
    assert "result.csv" in run_without_bucket["status"]["warnings"][0]


def test_a_component_may_have_the_tag_in_its_image(tenant: Tenant, components: str) -> None:
    tenant.apply("Component", "tagged", {"image": components, "args": ["true"]})
    tenant.apply("ComponentRun", "of-a-tagged-one", {"component": "tagged", "resources": SMALL})
    status = tenant.wait("of-a-tagged-one")["status"]
    assert (status["phase"], status["image"]) == ("Succeeded", components), status
