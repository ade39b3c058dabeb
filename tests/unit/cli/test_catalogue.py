"""`catalogue`: folders, bundles, imports, and a cluster that gets a catalogue."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from componentrun.api.names import CATALOGUE_LABEL
from componentrun.cli.errors import BadRequestError
from componentrun.process.kubernetes.resources import COMPONENTS
from tests.fakekube import refusals
from tests.fakekube.messages import json_response
from tests.fakekube.schemas import crd_schemas
from tests.unit.catalogue.make import component

if TYPE_CHECKING:
    from pathlib import Path

    from typer.testing import Result

    from tests.fakekube.kinds import Kind
    from tests.fakekube.messages import Request, Response
    from tests.unit.cli.world import World

A, B = component("acme.ex-a", title="Alpha"), component("acme.ex-b", title="Beta", type="writer")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A catalogue of two Components."""
    root = tmp_path / "sales"
    put(root, A, B)
    (root / "catalogue.yaml").write_text("name: sales\n")
    return root


def put(root: Path, *manifests: dict[str, Any]) -> None:
    root.mkdir(exist_ok=True)
    for manifest in manifests:
        (root / f"{manifest['metadata']['name']}.yaml").write_text(yaml.safe_dump(manifest))


def sync(world: World, source: Path, *flags: str) -> Result:
    return world.run("catalogue", "sync", str(source), *flags)


def writes(world: World) -> list[tuple[str, str]]:
    """Requests that write, since the last call."""
    found = [
        (request.method, request.path.rpartition("/")[2])
        for request in world.cluster.api.requests
        if request.method != "GET" and not request.is_dry_run
    ]
    world.cluster.api.requests.clear()
    return found


class TestSync:
    def test_the_first_sync_applies_all_and_the_second_writes_nothing(self, world: World, folder: Path) -> None:
        result = sync(world, folder)
        assert (result.exit_code, result.stdout) == (0, "+ Component acme.ex-a\n+ Component acme.ex-b\n")
        assert result.stderr == "catalogue `sales`: 2 added, 0 changed, 0 deleted, 0 unchanged\n"
        assert writes(world) == [("PATCH", "acme.ex-a"), ("PATCH", "acme.ex-b")]
        created = world.cluster.objects["components"]["acme.ex-a"]
        assert created["metadata"]["labels"] == {CATALOGUE_LABEL: "sales"}
        assert created["spec"] == A["spec"]
        again = sync(world, folder)
        assert (again.stdout, again.stderr) == ("", "catalogue `sales`: 0 added, 0 changed, 0 deleted, 2 unchanged\n")
        assert writes(world) == []

    def test_a_dry_run_shows_the_difference_and_writes_nothing(self, world: World, folder: Path) -> None:
        sync(world, folder)
        put(folder, component("acme.ex-a", title="New", tag="2"), component("acme.ex-c"))
        (folder / "acme.ex-b.yaml").unlink()
        writes(world)
        result = sync(world, folder, "--dry-run")
        assert result.stdout == (
            "~ Component acme.ex-a\n"
            '    spec.title: "Alpha" -> "New"\n'
            '    spec.tag: "latest" -> "2"\n'
            "+ Component acme.ex-c\n"
            "- Component acme.ex-b\n"
        )
        assert result.stderr.endswith("1 added, 1 changed, 1 deleted, 0 unchanged; nothing was written (`--dry-run`)\n")
        assert writes(world) == []

    def test_the_difference_has_only_what_the_api_server_would_change(self, world: World, folder: Path) -> None:
        """Fields of others stay, also those that the catalogue has never had."""
        put(folder, component("acme.ex-a", title="Alpha", vendor="Acme"))
        sync(world, folder)
        theirs = {"spec": {"timeout": "5m", "tag": "9"}, "metadata": {"annotations": {"team": "x"}}}
        world.cluster.patch(COMPONENTS, "acme.ex-a", theirs)
        put(folder, component("acme.ex-a", title="New"))
        for options in (("--dry-run",), ()):
            writes(world)
            lines = sync(world, folder, *options).stdout.splitlines()
            assert lines == [
                "~ Component acme.ex-a",
                '    spec.title: "Alpha" -> "New"',
                '    spec.vendor: "Acme" -> (none)',
            ]
        spec = world.cluster.objects["components"]["acme.ex-a"]["spec"]
        assert (spec["timeout"], spec["tag"], spec["title"], "vendor" in spec) == ("5m", "9", "New", False)

    def test_the_server_is_asked_only_about_what_differs(self, world: World, folder: Path) -> None:
        sync(world, folder)
        put(folder, component("acme.ex-a", title="New"), component("acme.ex-c"))
        world.cluster.api.requests.clear()
        sync(world, folder, "--dry-run")
        asked = [(item.method, item.path.rpartition("/")[2], item.is_dry_run) for item in world.cluster.api.requests]
        assert [item for item in asked if item[0] != "GET"] == [("PATCH", "acme.ex-a", True)]

    def test_a_dry_run_says_what_the_server_would_refuse(self, world: World, folder: Path) -> None:
        sync(world, folder)
        put(folder, component("acme.ex-a", title="New"))
        refusal = BadRequestError("Component `acme.ex-a` was refused: not here", "Ask somebody.")
        world.cluster.problems["patch"] = refusal
        result = sync(world, folder, "--dry-run")
        assert result.exit_code == 1
        assert "1 Component of 1 would be refused: Component `acme.ex-a` was refused: not here" in result.stderr
        assert "~ Component acme.ex-a" in result.stdout

    def test_what_the_catalogue_dropped_is_deleted_after_a_question(self, world: World, folder: Path) -> None:
        world.cluster.add(COMPONENTS, "theirs", {"image": "x"})
        sync(world, folder)
        (folder / "acme.ex-b.yaml").unlink()
        writes(world)
        refused = sync(world, folder)
        assert (refused.exit_code, writes(world)) == (1, [])
        assert "1 Component of catalogue `sales` will be deleted, but stdin is not a terminal" in refused.stderr
        assert sync(world, folder, "--no-prune").exit_code == 0
        assert (sync(world, folder, "--yes").exit_code, writes(world)) == (0, [("DELETE", "acme.ex-b")])
        assert set(world.cluster.objects["components"]) == {"theirs", "acme.ex-a"}

    def test_a_field_that_the_catalogue_dropped_is_removed(self, world: World, folder: Path) -> None:
        put(folder, component("acme.ex-a", tag="1"))
        sync(world, folder)
        put(folder, component("acme.ex-a"))
        sync(world, folder)
        assert "tag" not in world.cluster.objects["components"]["acme.ex-a"]["spec"]
        assert "0 added, 0 changed" in sync(world, folder).stderr

    def test_what_somebody_changed_is_changed_back_and_what_they_added_stays(self, world: World, folder: Path) -> None:
        sync(world, folder)
        world.cluster.patch(COMPONENTS, "acme.ex-a", {"spec": {"title": "Theirs", "timeout": "5m"}})
        assert '    spec.title: "Theirs" -> "Alpha"\n' in sync(world, folder).stdout
        assert world.cluster.objects["components"]["acme.ex-a"]["spec"] == A["spec"] | {"timeout": "5m"}

    def test_a_name_of_another_catalogue_stops_the_whole_sync(self, world: World, folder: Path, tmp_path: Path) -> None:
        put(tmp_path / "hr", A)
        sync(world, tmp_path / "hr", "--name", "hr")
        writes(world)
        result = sync(world, folder)
        assert (result.exit_code, writes(world)) == (1, [])
        assert "error: Component `acme.ex-a`: it belongs to the catalogue `hr`." in result.stderr
        assert sync(world, folder, "--adopt").exit_code == 0
        assert world.cluster.objects["components"]["acme.ex-a"]["metadata"]["labels"] == {CATALOGUE_LABEL: "sales"}

    def test_a_component_that_no_catalogue_created_is_kept(self, world: World, folder: Path) -> None:
        world.cluster.add(COMPONENTS, "acme.ex-a", {"image": "theirs"})
        result = sync(world, folder)
        assert result.exit_code == 1
        assert "no catalogue created it" in result.stderr
        assert set(world.cluster.objects["components"]) == {"acme.ex-a"}

    def test_a_catalogue_with_errors_is_not_applied(self, world: World, folder: Path) -> None:
        put(folder, component("acme.ex-c", tag="no tag"))
        result = sync(world, folder)
        assert (result.exit_code, writes(world)) == (1, [])
        assert "error: Component `acme.ex-c` (`acme.ex-c.yaml`): `tag`: found `no tag`" in result.stderr
        assert f"`{folder}` has 1 error; nothing was done" in result.stderr

    def test_an_empty_folder_deletes_nothing(self, world: World, folder: Path, tmp_path: Path) -> None:
        sync(world, folder)
        (tmp_path / "empty").mkdir()
        result = sync(world, tmp_path / "empty", "--name", "sales", "--yes")
        assert (result.exit_code, "it holds no Components" in result.stderr) == (1, True)
        assert len(world.cluster.objects["components"]) == 2

    @pytest.mark.parametrize(
        ("flags", "told"), [((), "the catalogue has no name"), (("--name", "No Name"), "`--name No Name`: expected")]
    )
    def test_a_catalogue_needs_a_name(self, world: World, folder: Path, flags: tuple[str, ...], told: str) -> None:
        (folder / "catalogue.yaml").unlink()
        result = sync(world, folder, *flags)
        assert (result.exit_code, told in result.stderr, writes(world)) == (1, True, [])

    def test_all_components_become_cluster_components(self, world: World, folder: Path) -> None:
        result = sync(world, folder, "--cluster-wide")
        assert result.stdout == "+ ClusterComponent acme.ex-a\n+ ClusterComponent acme.ex-b\n"
        assert set(world.cluster.objects["clustercomponents"]) == {"acme.ex-a", "acme.ex-b"}
        assert sync(world, folder, "--cluster-wide").stdout == ""
        moved = sync(world, folder, "--yes")
        assert moved.stdout.count("+ Component") == moved.stdout.count("- ClusterComponent") == 2
        assert not world.cluster.objects["clustercomponents"]

    def test_without_rights_for_the_cluster_a_namespace_is_synced(
        self, world: World, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        refuse_cluster_components(world, monkeypatch)
        result = sync(world, folder)
        assert result.exit_code == 0
        assert "ClusterComponents are left out: you are not allowed to list `clustercomponents" in result.stderr
        assert sync(world, folder, "--cluster-wide").exit_code == 1

    def test_one_refused_component_does_not_keep_the_others_back(self, world: World, folder: Path) -> None:
        sync(world, folder)
        put(folder, component("acme.ex-c"), component("acme.ex-d"))
        (folder / "acme.ex-b.yaml").unlink()
        refuse(world, "acme.ex-c")
        writes(world)
        result = sync(world, folder, "--yes")
        assert result.exit_code == 1
        assert "1 Component of 2 could not be applied; nothing was deleted" in result.stderr
        assert set(world.cluster.objects["components"]) == {"acme.ex-a", "acme.ex-b", "acme.ex-d"}
        assert "- Component acme.ex-b" in sync(world, folder, "--yes").stdout
        assert set(world.cluster.objects["components"]) == {"acme.ex-a", "acme.ex-c", "acme.ex-d"}

    def test_a_bundle_is_applied_like_its_folder(self, world: World, folder: Path, tmp_path: Path) -> None:
        sync(world, folder)
        bundle = tmp_path / "sales.tgz"
        world.run("catalogue", "build", str(folder), "-o", str(bundle))
        assert sync(world, bundle).stderr.endswith("0 added, 0 changed, 0 deleted, 2 unchanged\n")


def refuse(world: World, name: str) -> None:
    """Have the server refuse the next attempt to create an object, as an admission policy would."""
    hooks = world.cluster.api.writer.on_create

    def hook(kind: Kind, obj: dict[str, Any]) -> None:
        if obj["metadata"]["name"] == name:
            hooks.remove(hook)
            raise refusals.forbidden(kind, name, "a policy")

    hooks.append(hook)


def refuse_cluster_components(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the server allow nothing about ClusterComponents."""
    handle = world.cluster.api.handle

    def refusing(request: Request) -> Response:
        if "/clustercomponents" not in request.path:
            return handle(request)
        message = 'clustercomponents.componentrun.dev is forbidden: User "jane" cannot list resource'
        return json_response(403, refusals.failure(403, "Forbidden", message))

    monkeypatch.setattr(world.cluster.api, "handle", refusing)


class TestBuildAndLint:
    def test_the_digest_is_on_stdout_and_the_same_each_time(self, world: World, folder: Path, tmp_path: Path) -> None:
        first = world.run("catalogue", "build", str(folder), "-o", str(tmp_path / "1"))
        second = world.run("catalogue", "build", str(folder), "-o", str(tmp_path / "2"))
        assert (first.exit_code, first.stdout) == (0, second.stdout)
        assert first.stdout.startswith("sha256:")
        assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
        assert "has 2 Components" in first.stderr

    def test_a_catalogue_with_errors_is_not_built(self, world: World, folder: Path, tmp_path: Path) -> None:
        put(folder, component("acme.ex-c", image="Acme/Weather"))
        result = world.run("catalogue", "build", str(folder), "-o", str(tmp_path / "out"))
        assert (result.exit_code, (tmp_path / "out").exists()) == (1, False)

    def test_many_findings_are_cut_before_use_and_lint_prints_all(self, world: World, folder: Path) -> None:
        put(folder, *(component(f"acme.ex-{i}", image="A") for i in range(30)))
        result = sync(world, folder)
        assert "and 10 more; `componentrun catalogue lint` prints all" in result.stderr
        result = world.run("catalogue", "lint", str(folder))
        assert (result.exit_code, result.stderr.count("[InvalidImage]")) == (1, 30)
        assert result.stderr.endswith("32 Components: 30 errors, 0 warnings\n")

    def test_findings_for_programs(self, world: World, folder: Path) -> None:
        put(folder, component("acme.ex-c", type=None))
        result = world.run("catalogue", "lint", str(folder), "-o", "json")
        assert result.exit_code == 0
        (finding,) = json.loads(result.stdout)
        assert (finding["severity"], finding["rule"]) == ("warning", "NoType")

    @pytest.mark.parametrize(("name", "told"), [("nothing", "can't read"), ("file", "is no bundle")])
    def test_what_is_no_catalogue_is_refused(self, world: World, tmp_path: Path, name: str, told: str) -> None:
        (tmp_path / "file").write_text("hello")
        result = world.run("catalogue", "lint", str(tmp_path / name))
        assert (result.exit_code, told in result.stderr) == (1, True)

    def test_a_file_of_a_gigabyte_is_not_read(self, world: World, tmp_path: Path) -> None:
        with (tmp_path / "large").open("wb") as file:
            file.truncate(2**30)
        result = world.run("catalogue", "lint", str(tmp_path / "large"))
        assert result.exit_code == 1
        assert "has 1073741824 bytes; a bundle has at most 67108864" in result.stderr


class TestDiffAndSearch:
    def test_two_folders(self, world: World, folder: Path, tmp_path: Path) -> None:
        put(tmp_path / "new", component("acme.ex-a", title="Omega"), component("acme.ex-c"))
        result = world.run("catalogue", "diff", str(folder), str(tmp_path / "new"))
        assert result.exit_code == 0
        assert result.stdout == (
            '~ Component acme.ex-a\n    spec.title: "Alpha" -> "Omega"\n- Component acme.ex-b\n+ Component acme.ex-c\n'
        )
        assert world.run("catalogue", "diff", str(folder), str(tmp_path / "new"), "--exit-code").exit_code == 1

    def test_a_folder_and_the_cluster(self, world: World, folder: Path) -> None:
        sync(world, folder)
        result = world.run("catalogue", "diff", "cluster", str(folder), "--exit-code")
        assert (result.exit_code, result.stdout, result.stderr) == (0, "", "no differences\n")

    def test_defaults_that_the_api_server_adds_are_no_difference(self, world: World, folder: Path) -> None:
        world.cluster.api.writer.schemas = crd_schemas()
        sync(world, folder)
        stored = world.cluster.objects["components"]["acme.ex-a"]["spec"]
        assert stored["readOnlyRootFilesystem"] is False, "the file does not say it"
        result = world.run("catalogue", "diff", "cluster", str(folder), "--exit-code")
        assert (result.exit_code, result.stdout, result.stderr) == (0, "", "no differences\n")
        put(folder, A | {"spec": A["spec"] | {"readOnlyRootFilesystem": True}})
        change = "~ Component acme.ex-a\n    spec.readOnlyRootFilesystem: false -> true\n"
        assert world.run("catalogue", "diff", "cluster", str(folder)).stdout == change
        assert sync(world, folder, "--dry-run").stdout == change

    def test_a_catalogue_is_not_compared_with_itself(self, world: World, folder: Path) -> None:
        assert world.run("catalogue", "diff", str(folder), str(folder)).exit_code == 1

    def test_the_list_of_a_folder_and_of_the_cluster(self, world: World, folder: Path) -> None:
        text = (
            "NAME        TYPE        VERSION   TITLE\n"
            "acme.ex-a   extractor   latest    Alpha\n"
            "acme.ex-b   writer      latest    Beta\n"
        )
        assert world.run("catalogue", "list", str(folder)).stdout == text
        assert world.run("catalogue", "list").stderr == "no such Components\n"
        sync(world, folder)
        world.cluster.api.put("clustercomponents", component("acme.wide", "ClusterComponent"))
        assert world.run("catalogue", "list", "--catalogue", "sales").stdout == text
        assert world.run("catalogue", "list", "-o", "name").stdout == "acme.ex-a\nacme.ex-b\nacme.wide\n"
        assert world.run("catalogue", "list", "--type", "writer", "-o", "name").stdout == "acme.ex-b\n"
        wide = world.run("catalogue", "list", "-o", "wide").stdout
        assert "ClusterComponent   -           registry.example.com/weather" in wide
        listed = json.loads(world.run("catalogue", "list", "-o", "json").stdout)
        assert [item["metadata"]["name"] for item in listed] == ["acme.ex-a", "acme.ex-b", "acme.wide"]

    def test_a_deprecated_component_is_marked(self, world: World, folder: Path) -> None:
        put(folder, component("acme.ex-b", deprecated={"message": "old"}))
        assert "acme.ex-b (deprecated)" in world.run("catalogue", "list", str(folder)).stdout

    def test_words(self, world: World, folder: Path) -> None:
        assert world.run("catalogue", "search", "BETA", "--source", str(folder), "-o", "name").stdout == "acme.ex-b\n"
        sync(world, folder)
        assert world.run("catalogue", "search", "acme", "alpha", "-o", "name").stdout == "acme.ex-a\n"


INDEX = [
    {
        "id": "acme.ex-weather",
        "type": "extractor",
        "name": "Weather",
        "data": {"definition": {"type": "quayio", "uri": "acme/weather", "tag": "1"}},
        "configurationSchema": {"type": "object", "properties": {"test": {"type": "button"}}},
    }
]


class TestImport:
    def test_an_index_becomes_a_folder_that_can_be_built(self, world: World, tmp_path: Path) -> None:
        (tmp_path / "index.json").write_text(json.dumps(INDEX))
        result = world.run("catalogue", "import", str(tmp_path / "index.json"), "-o", str(tmp_path / "out"))
        assert result.exit_code == 0
        assert result.stderr.startswith("changed: `acme.ex-weather`: configurationSchema `/properties/test/type`")
        assert result.stderr.endswith("1 Component imported\n")
        assert [path.name for path in (tmp_path / "out").iterdir()] == ["acme.ex-weather.yaml"]
        assert world.run("catalogue", "lint", str(tmp_path / "out")).exit_code == 0

    def test_without_a_folder_it_is_printed(self, world: World, tmp_path: Path) -> None:
        (tmp_path / "index.json").write_text(json.dumps(INDEX))
        result = world.run("catalogue", "import", str(tmp_path / "index.json"))
        assert yaml.safe_load(result.stdout)["metadata"] == {"name": "acme.ex-weather"}

    def test_what_is_left_out_has_an_exit_code(self, world: World, tmp_path: Path) -> None:
        changed = INDEX[0] | {"somethingNew": True}
        (tmp_path / "index.json").write_text(json.dumps([changed, {"id": "acme.broken"}]))
        result = world.run("catalogue", "import", str(tmp_path / "index.json"), "-o", str(tmp_path / "out"))
        assert result.exit_code == 3
        assert "left out: `acme.ex-weather`: `somethingNew`" in result.stderr
        assert "not imported: `acme.broken`: `data.definition.uri` is missing" in result.stderr

    def test_files_that_exist_are_kept(self, world: World, tmp_path: Path) -> None:
        (tmp_path / "index.json").write_text(json.dumps(INDEX))
        arguments = ("catalogue", "import", str(tmp_path / "index.json"), "-o", str(tmp_path / "out"))
        assert world.run(*arguments).exit_code == 0
        result = world.run(*arguments)
        assert (result.exit_code, "exists already; nothing was written" in result.stderr) == (1, True)
        assert world.run(*arguments, "--overwrite").exit_code == 0

    def test_two_components_of_one_name_are_not_written(self, world: World, tmp_path: Path) -> None:
        (tmp_path / "index.json").write_text(json.dumps(INDEX * 2))
        result = world.run("catalogue", "import", str(tmp_path / "index.json"), "-o", str(tmp_path / "out"))
        assert "two components have the name `acme.ex-weather`; nothing was written" in result.stderr

    def test_a_repository(self, world: World, tmp_path: Path) -> None:
        config = tmp_path / "repository" / "component_config"
        config.mkdir(parents=True)
        (config / "configSchema.json").write_text("{}")
        flags = ("--image-prefix", "r.example.com/c", "--id", "acme.wr-x", "--tag", "2.0")
        result = world.run("catalogue", "import", str(tmp_path / "repository"), *flags)
        spec = yaml.safe_load(result.stdout)["spec"]
        assert (spec["image"], spec["tag"], spec["type"]) == ("r.example.com/c/acme.wr-x", "2.0", "writer")

    @pytest.mark.parametrize(
        ("name", "told"),
        [("empty", "found no folder `component_config`"), ("missing", "can't read"), ("x", "is not JSON")],
    )
    def test_nothing_to_import(self, world: World, tmp_path: Path, name: str, told: str) -> None:
        (tmp_path / "empty").mkdir()
        (tmp_path / "x").write_text("hello")
        result = world.run("catalogue", "import", str(tmp_path / name))
        assert (result.exit_code, told in result.stderr) == (1, True)


def test_a_difference_is_not_shown_if_something_cannot_be_read(world: World, folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    put(other, A, B)
    (other / "acme.ex-b.yaml").write_text("spec: [")
    result = world.run("catalogue", "diff", str(folder), str(other))
    assert (result.exit_code, result.stdout) == (1, "")
    assert "so a difference would be wrong" in result.stderr
    assert "acme.ex-b.yaml" in result.stderr


def test_a_list_says_what_it_could_not_read(world: World, folder: Path) -> None:
    (folder / "acme.ex-b.yaml").write_text("spec: [")
    result = world.run("catalogue", "list", str(folder))
    assert "acme.ex-a" in result.stdout
    assert "error: " in result.stderr
    assert "acme.ex-b.yaml" in result.stderr


def test_catalogues_of_the_cluster_do_not_select_in_a_folder(world: World, folder: Path) -> None:
    result = world.run("catalogue", "list", str(folder), "--catalogue", "sales")
    assert result.exit_code == 1
    assert "`--catalogue sales` selects Components of the cluster" in result.stderr


def test_a_schema_that_takes_exponential_time_is_stopped(world: World, tmp_path: Path) -> None:
    levels = 40
    definitions: dict[str, Any] = {
        f"a{level}": {"allOf": [{"$ref": f"#/definitions/a{level + 1}"}] * 2} for level in range(levels)
    }
    definitions[f"a{levels}"] = {"type": "object"}
    schema = {"definitions": definitions, "$ref": "#/definitions/a0"}
    put(tmp_path / "slow", component("acme.ex-a", configuration={"schema": schema, "default": {}}))
    result = world.run("catalogue", "lint", str(tmp_path / "slow"))
    assert result.exit_code == 1
    assert "the check takes more than 2 s of CPU time" in result.stderr
