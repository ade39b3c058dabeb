"""Refusals of the API server, word for word as Kubernetes 1.35 sends them, and what the person reads."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from kubernetes.client.api_client import ApiClient
from kubernetes.config import kube_config

from componentrun.cli.errors import BadRequestError, exit_code_of, hint_of
from componentrun.cli.kubernetes.answers import Asked, explain
from componentrun.cli.kubernetes.client import KubeCluster, _read, connect
from componentrun.cli.kubernetes.cluster import DEPLOYMENTS, RUNS, SECRETS, Resource

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def status(reason: str, message: str, **details: Any) -> str:
    return json.dumps({"kind": "Status", "status": "Failure", "reason": reason, "message": message, "details": details})


GROUP = "componentrun.dev"
KIND = f"componentruns.{GROUP}"

CASES: dict[str, tuple[int, str, str, Resource | None, str, str, str, int]] = {
    "forbidden secret": (
        403,
        status(
            "Forbidden",
            'secrets "keys" is forbidden: User "ann" cannot get resource "secrets" in API group "" '
            'in the namespace "team"',
            name="keys",
            kind="secrets",
        ),
        "get", SECRETS, "keys",
        "you are not allowed to get `secrets` in namespace `team`",
        "the verb `get` on `secrets`",
        1,
    ),
    "forbidden run": (
        403,
        status(
            "Forbidden",
            f'{KIND} is forbidden: User "ann" cannot create resource "componentruns" in API group "{GROUP}" '
            'in the namespace "team"',
        ),
        "create", RUNS, "one",
        "you are not allowed to create `componentruns.componentrun.dev` in namespace `team`",
        "the verb `create`",
        1,
    ),
    "admission": (
        403,
        status("Forbidden", f'{KIND} "one" is forbidden: exceeded quota: runs, requested: 1, used: 5, limited: 5'),
        "create", RUNS, "one",
        f'refused to create ComponentRun `one` in namespace `team`: {KIND} "one" is forbidden: exceeded quota',
        "ask the people",
        1,
    ),
    "unauthorized": (
        401, status("Unauthorized", "Unauthorized"), "list", RUNS, "",
        "does not accept your credentials", "log in again", 1,
    ),
    "no such run": (
        404, status("NotFound", f'{KIND} "one" not found', name="one", kind="componentruns"), "get", RUNS, "one",
        "there is no ComponentRun `one` in namespace `team`", "`componentrun list`", 1,
    ),
    "no such secret": (
        404, status("NotFound", 'secrets "keys" not found', name="keys", kind="secrets"), "get", SECRETS, "keys",
        "there is no Secret `keys` in namespace `team`", "`kubectl get secrets`", 1,
    ),
    "no CRD": (
        404, "404 page not found\n", "list", RUNS, "", "does not know `componentruns`", "componentrun/README.md", 2,
    ),
    "no namespace": (
        404, status("NotFound", 'namespaces "team" not found', name="team", kind="namespaces"), "create", RUNS, "one",
        "there is no namespace `team`", "`kubectl get namespaces`", 1,
    ),
    "exists": (
        409, status("AlreadyExists", f'{KIND} "one" already exists', name="one"), "create", RUNS, "one",
        "ComponentRun `one` exists already in namespace `team`", "leave `--name` out", 1,
    ),
    "CEL rule": (
        422,
        status(
            "Invalid",
            "...",
            causes=[
                {"field": "spec.timeout", "message": "Invalid value: spec.timeout must be at most 24h"},
                {"field": "spec", "message": 'Invalid value: "object": give either component or image'},
                {"field": "<nil>", "message": "some validation rules were not checked"},
            ],
        ),
        "create", RUNS, "one",
        "`one`: `spec.timeout`: spec.timeout must be at most 24h; `spec`: give either component or image",
        "--dry-run",
        1,
    ),
    "strict": (
        400,
        status("BadRequest", 'strict decoding error: unknown field "spec.foo", unknown field "spec.bar"'),
        "create", RUNS, "one",
        "`spec.foo`: there is no such field; `spec.bar`: there is no such field",
        "--dry-run",
        1,
    ),
    "selector": (
        400, status("BadRequest", "unable to parse requirement: found '('"), "list", RUNS, "",
        "refused to list componentruns: unable to parse requirement", "check `--selector`", 1,
    ),
    "busy": (
        503, "upstream connect error", "list", RUNS, "",
        "could not list componentruns in namespace `team`: HTTP 503", "try again", 2,
    ),
    "version": (
        500, status("InternalError", "boom"), "get", None, "", "could not get its version", "try again", 2,
    ),
    "old Kubernetes": (
        404, "404 page not found\n", "list", DEPLOYMENTS, "", "does not know `deployments`", "too old", 2,
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("code", "body", "verb", "what", "name", "told", "hint", "exit_code"), list(CASES.values()), ids=list(CASES)
)
def test_a_refusal_becomes_a_sentence_and_a_hint(
    code: int, body: str, verb: str, what: Resource | None, name: str, told: str, hint: str, exit_code: int
) -> None:
    error = explain(code, body.encode(), Asked(verb, what, name, "team", "https://cluster.example:6443"))
    assert told in error.message
    assert hint in hint_of(error)
    assert exit_code_of(error) == exit_code


def test_one_object_that_is_nested_too_deep_hides_no_others() -> None:
    deep = b'{"a":' * 5_000 + b"1" + b"}" * 5_000
    answer = _read(b'{"items": [' + deep + b', {"metadata": {"name": "other"}}]}')
    assert answer["items"][1] == {"metadata": {"name": "other"}}


def test_runs_are_chosen_here_where_the_cluster_is_too_old_to_choose_them_by_fields(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked_for: list[str | None] = []

    def send(_: KubeCluster, method: str, path: str, asked: Asked, *, query: Mapping[str, str]) -> dict[str, Any]:
        assert (method, path) == ("GET", RUNS.path("team"))
        asked_for.append(query.get("fieldSelector"))
        if "fieldSelector" in query:
            refusal = (
                'unable to find "componentruns" that match field selector: field label not supported: spec.component'
            )
            raise explain(400, status("BadRequest", refusal).encode(), asked)
        runs = [{"spec": {"component": name}} for name in ("a", "b")] + [{"spec": {"image": "a"}}]
        return {"apiVersion": "v1", "items": runs, "metadata": {}}

    monkeypatch.setattr(KubeCluster, "server", "https://cluster.example:6443")
    monkeypatch.setattr(KubeCluster, "_send", send)
    found = KubeCluster(ApiClient(), "team").list(RUNS, fields={"spec.component": "a"})
    assert [item["spec"] for item in found] == [{"component": "a"}]
    assert asked_for == ["spec.component=a", None]


def test_a_pod_without_a_token_and_a_kubeconfig_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nowhere/kubeconfig")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    with pytest.raises(
        BadRequestError, match="this pod has no usable service account token: service token file"
    ) as told:
        connect(None, None)
    assert "KUBECONFIG" in hint_of(told.value)


class TestKubeconfigs:
    """Odd ones."""

    @pytest.fixture
    def file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        path = tmp_path / "kubeconfig"
        monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(path))
        monkeypatch.setenv("KUBECONFIG", str(path))
        return path

    def write(self, file: Path, user: dict[str, Any] | None = None, proxy: str = "", **more: Any) -> None:
        server = {"server": "https://192.0.2.1"} | ({"proxy-url": proxy} if proxy else {})
        contexts = [
            {"name": name, "context": {"cluster": "c", "user": "u", "namespace": f"of-{name}"}}
            for name in ("one", "two")
        ]
        users = [{"name": "u", "user": user or {"token": "t"}}]
        document = {"clusters": [{"name": "c", "cluster": server}], "users": users, "contexts": contexts, **more}
        file.write_text(json.dumps(document))

    @pytest.mark.parametrize("current", [{}, {"current-context": ""}, {"current-context": "gone"}])
    def test_a_named_context_needs_no_current_one(self, file: Path, current: dict[str, str]) -> None:
        self.write(file, **current)
        assert connect("two", None).namespace == "of-two"
        with pytest.raises(BadRequestError, match="no context `three`; it has `one`, `two`"):
            connect("three", None)

    def test_the_current_one_is_taken_where_none_is_named(self, file: Path) -> None:
        self.write(file, **{"current-context": "one"})
        assert connect(None, None).namespace == "of-one"
        assert connect(None, "else").namespace == "else"

    @pytest.mark.filterwarnings("ignore::urllib3.exceptions.DependencyWarning")
    def test_a_proxy_that_cannot_be_used_is_named(self, file: Path) -> None:
        self.write(file, proxy="socks5://192.0.2.2:1080", **{"current-context": "one"})
        with pytest.raises(BadRequestError, match="SOCKS proxy"):
            connect(None, None)

    def test_a_token_file_that_is_not_there_is_named(self, file: Path) -> None:
        self.write(file, user={"tokenFile": "/nowhere/token"}, **{"current-context": "one"})
        with pytest.raises(BadRequestError, match="/nowhere/token"):
            connect(None, None)
