"""Attacks: what a malicious component can find, reach and make the platform do."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import urllib3

from componentrun.loader.catalog.catalog import Catalog
from componentrun.loader.reading.scanning import consistent_cut
from componentrun.wire.agents import StageInPlan, from_json
from componentrun.wire.grants import GrantIn, GrantOut
from e2e.tenant import CREDENTIALS

if TYPE_CHECKING:
    from componentrun.wire.grants import PostPolicy
    from dev.cluster.connection import Connection
    from e2e.tenant import Tenant

PASSWORD = "correct horse battery staple 7"


def probe(
    tenant: Tenant, components: str, *arguments: str, program: str = "probe", **spec: Any
) -> list[dict[str, Any]]:
    name = tenant.run(components, program, *arguments, suspend=True, **spec)
    # The pod is deleted when its events are delivered, so the log is followed from its start.
    tenant.patch(name, {"suspend": False})
    run = tenant.wait(name)
    assert run["status"]["phase"] == "Succeeded", run["status"]
    tenant.wait(name, lambda run: (run["status"].get("events") or {}).get("delivered", False))
    return [
        {"kind": event.params.get("kind"), "what": event.params.get("what"), "found": event.params.get("found")}
        if event.params.get("kind")
        else json.loads(event.message)
        for event in tenant.events(name)
        if event.source == "component"
    ]


@pytest.fixture
def with_secret(tenant: Tenant) -> Tenant:
    tenant.put_table("in.c-main.words", "id\n1\n")
    tenant.secret("login", {"password": PASSWORD})
    return tenant


CONFIGURATION = {"secrets": [{"path": "#password", "secretKeyRef": {"name": "login", "key": "password"}}]}


def test_a_component_finds_no_grant_no_token_no_key_and_no_privilege(
    with_secret: Tenant, components: str, connection: Connection
) -> None:
    store = urlsplit(connection.lake.endpoint)
    findings = probe(
        with_secret, components, f"{store.hostname}:{store.port}",
        input={"tables": [{"source": "in.c-main.words"}]}, configuration=CONFIGURATION,
    )  # fmt: skip
    assert findings[-1]["kind"] == "end", findings
    assert [item for item in findings if item["kind"] not in {"end", "network"}] == []
    # The pod can reach the whole store (docs/security.md explains why) and nothing else.
    assert {item["what"] for item in findings if item["kind"] == "network"} <= {f"{store.hostname}:{store.port}"}


def test_the_network_is_closed_unless_asked_for(tenant: Tenant, components: str, connection: Connection) -> None:
    store = urlsplit(connection.lake.endpoint)
    registry = f"{store.hostname}:{(connection.registry or ':5000').rsplit(':', 1)[1].split('/')[0]}"
    closed = probe(tenant, components, registry)
    assert not [item for item in closed if item["what"] == registry]
    findings = probe(tenant, components, registry, network={"mode": "bridge"})
    addresses = {item["what"] for item in findings if item["kind"] == "network"}
    assert registry in addresses
    assert "169.254.169.254:80" not in addresses
    single = {"egress": [{"cidr": f"{store.hostname}/32", "port": int(registry.rsplit(":", 1)[1])}]}
    assert registry in {item["what"] for item in probe(tenant, components, registry, network=single)}


def test_secrets_appear_in_config_json_and_nowhere_else(with_secret: Tenant, components: str) -> None:
    name = with_secret.run(components, "logs", configuration=CONFIGURATION)
    with_secret.wait(name)
    with_secret.wait(name, lambda run: (run["status"].get("events") or {}).get("delivered", False))
    events = with_secret.events(name)
    text = " ".join(f"{event.message} {event.params}" for event in events)
    assert "the secret #password is [redacted]" in text
    assert PASSWORD not in text
    assert PASSWORD not in json.dumps(with_secret.get(name))
    assert PASSWORD not in with_secret.kubectl("get", "events", "-o", "json").stdout
    for place in ("deployment/componentrun-operator", "deployment/componentrun-collector"):
        log = with_secret.kubectl("logs", "-n", "componentrun-system", place, "--tail=-1").stdout
        assert PASSWORD not in log
        assert "X-Amz-Signature" not in log
        assert "x-amz-signature" not in log


def test_the_pod_object_holds_no_secret_and_passes_the_restricted_standard(
    with_secret: Tenant, components: str
) -> None:
    name = with_secret.run(components, "sleep-for", "60", configuration=CONFIGURATION)
    with_secret.wait(name, lambda run: (run.get("status") or {}).get("phase") == "Running")
    pod = with_secret.kubectl("get", "pod", f"{name}-1", "-o", "json").stdout
    assert PASSWORD not in pod
    assert "X-Amz" not in pod
    spec = json.loads(pod)["spec"]
    assert spec["automountServiceAccountToken"] is False
    mounts = {
        container["name"]: {mount["name"] for mount in container["volumeMounts"]}
        for container in spec["containers"] + spec["initContainers"]
    }
    assert not {"grant-in", "grant-out"} & mounts["component"]
    assert "grant-out" not in mounts["stage-in"]
    assert "grant-in" not in mounts["stage-out"]
    with_secret.patch(name, {"cancel": True})


def test_the_keys_of_the_store_are_no_parameter(tenant: Tenant, components: str) -> None:
    reference = {"name": CREDENTIALS, "key": "secretAccessKey"}
    name = tenant.run(components, "true", configuration={"secrets": [{"path": "#key", "secretKeyRef": reference}]})
    status = tenant.wait(name)["status"]
    assert (status["phase"], status["reason"]) == ("Failed", "InvalidSpec"), status
    assert f"Secret `{CREDENTIALS}` holds keys of Storage `main`" in status["message"]
    assert tenant.pods(name) == []


SECRET_TABLE = "in.c-main.secret"
GIVEN_TABLE = "in.c-main.given"
LOOT_TABLE = "out.c-main.loot"
LOOT = "id\n1\n2\n"


@dataclass(frozen=True)
class Stolen:
    """Both grants of a run that has published a table, and other information that a thief may have."""

    uid: str
    plan_url: str
    """URL of stage-in's plan."""
    file_url: str
    """URL of a data file of the table that the run read."""
    post: PostPolicy
    bucket_url: str
    prefix: str
    own_slice: str
    """Full key of a slice that the run uploaded."""
    own_file: str
    """Unsigned URL of the data file that the loader created from the slice."""
    secret_file: str
    """Unsigned URL of a data file of a table that the run did not read."""

    def url(self, key: str) -> str:
        return f"{self.bucket_url}/{key}"

    def get(self, what: str, url: str, method: str = "GET") -> dict[str, Any]:
        return {"what": what, "method": method, "url": url}

    def form(self, what: str, key: str) -> dict[str, Any]:
        return {"what": what, "method": "POST", "url": self.post.url, "fields": self.post.fields, "key": key}

    def denied(self) -> list[dict[str, Any]]:
        """All requests that must be rejected."""
        other_object, state = (
            f"{self.prefix}/data/other-1/x.csv",
            f"{self.prefix}/state/component/configuration/state.json",
        )
        file_url, _, query = self.file_url.partition("?")
        listing = f"{self.bucket_url}?list-type=2&prefix={self.prefix}/"
        tables = f"{file_url[: file_url.index('/', len('http://'))]}/{urlsplit(file_url).path.split('/')[1]}"
        return [
            self.get("no key: list", listing),
            self.get("no key: list the tables' bucket", f"{tables}?list-type=2"),
            self.get("no key: file of a table", self.secret_file),
            self.get("no key: file of the own table", self.own_file),
            self.get("no key: own output", self.url(self.own_slice)),
            self.get("no key: store", self.url(other_object), "PUT"),
            self.get("no key: delete own output", self.url(self.own_slice), "DELETE"),
            self.get("plan: of another attempt", self.plan_url.replace(f"{self.uid}/1/", f"{self.uid}/2/")),
            self.get("plan: of another run", self.plan_url.replace(self.uid, "other")),
            self.get("plan: of stage-out", self.plan_url.replace("stage-in.json", "stage-out.json")),
            self.get("plan: written over", self.plan_url, "PUT"),
            self.get("read: another table", f"{self.secret_file}?{query}"),
            self.get("read: own table", f"{self.own_file}?{query}"),
            self.get("read: own output", f"{self.url(self.own_slice)}?{query}"),
            self.get("read: list", f"{listing}&{query}"),
            self.get("read: versions", f"{self.bucket_url}?versions&{query}"),
            self.get("read: longer", self.file_url.replace("X-Amz-Expires=", "X-Amz-Expires=9")),
            self.get("read: written over", self.file_url, "PUT"),
            self.get("read: deleted", self.file_url, "DELETE"),
            self.get("read: deleted without its query", file_url, "DELETE"),
            self.form("form: another run", other_object),
            self.form("form: another attempt", f"{self.prefix}/data/{self.uid}-2/x.csv"),
            self.form("form: a state", state),
            self.form("form: own plan", f"{self.prefix}/runs/{self.uid}/1/stage-in.json"),
            self.form("form: dots", f"{self.post.key_prefix}../../files/x.csv"),
            self.form("form: an input of others", f"{self.prefix}/files/x.csv"),
            self.form("form: events", f"{self.prefix}/events/{self.uid}/000000000001.jsonl.zst"),
        ]


@pytest.fixture
def stolen(tenant: Tenant, components: str) -> Stolen:
    tenant.put_table(SECRET_TABLE, "id\nsecret\n")
    tenant.put_table(GIVEN_TABLE, "id\ngiven\n")
    name = tenant.run(
        components, command=["/bin/sh", "-c", "printf 'id\\n1\\n2\\n' > /data/out/tables/loot.csv"],
        podTtlAfterFinished="5m",  # and with the pod, its Secret
        input={"tables": [{"source": GIVEN_TABLE}]},
        output={"tables": [{"source": "loot.csv", "destination": LOOT_TABLE}]},
    )  # fmt: skip
    run = tenant.wait(name)
    assert run["status"]["phase"] == "Succeeded", run["status"]
    data = json.loads(tenant.kubectl("get", "secret", f"{name}-1", "-o", "json").stdout)["data"]
    grant_in = from_json(GrantIn, base64.b64decode(data["grant-in"]))
    grant_out = from_json(GrantOut, base64.b64decode(data["grant-out"]))
    plan = from_json(StageInPlan, urllib3.request("GET", grant_in.plan_url).data)
    assert plan.tables[0].parquet is not None
    assert tenant.table(LOOT_TABLE) == LOOT
    return Stolen(
        uid=run["metadata"]["uid"], plan_url=grant_in.plan_url, file_url=plan.tables[0].parquet.files[0].url,
        post=grant_out.post, bucket_url=tenant.settings.bucket_url, prefix=tenant.prefix,
        own_slice=asyncio.run(uploaded(tenant, run["metadata"]["uid"])),
        own_file=file_of(tenant, LOOT_TABLE), secret_file=file_of(tenant, SECRET_TABLE),
    )  # fmt: skip


async def uploaded(tenant: Tenant, run: str) -> str:
    """Full key of the slice that a run uploaded."""
    store = tenant.store
    prefix = store.layout.data(run, 1)
    (key,) = [info.key async for info in store.objects(prefix) if "loot" in info.key.removeprefix(prefix)]
    return key


def file_of(tenant: Tenant, table: str) -> str:
    """Unsigned URL of a table's only data file."""
    ((scan,), _) = consistent_cut(Catalog(tenant.settings), [table])
    (file,) = scan.files
    return file.path.replace("s3://", f"{tenant.settings.endpoint}/")


def raid(tenant: Tenant, components: str, attempts: list[dict[str, Any]]) -> dict[str, str]:
    """Make each attempt from a component in a separate pod, and return the answers."""
    findings = probe(tenant, components, program="raid", configuration={"parameters": {"attempts": attempts}})
    assert findings[-1] == {"kind": "end", "what": "attempts", "found": len(attempts)}
    return {item["what"]: item["found"] for item in findings[:-1]}


def test_a_component_with_both_grants_of_another_run_is_refused_everything_else(
    tenant: Tenant, components: str, stolen: Stolen
) -> None:
    answers = raid(tenant, components, stolen.denied())
    assert {name: answer for name, answer in answers.items() if answer not in {"400", "403", "405"}} == {}
    assert tenant.table(LOOT_TABLE) == LOOT
    assert tenant.table(SECRET_TABLE) == "id\nsecret\n"
    assert tenant.table(GIVEN_TABLE) == "id\ngiven\n"


def test_what_a_run_has_published_stays_though_a_component_writes_over_it(
    tenant: Tenant, components: str, stolen: Stolen
) -> None:
    attempts = [
        stolen.form("own slice", stolen.own_slice),
        stolen.form("own result", f"{stolen.post.key_prefix}_result.json"),
        stolen.form("beside it", f"{stolen.post.key_prefix}more.csv"),
    ]
    answers = raid(tenant, components, attempts)
    assert set(answers.values()) <= {"200", "204"}, answers
    assert tenant.table(LOOT_TABLE) == LOOT
    reader = tenant.run(
        components, "copy", input={"tables": [{"source": LOOT_TABLE, "destination": "in.csv"}]},
        output={"tables": [{"source": "in.csv", "destination": "out.c-main.copied"}]},
    )  # fmt: skip
    assert tenant.wait(reader)["status"]["phase"] == "Succeeded"
    assert tenant.table("out.c-main.copied") == LOOT


def test_a_storage_says_whether_grants_are_kept_apart(tenant: Tenant) -> None:
    tenant.kubectl("wait", "--for=condition=Ready", "storage/main", "--timeout=60s")
    status = json.loads(tenant.kubectl("get", "storage", "main", "-o", "json").stdout)["status"]
    conditions = {item["type"]: (item["status"], item["reason"]) for item in status["conditions"]}
    assert conditions["Scoped"] == ("True", "SignedForms")
    assert conditions["Versioned"] == ("True", "VersionsKept")
