"""The public component index becomes Components, and whatever has no counterpart is told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun.catalogue.imported.image import ImageOptions
from componentrun.catalogue.imported.index import import_index
from componentrun.errors import UserError

NOTHING = ImageOptions()
PREFIX = ImageOptions("registry.example.com/components")
FULL: dict[str, Any] = {
    "id": "acme.ex-weather",
    "type": "extractor",
    "name": "Weather",
    "description": "Reads the weather\nof every day.",
    "longDescription": "# Weather\n\nOf all places.",
    "configurationDescription": "Get a token first.",
    "version": 83,
    "complexity": "medium",
    "category": "climate",
    "categories": ["files", "climate"],
    "hasUI": False,
    "ico32": "https://icons.example.com/32.png",
    "ico64": "https://icons.example.com/64.png",
    "data": {
        "definition": {
            "type": "aws-ecr",
            "uri": "123.dkr.ecr.example.com/portal/acme.ex-weather",
            "tag": "v3.14.1",
            "digest": "sha256:025a",
            "repository": {"region": "us-east-1"},
        },
        "vendor": {"contact": ["Acme Inc.", "Main Street 1"]},
        "configuration_format": "json",
        "network": "no-internet",
        "memory": "6144m",
        "process_timeout": 21600,
        "forward_token": False,
        "default_bucket": True,
        "default_bucket_stage": "out",
        "staging_storage": {"input": "local", "output": "local"},
        "synchronous_actions": ["testConnection", "getPlaces"],
        "image_parameters": {
            "host": "api.example.com",
            "#key": "KBC::Encrypted==",
            "db": {"#p.w": "KBC::x", "port": 1},
        },
        "logging": {
            "type": "gelf",
            "gelf_server_type": "udp",
            "verbosity": {"100": "none", "200": "normal", "300": "verbose", "500": "camouflage"},
        },
    },
    "flags": ["genericDockerUI", "encrypt"],
    "features": ["container-root-user", "has-sample-data"],
    "configurationSchema": {"type": "object", "properties": {"city": {"type": "string", "required": True}}},
    "configurationRowSchema": {"type": "object", "properties": {"day": {"type": "date"}}},
    "emptyConfiguration": {"parameters": {"city": "Prague"}},
    "uiOptions": {"a": 1},
    "dataTypesConfiguration": {"dataTypesSupport": "authoritative"},
    "expiredOn": "2027-03-01T00:00:00+0100",
    "expiredReplacementComponentId": "acme.ex-weather-v2",
    "documentationUrl": "https://docs.example.com/weather",
    "licenseUrl": "https://example.com/license",
    "sourceCodeUrl": "https://git.example.com/weather",
    "uri": "https://runner.example.com/docker/acme.ex-weather",
}


def entry(**changes: Any) -> dict[str, Any]:
    """A component with little in it; `data` is merged."""
    data = {"definition": {"type": "quayio", "uri": "acme/weather", "tag": "1"}, **changes.pop("data", {})}
    return {"id": "acme.ex-weather", "type": "extractor", "name": "Weather", "data": data, **changes}


def imported(*components: Any, options: ImageOptions = NOTHING) -> tuple[list[dict[str, Any]], list[str]]:
    report = import_index(json.dumps(components), "index.json", options)
    return report.manifests, [f"{finding.rule}: {finding.message}" for finding in report.findings]


def spec_of(**changes: Any) -> tuple[dict[str, Any], list[str]]:
    (manifest,), told = imported(entry(**changes))
    return manifest["spec"], told


def test_all_fields_have_their_places() -> None:
    (manifest,), told = imported(FULL, options=PREFIX)
    configuration = manifest["spec"].pop("configuration")
    assert manifest["spec"] == {
        "image": "registry.example.com/components/acme.ex-weather",
        "tag": "v3.14.1",
        "type": "extractor",
        "title": "Weather",
        "summary": "Reads the weather of every day.",
        "vendor": "Acme Inc.",
        "license": "https://example.com/license",
        "description": "# Weather\n\nOf all places.\n\nGet a token first.",
        "categories": ["files", "climate"],
        "icon": "https://icons.example.com/64.png",
        "documentationUrl": "https://docs.example.com/weather",
        "sourceUrl": "https://git.example.com/weather",
        "resources": {"limits": {"memory": "6144Mi"}},
        "timeout": "6h",
        "network": {"mode": "no-internet"},
        "defaultBucket": "out",
        "actions": ["testConnection", "getPlaces"],
        "logging": {
            "gelf": {
                "server": "udp",
                "visibility": {"debug": "none", "info": "normal", "warning": "verbose", "critical": "camouflage"},
            }
        },
        "imageParameters": {"host": "api.example.com", "db": {"port": 1}},
        "imageParameterSecrets": {
            "#key": {"name": "acme.ex-weather-image-parameters", "key": "key"},
            r"db.#p\.w": {"name": "acme.ex-weather-image-parameters", "key": "db.p.w"},
        },
        "runAsUser": 0,
        "dataTypeSupport": "authoritative",
        "deprecated": {
            "message": "Its vendor no longer offers this component.",
            "replacedBy": "acme.ex-weather-v2",
            "endOfLife": "2027-03-01",
        },
    }
    assert json.loads(configuration["schema"])["required"] == ["city"]
    assert json.loads(configuration["rowSchema"])["properties"]["day"] == {"type": "string"}
    assert (configuration["default"], configuration["validation"]) == ({"city": "Prague"}, "Warn")
    kept = json.loads(manifest["metadata"]["annotations"]["componentrun.dev/imported"])
    assert kept == {
        "complexity": "medium",
        "digest": "sha256:025a",
        "features": ["has-sample-data"],
        "flags": ["genericDockerUI", "encrypt"],
        "hasUI": False,
        "ico32": "https://icons.example.com/32.png",
        "region": "us-east-1",
        "uiOptions": {"a": 1},
        "uri": "https://runner.example.com/docker/acme.ex-weather",
        "version": 83,
    }
    assert [line.partition(":")[0] for line in told] == ["ToDo", "ToDo", "Changed", "Changed"]


def test_no_encrypted_value_is_kept() -> None:
    (manifest,), told = imported(FULL)
    assert "KBC::" not in json.dumps([manifest, told])


def test_every_field_of_the_index_is_in_the_manifest_or_told() -> None:
    """Nothing is dropped in silence: a mark at each place is found again."""

    def marked(path: str) -> dict[str, Any]:
        return entry(**{path: f"mark-{path}"})

    for key in (*FULL, "somethingNew"):
        if key in {"id", "data"}:
            continue
        manifests, told = imported(marked(key))
        text = json.dumps(manifests).lower()
        assert f"mark-{key}".lower() in text or any(key in line for line in told), key
    for key in (*FULL["data"], "stack_parameters", "something_new"):
        if key == "definition":
            continue
        manifests, told = imported(entry(data={key: f"mark-{key}"}))
        text = json.dumps(manifests).lower()
        assert f"mark-{key}".lower() in text or any(key in line for line in told), key


@pytest.mark.parametrize(
    ("definition", "image", "told"),
    [
        ({"type": "dockerhub", "uri": "acme/weather", "tag": "1"}, "docker.io/acme/weather", []),
        ({"type": "quayio", "uri": "acme/weather"}, "quay.io/acme/weather", []),
        ({"type": "quayio", "uri": "quay.io/acme/weather"}, "quay.io/acme/weather", []),
        ({"type": "quayio-private", "uri": "acme/weather"}, "quay.io/acme/weather", ["ToDo"]),
        ({"type": "aws-ecr", "uri": "1.ecr.example.com/w"}, "1.ecr.example.com/w", ["ToDo"]),
        ({"type": "new", "uri": "x.example.com/w"}, "x.example.com/w", ["ToDo"]),
        ({"type": "dockerhub", "uri": "Acme/W"}, "docker.io/acme/w", ["Changed"]),
        ({"type": "dockerhub", "uri": "a/w", "tag": "no tag"}, "docker.io/a/w", ["LeftOut"]),
        (
            {"type": "dockerhub", "uri": "a/w", "repository": {"username": "u", "#password": "KBC::x"}},
            "docker.io/a/w",
            ["ToDo"],
        ),
    ],
)
def test_the_image_names_its_registry(definition: dict[str, Any], image: str, told: list[str]) -> None:
    spec, lines = spec_of(data={"definition": definition})
    assert spec["image"] == image
    assert [line.partition(":")[0] for line in lines] == told


@pytest.mark.parametrize(
    ("item", "told"),
    [
        (entry(data={"definition": {"type": "builder", "uri": "x"}}), "builds an image"),
        (entry(data={"definition": {}}), "`data.definition.uri` is missing"),
        (entry(id=""), "expected a component with an `id`"),
        (entry(id=7), "expected a component with an `id`"),
        (entry(id="../../x"), "expected a component with an `id`"),
        ("text", "found a text, expected a component"),
    ],
)
def test_what_is_no_component_is_told_and_the_others_are_imported(item: Any, told: str) -> None:
    manifests, lines = imported(item, entry(id="acme.other"))
    assert [manifest["metadata"]["name"] for manifest in manifests] == ["acme.other"]
    assert len(lines) == 1
    assert lines[0].startswith("NotImported: ")
    assert told in lines[0]


@pytest.mark.parametrize(
    ("memory", "limit"),
    [("512m", "512Mi"), ("2g", "2Gi"), ("64M", "64Mi"), ("1024k", "1024Ki"), (1048576, "1048576"), ("1gb", "1Gi")],
)
def test_memory_of_docker_is_binary(memory: Any, limit: str) -> None:
    spec, told = spec_of(data={"memory": memory})
    assert (spec["resources"], told) == ({"limits": {"memory": limit}}, [])


def test_defaults_of_both_sides_are_not_written() -> None:
    spec, told = spec_of(data={"memory": "256m", "process_timeout": 3600, "logging": {"type": "standard"}})
    assert not {"resources", "timeout", "logging", "configuration", "actions"} & spec.keys()
    assert told == []


def test_the_network_of_the_original_is_open_by_default() -> None:
    assert spec_of()[0]["network"] == {"mode": "bridge"}


@pytest.mark.parametrize(
    ("seconds", "timeout", "told"),
    [
        (90, "1m30s", []),
        ("7200", "2h", []),
        (3661, "1h1m1s", []),
        (864000, "24h", ["Changed"]),
        ("x", None, ["LeftOut"]),
    ],
)
def test_timeouts(seconds: Any, timeout: str | None, told: list[str]) -> None:
    spec, lines = spec_of(data={"process_timeout": seconds})
    assert spec.get("timeout") == timeout
    assert [line.partition(":")[0] for line in lines] == told


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"data": {"staging_storage": {"input": "workspace-snowflake"}}}, "staging_storage.input"),
        ({"data": {"staging_storage": {"output": "none"}}}, "staging_storage.output"),
        ({"data": {"forward_token_details": True}}, "forward_token_details"),
        ({"data": {"configuration_format": "yaml"}}, "configuration_format"),
        ({"data": {"stack_parameters": {"eu": {"#t": "KBC::x"}}}}, "stack_parameters"),
        ({"data": {"logging": {"type": "gelf", "verbosity": {"150": "normal"}}}}, "logging.verbosity.150"),
        ({"data": {"logging": {"no_application_errors": True}}}, "logging.no_application_errors"),
        ({"data": {"network": "host"}}, "network"),
        ({"data": {"synchronous_actions": ["no action!"]}}, "synchronous_actions"),
        ({"features": ["mlflow-artifacts-access"]}, "features"),
        ({"processorConfiguration": {"allowedProcessorPosition": "before"}}, "allowedProcessorPosition"),
        ({"emptyConfiguration": {"parameters": {}, "processors": {"after": [1]}}}, "emptyConfiguration.processors"),
        ({"expiredOn": "soon"}, "expiredOn"),
        ({"configurations": [1, 2]}, "configurations"),
    ],
)
def test_what_a_component_does_not_have_is_left_out_and_told(changes: dict[str, Any], path: str) -> None:
    _, told = spec_of(**changes)
    assert [line for line in told if line.startswith("LeftOut: ") and path in line]


def test_a_forwarded_token_is_to_do() -> None:
    assert spec_of(data={"forward_token": True})[1][0].startswith("ToDo: the component expects a token")


@pytest.mark.parametrize(("position", "positions"), [("before", ["before"]), ("after", ["after"]), ("any", None)])
def test_positions_of_processors(position: str, positions: list[str] | None) -> None:
    spec, told = spec_of(type="processor", processorConfiguration={"allowedProcessorPosition": position})
    assert spec.get("processor", {}).get("positions") == positions
    assert told == []


def test_an_id_that_is_no_name_is_changed_and_kept() -> None:
    (manifest,), told = imported(entry(id="Acme.wr-Big_Query"))
    assert manifest["metadata"]["name"] == "acme.wr-big-query"
    assert json.loads(manifest["metadata"]["annotations"]["componentrun.dev/imported"]) == {"id": "Acme.wr-Big_Query"}
    assert "finds `acme.wr-big-query` in KBC_COMPONENTID" in told[0]


def test_empty_lists_of_php_are_empty_objects() -> None:
    spec, told = spec_of(
        configurationSchema=[],
        emptyConfiguration=[],
        uiOptions=[],
        flags=[],
        data={"image_parameters": [], "logging": []},
    )
    assert told == []
    assert "configuration" not in spec


def test_long_texts_are_cut_and_told() -> None:
    spec, told = spec_of(name="n" * 300, longDescription="d" * 70_000, categories=[f"c{i}" for i in range(30)])
    assert (len(spec["title"]), len(spec["description"]), len(spec["categories"])) == (253, 65_536, 20)
    assert len(told) == 3


def test_an_annotation_that_would_be_too_large_is_left_out() -> None:
    (manifest,), told = imported(entry(uiOptions={"x": "y" * 70_000}))
    assert "annotations" not in manifest["metadata"]
    assert told[0].startswith("LeftOut: `uiOptions` together have")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "is not JSON"),
        ("7", "expected a list of components"),
        ('{"components": 7}', "expected a list of components"),
        ("[NaN]", "`NaN`"),
        ("[" * 200 + "]" * 200, "nested too deeply"),
        ("[" * 200_000, "nested too deeply"),
    ],
    ids=["cut", "number", "object", "nan", "deep", "deepest"],
)
def test_a_file_that_is_no_index_is_refused(text: str, told: str) -> None:
    with pytest.raises(UserError, match=told):
        import_index(text, "`index.json`", NOTHING)


def test_an_index_with_too_many_components_is_refused() -> None:
    with pytest.raises(UserError, match="holds 2001 components; expected at most 2000"):
        import_index(json.dumps([{}] * 2001), "`index.json`", NOTHING)


def test_an_object_with_components_is_an_index() -> None:
    report = import_index(json.dumps({"components": [entry()]}), "`index.json`", NOTHING)
    assert len(report.manifests) == 1


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 10**9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(sorted(FULL)), st.sampled_from([None, *sorted(FULL["data"])]), _VALUES)
def test_no_value_of_any_field_stops_the_import(key: str, inner: str | None, value: Any) -> None:
    item = {**FULL, "data": {**FULL["data"], inner: value}} if inner else {**FULL, key: value}
    report = import_index(json.dumps([item, entry(id="acme.other")]), "index.json", NOTHING)
    assert report.manifests[-1]["metadata"]["name"] == "acme.other"
