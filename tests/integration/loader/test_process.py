"""The loader as a service: a real API server authenticates callers, others are rejected, and keys never leak."""

from __future__ import annotations

import asyncio
import signal
import socket
import uuid
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import pytest

from componentrun.errors import ComponentRunError, PlatformError, Reason, TransientError
from componentrun.storage.store.places import encode
from componentrun.wire import loaderaccess
from componentrun.wire.loader import FenceRequest, LoadRequest, PlanRequest
from dev.cluster import connection as cluster_connection
from tests.integration.loader.running import OPERATOR, OTHER, Loader
from tests.integration.loader.staging import Bench

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from componentrun.controller.storages.loaderclient import LoaderClient
    from componentrun.storage.store.settings import StoreSettings
    from componentrun.wire.loader import LoadAnswer
    from tests.integration.lake_space import LakeSpace

pytestmark = [pytest.mark.cluster, pytest.mark.store]

A = "out.c-main.a"
STORAGE = "team/main"


@pytest.fixture(scope="module")
def loader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loader]:
    running = Loader(cluster_connection.load(), tmp_path_factory.mktemp("loader"))
    running.start()
    yield running
    running.delete()


@pytest.fixture
def bench(lake_space: LakeSpace, tmp_path: Path) -> Bench:
    return Bench(lake_space, tmp_path)


def keys_of(settings: StoreSettings) -> list[str]:
    catalog = settings.catalog
    assert catalog is not None
    found = [settings.access_key, settings.secret_key, catalog.client_id, catalog.client_secret]
    return [key for key in found if key]


def test_a_run_is_loaded_planned_and_fenced(loader: Loader, bench: Bench) -> None:
    run = bench.new_run()
    request = bench.request(run, bench.table(run, A, ["id"], [["1"], ["2"]]))
    loaded = loader.ask(lambda client: client.load(request, STORAGE))
    assert [(table.table, table.rows) for table in loaded.tables] == [(A, 2)]
    again = loader.ask(lambda client: client.load(request, STORAGE))
    assert again.tables[0].snapshot == loaded.tables[0].snapshot, "once, however often it is asked for"
    plan = loader.ask(lambda client: client.plan(PlanRequest(request.storage, (A, "out.c-main.none")), STORAGE))
    assert ([scan.rows for scan in plan.tables], plan.missing) == ([2], ("out.c-main.none",))
    fence = loader.ask(lambda client: client.fence(FenceRequest(request.storage, run, 1, (A,)), STORAGE))
    assert fence.published
    other = bench.new_run()
    loader.ask(lambda client: client.fence(FenceRequest(request.storage, other, 1, (A,)), STORAGE))
    late = bench.request(other, bench.table(other, A, ["id"], [["3"]]))
    with pytest.raises(PlatformError) as caught:
        loader.ask(lambda client: client.load(late, STORAGE))
    assert not caught.value.unknown
    assert not [key for key in keys_of(bench.settings) if key in loader.log() + loader.metrics()]


async def load(request: LoadRequest, client: LoaderClient) -> LoadAnswer:
    return await client.load(request, STORAGE)


async def begun(running: Loader, asked: asyncio.Future[LoadAnswer]) -> None:
    """Wait until a load is in progress."""
    while 'in_progress{operation="load"} 1.0' not in await asyncio.to_thread(running.metrics):
        assert not asked.done(), asked
        await asyncio.sleep(0.005)


class TestStrangers:
    @pytest.mark.parametrize(
        ("account", "audiences"),
        [(OPERATOR, ()), (OTHER, (loaderaccess.AUDIENCE,)), ("default", (loaderaccess.AUDIENCE,)), ("default", ())],
        ids=["the operator's other token", "another account", "a pod's account", "a pod's own token"],
    )
    def test_a_token_that_is_not_the_operators_for_the_loader_is_refused(
        self, loader: Loader, bench: Bench, account: str, audiences: tuple[str, ...]
    ) -> None:
        run = bench.new_run()
        request = bench.request(run, bench.table(run, A, ["id"], [["1"]]))
        token = loader.token(account, *audiences)
        with pytest.raises(PlatformError, match="answers 401: show a token of") as caught:
            loader.ask(lambda client: client.load(request, STORAGE), token)
        assert caught.value.reason is Reason.LOADER_UNAVAILABLE
        assert bench.rows(A) is None
        assert token not in loader.log()

    @pytest.mark.parametrize("token", ["x", "x.y.z", "x" * 8000])
    def test_what_is_no_token_is_refused(self, loader: Loader, bench: Bench, token: str) -> None:
        request = PlanRequest(encode(bench.settings), (A,))
        with pytest.raises(PlatformError, match="answers 401"):
            loader.ask(lambda client: client.plan(request, STORAGE), token)

    def test_a_token_of_an_account_that_was_deleted_is_refused(self, loader: Loader, bench: Bench) -> None:
        account = f"gone-{uuid.uuid4().hex[:6]}"
        loader.core.create_namespaced_service_account(loader.namespace, {"metadata": {"name": account}})
        token = loader.token(account, loaderaccess.AUDIENCE)
        loader.core.delete_namespaced_service_account(account, loader.namespace)
        request = PlanRequest(encode(bench.settings), (A,))
        with pytest.raises(PlatformError, match="answers 401"):
            loader.ask(lambda client: client.plan(request, STORAGE), token)

    def test_plain_http_is_refused(self, loader: Loader) -> None:
        with socket.create_connection(("127.0.0.1", loader.port), timeout=10) as connection:
            connection.sendall(b"POST /v1/load HTTP/1.1\r\nHost: loader\r\nContent-Length: 0\r\n\r\n")
            answer = connection.recv(4096)
        assert not answer.startswith(b"HTTP/1.1 2")

    def test_health_and_metrics_ask_for_no_token_and_tell_no_names(self, loader: Loader, bench: Bench) -> None:
        told = loader.metrics()
        assert 'componentrun_loader_requests_total{operation="load",outcome="refused"}' in told
        assert bench.settings.prefix not in told
        assert A not in told


class TestKeys:
    """Keys are most likely to leak into log lines when a request fails."""

    @pytest.mark.parametrize("wrong", ["store", "catalog", "store key", "catalog secret", "bucket"])
    def test_what_is_wrong_with_a_storage_is_told_without_its_keys(
        self, loader: Loader, bench: Bench, wrong: str
    ) -> None:
        settings, catalog = bench.settings, bench.settings.catalog
        assert catalog is not None
        changed = {
            "store": replace(settings, endpoint="http://127.0.0.1:9"),
            "catalog": replace(settings, catalog=replace(catalog, uri="http://127.0.0.1:9", oauth2_server_uri="")),
            "store key": replace(settings, secret_key="wrong-secret-key-0123456789"),
            "catalog secret": replace(settings, catalog=replace(catalog, client_secret="wrong-secret-0123456789")),
            "bucket": replace(settings, bucket="there-is-none"),
        }[wrong]
        run = bench.new_run()
        table = bench.table(run, A, ["id"], [["1"]])
        request = replace(bench.request(run, table), storage=encode(changed))
        with pytest.raises(ComponentRunError) as caught:
            loader.ask(lambda client: client.load(request, STORAGE))
        told = loader.log() + loader.metrics() + caught.value.message
        assert run in loader.log(), "the failure is in the log"
        assert not [key for key in (*keys_of(settings), *keys_of(changed)) if key in told]

    def test_a_storage_that_is_no_storage_is_told_without_its_keys(self, loader: Loader, bench: Bench) -> None:
        run = bench.new_run()
        for odd in ({"secret_key": "a-secret-of-nowhere"}, encode(bench.settings) | {"a-secret-of-nowhere": 1}):
            request = LoadRequest(odd, run, 1, (bench.table(run, A, ["id"], [["1"]]),), "staging/", ("*",))
            with pytest.raises(ComponentRunError):
                loader.ask(partial(load, request))
        assert not [key for key in keys_of(bench.settings) if key in loader.log()]


class TestEnd:
    def test_at_sigterm_loads_in_progress_are_finished(self, bench: Bench, tmp_path: Path) -> None:
        running = Loader(cluster_connection.load(), tmp_path)
        try:
            running.start()
            run = bench.new_run()
            request = bench.request(run, bench.table(run, A, ["id"], [[str(n)] for n in range(20_000)], slices=4))

            async def load_and_end(client: LoaderClient) -> tuple[LoadAnswer, int | None]:
                asked = asyncio.ensure_future(client.load(request, STORAGE))
                await begun(running, asked)
                ended = asyncio.to_thread(running.end, signal.SIGTERM)
                return await asyncio.gather(asked, ended)

            loaded, code = running.ask(load_and_end)
            assert (loaded.tables[0].rows, code) == (20_000, 0)
            with pytest.raises(TransientError, match="did not answer") as caught:
                running.ask(lambda client: client.load(request, STORAGE))
            assert not caught.value.unknown, "nobody listens: nothing was sent"
        finally:
            running.delete()

    def test_a_loader_that_is_killed_leaves_it_open_and_the_next_one_finds_out(
        self, bench: Bench, tmp_path: Path
    ) -> None:
        running = Loader(cluster_connection.load(), tmp_path)
        try:
            running.start()
            run = bench.new_run()
            request = bench.request(run, bench.table(run, A, ["id"], [[str(n)] for n in range(20_000)], slices=4))

            async def load_and_kill(client: LoaderClient) -> ComponentRunError:
                asked = asyncio.ensure_future(client.load(request, STORAGE))
                await begun(running, asked)
                await asyncio.to_thread(running.end, signal.SIGKILL)
                with pytest.raises(TransientError) as caught:
                    await asked
                return caught.value

            assert running.ask(load_and_kill).unknown
            running.start()
            loaded = running.ask(lambda client: client.load(request, STORAGE))
            assert loaded.tables[0].rows == 20_000
            rows = bench.rows(A)
            assert rows is not None
            assert len(rows) == 20_000, "once"
        finally:
            running.delete()
