"""The agent between two steps of a pod with processors, on real folders."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun.agent.artifacts import MAX_ARTIFACTS
from componentrun.agent.folder import Folder
from componentrun.agent.steps.ended import chain_end
from componentrun.agent.steps.main import step
from componentrun.agent.steps.notes import progress, write_plan
from componentrun.agent.steps.removing import remove
from componentrun.agent.steps.turning import has_output, share
from componentrun.errors import PlatformError, Reason, UserError
from componentrun.wire.chain import StepConfig

if TYPE_CHECKING:
    from collections.abc import Iterator

STATE = {"last": "2026"}
COMPONENT = {"parameters": {"#password": "hush"}, "action": "run"}


def config(name: str) -> dict[str, Any]:
    return {"parameters": {"of": name}, "image_parameters": {}, "action": "run"}


@dataclass
class Pod:
    """The data folder and the agents' volume of a pod whose steps are played by the test."""

    data: Path
    chain: Path

    def planned(self, *names: str, has_input: bool = True, users: dict[str, int] | None = None) -> None:
        """What stage-in leaves."""
        for folder in ("in/tables", "in/files", "out/tables", "out/files", "artifacts/out/current"):
            (self.data / folder).mkdir(parents=True)
        self.chain.mkdir(mode=0o777)
        planned = [
            StepConfig(
                name,
                "cleaner" if name == "component" else f"p-{name}",
                (users or {}).get(name, 1000),
                None if name == "component" else config(name),
            )
            for name in names
        ]
        with Folder(str(self.chain)) as notes:
            configs = {step.name: json.dumps(step.config or COMPONENT).encode() for step in planned[1:]}
            write_plan(notes, planned, configs, json.dumps(STATE).encode(), has_input=has_input)

    def to(self, name: str) -> None:
        assert step(name, str(self.data), str(self.chain)).ok

    def write(self, path: str, text: str = "x") -> None:
        (self.data / path).parent.mkdir(parents=True, exist_ok=True)
        (self.data / path).write_text(text)

    def read(self, path: str) -> Any:
        return json.loads((self.data / path).read_text())

    def files(self, below: str = "") -> set[str]:
        root = self.data / below
        return {path.relative_to(root).as_posix() for path in root.rglob("*") if not path.is_dir()}

    def warnings(self) -> tuple[str, ...]:
        return chain_end(str(self.data), str(self.chain)).warnings

    def kept(self) -> Path:
        return Path(chain_end(str(self.data), str(self.chain)).kept)


@pytest.fixture(autouse=True, scope="module")
def _umask() -> Iterator[None]:
    """The agent sets its own."""
    umask = os.umask(0o022)
    yield
    os.umask(umask)


@pytest.fixture
def pod(tmp_path: Path) -> Pod:
    return Pod(tmp_path / "data", tmp_path / "chain")


def test_the_output_of_one_step_is_the_input_of_the_next(pod: Pod) -> None:
    pod.planned("before-1", "component")
    pod.write("in/tables/old.csv")
    pod.write("out/tables/new.csv", "a\n1\n")
    pod.write("out/other/deep/file", "y")
    pod.to("component")
    assert pod.files("in") == {"tables/new.csv", "other/deep/file", "state.json"}
    assert pod.files("out") == set()
    assert (pod.data / "out/tables").is_dir()
    assert (pod.data / "out/files").is_dir()
    assert (pod.data / "in/files").is_dir()


def test_other_folders_that_a_program_made_stay(pod: Pod) -> None:
    """A public processor writes its intermediate files to a folder beside `in` and `out`."""
    pod.planned("before-1", "component")
    pod.write("temp/intermediate.xml", "x")
    pod.write("out/tables/new.csv", "a\n1\n")
    pod.to("component")
    assert "temp/intermediate.xml" in pod.files()
    assert pod.files("in") == {"tables/new.csv", "state.json"}


def test_it_is_renamed_and_not_copied(pod: Pod) -> None:
    pod.planned("before-1", "component")
    pod.write("out/tables/new.csv")
    before = (pod.data / "out/tables/new.csv").stat()
    pod.to("component")
    after = (pod.data / "in/tables/new.csv").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_the_state_appears_just_before_the_component_and_goes_no_further(pod: Pod) -> None:
    pod.planned("before-1", "before-2", "component", "after-1")
    pod.write("out/state.json", '{"of": "a processor"}')
    pod.write("out/tables/a.csv")
    pod.to("before-2")
    assert not (pod.data / "in/state.json").exists()
    pod.write("out/tables/a.csv")
    pod.to("component")
    assert pod.read("in/state.json") == STATE
    pod.write("out/state.json", '{"of": "the component"}')
    pod.write("out/tables/a.csv")
    pod.to("after-1")
    assert not (pod.data / "in/state.json").exists()
    pod.write("out/state.json", '{"of": "a processor"}')
    assert json.loads((pod.kept() / "out/state.json").read_text()) == {"of": "the component"}


def test_each_step_finds_its_own_config_and_no_processor_the_components(pod: Pod) -> None:
    pod.planned("component", "after-1", "after-2")
    pod.write("config.json", json.dumps(COMPONENT))
    pod.to("after-1")
    assert pod.read("config.json") == config("after-1")
    assert not [path for path in pod.files() if "hush" in (pod.data / path).read_text()]
    pod.to("after-2")
    assert pod.read("config.json") == config("after-2")


def test_the_component_finds_its_secrets(pod: Pod) -> None:
    pod.planned("before-1", "component")
    pod.write("config.json", "{}")
    pod.to("component")
    assert pod.read("config.json") == COMPONENT
    assert (pod.data / "config.json").stat().st_mode & 0o777 == 0o640


def test_what_the_component_left_is_taken_right_after_it(pod: Pod) -> None:
    pod.planned("component", "after-1")
    for path in ("out/result.json", "out/usage.json", "artifacts/out/current/deep/a.bin", "artifacts/out/shared/b"):
        pod.write(path, f'"component: {path}"')
    pod.to("after-1")
    # The original leaves these in place: the next step finds them in its input.
    assert {"result.json", "usage.json"} <= pod.files("in")
    for path in ("out/result.json", "out/usage.json", "artifacts/out/current/deep/a.bin"):
        pod.write(path, '"a processor"')
    kept = pod.kept()
    assert {path.relative_to(kept).as_posix() for path in kept.rglob("*") if path.is_file()} == {
        "out/result.json",
        "out/usage.json",
        "artifacts/out/current/deep/a.bin",
        "artifacts/out/shared/b",
    }
    assert (kept / "out/result.json").read_text() == '"component: out/result.json"'


def test_artifacts_of_a_processor_before_the_component_do_not_count(pod: Pod) -> None:
    pod.planned("before-1", "component", "after-1")
    pod.write("artifacts/out/current/a.bin")
    pod.to("component")
    assert pod.files("artifacts/out") == set()
    assert (pod.data / "artifacts/out/current").is_dir()


@pytest.mark.parametrize(
    ("steps", "reached", "kept_in_data"),
    [
        (("component",), None, True),
        (("before-1", "component"), None, False),
        (("before-1", "component"), "component", True),
        (("component", "after-1"), None, True),
        (("component", "after-1"), "after-1", False),
    ],
)
def test_stage_out_finds_what_is_the_components_and_nothing_of_a_processor(
    pod: Pod, steps: tuple[str, ...], reached: str | None, *, kept_in_data: bool
) -> None:
    pod.planned(*steps)
    if reached is not None:
        pod.to(reached)
    assert (pod.kept() == pod.data) is kept_in_data


class TestWarning:
    def test_names_a_processor_that_left_nothing(self, pod: Pod) -> None:
        pod.planned("before-1", "component", "after-1", "after-2")
        pod.to("component")
        assert pod.warnings() == (
            (
                "processor `p-before-1` (before-1) left nothing in /data/out, so what it was given goes no further; "
                "expected the processed tables and files there"
            ),
        )

    def test_also_if_it_is_the_last_one(self, pod: Pod) -> None:
        pod.planned("component", "after-1")
        pod.write("out/tables/a.csv")
        pod.to("after-1")
        (warning,) = pod.warnings()
        assert "`p-after-1`" in warning
        pod.write("out/files/a")
        assert pod.warnings() == ()

    def test_is_not_about_one_that_was_given_nothing(self, pod: Pod) -> None:
        pod.planned("before-1", "component", "after-1", has_input=False)
        pod.to("component")
        pod.to("after-1")
        assert pod.warnings() == ()

    def test_a_state_is_no_output(self, pod: Pod) -> None:
        pod.planned("before-1", "component")
        pod.write("out/state.json", "{}")
        pod.to("component")
        assert len(pod.warnings()) == 1


class TestTraps:
    def test_a_link_in_place_of_the_input_is_removed_and_not_followed(self, pod: Pod, tmp_path: Path) -> None:
        pod.planned("before-1", "component")
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "precious").write_text("x")
        shutil.rmtree(pod.data / "in")
        (pod.data / "in").symlink_to(tmp_path / "elsewhere")
        pod.write("out/tables/a.csv")
        pod.to("component")
        assert (tmp_path / "elsewhere" / "precious").exists()
        assert not (pod.data / "in").is_symlink()

    @pytest.mark.parametrize("path", ["out", "out/tables"])
    def test_a_link_in_place_of_the_output_is_refused(self, pod: Pod, path: str) -> None:
        pod.planned("before-1", "component")
        shutil.rmtree(pod.data / path)
        (pod.data / path).symlink_to("/")
        with pytest.raises(UserError, match="found a symbolic link") as caught:
            pod.to("component")
        assert caught.value.reason is Reason.OUTPUT_INVALID

    def test_a_link_among_what_the_component_left_is_refused_and_not_read(self, pod: Pod) -> None:
        pod.planned("component", "after-1")
        (pod.data / "out/state.json").symlink_to(pod.chain / "config" / "after-1.json")
        with pytest.raises(UserError, match=r"out/state\.json: found a symbolic link"):
            pod.to("after-1")
        assert pod.kept() == pod.data

    def test_a_link_in_place_of_config_json_is_replaced(self, pod: Pod, tmp_path: Path) -> None:
        pod.planned("before-1", "component")
        (tmp_path / "mine").write_text("mine")
        (pod.data / "config.json").symlink_to(tmp_path / "mine")
        pod.to("component")
        assert (tmp_path / "mine").read_text() == "mine"
        assert pod.read("config.json") == COMPONENT

    def test_more_artifacts_than_a_run_may_have_are_refused(self, pod: Pod) -> None:
        pod.planned("component", "after-1")
        for number in range(MAX_ARTIFACTS + 1):
            (pod.data / f"artifacts/out/current/{number}").touch()
        with pytest.raises(UserError, match="more than 1000 artifacts"):
            pod.to("after-1")

    def test_an_output_that_was_removed_is_an_empty_one(self, pod: Pod) -> None:
        pod.planned("before-1", "component")
        pod.write("in/tables/old.csv")
        shutil.rmtree(pod.data / "out")
        pod.to("component")
        assert pod.files("in") == {"state.json"}
        assert len(pod.warnings()) == 1

    def test_a_step_that_is_not_there_is_a_defect(self, pod: Pod) -> None:
        pod.planned("component", "after-1")
        with pytest.raises(PlatformError, match="expected one of after-1"):
            pod.to("component")


def test_the_progress_says_which_step_is_next(pod: Pod) -> None:
    pod.planned("before-1", "component")
    pod.write("out/files/a")
    pod.to("component")
    with Folder(str(pod.chain)) as notes:
        assert (progress(notes).step, progress(notes).has_input) == ("component", True)


def test_for_another_user_everything_can_be_read_and_changed_by_the_group(pod: Pod) -> None:
    pod.planned("before-1", "component", users={"before-1": 2000})
    pod.write("out/tables/secret.csv")
    (pod.data / "out/tables/secret.csv").chmod(0o600)
    (pod.data / "out/tables/program").touch(0o700)
    (pod.data / "out/tables").chmod(0o700)
    pod.to("component")
    assert (pod.data / "in/tables/secret.csv").stat().st_mode & 0o777 == 0o660
    assert (pod.data / "in/tables").stat().st_mode & 0o777 == 0o770
    assert not [path for path in pod.data.rglob("*") if path.is_dir() and path.stat().st_mode & 0o070 != 0o070]


def test_for_the_same_user_modes_stay_as_they_are(pod: Pod) -> None:
    pod.planned("before-1", "component")
    pod.write("out/tables/secret.csv")
    (pod.data / "out/tables/secret.csv").chmod(0o600)
    pod.to("component")
    assert (pod.data / "in/tables/secret.csv").stat().st_mode & 0o777 == 0o600


def test_sharing_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir(mode=0o700)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "link").symlink_to(tmp_path / "outside")
    share(str(tmp_path / "data"))
    assert (tmp_path / "outside").stat().st_mode & 0o777 == 0o700


def as_user(user: int, pod: Pod, following: str, leaves: list[str]) -> None:
    """What a program of this user leaves, readable by nobody else, and then the agent, in a process of that user."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups([])
            os.setgid(1000)
            os.setuid(user)
            os.umask(0o077)
            for path in leaves:
                pod.write(path)
            pod.to(following)
            code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="takes other users' ids")
def test_steps_of_different_users_can_follow_each_other() -> None:
    """As in a pod: different users, one group, and a volume that hands its group down."""
    users = {"before-1": 2000, "component": 1000, "after-1": 3000}
    with TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        pod = Pod(Path(folder, "data"), Path(folder, "chain"))
        pod.planned(*users, users=users)
        pod.write("config.json", "{}")
        for path in (pod.data, pod.chain, *pod.data.rglob("*"), *pod.chain.rglob("*")):
            os.chown(path, 2000, 1000)
            path.chmod(0o2770 if path.is_dir() else 0o640)
        pod.data.chmod(0o2777)
        pod.chain.chmod(0o2777)
        for user, following, leaves in (
            (2000, "component", ["out/tables/a.csv", "out/tables/deep/er/b"]),
            (1000, "after-1", ["out/tables/c.csv", "out/state.json", "artifacts/out/current/x"]),
        ):
            as_user(user, pod, following, leaves)
        assert pod.files("in") == {"tables/c.csv"}
        assert pod.read("config.json") == config("after-1")
        assert (pod.kept() / "artifacts/out/current/x").stat().st_gid == 1000
        assert (pod.data / "in/tables/c.csv").stat().st_mode & 0o060 == 0o060


def test_a_very_deep_tree_is_deleted(tmp_path: Path) -> None:
    root = tmp_path / "in"
    root.mkdir()
    here = os.open(root, os.O_RDONLY)
    for _ in range(3000):  # deeper than a path may be long, and than Python recurses
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    remove(str(root))
    assert not root.exists()


NAMES = st.sampled_from(["tables", "files", "state.json", "a.csv", "ä", "d"])
TREES = st.recursive(
    st.one_of(st.just(b"rows"), st.just("/"), st.just(".."), st.none()),
    lambda inner: st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
"""Folders are dictionaries, files bytes, links texts; None is a folder that nobody may enter."""


def grow(path: Path, tree: Any) -> None:
    if isinstance(tree, bytes):
        path.write_bytes(tree)
    elif isinstance(tree, str):
        path.symlink_to(tree)
    else:
        path.mkdir()
        for name, inner in (tree or {}).items():
            grow(path / name, inner)
        if tree is None:
            path.chmod(0)


def seen(path: Path) -> Any:
    """The tree that `grow` made."""
    if path.is_symlink():
        return str(path.readlink())
    if not path.is_dir():
        return path.read_bytes()
    if not path.stat().st_mode & 0o700:
        return None
    return {child.name: seen(child) for child in path.iterdir()}


@given(st.dictionaries(NAMES, TREES, max_size=4))
def test_whatever_a_tree_holds_it_is_deleted_and_nothing_else(tree: dict[str, Any]) -> None:
    with TemporaryDirectory() as folder:
        grow(Path(folder, "in"), tree)
        Path(folder, "beside").write_text("x")
        remove(f"{folder}/in")
        assert [path.name for path in Path(folder).iterdir()] == ["beside"]


@given(st.dictionaries(NAMES, TREES, max_size=4), st.dictionaries(NAMES, TREES, max_size=4))
def test_the_next_step_finds_exactly_the_output_or_the_run_ends(given_in: dict[str, Any], out: dict[str, Any]) -> None:
    """Besides the state, which goes no further, and the two folders that every program finds."""
    expected = {name: tree for name, tree in out.items() if name != "state.json"}
    usable = all(isinstance(out.get(name, {}), dict) for name in ("tables", "files"))
    with TemporaryDirectory() as folder:
        pod = Pod(Path(folder, "data"), Path(folder, "chain"))
        pod.planned("before-1", "before-2")
        shutil.rmtree(pod.data / "in")
        shutil.rmtree(pod.data / "out")
        grow(pod.data / "in", given_in)
        grow(pod.data / "out", out)
        left = has_output(str(pod.data))
        try:
            pod.to("before-2")
        except UserError:
            assert not usable
            return
        found = seen(pod.data / "in")
        assert {"tables": {}, "files": {}} | expected == found
        assert seen(pod.data / "out") == {"tables": {}, "files": {}}
        assert left is any(tree or name not in {"tables", "files"} for name, tree in expected.items())
