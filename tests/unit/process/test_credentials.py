"""Credentials that change: tokens in files, and what credential plugins print."""

from __future__ import annotations

import json
import os
import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.process.kubernetes.access import execplugin
from componentrun.process.kubernetes.access.credentials import Credential, TokenFileCredentials
from componentrun.process.kubernetes.access.errors import AccessError
from componentrun.process.kubernetes.access.execplugin import ExecCredentials, Plugin, read_plugin
from componentrun.process.kubernetes.access.section import Section

if TYPE_CHECKING:
    from pathlib import Path

V1 = "client.authentication.k8s.io/v1"
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


class Login:
    """A plugin that answers as the test says and keeps what it was given."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "login"
        self.file.write_text(
            f"#!{sys.executable} -S\n"
            "import json, os, sys\n"
            f"folder = {str(folder)!r}\n"
            "given = {'info': json.loads(os.environ['KUBERNETES_EXEC_INFO']), 'args': sys.argv[1:],\n"
            "         'flavour': os.environ.get('FLAVOUR'), 'stdin': sys.stdin.read()}\n"
            "with open(folder + '/given', 'a') as file:\n    file.write(json.dumps(given) + '\\n')\n"
            "sys.stdout.write(open(folder + '/answer').read())\n"
            "sys.exit(int(open(folder + '/code').read()))\n"
        )
        self.file.chmod(self.file.stat().st_mode | stat.S_IXUSR)
        self.answers("")

    def answers(self, text: str, code: int = 0) -> None:
        (self.folder / "code").write_text(str(code))
        (self.folder / "answer").write_text(text)

    def gives(self, version: str = V1, **status: Any) -> None:
        self.answers(json.dumps({"apiVersion": version, "kind": "ExecCredential", "status": status}))

    def given(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "given").read_text().splitlines()]

    def plugin(self, cluster: dict[str, Any] | None = None, **fields: Any) -> Plugin:
        section = {"apiVersion": V1, "command": "./login"} | fields
        return read_plugin(Section(section, self.folder / "config", "user `ann`: `exec`"), cluster or {})


@pytest.fixture
def login(tmp_path: Path) -> Login:
    return Login(tmp_path)


class TestPlugins:
    def test_a_token_is_kept_until_it_expires(self, login: Login) -> None:
        now = [NOW]
        credentials = ExecCredentials(login.plugin(), now=lambda: now[0])
        login.gives(token="one", expirationTimestamp="2026-01-31T12:10:00Z")
        assert [credentials.get().token for _ in range(2)] == ["one", "one"]
        assert credentials.is_ready()
        login.gives(token="two")
        now[0] += timedelta(minutes=10)
        assert not credentials.is_ready()
        assert credentials.get() == Credential("two")
        assert len(login.given()) == 2

    def test_one_that_the_server_refused_is_not_used_again(self, login: Login) -> None:
        credentials = ExecCredentials(login.plugin())
        login.gives(token="one")
        refused = credentials.get()
        login.gives(token="two")
        assert credentials.discard(refused)
        assert credentials.get().token == "two"

    def test_a_refusal_of_an_earlier_one_says_nothing_about_the_present_one(self, login: Login) -> None:
        credentials = ExecCredentials(login.plugin())
        login.gives(token="one")
        refused = credentials.get()
        credentials.discard(refused)
        credentials.get()
        credentials.discard(refused)
        assert credentials.is_ready()

    def test_a_refusal_does_not_wait_for_the_plugin(self, login: Login) -> None:
        login.gives(token="one")
        credentials = ExecCredentials(login.plugin())
        refused = credentials.get()
        credentials.discard(refused)
        (login.folder / "answer").unlink()
        os.mkfifo(login.folder / "answer")  # the plugin waits until somebody writes
        with ThreadPoolExecutor(2) as threads:
            asked = threads.submit(credentials.get)
            try:
                assert threads.submit(credentials.discard, refused).result(timeout=5)
                assert not asked.done()
            finally:
                login.gives(token="two")
            assert asked.result().token == "two"

    def test_it_gets_arguments_variables_and_what_it_asks_for_of_the_cluster(self, login: Login) -> None:
        login.gives(token="t")
        cluster = {"server": "https://192.0.2.1", "config": {"audience": "a"}}
        fields = {"args": ["-x", "y"], "env": [{"name": "FLAVOUR", "value": "sweet"}], "provideClusterInfo": True}
        ExecCredentials(login.plugin(cluster, **fields)).get()
        (given,) = login.given()
        assert (given["args"], given["flavour"], given["stdin"]) == (["-x", "y"], "sweet", "")
        spec = {"interactive": False, "cluster": cluster}
        assert given["info"] == {"apiVersion": V1, "kind": "ExecCredential", "spec": spec}

    def test_it_learns_nothing_of_the_cluster_unless_it_asks(self, login: Login) -> None:
        login.gives(token="t")
        ExecCredentials(login.plugin({"server": "https://192.0.2.1"})).get()
        assert login.given()[0]["info"]["spec"] == {"interactive": False}

    def test_it_may_give_a_certificate(self, login: Login) -> None:
        login.gives(clientCertificateData="chain", clientKeyData="key")
        certificate = ExecCredentials(login.plugin()).get().certificate
        assert certificate is not None
        assert (certificate.chain.content, certificate.key.content) == (b"chain", b"key")

    def test_the_older_version_is_spoken_where_the_kubeconfig_says_so(self, login: Login) -> None:
        older = "client.authentication.k8s.io/v1beta1"
        login.gives(older, token="t")
        assert ExecCredentials(login.plugin(apiVersion=older)).get().token == "t"
        assert login.given()[0]["info"]["apiVersion"] == older


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("nonsense", "printed something that is not JSON; expected an ExecCredential"),
        ("[]", "printed another kind of object"),
        ({"kind": "ExecCredential", "apiVersion": "x/v2"}, f"printed apiVersion `x/v2`; expected `{V1}`"),
        ({"kind": "ExecCredential", "apiVersion": V1}, "printed an ExecCredential without `status`"),
        ({"kind": "ExecCredential", "apiVersion": V1, "status": {}}, "neither a token nor a client certificate"),
        (
            {"kind": "ExecCredential", "apiVersion": V1, "status": {"clientKeyData": "k"}},
            "only one of `clientCertificateData` and `clientKeyData`",
        ),
        (
            {"kind": "ExecCredential", "apiVersion": V1, "status": {"token": "t", "expirationTimestamp": "soon"}},
            "expirationTimestamp `soon`; expected a time",
        ),
    ],
)
def test_an_answer_that_is_no_credential_is_shown(login: Login, answer: Any, told: str) -> None:
    login.answers(answer if isinstance(answer, str) else json.dumps(answer))
    with pytest.raises(AccessError) as caught:
        ExecCredentials(login.plugin()).get()
    assert told in caught.value.summary
    assert "user `ann`: `exec`: credential plugin `" in caught.value.summary


def test_a_plugin_that_fails_is_named_with_its_exit_code(login: Login) -> None:
    login.answers("", 3)
    with pytest.raises(AccessError, match="ended with exit code 3"):
        ExecCredentials(login.plugin()).get()


def test_a_plugin_that_is_not_there_is_named_with_its_own_hint(login: Login) -> None:
    with pytest.raises(AccessError, match="`no-such-login` could not be started: No such file") as caught:
        ExecCredentials(login.plugin(command="no-such-login", installHint="brew install login")).get()
    assert caught.value.advice == "brew install login"


def test_a_plugin_that_has_to_ask_a_person_is_not_started_without_a_terminal(
    login: Login, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execplugin.sys, "stdin", None)
    with pytest.raises(AccessError, match="needs a terminal"):
        ExecCredentials(login.plugin(interactiveMode="Always")).get()


class TestTokenFiles:
    def test_one_that_was_refused_is_read_again(self, tmp_path: Path) -> None:
        file = tmp_path / "token"
        file.write_text("one\n")
        credentials = TokenFileCredentials(file)
        refused = credentials.get()
        file.write_text("two\n")
        assert credentials.get() == refused, "it is not read for every request"
        assert credentials.discard(refused)
        assert credentials.get() == Credential("two")

    @pytest.mark.parametrize(("content", "told"), [(b"", "is empty"), (b"\xff", "expected ASCII text")])
    def test_one_without_a_token_is_named(self, tmp_path: Path, content: bytes, told: str) -> None:
        file = tmp_path / "token"
        file.write_bytes(content)
        with pytest.raises(AccessError, match=f"token file `{file}`.*{told}"):
            TokenFileCredentials(file).get()
