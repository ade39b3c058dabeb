"""What a run asks for, brought together with what its Component allows."""

from __future__ import annotations

from typing import Any

import pytest

from componentrun.core.request.config import state_secrets
from componentrun.core.request.image import pull_policy
from componentrun.core.request.parameters import parameters_of
from componentrun.core.request.resolve import EffectiveRun, resolve
from componentrun.csv.columnfacts import ColumnFacts
from componentrun.errors import Reason, UserError
from componentrun.wire.agents import Where
from componentrun.wire.documents import MAX_DEPTH
from tests.unit.core.make import make_component, make_run


def of_image(**spec: Any) -> EffectiveRun:
    return resolve(make_run(**spec), None, "lake")


def of_component(component: dict[str, Any] | None = None, **spec: Any) -> EffectiveRun:
    return resolve(make_run(component="cleaner", **spec), make_component(**(component or {})), "lake")


class TestImage:
    @pytest.mark.parametrize(
        ("component", "tag", "wanted"),
        [
            ({"image": "r.io/team/app"}, None, "r.io/team/app:latest"),
            ({"image": "r.io/team/app", "tag": "1.2"}, None, "r.io/team/app:1.2"),
            ({"image": "r.io/team/app", "tag": "1.2"}, "2.0", "r.io/team/app:2.0"),
            ({"image": "r.io:5000/app", "tag": "1.2"}, None, "r.io:5000/app:1.2"),
            ({"image": "app:3"}, None, "app:3"),
            # As the API server stores a Component that gives no tag: with the default of its schema.
            ({"image": "r.io:5000/app:3", "tag": "latest"}, None, "r.io:5000/app:3"),
            ({"image": "r.io:5000/app", "tag": "latest"}, None, "r.io:5000/app:latest"),
            ({"image": "app:3", "tag": "4"}, None, "app:4"),
            ({"image": "app:3"}, "5", "app:5"),
            ({"image": "app@sha256:abc", "tag": "1"}, None, "app@sha256:abc"),
        ],
    )
    def test_of_a_component(self, component: dict[str, Any], tag: str | None, wanted: str) -> None:
        assert of_component(component, tag=tag).image == wanted

    @pytest.mark.parametrize(
        ("image", "tag", "wanted"),
        [
            ("r.io:5000/app", None, "r.io:5000/app"),
            ("r.io:5000/app", "1", "r.io:5000/app:1"),
            ("app:1", None, "app:1"),
            ("app@sha256:abc", None, "app@sha256:abc"),
        ],
    )
    def test_of_a_run(self, image: str, tag: str | None, wanted: str) -> None:
        assert of_image(image=image, tag=tag).image == wanted

    @pytest.mark.parametrize(
        ("image", "policy"),
        [
            ("r.io:5000/app", "Always"),
            ("r.io/app:latest", "Always"),
            ("r.io/app:1.2", "IfNotPresent"),
            ("r.io/app@sha256:abc", "IfNotPresent"),
            ("r.io/app:latest@sha256:abc", "IfNotPresent"),
        ],
    )
    def test_that_may_change_is_looked_up_for_every_run_and_a_release_is_pulled_once(
        self, image: str, policy: str
    ) -> None:
        assert pull_policy(image) == policy

    @pytest.mark.parametrize(
        ("image", "identifier"),
        [
            ("r.io:5000/team/cleaner:1.2", "cleaner"),
            ("cleaner@sha256:abc", "cleaner"),
            ("r.io/x/some_app", "some_app"),
            ("r.io/---", "component"),
        ],
    )
    def test_gives_a_run_without_component_its_id(self, image: str, identifier: str) -> None:
        assert of_image(image=image).component_id == identifier

    def test_of_a_component_gives_way_to_its_name(self) -> None:
        assert of_component({"image": "r.io/other"}).component_id == "cleaner"


class TestResources:
    @pytest.mark.parametrize(
        ("component", "spec", "limits"),
        [
            ({}, {}, {"cpu": "1", "memory": "256Mi"}),
            ({}, {"size": "xsmall"}, {"cpu": "1", "memory": "128Mi"}),
            ({}, {"size": "small"}, {"cpu": "2", "memory": "256Mi"}),
            ({}, {"size": "medium"}, {"cpu": "4", "memory": "512Mi"}),
            ({}, {"size": "large"}, {"cpu": "14", "memory": "1818Mi"}),
            ({"resources": {"limits": {"memory": "4Gi"}}}, {"size": "large"}, {"cpu": "14", "memory": "29082Mi"}),
            ({"resources": {"limits": {"memory": "4Gi"}}}, {}, {"cpu": "1", "memory": "4Gi"}),
            (
                {"resources": {"limits": {"memory": "4Gi", "cpu": "3"}}},
                {"resources": {"limits": {"cpu": "500m"}}},
                {"cpu": "500m", "memory": "4Gi"},
            ),
            (
                {},
                {"resources": {"limits": {"ephemeral-storage": "1Gi"}}},
                {"cpu": "1", "memory": "256Mi", "ephemeral-storage": "1Gi"},
            ),
        ],
    )
    def test_limits_and_equal_requests(
        self, component: dict[str, Any], spec: dict[str, Any], limits: dict[str, str]
    ) -> None:
        found = of_component(component, **spec)
        assert found.limits == limits
        assert found.requests == limits

    def test_requests_that_were_given_are_kept(self) -> None:
        found = of_image(resources={"limits": {"memory": "1Gi"}, "requests": {"cpu": "100m"}})
        assert found.requests == {"cpu": "100m", "memory": "1Gi"}

    def test_a_components_request_does_not_exceed_the_runs_smaller_limit(self) -> None:
        component = {"resources": {"limits": {"memory": "2Gi"}, "requests": {"memory": "1Gi", "cpu": "100m"}}}
        found = of_component(component, resources={"limits": {"memory": "512Mi"}})
        assert found.requests == {"cpu": "100m", "memory": "512Mi"}


class TestConfig:
    def test_has_exactly_the_five_keys_of_the_contract(self) -> None:
        config = of_image(configuration={"parameters": {"a": 1}, "imageParameters": {"b": 2}}, action="check").config
        assert config == {
            "parameters": {"a": 1},
            "storage": {"input": {"tables": [], "files": []}, "output": {"tables": [], "files": []}},
            "image_parameters": {"b": 2},
            "authorization": {},
            "action": "check",
        }

    @pytest.mark.parametrize("text", ['{"zip": 1.0, "city": 2e0}', ' \n{"zip":1.0,"city":2e0}\t', '\ufeff{"zip":1}'])
    def test_leaves_parameters_that_are_a_text_as_they_are(self, text: str) -> None:
        found = of_image(configuration={"parametersText": text})
        assert found.parameters_text == text.strip(" \n\t\ufeff")
        assert "parameters" not in found.config
        assert "zip" not in repr(found.config)

    def test_takes_parameters_from_what_the_run_refers_to(self) -> None:
        run = make_run(configuration={"parametersFrom": FROM})
        found = resolve(run, None, "lake", '{"zip": 1.0, "#k": "hush"}')
        assert found.parameters_text == '{"zip": 1.0, "#k": "hush"}'
        assert found.plain_secrets == ("hush",)

    def test_tells_the_mapping_in_snake_case(self) -> None:
        found = of_image(
            input={"tables": [{"source": "in.c-main.foo"}, {"object": "exports/a~b.csv", "destination": "x.csv"}]},
            output={
                "tables": [
                    {"source": "bar.csv", "destination": "out.c-main.bar", "incremental": True, "writeAlways": True},
                    {"source": "baz.csv", "destination": "out.c-main.baz"},
                ],
                "defaultBucket": "out.c-rest",
            },
        )
        assert found.config["storage"] == {
            "input": {
                "tables": [
                    {"source": "in.c-main.foo", "destination": "foo.csv"},
                    {"source": "exports/a~b.csv", "destination": "x.csv"},
                ],
                "files": [],
            },
            "output": {
                "tables": [
                    {"source": "bar.csv", "destination": "out.c-main.bar", "incremental": True, "write_always": True},
                    {"source": "baz.csv", "destination": "out.c-main.baz"},
                ],
                "files": [],
                "default_bucket": "out.c-rest",
            },
        }
        assert [i.path for i in found.inputs] == ["in/tables/foo.csv", "in/tables/x.csv"]
        assert [o.write_always for o in found.outputs] == [True, False]

    def test_tells_how_output_tables_are_written(self) -> None:
        schema = [
            {"name": "id", "type": "INTEGER", "length": "11", "default": "0", "nullable": False, "primaryKey": True},
            {"name": "n", "description": "a name"},
        ]
        table = {"source": "a.csv", "destination": "out.c-m.a", "delimiter": "\t", "enclosure": "", "optional": True}
        effective = of_image(output={"tables": [{**table, "columns": ["n", "id"], "schema": schema}]})
        assert effective.config["storage"]["output"]["tables"] == [
            {
                **table,
                "columns": ["n", "id"],
                "schema": [
                    {
                        "name": "id",
                        "data_type": {"base": {"type": "INTEGER", "length": "11", "default": "0"}},
                        "nullable": False,
                        "primary_key": True,
                    },
                    {
                        "name": "n",
                        "data_type": {"base": {"type": "STRING"}},
                        "nullable": True,
                        "primary_key": False,
                        "description": "a name",
                    },
                ],
            }
        ]
        (output,) = effective.outputs
        assert (output.delimiter, output.enclosure, output.optional) == ("\t", "", True)
        assert (output.columns, output.primary_key) == (("n", "id"), ("id",))
        assert output.schema == (
            ColumnFacts("id", "INTEGER", "11", "0", nullable=False),
            ColumnFacts("n", description="a name"),
        )

    def test_tells_what_is_applied_to_tables(self) -> None:
        where = {"column": "a", "operator": "ge", "values": ["1"]}
        found = of_image(
            input={
                "tables": [
                    {
                        "source": "in.c-a.x",
                        "columns": ["b", "a"],
                        "where": where,
                        "changedSince": "36h",
                        "limit": 5,
                        "sliced": True,
                    },
                    {"object": "x.csv", "destination": "y.csv", "where": {"column": "a", "values": ["", "1"]}},
                ]
            },
            output={
                "tables": [
                    {
                        "source": "bar.csv",
                        "destination": "out.c-main.bar",
                        "primaryKey": ["a", "b"],
                        "deleteWhere": {"column": "a", "operator": "ne", "values": ["1"]},
                    },
                    {"source": "baz.csv", "destination": "out.c-main.baz", "primaryKey": []},
                ]
            },
        )
        assert found.config["storage"]["input"]["tables"] == [
            {
                "source": "in.c-a.x",
                "destination": "x.csv",
                "columns": ["b", "a"],
                "where_column": "a",
                "where_operator": "ge",
                "where_values": ["1"],
                "where_type": "number",
                "changed_since": "36h",
                "limit": 5,
                "sliced": True,
            },
            {
                "source": "x.csv",
                "destination": "y.csv",
                "where_column": "a",
                "where_operator": "eq",
                "where_values": ["", "1"],
            },
        ]
        assert found.config["storage"]["output"]["tables"] == [
            {
                "source": "bar.csv",
                "destination": "out.c-main.bar",
                "primary_key": ["a", "b"],
                "delete_where_column": "a",
                "delete_where_operator": "ne",
                "delete_where_values": ["1"],
            },
            {"source": "baz.csv", "destination": "out.c-main.baz", "primary_key": []},
        ]
        assert [item.where for item in found.inputs] == [
            Where("a", "ge", ("1",), "number"),
            Where("a", "eq", ("", "1")),
        ]
        assert [(item.primary_key, item.delete_where) for item in found.outputs] == [
            (("a", "b"), Where("a", "ne", ("1",))),
            ((), None),
        ]

    def test_names_the_plain_secrets_and_keeps_them_out_of_its_own_text(self) -> None:
        parameters = {
            "#key": "hush",
            "db": {"#login": {"user": "me", "n": 5}},
            "list": [{"#a": ["x", ""]}],
            "#pin": 12345678,
            "#on": True,
            "open": "o",
        }
        found = of_image(configuration={"parameters": parameters, "imageParameters": {"#key": "hush"}})
        assert found.plain_secrets == ("hush", "me", "x", "12345678")
        assert "plain_secrets" not in repr(found)

    def test_of_a_state_as_many_secrets_are_hidden_as_the_pods_secret_holds(self) -> None:
        state = {"#a": ["x" * 60_000, "y" * 60_000, "no", "last"], "b": {"#c": "last"}, "d": "open"}
        assert state_secrets(state) == ("x" * 60_000, "last")
        assert state_secrets({"#many": [f"token-{i}" for i in range(1000)]}) == tuple(f"token-{i}" for i in range(100))


class TestEnvironment:
    def test_holds_each_variable_in_both_forms(self) -> None:
        configuration = {"id": "77", "version": "3", "row": "r1", "branch": "dev"}
        env = of_component(configuration=configuration).env
        assert {k: v for k, v in env.items() if k.startswith("KBC_")} == {
            "KBC_DATADIR": "/data/",
            "KBC_RUNID": "daily",
            "KBC_PROJECTID": "team",
            "KBC_CONFIGID": "77",
            "KBC_CONFIGVERSION": "3",
            "KBC_CONFIGROWID": "r1",
            "KBC_COMPONENTID": "cleaner",
            "KBC_BRANCHID": "dev",
            "KBC_STAGING_FILE_PROVIDER": "aws",
            "KBC_COMPONENT_RUN_MODE": "run",
            "KBC_DATA_TYPE_SUPPORT": "none",
            "KBC_PROJECT_FEATURE_GATES": "queuev2",
        }
        assert {k.replace("COMPONENTRUN_", "KBC_") for k in env if k.startswith("COMPONENTRUN_")} == {
            k for k in env if k.startswith("KBC_")
        }

    @pytest.mark.parametrize("support", ["none", "hints", "authoritative"])
    def test_tells_what_the_component_is_said_to_know_of_types(self, support: str) -> None:
        effective = of_component({"dataTypeSupport": support})
        assert effective.env["KBC_DATA_TYPE_SUPPORT"] == effective.type_support == support

    def test_leaves_out_what_the_run_does_not_say(self) -> None:
        env = of_image().env
        assert "KBC_CONFIGID" not in env
        assert env["KBC_BRANCHID"] == "default"
        assert not [k for k in env if "TOKEN" in k or "URL" in k]


class TestNetwork:
    def test_is_nothing_unless_asked_for(self) -> None:
        assert of_image().network.mode == "none"
        assert of_component().network.mode == "none"

    def test_is_the_components_unless_the_run_asks_for_less(self) -> None:
        component = {"network": {"mode": "bridge"}}
        assert of_component(component).network.mode == "bridge"
        assert of_component(component, network={"mode": "no-internet"}).network.mode == "no-internet"

    @pytest.mark.parametrize(
        ("component", "cidr", "port"),
        [
            ({"egress": [{"cidr": "203.0.113.0/24"}]}, "203.0.113.7/32", 443),
            ({"egress": [{"cidr": "203.0.113.0/24", "port": 443}]}, "203.0.113.0/24", 443),
            ({"mode": "bridge"}, "8.8.8.8/32", None),
            ({"mode": "no-internet"}, "10.1.0.0/16", None),
            ({"egress": [{"cidr": "2001:db8::/32"}]}, "2001:db8:1::/48", 443),
        ],
    )
    def test_destinations_within_the_components_are_granted(
        self, component: dict[str, Any], cidr: str, port: int | None
    ) -> None:
        found = of_component({"network": component}, network={"egress": [{"cidr": cidr, "port": port}]})
        assert [(r.cidr, r.port) for r in found.network.egress] == [(cidr, port)]

    def test_blocks_are_put_into_their_usual_form(self) -> None:
        assert of_image(network={"egress": [{"cidr": "10.1.2.3/8"}]}).network.egress[0].cidr == "10.0.0.0/8"


class TestTimesAndSizes:
    @pytest.mark.parametrize(
        ("component", "run", "seconds"),
        [(None, None, 3600), ("2h", None, 7200), ("2h", "5m", 300), (None, "24h", 86400), ("5m", "2h", 7200)],
    )
    def test_timeout(self, component: str | None, run: str | None, seconds: int) -> None:
        assert of_component({"timeout": component}, timeout=run).timeout_seconds == seconds

    def test_user_root_and_data_size_are_the_components(self) -> None:
        found = of_component({"runAsUser": 0, "readOnlyRootFilesystem": True, "dataSize": "50Gi", "command": ["go"]})
        assert (found.user_id, found.read_only_root, found.data_size, found.command) == (0, True, "50Gi", ("go",))
        default = of_image(args=["--fast"])
        assert (default.user_id, default.read_only_root, default.data_size) == (1000, False, "10Gi")
        assert default.args == ("--fast",)


def of_input(**more: Any) -> dict[str, Any]:
    return {"input": {"tables": [{"source": "in.c-a.x", **more}]}}


def where(operator: str, *values: str, **more: Any) -> dict[str, Any]:
    return {"column": "a", "operator": operator, "values": list(values), **more}


FROM = {"configMapKeyRef": {"name": "big", "key": "parameters.json"}}
SECRET = {"secretKeyRef": {"name": "s", "key": "k"}}
A = {"name": "a"}


def of_output(**table: Any) -> dict[str, Any]:
    return {"output": {"tables": [{"source": "a.csv", "destination": "out.c-m.a", **table}]}}


REFUSED: list[tuple[str, dict[str, Any] | None, dict[str, Any], str]] = [
    ("size and resources", {}, {"size": "small", "resources": {"limits": {"cpu": "1"}}}, "spec.resources"),
    ("request above limit", {}, {"resources": {"requests": {"memory": "1Gi"}}}, "spec.resources.requests.memory"),
    ("no memory at all", {}, {"resources": {"limits": {"memory": "0"}}}, "spec.resources.limits.memory"),
    ("timeout of a week", {}, {"timeout": "168h"}, "spec.timeout"),
    ("timeout of nothing", {}, {"timeout": "0s"}, "spec.timeout"),
    ("the component's timeout", {"timeout": "25h"}, {}, "Component `cleaner`: spec.timeout"),
    ("more network", {}, {"network": {"mode": "bridge"}}, "spec.network.mode"),
    ("another destination", {}, {"network": {"egress": [{"cidr": "8.8.8.8/32"}]}}, "spec.network.egress[0]"),
    (
        "every port of a destination with one",
        {"network": {"egress": [{"cidr": "8.8.8.8/32", "port": 443}]}},
        {"network": {"egress": [{"cidr": "8.8.8.8/32"}]}},
        "spec.network.egress[0]",
    ),
    (
        "more than private addresses",
        {"network": {"mode": "no-internet"}},
        {"network": {"mode": "none", "egress": [{"cidr": "0.0.0.0/0"}]}},
        "spec.network.egress[0]",
    ),
    ("no block", None, {"network": {"egress": [{"cidr": "300.0.0.1/8"}]}}, "spec.network.egress[0].cidr"),
    ("metadata service", None, {"network": {"egress": [{"cidr": "169.254.169.254/32"}]}}, "never opened"),
    ("command with a component", {}, {"command": ["sh"]}, "spec.command"),
    ("tag twice", None, {"image": "app:1", "tag": "2"}, "spec.tag"),
    ("tag and digest", None, {"image": "app@sha256:abc", "tag": "2"}, "spec.tag"),
    ("tag and the component's digest", {"image": "app@sha256:abc"}, {"tag": "2"}, "spec.tag"),
    (
        "two inputs at one place",
        {},
        {"input": {"tables": [{"source": "in.c-a.x"}, {"source": "in.c-b.x"}]}},
        "spec.input.tables[1].destination",
    ),
    ("an input of nothing", {}, {"input": {"tables": [{"destination": "x.csv"}]}}, "spec.input.tables[0]"),
    ("an object's odd name", {}, {"input": {"tables": [{"object": "a/ü.csv"}]}}, "spec.input.tables[0].destination"),
    (
        "two files for one table",
        {},
        {
            "output": {
                "tables": [
                    {"source": "a.csv", "destination": "out.c-a.x"},
                    {"source": "b.csv", "destination": "out.c-a.x"},
                ]
            }
        },
        "spec.output.tables[1].destination",
    ),
    (
        "two secrets at one place",
        {},
        {"configuration": {"secrets": [{"path": "a.#b", **SECRET}, {"path": "a.#b", **SECRET}]}},
        "spec.configuration.secrets[1].path",
    ),
    (
        "a secret below a plain value",
        {},
        {"configuration": {"parameters": {"a": 1}, "secrets": [{"path": "a.#b", **SECRET}]}},
        "spec.configuration.secrets[0].path",
    ),
    (
        "a secret in an item that is not there",
        {},
        {"configuration": {"parameters": {"a": []}, "secrets": [{"path": "a.0.#b", **SECRET}]}},
        "spec.configuration.secrets[0].path",
    ),
    ("a column twice", None, of_input(columns=["a", "a"]), "spec.input.tables[0].columns: `a` appears twice"),
    (
        "more patterns than are compared",
        None,
        of_input(columns=[f"a{i}*" for i in range(101)]),
        "spec.input.tables[0].columns: found 101 names with `*`, expected at most 100. Remove `columns`",
    ),
    ("no number", None, of_input(where=where("gt", "x")), "spec.input.tables[0].where: `x` is not a number"),
    ("two numbers", None, of_input(where=where("gt", "1", "2")), "takes one value; found 2"),
    ("no time", None, of_input(where=where("lt", "soon", type="timestamp")), "`soon` is not a time"),
    ("typed text", None, of_input(where=where("eq", "1", type="number")), "`eq` compares text, not a number"),
    ("ordered text", None, of_input(where=where("le", "1", type="text")), "compares a number or a timestamp"),
    (
        "new to nobody",
        None,
        of_input(changedSince="adaptive"),
        "spec.input.tables[0].changedSince: `adaptive` delivers rows added since the configuration's last successful",
    ),
    (
        "slices of an object",
        None,
        {"input": {"tables": [{"object": "x.csv", "sliced": True}]}},
        "spec.input.tables[0].sliced: an object is delivered as one file",
    ),
    (
        "no such day",
        None,
        of_input(changedSince="2026-02-30"),
        "spec.input.tables[0].changedSince: `2026-02-30` is neither",
    ),
    (
        "changed since, of an object",
        None,
        {"input": {"tables": [{"object": "x.csv", "changedSince": "1h"}]}},
        "spec.input.tables[0].changedSince: it is not known",
    ),
    (
        "a sign for both",
        None,
        of_output(delimiter=";", enclosure=";"),
        "spec.output.tables[0].enclosure: it is the same as the delimiter",
    ),
    ("an output column twice", None, of_output(columns=["a", "a"]), "spec.output.tables[0].columns: `a` appears"),
    ("a described column twice", None, of_output(schema=[A, A]), "spec.output.tables[0].schema: `a` appears twice"),
    (
        "other columns in the schema",
        None,
        of_output(columns=["a", "b"], schema=[A]),
        "spec.output.tables[0].schema: `b` is in only one of `columns` and `schema`",
    ),
    (
        "another key in the schema",
        None,
        of_output(primaryKey=["b"], schema=[A | {"primaryKey": True}, {"name": "b"}]),
        "spec.output.tables[0].primaryKey: found b, but its schema says a",
    ),
    (
        "two forms of parameters",
        None,
        {"configuration": {"parameters": {"a": 1}, "parametersText": "{}"}},
        "spec.configuration: found parameters and parametersText; expected at most one of parameters, parametersText,",
    ),
    (
        "no JSON",
        None,
        {"configuration": {"parametersText": "{'a': 1}"}},
        "spec.configuration.parametersText: it is not JSON: Expecting property name enclosed in double quotes",
    ),
    (
        "a list for parameters",
        None,
        {"configuration": {"parametersText": "[1]"}},
        "spec.configuration.parametersText: it holds a list; expected a JSON object",
    ),
    (
        "a key twice",
        None,
        {"configuration": {"parametersText": '{"a": {"b": 1, "b": 2}}'}},
        "spec.configuration.parametersText: it has the key `b` twice in one object; expected each key once",
    ),
    (
        "a secret below a plain value of a text",
        None,
        {"configuration": {"parametersText": '{"a": 1}', "secrets": [{"path": "a.#b", **SECRET}]}},
        "spec.configuration.secrets[0].path",
    ),
    (
        "more secrets in plain text than can be looked for",
        None,
        {"configuration": {"parameters": {"#a": "x" * 600_000}}},
        "the values of keys that start with `#` have 600000 bytes; expected at most 524288",
    ),
    ("no room for data", {"dataSize": "0"}, {}, "spec.dataSize"),
]


def nested(levels: int) -> dict[str, Any]:
    value: Any = {"a": 1}
    for level in range(levels - 1):
        value = {"a": value} if level % 2 else [value]
    return {"a": value}


@pytest.mark.parametrize("name", ["parameters", "imageParameters"])
def test_parameters_are_nested_as_deep_as_can_be_read_and_no_deeper(name: str) -> None:
    of_image(configuration={name: nested(MAX_DEPTH - 1)})
    with pytest.raises(UserError, match=rf"spec\.configuration\.{name}: nested more than 150 levels deep") as caught:
        of_image(configuration={name: nested(MAX_DEPTH)})
    assert caught.value.reason is Reason.INVALID_SPEC


@pytest.mark.parametrize(("component", "spec", "path"), [pytest.param(*row[1:], id=row[0]) for row in REFUSED])
def test_what_can_not_be_is_refused_by_field(component: dict[str, Any] | None, spec: dict[str, Any], path: str) -> None:
    with pytest.raises(UserError) as caught:
        of_component(component, **spec) if component is not None else of_image(**spec)
    assert caught.value.reason is Reason.INVALID_SPEC
    assert path in caught.value.message


@pytest.mark.parametrize(
    ("parameters", "path"),
    [
        ({}, "db.#password"),
        ({"db": {}}, "db.#password"),
        ({"l": [{"x": 1}]}, "l.0.#key"),
        ({"l": ["x"]}, "l.0"),
        ({"a": 1, "a.b": {}}, r"a\.b.#my key"),
    ],
)
def test_a_secrets_path_may_lead_to_what_is_not_there_yet(parameters: dict[str, Any], path: str) -> None:
    of_image(configuration={"parameters": parameters, "secrets": [{"path": path, **SECRET}]})


@pytest.mark.parametrize("key", ["exports/foo.csv", "foo.csv", "exports/foo", "foo"])
def test_an_objects_own_name_is_its_file(key: str) -> None:
    assert of_image(input={"tables": [{"object": key}]}).inputs[0].destination == "foo.csv"


@pytest.mark.parametrize("spec", [{"component": "cleaner", "image": "app"}, {"component": None, "image": None}])
def test_a_run_names_either_a_component_or_an_image(spec: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="exactly one of"):
        resolve(make_run(**spec), make_component(), "lake")


def test_a_component_that_is_not_there_is_a_reason_of_its_own() -> None:
    with pytest.raises(UserError, match="no Component `cleaner`") as caught:
        resolve(make_run(component="cleaner"), None, "lake")
    assert caught.value.reason is Reason.COMPONENT_NOT_FOUND


@pytest.mark.parametrize("text", [r'{"#a": "\ud800abc"}', r'{"a": ["\uDFFF"]}', r'{"\ud83d": 1}'])
def test_parameters_with_half_of_a_surrogate_pair_are_refused(text: str) -> None:
    run = make_run(configuration={"parametersText": text})
    with pytest.raises(UserError, match="half of a surrogate pair"):
        parameters_of(run.spec.configuration)


def test_a_whole_surrogate_pair_is_a_character() -> None:
    run = make_run(configuration={"parametersText": r'{"a": "\ud83d\ude00 \\ud800"}'})
    assert parameters_of(run.spec.configuration).value == {"a": "\U0001f600 \\ud800"}
