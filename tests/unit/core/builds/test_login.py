"""Logins of git hosts."""

from __future__ import annotations

import pytest

from componentrun.core.builds.errors import BuildError, BuildProblem
from componentrun.core.builds.login import HttpsLogin, SshLogin, read_login
from componentrun.core.builds.source import parse_git_url

HTTPS = parse_git_url("https://git.example.com/app", "url")
SSH = parse_git_url("ssh://git@git.example.com/app", "url")
SECRET = "Secret `git`"


def test_a_repository_over_https_may_need_no_login() -> None:
    assert read_login(HTTPS, {}, SECRET) is None


def test_the_keys_are_those_of_the_types_of_kubernetes() -> None:
    assert read_login(HTTPS, {"username": b"ann", "password": b"p:a\n"}, SECRET) == HttpsLogin("ann", "p:a")
    both = {"ssh-privatekey": b"KEY", "known_hosts": b"git.example.com ssh-ed25519 AAA"}
    assert read_login(SSH, both, SECRET) == SshLogin("KEY\n", "git.example.com ssh-ed25519 AAA")


def test_secrets_are_not_printed() -> None:
    assert "hunter2" not in repr((HttpsLogin("ann", "hunter2"), SshLogin("hunter2", "")))


@pytest.mark.parametrize(
    ("url", "secret", "found"),
    [
        (HTTPS, {"username": b"ann"}, "`password` is missing; the Secret has `username`"),
        (HTTPS, {"ssh-privatekey": b"x"}, "`username` is missing"),
        (HTTPS, {"username": b"ann", "password": b""}, "`password` is empty"),
        (HTTPS, {"username": b"ann", "password": b"\xff"}, "`password` is not text"),
        (HTTPS, {"username": b"ann", "password": b"a\r\nX: y"}, "control characters"),
        (SSH, {}, "`ssh-privatekey` is missing; the Secret is not given"),
        (SSH, {"ssh-privatekey": b"hunter2"}, "`known_hosts` is missing"),
        (SSH, {"ssh-privatekey": b"hunter2", "known_hosts": b" \n"}, "`known_hosts` is empty"),
    ],
)
def test_a_secret_without_what_the_url_needs_is_named(url: object, secret: dict[str, bytes], found: str) -> None:
    with pytest.raises(BuildError, match=found) as caught:
        read_login(url, secret, SECRET)  # type: ignore[arg-type]
    assert caught.value.problem is BuildProblem.INVALID_LOGIN
    assert "hunter2" not in caught.value.message
