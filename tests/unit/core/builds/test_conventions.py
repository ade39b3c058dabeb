"""Conventions, and the script that runs them."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from componentrun.core.builds.conventions import Recipe, choose_recipe, dump_recipe, parse_recipe
from componentrun.core.builds.dependencies.layer import DependencyLayer
from componentrun.core.builds.dependencies.reuse import LEFT_TO_THE_CODE, DependencyPlan
from componentrun.core.builds.errors import BuildError, BuildProblem
from componentrun.core.builds.script import COMMAND_NOT_FOUND, Source, Step, build_script, source_of, steps_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("files", "language", "folder", "dependency_files", "entrypoint"),
    [
        (
            {"requirements.txt", "main.py"},
            "Python", ".packages", ("requirements.txt",), ("python3", "-u", "/code/main.py"),
        ),
        (
            {"uv.lock", "requirements.txt", "pyproject.toml", "src/main.py"},
            "Python", ".packages", ("uv.lock", "pyproject.toml"), ("python3", "-u", "/code/src/main.py"),
        ),
        ({"main.py"}, "Python", None, (), ("python3", "-u", "/code/main.py")),
        (
            {"package.json", "package-lock.json", "index.js"},
            "Node", "node_modules", ("package-lock.json", "package.json"), ("node", "/code/index.js"),
        ),
        ({"package.json", "main.js"}, "Node", "node_modules", ("package.json",), ("node", "/code/main.js")),
        ({"renv.lock", "main.R"}, "R", ".library", ("renv.lock",), ("Rscript", "/code/main.R")),
        ({"main.R", "README.md"}, "R", None, (), ("Rscript", "/code/main.R")),
    ],
)  # fmt: skip
def test_a_language_is_recognised_by_its_files(
    files: set[str], language: str, folder: str | None, dependency_files: tuple[str, ...], entrypoint: tuple[str, ...]
) -> None:
    recipe = choose_recipe(files, "/code")
    assert (recipe.language, recipe.entrypoint) == (language, entrypoint)
    if folder is None:
        assert recipe.dependencies is None
        return
    assert recipe.dependencies is not None
    assert (recipe.dependencies.folder, recipe.dependencies.files) == (folder, dependency_files)
    assert recipe.dependencies.commands


def test_python_finds_its_packages_by_a_variable() -> None:
    assert choose_recipe({"requirements.txt", "main.py"}, "/code").environment == (("PYTHONPATH", "/code/.packages"),)
    assert choose_recipe({"main.py"}, "/code").environment == ()


def test_commands_replace_a_convention() -> None:
    recipe = choose_recipe({"requirements.txt", "main.py"}, "/code", ("make",))
    assert recipe == Recipe("", None, ("make",), (), ("python3", "-u", "/code/main.py"))


def test_an_entrypoint_that_was_given_is_used() -> None:
    assert choose_recipe({"package.json"}, "/code", entrypoint=("node", "x.js")).entrypoint == ("node", "x.js")


@pytest.mark.parametrize(
    ("files", "commands", "problem"),
    [
        (set(), (), BuildProblem.NO_CONVENTION),
        ({"README.md", "docs/main.py"}, (), BuildProblem.NO_CONVENTION),
        ({"main.py", "package.json"}, (), BuildProblem.SEVERAL_CONVENTIONS),
        ({"requirements.txt"}, (), BuildProblem.NO_ENTRYPOINT),
        ({"README.md"}, ("make",), BuildProblem.NO_ENTRYPOINT),
        ({"main.py", "main.R"}, ("make",), BuildProblem.NO_ENTRYPOINT),
    ],
)
def test_what_is_not_clear_is_an_error(files: set[str], commands: tuple[str, ...], problem: BuildProblem) -> None:
    with pytest.raises(BuildError) as caught:
        choose_recipe(files, "/code", commands)
    assert caught.value.problem is problem
    assert caught.value.advice


APART = DependencyPlan("k")
REUSED = DependencyPlan("k", DependencyLayer("k", "sha256:1", 1, "sha256:2"))


def test_dependencies_that_are_there_are_not_installed_again() -> None:
    recipe = choose_recipe({"requirements.txt", "main.py"}, "/code")
    everything, rest = steps_of(recipe, APART), steps_of(recipe, REUSED)
    assert everything == steps_of(recipe, LEFT_TO_THE_CODE)
    assert [step.line for step in rest] == list(recipe.commands)
    assert everything[-len(rest) :] == rest
    assert everything[0].line.startswith("python3 -m pip install")


def test_only_commands_that_can_not_change_the_dependencies_of_others_get_arguments_beside_the_code() -> None:
    by_convention = steps_of(choose_recipe({"requirements.txt", "main.py"}, "/code"), APART)
    assert [step.has_arguments for step in by_convention] == [True, True, False]
    given = steps_of(choose_recipe({"main.py"}, "/code", ("make",)), LEFT_TO_THE_CODE)
    assert [step.has_arguments for step in given] == [True]


def test_the_code_comes_after_dependencies_that_are_installed_apart() -> None:
    recipe = choose_recipe({"requirements.txt", "main.py"}, "/code")
    assert source_of(recipe, APART, "/source") == Source("/source", 2, ".packages")
    assert source_of(recipe, REUSED, "/source") == Source("/source")
    assert source_of(recipe, LEFT_TO_THE_CODE, "/source") == Source("/source")
    assert source_of(choose_recipe({"main.py"}, "/code"), LEFT_TO_THE_CODE, "/source") == Source("/source")
    assert source_of(choose_recipe({"main.py"}, "/code", ("make",)), LEFT_TO_THE_CODE, "/source") is None


def run(folder: Path, *lines: str, source: Source | None = None, **arguments: str) -> subprocess.CompletedProcess[str]:
    home = folder / "home"
    home.mkdir()
    code = folder / "it's code"
    code.mkdir()
    steps = tuple(Step(line) for line in lines)
    script = build_script(steps, str(code), str(home), tuple(arguments.items()), source)
    return subprocess.run(
        ["/bin/sh"], input=script, capture_output=True, text=True, check=False, env={"PATH": "/bin:/usr/bin"}
    )


def test_steps_run_in_the_folder_and_are_named(tmp_path: Path) -> None:
    done = run(tmp_path, "cd /; X=1; echo one > /dev/null", 'pwd; echo "$A" "${X-none}" "$HOME"', A="it's $HOME")
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert lines[0] == "componentrun: step 1 of 2: cd /; X=1; echo one > /dev/null"
    assert lines[2:] == [str(tmp_path / "it's code"), f"it's $HOME none {tmp_path / 'home'}"]


def test_the_first_step_that_fails_ends_the_script_with_its_code(tmp_path: Path) -> None:
    done = run(tmp_path, "true", "echo why >&2; exit 7", "echo never")
    assert done.returncode == 7
    assert done.stdout.splitlines()[2:] == ["why"], "in the order in which it was printed"
    assert done.stderr == ""


def test_a_program_that_is_missing_has_a_code_of_its_own(tmp_path: Path) -> None:
    assert run(tmp_path, "no-such-program").returncode == COMMAND_NOT_FOUND


def test_python_code_is_compiled_without_time_stamps_and_files_for_other_versions_are_skipped(tmp_path: Path) -> None:
    code = tmp_path / "it's code"
    recipe = choose_recipe({"main.py"}, "/code")
    done = run(
        tmp_path,
        "echo 'x = 1' > main.py; mkdir .packages; cp main.py .packages; echo 'print 1' > old.py",
        *recipe.commands,
    )
    assert done.returncode == 0, done.stdout
    compiled = list(code.rglob("*.pyc"))
    assert [path.parent.parent for path in compiled] == [code]
    assert compiled[0].read_bytes()[4] == 1  # PEP 552: by hash, and not checked


@pytest.mark.parametrize("files", [{"requirements.txt", "main.py"}, {"main.R"}])
def test_a_recipe_can_be_read_again(files: set[str]) -> None:
    recipe = choose_recipe(files, "/code")
    assert parse_recipe(dump_recipe(recipe)) == recipe


def test_the_repository_is_copied_between_two_steps_and_only_what_is_kept_stays(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / ".git-like").mkdir(parents=True)
    (source / "main.py").write_text("x = 1\n")
    (source / "run.sh").touch(0o755)
    (source / "link").symlink_to("main.py")
    done = run(
        tmp_path,
        "mkdir .packages; touch .packages/six.py lock.txt .hidden ..twice 'a file'; ls -A",
        "ls -A; test -x run.sh; readlink link; cat lock.txt || true",
        source=Source(str(source), 1, ".packages"),
    )
    assert done.returncode == 0, done.stdout
    assert "main.py" not in done.stdout.partition("step 2 of 2")[0]
    there = sorted(path.name for path in (tmp_path / "it's code").iterdir())
    assert there == [".git-like", ".packages", "link", "main.py", "run.sh"]
    assert (tmp_path / "it's code" / "link").is_symlink()
    assert (tmp_path / "it's code" / ".packages" / "six.py").exists()


def test_a_step_without_arguments_does_not_see_them() -> None:
    script = build_script(
        (Step('test "$A" = 1'), Step('test -z "${A-}"', has_arguments=False)), "/", "/tmp", (("A", "1"),)
    )
    done = subprocess.run(["/bin/sh"], input=script, capture_output=True, text=True, check=False, env={"PATH": "/bin"})
    assert done.returncode == 0, done.stdout
