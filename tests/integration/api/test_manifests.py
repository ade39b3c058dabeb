"""The API server rejects invalid manifests, and the message names the field."""

from __future__ import annotations

import copy
import json
import subprocess
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from componentrun.contract import MAX_COLUMNS, MAX_PARAMETERS_TEXT
from dev.cluster import connection as cluster_connection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dev.cluster.connection import Connection

pytestmark = pytest.mark.cluster
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def connection() -> Connection:
    return cluster_connection.load()


@pytest.fixture(scope="module")
def namespace(connection: Connection) -> Iterator[str]:
    name = f"manifests-{uuid.uuid4().hex[:8]}"
    kubectl(connection, "apply", "--server-side", "--force-conflicts", "-f", str(ROOT / "crds"))
    kubectl(connection, "wait", "--for=condition=Established", "--timeout=30s", "-f", str(ROOT / "crds"))
    kubectl(connection, "create", "namespace", name)
    yield name
    kubectl(connection, "delete", "namespace", name, "--wait=false")


def kubectl(connection: Connection, *arguments: str, document: Any = None) -> str:
    done = subprocess.run(
        [str(connection.bin_dir / "kubectl"), "--kubeconfig", str(connection.kubeconfig), *arguments],
        input=None if document is None else yaml.safe_dump(document), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise AssertionError(done.stderr)
    return done.stdout


def run(namespace: str, spec: dict[str, Any], name: str | None = None) -> dict[str, Any]:
    return {
        "apiVersion": "componentrun.dev/v1alpha1",
        "kind": "ComponentRun",
        "metadata": {"name": name or f"run-{uuid.uuid4().hex[:8]}", "namespace": namespace},
        "spec": spec,
    }


FILE = "01KGXQ5S00ABCDEFGHJKMNPQRS"
GOOD: dict[str, Any] = {
    "component": "delays",
    "configuration": {"parameters": {"limit": 3, "list": [1, {"a": None}]}, "secrets": []},
    "input": {
        "tables": [
            {
                "source": "in.c-main.flights",
                "columns": ["month", "carrier"],
                "where": {"column": "month", "operator": "ge", "values": ["6"]},
                "changedSince": "-2 days",
                "limit": 1000,
            }
        ],
        "files": [
            {"id": FILE, "optional": True},
            {"name": "résumé 1.pdf"},
            {"glob": "[ab]*.pdf", "tags": ["daily", "ž: x"], "limit": 10},
        ],
    },
    "output": {
        "tables": [
            {
                "source": "delays.csv",
                "destination": "out.c-main.delays",
                "primaryKey": ["carrier"],
                "deleteWhere": {"column": "carrier", "values": ["UA"]},
            }
        ],
        "files": [{"source": "*.pdf", "tags": ["daily"], "permanent": True, "optional": True}],
    },
    "retry": {"limit": 2, "backoff": {"initial": "30s"}, "afterStart": ["Evicted", "OutOfMemory"]},
    "resources": {"limits": {"cpu": 1, "memory": "256Mi"}},
    "timeout": "15m",
    "concurrency": {"group": "nightly/42@dev", "policy": "Replace"},
}


def with_changes(**changes: Any) -> dict[str, Any]:
    spec = copy.deepcopy(GOOD)
    for key, value in changes.items():
        if value is None:
            del spec[key]
        else:
            spec[key] = value
    return spec


def with_input(**more: Any) -> dict[str, Any]:
    return with_changes(input={"tables": [{"source": "in.c-main.flights", **more}]})


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (with_changes(image="a:b"), "give either spec.component (the name of a Component) or spec.image"),
        (with_changes(component=None), "give either spec.component (the name of a Component) or spec.image"),
        (with_changes(size="small"), "give either spec.size or spec.resources"),
        (with_changes(resources=None, size="huge"), 'spec.size: Unsupported value: "huge"'),
        (with_changes(timeout="90"), "spec.timeout"),
        (with_changes(timeout="25h"), "spec.timeout must be more than 0s and at most 24h"),
        (with_changes(timeout="0s"), "spec.timeout must be more than 0s and at most 24h"),
        (with_changes(retry={"limit": 11}), "spec.retry.limit"),
        (with_changes(retry={"afterStart": ["UserError"]}), "spec.retry.afterStart[0]"),
        (with_changes(retry={"backoff": {"initial": "0s"}}), "spec.retry.backoff: initial must be at least 1s"),
        (with_changes(retry={"backoff": {"initial": "6m"}}), "spec.retry.backoff: initial must be at least 1s"),
        (with_changes(retry={"backoff": {"max": "2h"}}), "spec.retry.backoff: initial must be at least 1s"),
        (with_changes(concurrency={"policy": "Wait"}), 'spec.concurrency.policy: Unsupported value: "Wait"'),
        (with_changes(concurrency={"group": "a b"}), "spec.concurrency.group"),
        (with_changes(command=["sh"]), "spec.command and spec.args go with spec.image"),
        (with_changes(component=None, image="a:b", tag="c"), "spec.tag and spec.channel belong to spec.component"),
        (with_changes(input={"tables": [{"source": "flights"}]}), "spec.input.tables[0].source"),
        (with_changes(input={"tables": [{}]}), "spec.input.tables: give each either source"),
        (with_changes(input={"tables": [{"object": "x.csv", "changedSince": "1h"}]}), "changedSince belongs to source"),
        (with_changes(input={"files": [{"limit": 1}]}), "spec.input.files: say which by id, name, glob or tags"),
        (with_changes(input={"files": [{"tags": []}]}), "spec.input.files: say which by id, name, glob or tags"),
        (with_changes(input={"files": [{"id": FILE, "tags": ["x"]}]}), "spec.input.files: an id says which file"),
        (with_changes(input={"files": [{"name": "a", "glob": "b"}]}), "give either name or glob"),
        (with_changes(input={"files": [{"id": "12"}]}), "spec.input.files[0].id"),
        (with_changes(input={"files": [{"name": "a/b"}]}), "spec.input.files[0].name"),
        (with_changes(input={"files": [{"tags": ["a\nb"]}]}), "spec.input.files[0].tags[0]"),
        (with_changes(input={"files": [{"glob": "*", "limit": 1001}]}), "spec.input.files[0].limit"),
        (with_changes(output={"files": [{"tags": ["x"]}]}), "spec.output.files[0].source"),
        (with_changes(output={"files": [{"source": "../x"}]}), "spec.output.files[0].source"),
        (with_input(changedSince="lately"), "spec.input.tables[0].changedSince"),
        (with_input(changedSince="adaptive"), "changedSince adaptive needs spec.configuration.id"),
        (with_changes(input={"tables": [{"object": "x.csv", "sliced": True}]}), "sliced belongs to source"),
        (with_input(limit=0), "spec.input.tables[0].limit"),
        (with_input(columns=[]), "spec.input.tables[0].columns"),
        (with_input(where={"column": "a", "operator": "gt", "values": ["1", "2"]}), "gt, ge, lt or le takes one value"),
        (with_input(where={"column": "a", "operator": "le", "values": ["1"], "type": "text"}), "takes one value"),
        (with_input(where={"column": "a", "values": ["1"], "type": "number"}), "where with eq or ne compares text"),
        (with_input(where={"column": "a", "operator": "like", "values": ["1"]}), 'Unsupported value: "like"'),
        (with_input(where={"column": "a", "values": []}), "spec.input.tables[0].where.values"),
        (with_changes(output={"tables": [{"source": "a.csv"}]}), "spec.output.tables[0].destination: Required value"),
        (with_changes(output={"tables": [{"source": "../a", "destination": "out.c-a.b"}]}),
         "spec.output.tables[0].source"),
        (with_changes(resources={"limits": {"memory": "lots"}}), "spec.resources.limits.memory"),
        (with_changes(network={"mode": "host"}), 'spec.network.mode: Unsupported value: "host"'),
        (with_changes(colour="red"), 'unknown field "spec.colour"'),
        (with_changes(configuration={"parameters": {"a": 1}, "parametersText": "{}"}),
         "spec.configuration: found parameters and parametersText; expected at most one of parameters, parametersText"),
        (with_changes(configuration={"parametersFrom": {"configMapKeyRef": {"name": "a"}}}),
         "spec.configuration.parametersFrom.configMapKeyRef.key: Required value"),
        (with_changes(configuration={"parametersText": "x" * (MAX_PARAMETERS_TEXT + 1)}),
         "spec.configuration.parametersText: Too long"),
        (with_changes(configuration={"secrets": [{"path": "#a"}]}), "spec.configuration.secrets[0].secretKeyRef"),
    ],
)  # fmt: skip
def test_a_wrong_run_is_refused_and_the_field_is_named(
    connection: Connection, namespace: str, spec: dict[str, Any], message: str
) -> None:
    with pytest.raises(AssertionError) as refused:
        kubectl(connection, "apply", "-f", "-", document=run(namespace, spec))
    assert message in str(refused.value)


def test_a_good_run_is_accepted_and_its_parameters_are_kept(connection: Connection, namespace: str) -> None:
    wanted = run(namespace, GOOD)
    kubectl(connection, "create", "-f", "-", document=wanted)
    stored = yaml.safe_load(
        kubectl(connection, "get", "crun", wanted["metadata"]["name"], "-n", namespace, "-o", "yaml")
    )
    assert stored["spec"]["configuration"]["parameters"] == GOOD["configuration"]["parameters"]
    assert stored["spec"]["action"] == "run"


TEXT = '{"zip": 1.0,\n "city": 12345678901234567890123, "a": {"z": 1e2}}'


def test_a_text_of_parameters_is_kept_byte_for_byte_and_is_fixed(connection: Connection, namespace: str) -> None:
    wanted = run(namespace, with_changes(configuration={"parametersText": TEXT}))
    name = wanted["metadata"]["name"]
    kubectl(connection, "create", "-f", "-", document=wanted)
    stored = json.loads(kubectl(connection, "get", "crun", name, "-n", namespace, "-o", "json"))
    assert stored["spec"]["configuration"]["parametersText"] == TEXT
    patch = '{"spec": {"configuration": {"parametersText": "{}"}}}'
    with pytest.raises(AssertionError, match=r"spec.configuration can't be changed once the run is created|any more"):
        kubectl(connection, "patch", "crun", name, "-n", namespace, "--type=merge", "-p", patch)


def test_all_columns_of_the_widest_table_may_be_chosen(connection: Connection, namespace: str) -> None:
    wanted = run(namespace, with_input(columns=[f"column_{number}" for number in range(MAX_COLUMNS)]))
    kubectl(connection, "create", "-f", "-", document=wanted)


def test_a_name_too_long_for_a_label_is_refused(connection: Connection, namespace: str) -> None:
    with pytest.raises(AssertionError, match=r"metadata.name: at most 58 characters"):
        kubectl(connection, "create", "-f", "-", document=run(namespace, GOOD, "a" * 59))


def test_the_spec_is_fixed_but_for_three_fields(connection: Connection, namespace: str) -> None:
    wanted = run(namespace, GOOD)
    name = wanted["metadata"]["name"]
    kubectl(connection, "create", "-f", "-", document=wanted)

    def patch(spec: str) -> str:
        patch = f'{{"spec": {spec}}}'
        return kubectl(connection, "patch", "crun", name, "-n", namespace, "--type=merge", "-p", patch)

    for change, field in (
        ('{"timeout": "1h"}', "spec.timeout"),
        ('{"component": "other"}', "spec.component"),
        ('{"input": {"tables": []}}', "spec.input"),
        ('{"storage": "other"}', "spec.storage"),
    ):
        with pytest.raises(AssertionError, match=rf"{field} can't be changed once the run is created"):
            patch(change)
    patch('{"suspend": true}')
    patch('{"ttlAfterFinished": "1h"}')
    patch('{"podTtlAfterFinished": "10m"}')
    patch('{"cancel": true}')
    with pytest.raises(AssertionError, match=r"spec.cancel can't be taken back"):
        patch('{"cancel": false}')


def with_catalog(**more: Any) -> dict[str, Any]:
    return {"bucket": "tables", "catalog": {"uri": "https://c.test/api", "warehouse": "s3://lake/", **more}}


CATALOG_KEYS = {"credentials": {"secretName": "lake"}}


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("Storage", with_catalog()),
        ("Storage", {**with_catalog(**CATALOG_KEYS), "allowNonAtomic": True}),
        ("Storage", with_catalog(**CATALOG_KEYS, oauth2ServerUri="https://l.test/t", scope="PRINCIPAL_ROLE:ALL a/.b")),
        ("Storage", with_catalog(namespacePrefix="team_prod_", sigV4={"service": "glue", "region": "eu-west-1"})),
        ("Storage", with_catalog(namespacePrefix="inner_outer_in1_")),
        ("Component", {"image": "a", "output": {"buckets": ["out.c-main", "out.c-*", "in.*", "*"]}}),
        ("Component", {"image": "a", "allowed": {"sizes": ["small"], "resources": {"cpu": 2}, "timeout": "2h"}}),
        ("Component", {"image": "a", "allowed": {"tags": []}, "deprecated": {"endOfLife": "2027-01-31"}}),
    ],
)
def test_a_good_component_or_storage_is_accepted(
    connection: Connection, namespace: str, kind: str, spec: dict[str, Any]
) -> None:
    document = {
        "apiVersion": "componentrun.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": f"good-{uuid.uuid4().hex[:8]}", "namespace": namespace},
        "spec": spec,
    }
    kubectl(connection, "create", "-f", "-", "--dry-run=server", document=document)


@pytest.mark.parametrize(
    ("kind", "spec", "message"),
    [
        ("Storage", {"bucket": "A"}, "spec.bucket"),
        ("Storage", {"bucket": "tables", "endpoint": "minio:9000"}, "spec.endpoint"),
        ("Storage", {"endpoint": "http://minio:9000"}, "spec.bucket: Required value"),
        ("Storage", with_catalog(uri="s3://lake/"), "spec.catalog.uri"),
        ("Storage", with_catalog(uri="https://me@c.test"), "spec.catalog.uri"),
        ("Storage", with_catalog(warehouse=""), "spec.catalog.warehouse"),
        (
            "Storage",
            {"bucket": "tables", "catalog": {"uri": "https://c.test"}},
            "spec.catalog.warehouse: Required value",
        ),
        ("Storage", with_catalog(namespacePrefix="team"), "spec.catalog.namespacePrefix"),
        ("Storage", with_catalog(namespacePrefix="in_"), "may be `in` or `out`"),
        ("Storage", with_catalog(namespacePrefix="team_out_"), "may be `in` or `out`"),
        ("Storage", with_catalog(**CATALOG_KEYS, sigV4={"service": "glue"}), "give either credentials or sigV4"),
        ("Storage", with_catalog(sigV4={"service": "s3"}), "spec.catalog.sigV4.service: Unsupported value"),
        ("Storage", with_catalog(oauth2ServerUri="https://l.test"), "oauth2ServerUri needs the client id and secret"),
        ("Component", {"image": "a", "output": {"buckets": ["c-main"]}}, "spec.output.buckets[0]"),
        ("Component", {"image": "a", "output": {"buckets": ["*", "out.*-a"]}}, "spec.output.buckets[1]"),
        ("Component", {"image": ""}, "spec.image"),
        ("Component", {"image": "a", "tag": "a/b"}, "spec.tag"),
        ("Component", {"image": "a", "runAsUser": -1}, "spec.runAsUser"),
        ("Component", {"image": "a", "allowed": {"sizes": []}}, "spec.allowed.sizes"),
        ("Component", {"image": "a", "allowed": {"sizes": ["huge"]}}, "spec.allowed.sizes[0]"),
        ("Component", {"image": "a", "allowed": {"tags": ["a/b"]}}, "spec.allowed.tags[0]"),
        ("Component", {"image": "a", "deprecated": {"endOfLife": "soon"}}, "spec.deprecated.endOfLife"),
    ],
)
def test_a_wrong_component_or_storage_is_refused(
    connection: Connection, namespace: str, kind: str, spec: dict[str, Any], message: str
) -> None:
    document = {
        "apiVersion": "componentrun.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": "wrong", "namespace": namespace},
        "spec": spec,
    }
    with pytest.raises(AssertionError) as refused:
        kubectl(connection, "apply", "-f", "-", document=document)
    assert message in str(refused.value)
