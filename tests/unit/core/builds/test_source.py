"""URLs of repositories, refs and folders."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun.core.builds.errors import BuildError, BuildProblem
from componentrun.core.builds.source import (
    FoundCommit,
    check_context_dir,
    check_ref,
    choose_commit,
    parse_git_url,
    ref_candidates,
)

A, B = "a" * 40, "b" * 40
URL = parse_git_url("https://git.example.com/team/app.git", "url")


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("https://Git.Example.com/team/app.git", "https://git.example.com/team/app.git"),
        ("https://git.example.com:443/team/app/", "https://git.example.com/team/app"),
        ("https://git.example.com:8443/team/app", "https://git.example.com:8443/team/app"),
        ("ssh://git@git.example.com/team/app.git", "ssh://git@git.example.com/team/app.git"),
        ("ssh://git@git.example.com:2222/team/app.git", "ssh://git@git.example.com:2222/team/app.git"),
        ("git@git.example.com:team/app.git", "ssh://git@git.example.com/~/team/app.git"),
        ("https://[::1]:8443/app", "https://[::1]:8443/app"),
    ],
)
def test_a_url_has_a_normal_form(url: str, normal: str) -> None:
    assert parse_git_url(url, "url").text == normal


@pytest.mark.parametrize(
    "url", ["git@git.example.com:team/app.git", "ssh://git@git.example.com/~//app", "https://git.example.com:8443/a/b"]
)
def test_the_normal_form_is_a_url_of_the_same_repository(url: str) -> None:
    first = parse_git_url(url, "url")
    assert parse_git_url(first.text, "url") == first


def test_the_path_of_the_short_form_reaches_the_host_as_it_was_written() -> None:
    normal = parse_git_url("git@git.example.com:team/app.git", "url").text
    assert parse_git_url(normal, "url").path == "team/app.git"


@pytest.mark.parametrize(
    "url",
    [
        "", "app", "/srv/git/app.git", "../app", "file:///srv/git/app.git", "http://git.example.com/app",
        "git://git.example.com/app", "ext::sh -c touch% /tmp/x", "https://", "https:///app", "https://git.example.com",
        "https://git.example.com/", "https://git.example.com/a/../../b", "https://git.example.com/a b",
        "https://git.example.com/a?b=c", "https://git.example.com/a#b", "https://git.example.com:99999/a",
        "ssh://git.example.com/app", "ssh://-oProxyCommand=x@git.example.com/app", "ssh://git@-oProxyCommand=x/app",
        "git@-oProxyCommand=x:app", "git@git.example.com:-oProxyCommand=x", "git@git.example.com:a;b",
        "ssh://git@git.example.com/~/-x",
        "https://git.example.com/ä", "https://git.example.com/a\nb", "https://git.example.com/" + "a" * 2000,
    ],
)  # fmt: skip
def test_other_addresses_are_refused(url: str) -> None:
    with pytest.raises(BuildError) as caught:
        parse_git_url(url, "spec.url")
    assert caught.value.problem is BuildProblem.INVALID_URL
    assert caught.value.summary.startswith("spec.url: ")
    assert caught.value.advice


@pytest.mark.parametrize(
    "url", ["https://ann:hunter2@git.example.com/a", "https://hunter2@git.example.com/a", "ssh://git:hunter2@h/a"]
)
def test_a_password_in_a_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(BuildError, match="contains a user or a password") as caught:
        parse_git_url(url, "url")
    assert "hunter2" not in caught.value.message


@given(st.text(max_size=40))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        url = parse_git_url(text, "url")
    except BuildError:
        return
    assert url.host
    assert not url.host.startswith("-")
    assert not url.path.startswith("-")
    assert ".." not in url.path.split("/")


@pytest.mark.parametrize("ref", ["", "main", "v1.0", "feature/a-b", "refs/heads/main", A])
def test_names_of_branches_and_tags_are_accepted(ref: str) -> None:
    check_ref(ref, "ref")


@pytest.mark.parametrize(
    "ref",
    ["-x", "a..b", "a b", "a~1", "a^", "a:b", "@", "@{-1}", "a.lock", "/a", "a/", "a//b", "a\n", "*", "a/.b", "."],
)
def test_what_git_refuses_as_a_name_is_refused(ref: str) -> None:
    with pytest.raises(BuildError) as caught:
        check_ref(ref, "ref")
    assert caught.value.problem is BuildProblem.INVALID_REF


@pytest.mark.parametrize(("folder", "normal"), [("", ""), (".", ""), ("./a/", "a"), ("a//b/./c", "a/b/c")])
def test_a_context_folder_has_a_normal_form(folder: str, normal: str) -> None:
    assert check_context_dir(folder, "contextDir") == normal


@pytest.mark.parametrize("folder", ["/a", "..", "a/../..", "a/..", "a\\b", "a\nb"])
def test_a_folder_outside_the_repository_is_refused(folder: str) -> None:
    with pytest.raises(BuildError) as caught:
        check_context_dir(folder, "contextDir")
    assert caught.value.problem is BuildProblem.INVALID_CONTEXT


@pytest.mark.parametrize(
    ("refs", "ref", "found"),
    [
        ({"refs/heads/main": A}, "main", FoundCommit(A, "refs/heads/main")),
        ({"refs/tags/v1": A}, "v1", FoundCommit(A, "refs/tags/v1")),
        ({"refs/tags/v1": A, "refs/tags/v1^{}": B}, "v1", FoundCommit(B, "refs/tags/v1")),
        ({"refs/heads/v1": A, "refs/tags/v1": B}, "refs/tags/v1", FoundCommit(B, "refs/tags/v1")),
        ({"HEAD": A, "refs/heads/main": A}, "", FoundCommit(A, "HEAD")),
        ({}, A, FoundCommit(A, "")),
        ({"refs/heads/main": A}, "c" * 64, FoundCommit("c" * 64, "")),
    ],
)
def test_a_ref_means_a_commit(refs: dict[str, str], ref: str, found: FoundCommit) -> None:
    assert choose_commit(refs, ref, URL) == found


@pytest.mark.parametrize(
    ("refs", "ref", "problem"),
    [
        ({}, "main", BuildProblem.EMPTY_REPOSITORY),
        ({"refs/heads/main": A}, "master", BuildProblem.NO_SUCH_REF),
        ({"refs/heads/main": A}, "", BuildProblem.NO_SUCH_REF),
        ({"refs/heads/main": A}, A[:7], BuildProblem.NO_SUCH_REF),
        ({"refs/heads/v1": A, "refs/tags/v1": A}, "v1", BuildProblem.AMBIGUOUS_REF),
    ],
)
def test_a_ref_without_one_commit_is_an_error(refs: dict[str, str], ref: str, problem: BuildProblem) -> None:
    with pytest.raises(BuildError) as caught:
        choose_commit(refs, ref, URL)
    assert caught.value.problem is problem
    assert URL.text in caught.value.summary


def test_a_wrong_name_gets_a_suggestion() -> None:
    with pytest.raises(BuildError, match="Did you mean `release-1`"):
        choose_commit({"refs/heads/release-1": A, "refs/tags/x^{}": A}, "relaese-1", URL)


def test_a_server_is_asked_for_what_a_name_may_mean_alone() -> None:
    assert ref_candidates("main") == ("refs/heads/main", "refs/tags/main")
    assert ref_candidates("refs/heads/main") == ("refs/heads/main",)
    assert ref_candidates("") == ("HEAD",)
