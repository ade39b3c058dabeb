"""The handlers as kopf calls them: by hand, and by kopf's own reactor without HTTP."""

from __future__ import annotations

import asyncio
import copy
import ssl
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import kopf
import pytest
from kopf._cogs.clients import patching, watching
from kopf._cogs.structs.references import Resource as KopfResource
from kopf._core.actions import lifecycles
from kopf._core.engines import daemons, indexing
from kopf._core.intents.causes import Activity
from kopf._core.reactor import inventory, processing, queueing

from componentrun.controller import handlers
from componentrun.controller.handlers import Context
from componentrun.controller.kopfstream import own_events_only
from componentrun.controller.metrics import Metrics
from componentrun.controller.reconcile.queues import Queues
from componentrun.controller.watching.caches import Caches, Key
from componentrun.controller.watching.resync import Relists
from componentrun.controller.work.queue import WorkQueue
from componentrun.core.lease.shard import Shard, shard_of
from componentrun.core.queue.admission import Queue
from componentrun.process.kubernetes.access.access import Access
from componentrun.process.kubernetes.access.credentials import Credential, FixedCredentials
from componentrun.process.kubernetes.client import Kube
from componentrun.process.kubernetes.resources import CLUSTER_COMPONENTS, COMPONENTS, RUNS, STORAGES
from tests.unit.controller import virtualtime

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from componentrun.core.queue.entry import Entry
    from componentrun.process.kubernetes.resources import Resource

KEY = Key("team", "load")


def an_object(version: int = 1, name: str = "load", **spec: Any) -> dict[str, Any]:
    metadata = {"namespace": "team", "name": name, "uid": name, "resourceVersion": str(version)}
    return {"metadata": metadata, "spec": spec}


class Checks:
    """In place of the checks of Storages: notes whose daemon runs."""

    def __init__(self) -> None:
        self.running: list[Key] = []
        self.defects = 0
        self.started = 0

    async def run(self, key: Key, uid: str) -> None:
        assert uid == key.name
        self.started += 1
        if self.defects:
            self.defects -= 1
            raise ZeroDivisionError
        self.running.append(key)
        try:
            await asyncio.Event().wait()
        finally:
            self.running.remove(key)


def a_context(caches: Caches | None = None) -> Context:
    return Context(cast("Any", None), caches or Caches(), WorkQueue(), Metrics(), cast("Any", Checks()), Relists())


async def queued(context: Context) -> list[Key]:
    keys = [await context.queue.get() for _ in range(len(context.queue))]
    for key in keys:
        context.queue.done(key)
    return keys


async def tell(context: Context, kind: str | None, run: dict[str, Any]) -> None:
    await handlers.run_event(event=cast("Any", {"type": kind, "object": run}), memo=context)


async def test_a_run_that_has_changed_is_queued_and_an_old_event_is_not() -> None:
    context = a_context()
    await tell(context, "ADDED", an_object(5))
    assert await queued(context) == [KEY]
    await tell(context, "MODIFIED", an_object(4))
    assert await queued(context) == []
    await tell(context, "DELETED", an_object(6))
    assert context.caches.runs.document(KEY) is None
    assert await queued(context) == [KEY]


async def test_a_component_and_a_storage_start_nothing() -> None:
    context = a_context()
    event: Any = {"type": "ADDED", "object": an_object()}
    await handlers.component_event(event=event, memo=context)
    await handlers.storage_event(event=event, memo=context)
    assert (len(context.caches.components), len(context.caches.storages)) == (1, 1)
    assert await queued(context) == []


async def test_an_error_about_one_run_stays_with_it_and_the_run_is_reconciled(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    context = a_context()
    queues = Queues(context.caches, context.queue.add)
    put = Queue.put

    def raises(queue: Queue, entry: Entry) -> set[str]:
        if entry.name == "bad":
            raise ZeroDivisionError
        return put(queue, entry)

    monkeypatch.setattr(Queue, "put", raises)
    await tell(context, "ADDED", an_object(2, "bad"))
    await tell(context, "ADDED", an_object(3, "next"))
    await tell(context, "DELETED", an_object(4, "bad"))
    assert context.caches.runs.document(Key("team", "next")) is not None
    assert queues.turn(Key("team", "next")).position == 1
    assert Key("team", "bad") in await queued(context)
    assert "componentruns team/bad can't be taken in" in caplog.text
    assert 'componentrun_watch_event_errors_total{resource="componentruns"} 1.0' in context.metrics.render().decode()


async def test_listed_objects_are_noticed_so_that_missed_deletions_are_looked_for() -> None:
    context = a_context()
    await tell(context, "ADDED", an_object(1))
    assert not context.relists._listed.is_set()
    await tell(context, None, an_object(2))
    assert context.relists._listed.is_set()


async def test_runs_of_other_shards_are_dropped_and_still_tell_of_a_listing() -> None:
    """A listing may contain runs of other shards only, because all of this shard's were deleted before it."""
    context = a_context(Caches(shard=Shard(1 - shard_of("team", 2), 2)))
    await tell(context, None, an_object(1))
    assert await queued(context) == []
    assert len(context.caches.runs) == 0
    assert context.relists._listed.is_set()


def test_a_listing_is_over_when_nothing_has_been_listed_for_a_while() -> None:
    async def scene() -> float:
        relists = Relists()
        waiting = asyncio.create_task(relists.wait())
        for _ in range(10):
            relists.note()
            await asyncio.sleep(1)
        await waiting
        return asyncio.get_running_loop().time()

    assert 10 < virtualtime.run(scene()) <= 13


async def test_kopf_writes_nothing_and_never_kills_the_process() -> None:
    settings = kopf.OperatorSettings()
    await handlers.configure(settings=settings, memo=a_context())
    assert settings.posting.enabled is False
    assert settings.scanning.disabled is True
    assert settings.peering.standalone is True
    assert settings.process.ultimate_exiting_timeout is None
    assert settings.persistence.diffbase_storage.fetch(body=cast("Any", {})) is None
    backoffs = iter(cast("Any", settings.networking.error_backoffs))
    assert [next(backoffs) for _ in range(100)][-1] == 3.0, "a request is retried without end"


async def logged_in(access: Access) -> kopf.ConnectionInfo:
    kube = Kube(access, Metrics())
    context = Context(kube, Caches(), WorkQueue(), Metrics(), cast("Any", Checks()), Relists())
    return await handlers.login(memo=context)


async def test_kopf_uses_the_proxy_of_the_operators_own_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://user:word@proxy.test:3128")
    monkeypatch.setenv("no_proxy", "direct.test")
    assert (await logged_in(Access("https://api.test"))).proxy_url == "http://user:word@proxy.test:3128"
    assert (await logged_in(Access("https://direct.test"))).proxy_url is None
    configured = Access("https://api.test", proxy_url="http://other.test")
    assert (await logged_in(configured)).proxy_url == "http://other.test"


async def test_kopf_uses_the_tls_settings_of_the_operators_own_client(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []

    def tls(access: Access, certificate: object) -> ssl.SSLContext:
        made.append((access.server, certificate))
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

    monkeypatch.setattr(Access, "tls", tls)
    (await logged_in(Access("https://api.test"))).as_ssl_context()
    assert made == [("https://api.test", None)]


async def test_a_credential_that_was_refused_is_equal_to_itself_for_kopf() -> None:
    """So kopf ends, and is started again after a pause, instead of trying the same one without a pause."""
    access = Access("https://api.test", FixedCredentials(Credential("token")))
    assert await logged_in(access) == await logged_in(access)
    other = Access("https://api.test", FixedCredentials(Credential("other")))
    assert await logged_in(access) != await logged_in(other)


def test_a_login_that_fails_is_tried_again_within_seconds() -> None:
    (login,) = kopf.get_default_registry()._activities.get_handlers(activity=Activity.AUTHENTICATION)
    assert login.backoff is not None
    assert login.backoff <= 3.0


def test_no_handler_makes_kopf_put_a_finalizer_on_an_object() -> None:
    registry = kopf.get_default_registry()
    spawning = registry._spawning.get_all_handlers()
    assert [handler.id for handler in spawning] == ["storage-checks"]
    assert not any(handler.requires_finalizer for handler in spawning)
    assert not registry._changing.get_all_handlers()


class Reactor:
    """Kopf's queues, workers and daemons over streams of events that a test sends."""

    def __init__(self, context: Context, settings: kopf.OperatorSettings) -> None:
        self.context = context
        self.memories = inventory.ResourceMemories()
        self._settings = settings
        self._streams: dict[str, asyncio.Queue[dict[str, Any]]] = {}

    def send(self, resource: Resource, kind: str | None, obj: dict[str, Any]) -> None:
        self._streams[resource.plural].put_nowait({"type": kind, "object": copy.deepcopy(obj)})

    async def stream(self, *, resource: KopfResource, **_: Any) -> AsyncIterator[dict[str, Any]]:
        while True:
            yield await self._streams[resource.plural].get()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tasks = []
        for resource in (RUNS, COMPONENTS, CLUSTER_COMPONENTS, STORAGES):
            self._streams[resource.plural] = asyncio.Queue()
            named = KopfResource(resource.group, resource.version, resource.plural, namespaced=True)
            process = partial(
                processing.process_resource_event,
                lifecycle=lifecycles.all_at_once,
                registry=kopf.get_default_registry(),
                settings=self._settings,
                indexers=indexing.OperatorIndexers(),
                memories=self.memories,
                memobase=cast("Any", self.context),
                resource=named,
                event_queue=asyncio.Queue(),
            )
            watcher = queueing.watcher(
                namespace=None, settings=self._settings, resource=named, processor=cast("Any", process)
            )
            tasks.append(asyncio.create_task(watcher))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            for memory in self.memories.iter_all_daemon_memories():
                for daemon in list(memory.running_daemons.values()):
                    reason = kopf.DaemonStoppingReason.OPERATOR_EXITING
                    await daemons.stop_daemon(settings=self._settings, daemon=daemon, reason=reason)


@pytest.fixture
def no_patches(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    patched = []

    async def patch(**arguments: Any) -> tuple[None, None]:
        patched.append(arguments["patch"])
        return None, None

    monkeypatch.setattr(patching, "patch_obj", patch)
    yield
    assert not patched, "kopf patches objects"


async def a_reactor(monkeypatch: pytest.MonkeyPatch, caches: Caches | None = None) -> Reactor:
    settings, context = kopf.OperatorSettings(), a_context(caches)
    await handlers.configure(settings=settings, memo=context)
    reactor = Reactor(context, settings)
    monkeypatch.setattr(watching, "infinite_watch", reactor.stream)
    return reactor


@pytest.mark.usefixtures("no_patches")
def test_events_reach_the_queue_through_kopf_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        reactor = await a_reactor(monkeypatch)
        async with reactor.running():
            reactor.send(RUNS, None, an_object(1))
            reactor.send(RUNS, "MODIFIED", an_object(2, later=True))
            await asyncio.sleep(1)
            assert await queued(reactor.context) == [KEY]
            assert b"later" in (reactor.context.caches.runs.document(KEY) or b"")
            reactor.send(RUNS, "DELETED", an_object(3))
            await asyncio.sleep(1)
            assert len(reactor.context.caches.runs) == 0
            assert not reactor.memories._items, "kopf keeps nothing of a run that was deleted"

    virtualtime.run(scene())


@pytest.mark.usefixtures("no_patches")
def test_kopf_keeps_a_task_for_a_run_that_changes_and_none_for_a_listed_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def workers() -> int:
        return sum(task.get_name().startswith("worker for") for task in asyncio.all_tasks())

    async def scene() -> None:
        reactor = await a_reactor(monkeypatch)
        async with reactor.running():
            reactor.send(RUNS, None, an_object(1))
            await asyncio.sleep(0.5)
            assert workers() == 0
            reactor.send(RUNS, "MODIFIED", an_object(2))
            await asyncio.sleep(4)
            assert workers() == 1
            await asyncio.sleep(4)
            assert workers() == 0

    virtualtime.run(scene())


@pytest.mark.usefixtures("no_patches")
def test_kopf_runs_a_daemon_for_each_storage_and_puts_no_finalizer_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        reactor = await a_reactor(monkeypatch)
        checks = cast("Checks", reactor.context.checks)
        async with reactor.running():
            for name in ("main", "other"):
                reactor.send(STORAGES, None, an_object(1, name))
            reactor.send(COMPONENTS, None, an_object(1))
            await asyncio.sleep(1)
            assert sorted(checks.running) == [Key("team", "main"), Key("team", "other")]
            reactor.send(STORAGES, "MODIFIED", an_object(2, "main", bucket="another"))
            await asyncio.sleep(1)
            assert checks.started == 2
        assert checks.running == [], "kopf ends its daemons when it ends"

    virtualtime.run(scene())


@pytest.mark.usefixtures("no_patches")
def test_a_storage_of_another_shard_gets_no_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        reactor = await a_reactor(monkeypatch, Caches(shard=Shard(1 - shard_of("team", 2), 2)))
        async with reactor.running():
            reactor.send(STORAGES, None, an_object(1, "main"))
            await asyncio.sleep(1)
            assert cast("Checks", reactor.context.checks).started == 0
            assert len(reactor.context.caches.storages) == 0

    virtualtime.run(scene())


@pytest.mark.usefixtures("no_patches")
def test_kopf_never_sees_the_objects_of_other_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """An event costs kopf most of what a run costs the operator, even if no handler is called."""

    async def scene() -> None:
        shard = Shard(1 - shard_of("team", 2), 2)
        reactor = await a_reactor(monkeypatch, Caches(shard=shard))
        relists = reactor.context.relists
        with own_events_only(shard, relists.note):
            async with reactor.running():
                reactor.send(RUNS, "BOOKMARK", {"metadata": {"resourceVersion": "1"}})
                reactor.send(RUNS, "ADDED", an_object(1))
                await asyncio.sleep(0.05)
                assert not relists._listed.is_set()
                reactor.send(RUNS, None, an_object(1))
                await asyncio.sleep(0.05)
                assert relists._listed.is_set(), "a listing may contain objects of other shards only"
                assert not reactor.memories._items
                namespace = next(name for name in ("team-a", "team-b") if shard.owns(name))
                own = an_object(2)
                own["metadata"]["namespace"] = namespace
                reactor.send(RUNS, "ADDED", own)
                await asyncio.sleep(1)
                assert await queued(reactor.context) == [Key(namespace, "load")]
        assert watching.infinite_watch == reactor.stream

    virtualtime.run(scene())


@pytest.mark.usefixtures("no_patches")
def test_kopf_starts_a_daemon_again_that_met_a_defect(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def scene() -> None:
        reactor = await a_reactor(monkeypatch)
        checks = cast("Checks", reactor.context.checks)
        checks.defects = 1
        async with reactor.running():
            reactor.send(STORAGES, None, an_object(1, "main"))
            await asyncio.sleep(1)
            assert checks.running == []
            await asyncio.sleep(15)
            assert checks.running == [Key("team", "main")]

    virtualtime.run(scene())
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.usefixtures("no_patches")
def test_a_storage_that_waits_for_another_ones_finalizer_is_not_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        reactor = await a_reactor(monkeypatch)
        async with reactor.running():
            storage = an_object(1, "main")
            reactor.send(STORAGES, None, storage)
            await asyncio.sleep(1)
            storage["metadata"] |= {
                "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["another.dev/x"], "resourceVersion": "2"
            }  # fmt: skip
            reactor.send(STORAGES, "MODIFIED", storage)
            await asyncio.sleep(700)
            assert cast("Checks", reactor.context.checks).running == []

    virtualtime.run(scene())
