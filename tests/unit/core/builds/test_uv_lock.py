"""Lock files of uv that do not fit their projects."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun.core.builds.errors import BuildError, BuildProblem
from componentrun.core.builds.lockfiles.uv import check_uv_lock

LOCK = """
version = 1
[[package]]
name = "six"
version = "1.17.0"
source = { registry = "https://pypi.org/simple" }
[[package]]
name = "app"
source = { virtual = "." }
dependencies = [{ name = "six" }]
[package.metadata]
requires-dist = [%s]
"""
SIX = '{ name = "six", specifier = ">=1.16,<2" }'


def project(*dependencies: str, more: str = "") -> str:
    return f'[project]\nname = "app"\ndependencies = {list(dependencies)}\n{more}'


@pytest.mark.parametrize(
    ("dependencies", "locked"),
    [
        ((), ""),
        (("six>=1.16, <2",), SIX),
        (("Six[x] (<2,>=1.16) ; python_version > '3'",), SIX),
        (("six >= 1.16",), SIX.replace(",<2", "")),
        (("ruamel_yaml==2024.01.0",), '{ name = "ruamel-yaml", specifier = "==2024.1.0" }'),
        (("six==1.0rc1",), SIX),
        (("six @ https://example.com/six.zip",), SIX),
        (("six>=9",), '{ name = "six", git = "https://git.example.com/six" }'),
        (("six>=1; python_version<'3'", "six>=2; python_version>='3'"),
         '{ name = "six", marker = "a", specifier = ">=1" }, { name = "six", marker = "b", specifier = ">=2" }'),
    ],
)  # fmt: skip
def test_a_lock_file_that_fits(dependencies: tuple[str, ...], locked: str) -> None:
    check_uv_lock(project(*dependencies), LOCK % locked)


@pytest.mark.parametrize(
    ("dependencies", "words"),
    [
        (("six>=1.16,<2", "idna"), "`pyproject.toml` names `idna`, which `uv.lock` does not have"),
        (("six>=2",), "`pyproject.toml` wants `six>=2`, and `uv.lock` was made for `six<2,>=1.16`"),
        (("six==1.17.0",), "wants `six==1.17.0`"),
        (tuple("abcdefgh"), "`e` and 3 more, which"),
    ],
)
def test_a_lock_file_that_does_not_fit(dependencies: tuple[str, ...], words: str) -> None:
    with pytest.raises(BuildError) as caught:
        check_uv_lock(project(*dependencies), LOCK % SIX)
    assert words in caught.value.summary
    assert caught.value.problem is BuildProblem.LOCK_OUTDATED
    assert "uv lock" in caught.value.advice


@pytest.mark.parametrize(
    ("found", "lock"),
    [
        ("[tool.uv.workspace]\nmembers = []", LOCK % SIX),
        ("[project]\nname = 'app'\ndynamic = ['dependencies']", LOCK % SIX),
        ("not toml", LOCK % SIX),
        (project("idna"), "version = 1"),
        (project("idna"), "[[package]]\nname = 3\nsource = 4"),
        ("[project]\ndependencies = [1]", LOCK % SIX),
        ("project = 1", LOCK % SIX),
    ],
)
def test_what_can_not_be_compared_is_left_to_uv(found: str, lock: str) -> None:
    check_uv_lock(found, lock)


@given(st.text(), st.text())
def test_any_text_is_no_defect(found: str, lock: str) -> None:
    check_uv_lock(found, lock)
    check_uv_lock(project("six"), lock)
