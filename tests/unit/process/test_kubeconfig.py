"""Kubeconfigs: which files and entries are used, and what is said about those that can't be."""

from __future__ import annotations

import base64
import os
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from componentrun.process.kubernetes.access.context import access_of
from componentrun.process.kubernetes.access.credentials import Credential, TokenFileCredentials
from componentrun.process.kubernetes.access.errors import AccessError, NoClusterError
from componentrun.process.kubernetes.access.execplugin import ExecCredentials
from componentrun.process.kubernetes.access.incluster import in_cluster_access
from componentrun.process.kubernetes.access.kubeconfig import kubeconfig_files, read_kubeconfig
from componentrun.process.kubernetes.access.proxy import proxy_for

if TYPE_CHECKING:
    from pathlib import Path

PEM = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"


def config(
    user: dict[str, Any] | None = None, cluster: dict[str, Any] | None = None, context: dict[str, Any] | None = None
) -> dict[str, Any]:
    """A kubeconfig of one context."""
    return {
        "clusters": [{"name": "kind", "cluster": {"server": "https://192.0.2.1:6443"} | (cluster or {})}],
        "users": [{"name": "ann", "user": {"token": "sesame"} if user is None else user}],
        "contexts": [{"name": "dev", "context": {"cluster": "kind", "user": "ann"} | (context or {})}],
        "current-context": "dev",
    }


def write(folder: Path, document: Any, name: str = "config") -> Path:
    file = folder / name
    file.write_text(document if isinstance(document, str) else yaml.safe_dump(document))
    return file


def loaded(folder: Path, document: Any, context: str | None = None) -> Any:
    return access_of(read_kubeconfig([write(folder, document)]), context)


class TestContexts:
    def test_the_current_one_is_used_unless_another_one_is_named(self, tmp_path: Path) -> None:
        document = config(context={"namespace": "team"})
        document["contexts"].append(
            {"name": "prod", "context": {"cluster": "kind", "user": "ann", "namespace": "live"}}
        )
        assert loaded(tmp_path, document).namespace == "team"
        assert loaded(tmp_path, document, "prod").namespace == "live"

    def test_without_a_namespace_it_is_the_default_one(self, tmp_path: Path) -> None:
        assert loaded(tmp_path, config()).namespace == "default"

    def test_without_a_user_requests_are_anonymous(self, tmp_path: Path) -> None:
        document = config()
        del document["contexts"][0]["context"]["user"]
        assert loaded(tmp_path, document).credentials.get() == Credential()

    def test_a_named_one_needs_no_current_one(self, tmp_path: Path) -> None:
        document = config() | {"current-context": "gone"}
        assert loaded(tmp_path, document, "dev").server == "https://192.0.2.1:6443"


class TestMerging:
    def test_the_first_file_wins_and_entries_are_not_mixed(self, tmp_path: Path) -> None:
        first = write(tmp_path, {"users": [{"name": "ann", "user": {"token": "first"}}]}, "first")
        second = write(tmp_path, config(user={"client-certificate": "nowhere", "token": "second"}), "second")
        access = access_of(read_kubeconfig([first, second]))
        assert access.credentials.get() == Credential("first")
        assert access.server == "https://192.0.2.1:6443"

    def test_the_current_context_is_that_of_the_first_file_that_has_one(self, tmp_path: Path) -> None:
        first = write(tmp_path, {"current-context": "other"}, "first")
        second = write(tmp_path, config(), "second")
        with pytest.raises(
            AccessError, match="no context `other`, which `current-context` names; the contexts are `dev`"
        ):
            access_of(read_kubeconfig([first, second]))

    def test_a_path_starts_at_the_folder_of_the_file_that_has_it(self, tmp_path: Path) -> None:
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
        (tmp_path / "b" / "token").write_text("from b\n")
        first = write(tmp_path / "a", {"current-context": "dev"})
        second = write(tmp_path / "b", config(user={"tokenFile": "token"}))
        assert access_of(read_kubeconfig([first, second])).credentials.get().token == "from b"

    def test_files_that_do_not_exist_are_skipped(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        file = write(tmp_path, config())
        monkeypatch.setenv("KUBECONFIG", os.pathsep.join(("/nowhere/config", "", str(file))))
        assert kubeconfig_files() == [file]

    def test_without_the_variable_it_is_the_one_in_the_home_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("KUBECONFIG", raising=False)
        monkeypatch.setenv("HOME", str(tmp_path))
        assert kubeconfig_files() == []
        with pytest.raises(NoClusterError, match=r"there is no `~/\.kube/config`"):
            read_kubeconfig(kubeconfig_files())
        (tmp_path / ".kube").mkdir()
        file = write(tmp_path / ".kube", config())
        assert kubeconfig_files() == [file]


class TestClusters:
    def test_data_goes_before_a_file(self, tmp_path: Path) -> None:
        data = {
            "certificate-authority": "nowhere",
            "certificate-authority-data": base64.b64encode(PEM.encode()).decode(),
        }
        assert loaded(tmp_path, config(cluster=data)).authority.content == PEM.encode()

    def test_a_file_is_read(self, tmp_path: Path) -> None:
        (tmp_path / "ca.pem").write_text(PEM)
        assert loaded(tmp_path, config(cluster={"certificate-authority": "ca.pem"})).authority.content == PEM.encode()

    def test_names_proxies_and_unchecked_certificates_are_taken_over(self, tmp_path: Path) -> None:
        fields = {"tls-server-name": "api", "proxy-url": "http://proxy:3128", "insecure-skip-tls-verify": True}
        access = loaded(tmp_path, config(cluster=fields))
        assert (access.tls_server_name, access.proxy_url, access.is_verified) == ("api", "http://proxy:3128", False)


class TestUsers:
    def test_a_token_file_goes_before_a_token(self, tmp_path: Path) -> None:
        (tmp_path / "token").write_text("of the file\n")
        access = loaded(tmp_path, config(user={"token": "t", "tokenFile": "token"}))
        assert isinstance(access.credentials, TokenFileCredentials)
        assert access.credentials.get().token == "of the file"

    def test_a_certificate_comes_with_its_key(self, tmp_path: Path) -> None:
        data = {
            name: base64.b64encode(name.encode()).decode() for name in ("client-certificate-data", "client-key-data")
        }
        certificate = loaded(tmp_path, config(user=data)).credentials.get().certificate
        assert certificate is not None
        assert (certificate.chain.content, certificate.key.content) == (b"client-certificate-data", b"client-key-data")

    def test_a_plugin_is_not_started_before_it_is_needed(self, tmp_path: Path) -> None:
        plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "/nowhere/login"}
        credentials = loaded(tmp_path, config(user={"exec": plugin})).credentials
        assert isinstance(credentials, ExecCredentials)
        assert not credentials.is_ready()

    def test_whom_to_act_as_goes_into_headers(self, tmp_path: Path) -> None:
        user = {"token": "t", "as": "bob", "as-uid": "7", "as-groups": ["a", "b"], "as-user-extra": {"x/y": ["z"]}}
        assert loaded(tmp_path, config(user=user)).headers == (
            ("Impersonate-User", "bob"),
            ("Impersonate-Uid", "7"),
            ("Impersonate-Group", "a"),
            ("Impersonate-Group", "b"),
            ("Impersonate-Extra-x%2Fy", "z"),
        )


def spoiled(**parts: Any) -> dict[str, Any]:
    return config() | parts


EXEC = {"apiVersion": "client.authentication.k8s.io/v1", "command": "login"}
BROKEN: dict[str, tuple[Any, str]] = {
    "not YAML": ("a: [", r"config`, line 2: it is not YAML: did not find"),
    "a list": ("- a", "found a list; expected a mapping"),
    "empty": ("", "config`: there are no contexts"),
    "clusters as a mapping": (spoiled(clusters={"a": 1}), "`clusters`: found .*; expected a list"),
    "an entry that is a text": (spoiled(clusters=["a"]), "`clusters`: found `a`; expected a list of mappings"),
    "a nameless entry": (spoiled(users=[{"user": {}}]), r"`users\[0\]`: `name`: it is not set"),
    "no cluster": (
        spoiled(contexts=[{"name": "dev", "context": {}}]),
        "context `dev`: `cluster`: it is not set; expected the name of a cluster",
    ),
    "an unknown cluster": (
        config(context={"cluster": "gone"}),
        "context `dev`: `cluster`: there is no cluster `gone`; expected one of those that are there: `kind`",
    ),
    "an unknown user": (config(context={"user": "gone"}), "`user`: there is no user `gone`; .*: `ann`"),
    "no server": (config(cluster={"server": None}), "cluster `kind`: `server`: it is not set; expected a URL"),
    "a server that is no URL": (config(cluster={"server": "192.0.2.1:6443"}), "`server`: found `192.0.2.1:6443`"),
    "a token that is a number": (config(user={"token": 1234}), "`token`: found a value of type `int`; expected text"),
    "a server that is a number": (config(cluster={"server": 7}), "`server`: found `7`; expected text"),
    "a SOCKS proxy": (
        config(cluster={"proxy-url": "socks5://192.0.2.2:1080"}),
        "`proxy-url`: found `socks5://192.0.2.2:1080`; expected a URL that starts with `http://`",
    ),
    "data that is no Base64": (
        config(cluster={"certificate-authority-data": "?"}),
        "cluster `kind`: `certificate-authority-data`: .*; expected Base64 of a PEM file",
    ),
    "a file that is not there": (
        config(cluster={"certificate-authority": "/nowhere/ca.pem"}),
        "`certificate-authority`: `/nowhere/ca.pem`: No such file or directory; expected a PEM file",
    ),
    "insecure, and yet an authority": (
        config(cluster={"certificate-authority-data": "QQ==", "insecure-skip-tls-verify": True}),
        "`insecure-skip-tls-verify`: found `true` together with a certificate authority",
    ),
    "a flag that is a text": (
        config(cluster={"insecure-skip-tls-verify": "yes"}),
        "`insecure-skip-tls-verify`: found `yes`; expected `true` or `false`",
    ),
    "basic authentication": (
        config(user={"username": "ann", "password": "p"}),
        "user `ann`: `username`: found basic authentication, which Kubernetes removed in 1.19; expected a token",
    ),
    "an authentication provider": (
        config(user={"auth-provider": {"name": "gcp"}}),
        "user `ann`: `auth-provider`: found an authentication provider, which kubectl removed in 1.26",
    ),
    "a certificate without a key": (
        config(user={"client-certificate-data": "QQ=="}),
        "user `ann`: `client-key`: it is not set; expected the key of `client-certificate`",
    ),
    "a key without a certificate": (config(user={"client-key-data": "QQ=="}), "`client-certificate`: it is not set"),
    "an old plugin": (
        config(user={"exec": EXEC | {"apiVersion": "client.authentication.k8s.io/v1alpha1"}}),
        r"user `ann`: `exec`: `apiVersion`: found `.*v1alpha1`; expected `client.authentication.k8s.io/v1` or",
    ),
    "a plugin without a command": (config(user={"exec": EXEC | {"command": None}}), "`command`: it is not set"),
    "arguments that are numbers": (config(user={"exec": EXEC | {"args": [1]}}), "`args`: found `1`"),
    "an unknown mode": (config(user={"exec": EXEC | {"interactiveMode": "never"}}), "`interactiveMode`: found `never`"),
}  # fmt: skip


@pytest.mark.parametrize(("document", "told"), list(BROKEN.values()), ids=list(BROKEN))
def test_an_error_names_the_file_the_field_and_what_was_expected(tmp_path: Path, document: Any, told: str) -> None:
    with pytest.raises(AccessError, match=told) as caught:
        loaded(tmp_path, document)
    assert str(tmp_path / "config") in caught.value.summary


def test_a_file_that_is_not_to_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(AccessError, match=f"kubeconfig `{tmp_path}`: Is a directory"):
        read_kubeconfig([tmp_path])


class TestInAPod:
    @pytest.fixture
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
        for name, text in (("token", "sesame\n"), ("ca.crt", PEM), ("namespace", "team")):
            (tmp_path / name).write_text(text)
        return tmp_path

    def test_the_service_account_is_used(self, folder: Path) -> None:
        access = in_cluster_access(folder)
        assert (access.server, access.namespace) == ("https://10.0.0.1:443", "team")
        assert access.credentials.get().token == "sesame"

    def test_an_address_of_version_6_stands_in_brackets(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
        assert in_cluster_access(folder).server == "https://[fd00::1]:443"

    @pytest.mark.parametrize("name", ["token", "ca.crt", "namespace"])
    def test_a_missing_file_is_named(self, folder: Path, name: str) -> None:
        (folder / name).unlink()
        with pytest.raises(AccessError, match=f"{folder / name}`: No such file"):
            in_cluster_access(folder)

    def test_outside_of_a_pod_that_is_said(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("KUBERNETES_SERVICE_HOST")
        with pytest.raises(NoClusterError, match="not in a pod"):
            in_cluster_access(folder)


@pytest.mark.parametrize(
    ("environment", "configured", "proxy"),
    [
        ({}, "", None),
        ({"https_proxy": "http://proxy.test:3128"}, "", "http://proxy.test:3128"),
        ({"http_proxy": "http://proxy.test:3128"}, "", None),
        ({"https_proxy": "http://proxy.test:3128", "no_proxy": ".test"}, "", None),
        ({"https_proxy": "http://proxy.test:3128"}, "http://other.test", "http://other.test"),
    ],
    ids=["none", "of the environment", "for another scheme", "not for this host", "of the kubeconfig"],
)
def test_the_proxy_is_that_of_the_kubeconfig_else_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], configured: str, proxy: str | None
) -> None:
    for name in ("http_proxy", "https_proxy", "no_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert proxy_for("https://api.test:6443", configured) == (proxy, None)


def test_keys_of_a_proxy_are_taken_out_of_its_address() -> None:
    proxy, keys = proxy_for("https://api.test", "http://user:p%40ss@proxy.test:3128")
    assert proxy == "http://proxy.test:3128"
    assert keys == {"Proxy-Authorization": "Basic dXNlcjpwQHNz"}
