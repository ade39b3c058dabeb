"""Refusals of the API server, word for word as Kubernetes 1.35 sends them, and what the person reads."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.cli.errors import BadRequestError, advice_of, exit_code_of
from componentrun.client.kubernetes.answers import Asked, explain
from componentrun.client.kubernetes.client import KubeCluster, connect
from componentrun.process.kubernetes.access.access import Access
from componentrun.process.kubernetes.blocking import BlockingKube
from componentrun.process.kubernetes.errors import UnavailableError, error_for
from componentrun.process.kubernetes.resources import DEPLOYMENTS, RUNS, SECRETS, Resource

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
        "Ask your cluster's administrator",
        1,
    ),
    "unauthorized": (
        401, status("Unauthorized", "Unauthorized"), "list", RUNS, "",
        "does not accept your credentials", "Log in again", 1,
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
        "ComponentRun `one` exists already in namespace `team`", "leave out `--name`", 1,
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
        "refused to list componentruns: unable to parse requirement", "Check `--selector`", 1,
    ),
    "busy": (
        503, "upstream connect error", "list", RUNS, "",
        "could not list componentruns in namespace `team`: HTTP 503", "Try again", 2,
    ),
    "version": (
        500, status("InternalError", "boom"), "get", None, "", "could not get its version", "Try again", 2,
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
    refusal = error_for(code, body.encode(), "GET /path")
    error = explain(refusal, Asked(verb, what, name, "team", "https://cluster.example:6443"))
    assert told in error.message
    assert hint in advice_of(error)
    assert exit_code_of(error) == exit_code


def test_runs_are_selected_here_if_the_cluster_is_too_old_to_select_them_by_fields(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked_for: list[str | None] = []

    def request(_: BlockingKube, method: str, path: str, *, query: Mapping[str, str]) -> dict[str, Any]:
        assert (method, path) == ("GET", RUNS.path("team"))
        asked_for.append(query.get("fieldSelector"))
        if "fieldSelector" in query:
            refusal = (
                'unable to find "componentruns" that match field selector: field label not supported: spec.component'
            )
            raise error_for(400, status("BadRequest", refusal).encode(), "GET")
        return {"items": [{"spec": {"component": name}} for name in ("a", "b")] + [{"spec": {"image": "a"}}]}

    monkeypatch.setattr(BlockingKube, "request", request)
    cluster = KubeCluster(BlockingKube(Access("https://cluster.example:6443")), "team")
    found = cluster.list(RUNS, fields={"spec.component": "a"})
    assert [item["spec"] for item in found] == [{"component": "a"}]
    assert asked_for == ["spec.component=a", None]


@pytest.mark.parametrize(
    ("message", "told"),
    [
        ("GET /version: no answer: Connection refused", "https://c:1 does not answer: Connection refused"),
        ("GET /version: no answer: its certificate can't be trusted: expired", "https://c:1 is not trusted: its certi"),
        (
            "GET /version: the answer is not valid JSON: b'<html>'",
            "https://c:1 does not answer like a Kubernetes API server: the answer",
        ),
    ],
)
def test_a_server_that_does_not_answer_or_is_no_cluster_is_named(message: str, told: str) -> None:
    error = explain(UnavailableError(message), Asked("get", None, "", "team", "https://c:1"))
    assert told in error.message
    assert exit_code_of(error) == 2


def test_a_pod_without_a_token_and_a_kubeconfig_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nowhere/kubeconfig")
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    with pytest.raises(BadRequestError, match="this pod has no usable service account token: token file") as told:
        connect(None, None)
    assert "KUBECONFIG" in advice_of(told.value)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A kubeconfig with the contexts `one` and `two`."""
    path = tmp_path / "kubeconfig"
    contexts = [
        {"name": name, "context": {"cluster": "c", "user": "u", "namespace": f"of-{name}"}} for name in ("one", "two")
    ]
    document = {
        "clusters": [{"name": "c", "cluster": {"server": "https://192.0.2.1"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": contexts,
        "current-context": "one",
    }
    path.write_text(json.dumps(document))
    monkeypatch.setenv("KUBECONFIG", str(path))
    return path


@pytest.mark.usefixtures("file")
def test_options_go_before_the_kubeconfig() -> None:
    assert connect(None, None).namespace == "of-one"
    assert connect("two", None).namespace == "of-two"
    assert connect(None, "else").namespace == "else"


def test_an_unusable_kubeconfig_is_the_persons_to_mend(file: Path) -> None:
    with pytest.raises(BadRequestError, match="no context `three`; the contexts are `one`, `two`") as caught:
        connect("three", None)
    assert advice_of(caught.value) == "`kubectl config get-contexts` lists them."
    assert str(file) in caught.value.message
