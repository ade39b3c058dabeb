"""The client against a small HTTP server: what it sends, what it makes of answers, what it tries again."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from componentrun.errors import PlatformError, Reason, TransientError
from componentrun.process.kubernetes import client as kube_module
from componentrun.process.kubernetes import exchange
from componentrun.process.kubernetes.access.access import Access
from componentrun.process.kubernetes.access.credentials import Credential, FixedCredentials
from componentrun.process.kubernetes.client import Kube
from componentrun.process.kubernetes.errors import (
    AlreadyExistsError,
    ConflictError,
    ForbiddenError,
    GoneError,
    InvalidError,
    KubeError,
    NamespaceTerminatingError,
    NotFoundError,
    QuotaExceededError,
    UnavailableError,
    error_for,
)
from componentrun.process.kubernetes.resources import NETWORK_POLICIES, PODS, RUNS
from componentrun.wire.documents import MAX_DEPTH

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class ApiServer:
    """Gives prepared answers and remembers what was asked."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, Any]] = []
        self.asked: list[tuple[str, str, Any, dict[str, str]]] = []

    async def answer(self, request: web.Request) -> web.Response:
        text = await request.text()
        self.asked.append((request.method, request.path_qs, json.loads(text) if text else None, dict(request.headers)))
        status, body = self.answers.pop(0) if self.answers else (200, {})
        if status == 0:
            assert request.transport is not None
            request.transport.close()
        return web.Response(status=max(status, 200), text=body if isinstance(body, str) else json.dumps(body))


class Observer:
    def __init__(self) -> None:
        self.codes: list[str] = []

    def request_done(self, method: str, code: str, host: str) -> None:
        assert method
        assert host
        self.codes.append(code)


class Tokens(FixedCredentials):
    """Tokens, each of which is followed by the next one when it is refused."""

    def __init__(self, *tokens: str) -> None:
        self.tokens = list(tokens)

    def get(self) -> Credential:
        return Credential(self.tokens[0])

    def discard(self, refused: Credential) -> bool:
        assert refused.token == self.tokens[0]
        if len(self.tokens) > 1:
            del self.tokens[0]
            return True
        return False


@pytest.fixture
def server() -> ApiServer:
    return ApiServer()


@pytest.fixture
def observer() -> Observer:
    return Observer()


@pytest.fixture
def tokens() -> Tokens:
    return Tokens("sesame")


@pytest.fixture
async def kube(
    server: ApiServer, observer: Observer, tokens: Tokens, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Kube]:
    monkeypatch.setattr(exchange, "_FIRST_PAUSE", 0.001)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", server.answer)
    async with TestServer(application) as running:
        access = Access(str(running.make_url("")).rstrip("/"), tokens)
        async with Kube(access, observer) as made:
            yield made


class TestRequests:
    async def test_paths_name_group_version_namespace_and_subresource(self, kube: Kube, server: ApiServer) -> None:
        await kube.get(PODS, "team", "load-1")
        await kube.patch(RUNS, "team", "load", {}, "status")
        await kube.get(NETWORK_POLICIES, "team", "a b")
        assert [asked[1] for asked in server.asked] == [
            "/api/v1/namespaces/team/pods/load-1",
            "/apis/componentrun.dev/v1alpha1/namespaces/team/componentruns/load/status?fieldValidation=Ignore",
            "/apis/networking.k8s.io/v1/namespaces/team/networkpolicies/a%20b",
        ]

    async def test_a_field_that_the_server_does_not_know_is_to_be_refused(self, kube: Kube, server: ApiServer) -> None:
        await kube.create(PODS, "team", {})
        assert server.asked[0][:2] == ("POST", "/api/v1/namespaces/team/pods?fieldValidation=Strict")

    async def test_the_token_is_sent(self, kube: Kube, server: ApiServer) -> None:
        await kube.get(PODS, "team", "load-1")
        assert server.asked[0][3].get("Authorization") == "Bearer sesame"

    async def test_a_patch_is_a_merge_patch(self, kube: Kube, server: ApiServer) -> None:
        await kube.patch(RUNS, "team", "load", {"status": {"phase": None}}, "status")
        method, _, body, headers = server.asked[0]
        assert (method, body) == ("PATCH", {"status": {"phase": None}})
        assert headers["Content-Type"] == "application/merge-patch+json"

    async def test_exactly_one_object_is_deleted(self, kube: Kube, server: ApiServer) -> None:
        await kube.delete(PODS, "team", "load-1", "uid-1", 5)
        assert server.asked[0][2] == {
            "preconditions": {"uid": "uid-1"},
            "propagationPolicy": "Background",
            "gracePeriodSeconds": 5,
        }

    async def test_a_listing_comes_in_pages(self, kube: Kube, server: ApiServer) -> None:
        server.answers = [
            (200, {"metadata": {"resourceVersion": "7", "continue": "more"}, "items": [{"a": 1}]}),
            (200, {"metadata": {"resourceVersion": "7"}, "items": [{"a": 2}]}),
        ]
        pages = [page async for page in kube.pages(PODS, None, "componentrun.dev/run")]
        assert [page.items for page in pages] == [({"a": 1},), ({"a": 2},)]
        assert {page.resource_version for page in pages} == {"7"}
        assert server.asked[0][1] == "/api/v1/pods?limit=100&labelSelector=componentrun.dev/run"
        assert "continue=more" in server.asked[1][1]


class TestTokens:
    async def test_a_token_that_is_refused_is_read_anew_once(
        self, kube: Kube, server: ApiServer, tokens: Tokens
    ) -> None:
        tokens.tokens.append("newer")
        server.answers = [(401, {"message": "Unauthorized"}), (200, {"fine": True})]
        assert await kube.get(PODS, "team", "load-1") == {"fine": True}
        assert server.asked[1][3].get("Authorization") == "Bearer newer"

    async def test_a_newer_one_that_is_refused_too_is_an_error(
        self, kube: Kube, server: ApiServer, tokens: Tokens
    ) -> None:
        tokens.tokens += ["newer", "newest"]
        server.answers = [(401, {"message": "Unauthorized"}), (401, {"message": "Unauthorized"})]
        with pytest.raises(ForbiddenError):
            await kube.get(PODS, "team", "load-1")
        assert len(server.asked) == 2


class TestRetries:
    @pytest.mark.parametrize("status", [0, 429, 500, 503])
    async def test_what_may_pass_is_tried_again(
        self, kube: Kube, server: ApiServer, observer: Observer, status: int
    ) -> None:
        server.answers = [(status, {}), (status, {}), (200, {"fine": True})]
        assert await kube.get(PODS, "team", "load-1") == {"fine": True}
        assert len(observer.codes) in {2, 3}  # aiohttp itself sends a GET again where a kept connection was closed

    async def test_after_four_tries_it_is_unavailable(self, kube: Kube, server: ApiServer) -> None:
        server.answers = [(503, {"message": "shutting down"})] * 4
        with pytest.raises(UnavailableError, match=r"GET /api/v1/.*: 503: shutting down"):
            await kube.get(PODS, "team", "load-1")
        assert len(server.asked) == 4

    async def test_no_answer_at_all_is_unavailable(self, kube: Kube, server: ApiServer) -> None:
        server.answers = [(0, {})] * 8
        with pytest.raises(UnavailableError, match="no answer"):
            await kube.get(PODS, "team", "load-1")

    @pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 422])
    async def test_a_refusal_is_not_tried_again(self, kube: Kube, server: ApiServer, status: int) -> None:
        server.answers = [(status, {"message": "no"})]
        with pytest.raises(KubeError):
            await kube.get(PODS, "team", "load-1")
        assert len(server.asked) == 1

    async def test_an_answer_that_is_no_json_is_unavailable(self, kube: Kube, server: ApiServer) -> None:
        server.answers = [(200, "<html>a proxy's page</html>")]
        with pytest.raises(UnavailableError, match="not valid JSON"):
            await kube.get(PODS, "team", "load-1")


async def test_a_quota_at_which_others_were_faster_may_be_asked_again(kube: Kube, server: ApiServer) -> None:
    said = 'Operation cannot be fulfilled on resourcequotas "small": the object has been modified'
    server.answers = [(409, {"reason": "Conflict", "message": said})]
    with pytest.raises(UnavailableError, match="cannot be fulfilled on resourcequotas"):
        await kube.create(PODS, "team", {})


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (404, {"message": "pods not found"}, NotFoundError),
        (410, {"message": "too old"}, GoneError),
        (409, {"reason": "AlreadyExists", "message": "exists"}, AlreadyExistsError),
        (409, {"reason": "Conflict", "message": "modified"}, ConflictError),
        (403, {"message": "pods is forbidden: exceeded quota: small, requested: pods=1"}, QuotaExceededError),
        (403, {"message": "violates PodSecurity"}, ForbiddenError),
        (
            403,
            {"message": 'error looking up service account t/default: serviceaccount "default" not found'},
            UnavailableError,
        ),
        (
            403,
            {"message": 'error looking up service account t/build: serviceaccount "build" not found'},
            ForbiddenError,
        ),
        (403, {"message": "pods is forbidden: status unknown for quota: small, resources: pods"}, UnavailableError),
        (403, {"message": "x", "details": {"causes": [{"reason": "FieldValueForbidden"}, None]}}, ForbiddenError),
        (403, {"message": "x", "details": None}, ForbiddenError),
        (401, {"message": "Unauthorized"}, ForbiddenError),
        (422, {"message": "spec.containers: Required value"}, InvalidError),
        (429, {"message": "too many requests"}, UnavailableError),
        (504, {"message": "timeout"}, UnavailableError),
        (418, {"message": "teapot"}, KubeError),
    ],
)
def test_every_status_has_its_error(status: int, body: dict[str, Any], kind: type[KubeError]) -> None:
    error = error_for(status, json.dumps(body).encode(), "create pods team/load-1")
    assert type(error) is kind
    assert error.status == status
    assert "create pods team/load-1" in error.message
    assert body["message"] in error.message


@pytest.mark.parametrize("what", ["pods", "secrets"])
def test_a_run_that_waits_for_room_is_queued_whatever_there_is_no_room_for(what: str) -> None:
    body = json.dumps({"message": f"{what} is forbidden: exceeded quota: small"}).encode()
    assert error_for(403, body, f"create {what}").reason is Reason.QUEUED


def test_a_namespace_that_is_being_deleted_has_a_reason_of_its_own() -> None:
    causes = [{"reason": "NamespaceTerminating", "message": "namespace team is being terminated"}]
    body = {"message": "pods is forbidden: unable to create new content", "details": {"causes": causes}}
    error = error_for(403, json.dumps(body).encode(), "create pods team/load-1")
    assert type(error) is NamespaceTerminatingError
    assert error.reason is Reason.NAMESPACE_TERMINATING
    assert error.message == (
        "create pods team/load-1: the namespace is being deleted, and nothing can be created in it any more"
    )


@pytest.mark.parametrize("kind", [QuotaExceededError, UnavailableError])
def test_what_may_pass_is_transient(kind: type[KubeError]) -> None:
    assert issubclass(kind, TransientError)


async def test_no_cluster_at_all_is_said_clearly(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    with pytest.raises(PlatformError, match="no Kubernetes API server is known"):
        await kube_module.connect(Observer())


async def test_a_token_that_was_replaced_is_read_anew_also_behind_other_failures(
    kube: Kube, server: ApiServer, tokens: Tokens
) -> None:
    tokens.tokens.append("newer")
    server.answers = [(503, {"message": "starting"}), (401, {"message": "Unauthorized"}), (200, {"fine": True})]
    assert await kube.get(PODS, "team", "load-1") == {"fine": True}
    assert server.asked[2][3].get("Authorization") == "Bearer newer"


class TestDeepObjects:
    """Parameters are free-form: whoever may create a run decides how deep they are."""

    @staticmethod
    def _nested(levels: int) -> str:
        return '{"a":' * levels + '["}{", "\\""]' + "}" * levels

    async def test_one_of_them_is_read_without_its_depths(self, kube: Kube, server: ApiServer) -> None:
        server.answers = [(200, f'{{"before": 1, "deep": {self._nested(5_000)}, "after": "]"}}')]
        answer = await kube.get(PODS, "team", "load-1")
        assert (answer["before"], answer["after"]) == (1, "]")
        levels, value = 0, answer["deep"]
        while isinstance(value, dict):
            levels, value = levels + 1, value["a"]
        assert value is None
        assert levels > MAX_DEPTH, "it would be carried out without its depths"

    async def test_a_watch_goes_on_behind_one(self, kube: Kube, server: ApiServer) -> None:
        event = '{{"type": "ADDED", "object": {{"metadata": {{"uid": "{}", "resourceVersion": "2"}}, "spec": {}}}}}\n'
        server.answers = [(200, event.format(1, self._nested(300)) + event.format(2, self._nested(3)))]
        told = [item["object"]["metadata"]["uid"] async for item in kube.watch(RUNS, None, "1")]
        assert told == ["1", "2"]

    async def test_what_is_no_json_stays_none(self, kube: Kube, server: ApiServer) -> None:
        server.answers = [(200, self._nested(300)[:-9])]
        with pytest.raises(UnavailableError, match="not valid JSON"):
            await kube.get(PODS, "team", "load-1")


class TestRequestsThatMayBeDone:
    """A request whose answer was lost is repeated; what the repetition is answered with may be its own doing."""

    @pytest.mark.parametrize("lost", [0, 500, 503, 504])
    @pytest.mark.parametrize(("status", "reason"), [(409, "Conflict"), (409, "AlreadyExists"), (404, "NotFound")])
    async def test_a_refusal_behind_a_lost_answer_says_so(
        self, kube: Kube, server: ApiServer, lost: int, status: int, reason: str
    ) -> None:
        server.answers = [(lost, {}), (status, {"reason": reason})]
        with pytest.raises(KubeError) as raised:
            await kube.patch(RUNS, "team", "load", {}, "status")
        assert (raised.value.status, raised.value.may_be_done) == (status, True)

    @pytest.mark.parametrize("before", [[], [(429, {})], [(401, {})]])
    async def test_a_refusal_of_what_was_sent_once_or_refused_before_does_not(
        self, kube: Kube, server: ApiServer, tokens: Tokens, before: list[tuple[int, Any]]
    ) -> None:
        tokens.tokens.append("newer")
        server.answers = [*before, (409, {"reason": "Conflict"})]
        with pytest.raises(ConflictError) as raised:
            await kube.patch(RUNS, "team", "load", {}, "status")
        assert not raised.value.may_be_done

    @pytest.mark.parametrize(("status", "text"), [(0, ""), (503, "{}"), (200, "<html>")])
    async def test_no_usable_answer_at_all_says_so(self, kube: Kube, server: ApiServer, status: int, text: str) -> None:
        server.answers = [(status, text)] * 4
        with pytest.raises(UnavailableError) as raised:
            await kube.patch(RUNS, "team", "load", {}, "status")
        assert raised.value.may_be_done

    async def test_what_was_never_sent_is_not_done(self, observer: Observer, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(exchange, "_FIRST_PAUSE", 0.001)
        async with Kube(Access("http://127.0.0.1:9"), observer) as kube:
            with pytest.raises(UnavailableError) as raised:
                await kube.patch(RUNS, "team", "load", {}, "status")
        assert not raised.value.may_be_done


async def test_the_clock_is_told_which_connection_an_answer_came_over(
    kube: Kube, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of several API servers behind one address each has its own connections, and its own clock."""
    heard: list[str] = []
    monkeypatch.setattr(kube.clock, "answered", lambda _date, _asked_at, source: heard.append(source))
    for _ in range(2):
        await kube.get(PODS, "team", "load-1")
    await asyncio.gather(*(kube.get(PODS, "team", "load-1") for _ in range(3)))
    assert all(heard)
    assert heard[0] == heard[1], "a connection that is kept is one source"
    assert len(set(heard)) == 3
