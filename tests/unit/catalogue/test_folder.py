"""A folder is read as a catalogue: all files, within bounds, and what is wrong with one is told."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from componentrun.catalogue import folder as folders
from componentrun.catalogue.folder import find_repositories, read_folder
from componentrun.catalogue.imported.image import ImageOptions
from componentrun.catalogue.imported.report import ImportReport
from componentrun.errors import UserError
from tests.unit.catalogue.make import component

if TYPE_CHECKING:
    from pathlib import Path

ALIASES = "a: &a [1,2,3,4,5,6,7,8,9,10]\n" + "".join(
    f"{new}: &{new} [{','.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
"""Nine lists of ten, each of which names the one before it ten times: a billion values."""
A, B = component("acme.ex-a"), component("acme.ex-b")


def put(root: Path, name: str, content: Any) -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, str):
        path.write_text(content)
    elif path.suffix == ".json":
        path.write_text(json.dumps(content))
    else:
        path.write_text(yaml.safe_dump_all(content if isinstance(content, list) else [content]))


def found(root: Path) -> tuple[list[str], list[str]]:
    read = read_folder(root)
    return [entry.name for entry in read.entries], [f"{item.severity} {item.rule}: {item}" for item in read.findings]


def test_files_of_all_folders_are_read_in_the_order_of_names(tmp_path: Path) -> None:
    put(tmp_path, "b.yaml", [B, component("acme.ex-d")])
    put(tmp_path, "inner/deep/a.json", A)
    put(tmp_path, "c.yml", {"apiVersion": "v1", "kind": "List", "items": [component("acme.ex-c")]})
    put(tmp_path, "README.md", "no Component")
    put(tmp_path, ".git/x.yaml", component("hidden"))
    assert found(tmp_path) == (["acme.ex-a", "acme.ex-b", "acme.ex-c", "acme.ex-d"], [])


def test_the_folder_names_the_catalogue(tmp_path: Path) -> None:
    put(tmp_path, "catalogue.yaml", "name: sales\n")
    put(tmp_path, "a.yaml", A)
    read = read_folder(tmp_path)
    assert (read.name, len(read.entries), read.findings) == ("sales", 1, ())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("name: Sales\n", "`name` is `Sales`"),
        ("name: sales\nprefix: x\n", "found `prefix`"),
        ("- a\n", "expected an object"),
        ("name: {\n", "it is not YAML"),
        ("", "expected an object"),
        ("name: " + "a" * 64, "at most 63"),
    ],
)
def test_wrong_settings_are_told(tmp_path: Path, text: str, told: str) -> None:
    put(tmp_path, "catalogue.yaml", text)
    (_, (line,)) = found(tmp_path)
    assert line.startswith("error InvalidSettings: `catalogue.yaml`: ")
    assert told in line


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("a: {", "error InvalidFile: `x.yaml`: it is not YAML"),
        ("a: 1\na: 2\n", "error InvalidFile: `x.yaml`: line 2: it has the key `a` twice"),
        ("- 1\n", "error InvalidFile: `x.yaml`: found a list, expected a Component"),
        ("kind: Kustomization\n", "warning OtherKind: `x.yaml`: a `Kustomization` of `None`"),
        ("apiVersion: componentrun.dev/v1alpha1\nkind: Storage\n", "warning OtherKind: `x.yaml`: a `Storage`"),
        ("apiVersion: componentrun.dev/v9\nkind: Component\n", "error UnknownVersion: `x.yaml`: found `apiVersion:"),
        ("apiVersion: componentrun.dev/v1alpha1\nkind: Component\n", "error MissingName: `x.yaml`"),
        ('a: &a [x]\nb: [*a, "\\ud800"]\n', "error InvalidFile: `x.yaml`: "),
        ("[" * 1000, "error InvalidFile: `x.yaml`: "),
        ("a: " + "[" * 200 + "]" * 200, "error InvalidFile: `x.yaml`: it is nested too deeply"),
        (
            ALIASES,
            "error InvalidFile: `x.yaml`: it holds more than 200000 values, aliases expanded",
        ),
        ('{"a": 1, "a": 2}', "error InvalidFile: `x.yaml`: it has the key `a` twice"),
        ('{"a": NaN}', "error InvalidFile: `x.yaml`: it holds `NaN`"),
        ("a: .inf", "error InvalidFile: `x.yaml`: it holds a number that JSON does not know"),
        ("a: !!binary aGk=", "error InvalidFile: `x.yaml`: it holds a value that JSON does not know"),
        ("a: !!python/object:os.system {}", "error InvalidFile: `x.yaml`: it is not YAML"),
    ],
)  # fmt: skip
def test_a_file_that_is_no_component_is_told_and_the_others_are_read(tmp_path: Path, content: str, told: str) -> None:
    put(tmp_path, "x.yaml", content)
    put(tmp_path, "a.yaml", A)
    names, (line,) = found(tmp_path)
    assert names == ["acme.ex-a"]
    assert line.startswith(told)


def test_what_only_a_server_sets_is_ignored_and_told(tmp_path: Path) -> None:
    exported = {**A, "status": {"x": 1}, "metadata": {**A["metadata"], "uid": "u", "resourceVersion": "7"}}
    put(tmp_path, "a.yaml", exported)
    read = read_folder(tmp_path)
    assert read.entries[0].manifest == A
    assert "`resourceVersion`, `status`, `uid` of Component `acme.ex-a` are ignored" in read.findings[0].message


def test_links_and_special_files_are_told(tmp_path: Path) -> None:
    put(tmp_path, "a.yaml", A)
    put(tmp_path, "catalogue/a.yaml", A)
    inside = tmp_path / "catalogue"
    (inside / "broken.yaml").symlink_to(inside / "nothing")
    (inside / "folder").symlink_to(inside)
    (inside / "link.yaml").symlink_to(tmp_path / "a.yaml")
    (inside / "loop.yaml").symlink_to(inside / "loop.yaml")
    os.mkfifo(inside / "pipe.yaml")
    names, lines = found(inside)
    assert names == ["acme.ex-a"]
    assert [line.partition(":")[0] for line in lines] == ["error Link"] * 4 + ["error SpecialFile"]


def test_a_mounted_config_map_is_a_folder(tmp_path: Path) -> None:
    """The kubelet writes files to a hidden folder, and links to them."""
    put(tmp_path, "..2026_01_31/a.yaml", A)
    put(tmp_path, "..2026_01_31/catalogue.yaml", "name: sales\n")
    (tmp_path / "..data").symlink_to("..2026_01_31")
    for name in ("a.yaml", "catalogue.yaml"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    read = read_folder(tmp_path)
    assert (read.name, [entry.name for entry in read.entries], read.findings) == ("sales", ["acme.ex-a"], ())


def test_files_that_are_no_text_are_told(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe\x00")
    assert found(tmp_path)[1] == ["error InvalidFile: `x.yaml`: it is not text in UTF-8 [InvalidFile]"]


def test_a_byte_order_mark_is_no_part_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(json.dumps(A), encoding="utf-8-sig")
    assert found(tmp_path) == (["acme.ex-a"], [])


def test_a_component_larger_than_an_object_may_be_is_told(tmp_path: Path) -> None:
    put(tmp_path, "x.json", component("acme.big", description="x" * 1024 * 1024))
    assert found(tmp_path)[1][0].startswith("error TooLarge: `x.json`: Component `acme.big` has 1048")


def test_bounds_of_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for i in range(6):
        put(tmp_path, f"{i}.json", component(f"acme.ex-{i}"))
    monkeypatch.setattr(folders, "MAX_FILE_BYTES", 10)
    assert found(tmp_path)[1][0].startswith("error TooLarge: `0.json`: it has ")
    monkeypatch.undo()
    for bound, value in (("MAX_FILES", 5), ("MAX_ENTRIES", 5), ("MAX_BUNDLE_BYTES", 500)):
        with monkeypatch.context() as changed:
            changed.setattr(folders, bound, value)
            with pytest.raises(UserError, match="more than 5"):
                read_folder(tmp_path)


def test_folders_inside_each_other_have_a_bound(tmp_path: Path) -> None:
    put(tmp_path, "/".join("abcdefghijklmnopqr") + "/x.yaml", A)
    assert found(tmp_path)[1][0].startswith("error TooDeep: ")


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "file", "x")
    for name in ("file", "nothing"):
        with pytest.raises(UserError, match="expected a folder with Components"):
            read_folder(tmp_path / name)


def put_repository(root: Path, app: str) -> None:
    put(root, "component_config/configSchema.json", {"type": "object"})
    put(root, "component_config/component_short_description.md", "Reads.")
    put(root, "component_config/sample-config/in/tables/x.csv", "a\n")
    put(root, ".github/workflows/push.yml", f"env:\n  KBC_DEVELOPERPORTAL_APP: {app}\n")
    put(root, "src/component.json", {"no": "component"})


def test_repositories_in_a_folder_are_imported(tmp_path: Path) -> None:
    put(tmp_path, "catalogue.yaml", "name: sales\nimagePrefix: registry.example.com/c\n")
    put_repository(tmp_path / "component-weather", "acme.ex-weather")
    put(tmp_path, "a.yaml", A)
    read = read_folder(tmp_path)
    assert [entry.name for entry in read.entries] == ["acme.ex-a", "acme.ex-weather"]
    assert read.entries[1].source == "component-weather/component_config"
    assert read.entries[1].spec["image"] == "registry.example.com/c/acme.ex-weather"
    assert [finding.rule for finding in read.findings] == ["OtherKind"]


def test_a_repository_without_an_image_prefix_is_told(tmp_path: Path) -> None:
    put_repository(tmp_path / "component-weather", "acme.ex-weather")
    assert "pass `--image-prefix" in found(tmp_path)[1][0]
    assert read_folder(tmp_path, image_prefix="r.example.com").entries


def test_repositories_are_found_and_read_one_by_one(tmp_path: Path) -> None:
    put_repository(tmp_path / "two", "acme.two")
    put_repository(tmp_path / "one", "acme.one")
    (tmp_path / "one" / "component_config" / "logo.png").write_bytes(b"\x89PNG\xff")
    report = ImportReport()
    for folder in find_repositories(tmp_path)[0]:
        folders.read_repository(folder, ImageOptions("r.example.com"), report)
    assert [manifest["metadata"]["name"] for manifest in report.manifests] == ["acme.one", "acme.two"]
    assert [finding.message for finding in report.findings] == [
        "`one/component_config/logo.png`: a Component has no field for it"
    ]
    folder = tmp_path / "one" / "component_config"
    assert find_repositories(folder) == ([folder], [])


def test_keys_that_are_numbers_become_texts_as_in_kubectl(tmp_path: Path) -> None:
    put(
        tmp_path,
        "a.yaml",
        yaml.safe_dump(component("acme.ex-a", imageParameters={"a": {1: "x", "b": True, 2.5: None}})),
    )
    assert read_folder(tmp_path).entries[0].spec["imageParameters"] == {"a": {"1": "x", "b": True, "2.5": None}}
