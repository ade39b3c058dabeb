"""Whether the layer of the dependencies is used again."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from componentrun.api.build.componentbuild import BuildDependencies
from componentrun.core.builds.conventions import choose_recipe
from componentrun.core.builds.dependencies.layer import DependencyLayer, dump_layers, parse_layers
from componentrun.core.builds.dependencies.pins import are_pinned
from componentrun.core.builds.dependencies.reuse import LEFT_TO_THE_CODE, dump_plan, parse_plan, plan_dependencies
from componentrun.core.builds.lifecycle.history import reusable_layers
from tests.unit.core.builds import podexamples
from tests.unit.core.builds.test_identity import INPUTS

if TYPE_CHECKING:
    from componentrun.api.build.componentbuild import ComponentBuild

UV = '[[package]]\nname = "six"\nsource = {{ {} }}\n'
CONTENTS = {"requirements.txt": b"six==1.16.0\n"}


@pytest.mark.parametrize(
    "text",
    [
        "", "six==1.16.0", "# -r x\nsix == 1.16.0  # -r x\n\n", "requests[socks]==2.0 ; python_version > '3'",
        "six==1.16.0 \\\n    --hash=sha256:abc \\\n    --hash=sha256:def\n", "six===1.16+local.1",
        "--index-url https://pypi.example.com/simple\n--require-hashes\nsix==1\n", "-i https://u@pypi.example.com/s\r\nsix==1",
    ],
)  # fmt: skip
def test_pinned_requirements(text: str) -> None:
    assert are_pinned({"requirements.txt": text}, ["main.py"])


@pytest.mark.parametrize(
    "text",
    [
        "six", "six>=1", "six==1.*", "six~=1.0", "six==1,<2", "-r base.txt", "six==1\n-c limits.txt", "-e .", ".",
        "./lib",
        "wheels/six-1-py3-none-any.whl", "lib @ file:///code/lib", "lib @ ./lib", "lib @ https://example.com/a.whl",
        "--find-links wheels", "--no-index --find-links wheels", "-f wheels", "--index-url file:///code", "${FILE}",
        "git+https://example.com/a.git",
    ],
)  # fmt: skip
def test_requirements_that_other_files_or_the_time_decide(text: str) -> None:
    assert not are_pinned({"requirements.txt": text}, ["main.py"])


@pytest.mark.parametrize(
    ("contents", "expected"),
    [
        ({"uv.lock": UV.format('registry = "https://pypi.org/simple"'), "pyproject.toml": "[project]"}, True),
        ({"uv.lock": UV.format('virtual = "."'), "pyproject.toml": "[tool.uv]"}, True),
        ({"uv.lock": UV.format('editable = "."'), "pyproject.toml": ""}, True),
        ({"uv.lock": UV.format('git = "https://git.example.com/a.git?rev=x#abc"'), "pyproject.toml": ""}, True),
        ({"uv.lock": UV.format('registry = "wheels"'), "pyproject.toml": ""}, False),
        ({"uv.lock": UV.format('editable = "lib"'), "pyproject.toml": ""}, False),
        ({"uv.lock": UV.format('virtual = "lib"'), "pyproject.toml": ""}, False),
        ({"uv.lock": UV.format('path = "x.whl"'), "pyproject.toml": ""}, False),
        ({"uv.lock": UV.format('path = "x.whl"')}, False),
        ({"uv.lock": UV.format(""), "pyproject.toml": ""}, False),
        ({"uv.lock": "", "pyproject.toml": '[tool.uv]\nfind-links = ["wheels"]'}, False),
        ({"uv.lock": "", "pyproject.toml": '[tool.uv.workspace]\nmembers = ["lib"]'}, False),
        ({"uv.lock": "", "pyproject.toml": "[tool]\nuv = 1\n[x"}, False),
        ({"package-lock.json": "{}", "package.json": '{"scripts": {"start": "node .", "build": "x"}}'}, True),
        (
            {"package-lock.json": "{}", "package.json": "{}", ".npmrc": "# x\nregistry = https://npm.example.com/\n"},
            True,
        ),
        ({"package-lock.json": "{}", "package.json": "{}", ".npmrc": "script-shell=./x"}, False),
        ({"package-lock.json": '{"resolved": "file:lib"}', "package.json": "{}"}, False),
        ({"package-lock.json": '{"link": true}', "package.json": "{}"}, False),
        ({"package-lock.json": "{}", "package.json": '{"scripts": {"postinstall": "node x.js"}}'}, False),
        ({"package-lock.json": "{}", "package.json": '{"workspaces": ["a"]}'}, False),
        ({"package.json": '{"dependencies": {"a": "1"}}'}, False),
        ({"renv.lock": '{"Packages": {"a": {"Source": "Repository"}}}'}, True),
        ({"renv.lock": '{"Packages": {"a": {"Source": "Local"}}}'}, False),
    ],
)
def test_lock_files(contents: dict[str, str], expected: bool) -> None:
    assert are_pinned(contents, list(contents)) is expected


@pytest.mark.parametrize(
    ("first", "other"), [("uv.lock", "uv.toml"), ("package-lock.json", "binding.gyp"), ("renv.lock", ".Rprofile")]
)
def test_other_files_that_the_commands_would_read(first: str, other: str) -> None:
    contents = {first: "", "pyproject.toml": ""}
    assert are_pinned(contents, [*contents, "main.py"])
    assert not are_pinned(contents, [*contents, other])


class TestPlan:
    recipe = choose_recipe({"requirements.txt", "main.py"}, "/code")
    files = ("main.py", "requirements.txt")

    def test_a_layer_with_the_key_is_used(self) -> None:
        plan = plan_dependencies(self.recipe, self.files, CONTENTS, INPUTS, ())
        assert (plan.is_apart, plan.layer) == (True, None)
        layers = [DependencyLayer(key, "sha256:1", 1, "sha256:2") for key in ("other", plan.key)]
        found = plan_dependencies(self.recipe, self.files, CONTENTS, INPUTS, parse_layers(dump_layers(layers)))
        assert (found.is_apart, found.layer) == (False, layers[1])
        assert parse_plan(dump_plan(found)) == found
        assert parse_plan(dump_plan(plan)) == plan

    def test_the_key_does_not_depend_on_the_code(self) -> None:
        key = plan_dependencies(self.recipe, self.files, CONTENTS, INPUTS, ()).key
        others = replace(INPUTS, commit="b" * 40, url="https://git.example.com/other", context_dir="", target="x")
        assert plan_dependencies(self.recipe, (*self.files, "lib.py"), CONTENTS, others, ()).key == key
        for changed in (replace(INPUTS, parent="x"), replace(INPUTS, arguments=()), replace(INPUTS, platform="x/y")):
            assert plan_dependencies(self.recipe, self.files, CONTENTS, changed, ()).key != key
        newer = {"requirements.txt": b"six==1.17.0\n"}
        assert plan_dependencies(self.recipe, self.files, newer, INPUTS, ()).key != key

    def test_what_may_depend_on_the_code_has_no_key(self) -> None:
        for files, contents in (
            (self.files, {}),
            ((*self.files, ".packages"), CONTENTS),
            ((*self.files, ".packages/six.py"), CONTENTS),
            (self.files, {"requirements.txt": b"six"}),
            (self.files, {"requirements.txt": b"six==\xff"}),
        ):
            assert plan_dependencies(self.recipe, files, contents, INPUTS, ()) == LEFT_TO_THE_CODE
        commands = choose_recipe({"main.py"}, "/code", ("make",))
        assert plan_dependencies(commands, self.files, CONTENTS, INPUTS, ()) == LEFT_TO_THE_CODE

    def test_a_damaged_list_of_layers_is_an_error(self) -> None:
        with pytest.raises(ValueError, match="layers"):
            parse_layers(json.dumps([{"key": "x"}]).encode())


def built(key: str, digest: str, age: int, **spec: object) -> ComponentBuild:
    made = podexamples.build(**spec)
    status = made.status.model_copy(
        update={"dependencies": BuildDependencies(state="Installed", key=key, digest=digest, size=1, diff_id="d")}
    )
    created = datetime(2026, 12, 3, tzinfo=UTC) - timedelta(hours=age)
    status = status.model_copy(update={"start_time": created})
    metadata = made.metadata.model_copy(update={"creation_timestamp": created})
    return made.model_copy(update={"status": status, "metadata": metadata})


def test_the_newest_layer_with_a_key_is_offered_and_only_to_the_first_pod() -> None:
    first = podexamples.build()
    others = [
        built("a", "old", 3),
        built("a", "new", 1),
        built("b", "b", 2),
        built("c", "c", 1, target="elsewhere"),
        first,
    ]
    assert [(layer.key, layer.digest) for layer in reusable_layers(first, others)] == [("a", "new"), ("b", "b")]
    again = first.model_copy(update={"status": first.status.model_copy(update={"attempts": 2})})
    assert reusable_layers(again, others) == ()


def test_a_fresh_image_gets_layers_only_that_were_installed_after_its_time() -> None:
    fresh = podexamples.build(notBefore="2026-12-02T22:30:00Z")
    others = [built("a", "old", 2), built("b", "new", 1), built("c", "used", 1)]
    used = others[2].status.dependencies
    assert used is not None
    reused = used.model_copy(update={"state": "Reused"})
    others[2] = others[2].model_copy(update={"status": others[2].status.model_copy(update={"dependencies": reused})})
    assert [layer.digest for layer in reusable_layers(fresh, others)] == ["new"]
