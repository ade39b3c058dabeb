"""Names, links and special files."""

from __future__ import annotations

from posixpath import normpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun.core.builds.errors import BuildError, BuildProblem
from componentrun.core.builds.paths import check_link, check_name, git_folder, special_file


@pytest.mark.parametrize("name", ["main.py", "ä", "a b", "-rf", ".env", "wh.", "a" * 255])
def test_common_names_are_used_as_they_are(name: str) -> None:
    assert check_name(name.encode(), "") == name


@pytest.mark.parametrize(
    "name",
    [b"", b".", b"..", b"a/b", b"a\0b", b"\xff\xfe", "ä".encode("latin-1"), b".wh.a", b".wh..wh..opq", b"a" * 256],
)
def test_names_that_mean_something_else_are_refused(name: bytes) -> None:
    with pytest.raises(BuildError) as caught:
        check_name(name, "src")
    assert caught.value.problem is BuildProblem.UNUSABLE_NAME
    assert "`src`" in caught.value.summary


@pytest.mark.parametrize(("name", "is_git"), [(".git", True), (".GIT", True), (".github", False), ("git", False)])
def test_gits_own_folder_is_refused(name: str, is_git: bool) -> None:
    assert (git_folder(name, "") is not None) == is_git


@pytest.mark.parametrize(
    ("path", "target"),
    [("a", "b"), ("src/a", "../b"), ("a", "src/../b"), ("a", "."), ("x/y/z", "../../b"), ("a", "..b")],
)
def test_links_within_the_folder_are_kept(path: str, target: str) -> None:
    assert check_link(path, target.encode()) == target


@pytest.mark.parametrize(
    ("path", "target"),
    [("a", "/etc/passwd"), ("a", ".."), ("src/a", "../../b"), ("a", "x/../../b"), ("a", ""), ("a", "/")],
)
def test_links_out_of_the_folder_are_refused(path: str, target: str) -> None:
    with pytest.raises(BuildError) as caught:
        check_link(path, target.encode())
    assert caught.value.problem is BuildProblem.LINK_LEAVES_FOLDER
    assert f"`{path}`" in caught.value.summary


PARTS = st.sampled_from(["a", "b", "..", ".", ""])


@given(st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=4), st.lists(PARTS, min_size=1, max_size=8))
def test_what_is_accepted_stays_in_the_folder(place: list[str], parts: list[str]) -> None:
    path, target = "/".join(place), "/".join(parts)
    try:
        check_link(path, target.encode())
    except BuildError:
        return
    assert (normpath(f"/root/{path}/../{target}") + "/").startswith("/root/")


def test_a_special_file_is_named() -> None:
    error = special_file("run/agent", "a socket")
    assert (error.problem, "`run/agent` is a socket" in error.summary) == (BuildProblem.SPECIAL_FILE, True)
