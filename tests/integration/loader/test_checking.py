"""Catalog checks, on a real catalog, with and without a gateway that makes it unsuitable for runs."""

from __future__ import annotations

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from componentrun.loader.catalog import checking
from componentrun.loader.catalog.checking import check_catalog
from componentrun.storage.store.connection import open_store
from componentrun.wire.loader import CatalogReason
from dev.cluster.stores import catalog as catalogs
from tests.integration.loader.gateway import Answer, Gateway, Seen
from tests.integration.loader.staging import Bench

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from componentrun.storage.store.settings import StoreSettings
    from componentrun.wire.loader import CatalogCheck
    from tests.integration.lake_space import LakeSpace

pytestmark = pytest.mark.store

NAMES = [
    "connect", "create tables", "read and write files", "commit several tables at once", "refuse stale commits",
    "clean up",
]  # fmt: skip


class Place:
    """A Storage with a direct connection to its catalog, and one through a gateway."""

    def __init__(self, space: LakeSpace, scratch: Path, gateway: Gateway) -> None:
        self.bench = Bench(space, scratch)
        self.gateway = gateway
        self.straight = self.bench.settings
        self.behind = self.with_catalog(uri=gateway.url)

    def with_catalog(self, **changed: str) -> StoreSettings:
        assert self.straight.catalog is not None
        # The token endpoint is the catalog's own.
        return replace(self.straight, catalog=replace(self.straight.catalog, oauth2_server_uri="", **changed))

    def namespaces(self) -> list[str]:
        return [name for name in self.bench.catalog.namespaces() if name.startswith(self.bench.catalog.prefix)]

    def left(self) -> list[str]:
        """Existing namespaces and table files."""

        async def files() -> list[str]:
            bucket = replace(self.straight, bucket="lake", prefix="")
            return [
                info.key
                async for info in open_store(bucket).objects("")
                if info.key.startswith(self.bench.catalog.prefix)
            ]

        return [*self.namespaces(), *asyncio.run(files())]


@pytest.fixture
def place(lake_space: LakeSpace, tmp_path: Path) -> Iterator[Place]:
    with Gateway(lake_space.catalog.uri) as gateway:
        yield Place(lake_space, tmp_path, gateway)


def failed(checks: tuple[CatalogCheck, ...]) -> CatalogCheck:
    """The only failed check."""
    (found,) = [check for check in checks if not check.ok]
    assert found.hint
    return found


def test_the_catalog_of_the_cluster_is_fit_and_nothing_of_the_check_is_left(place: Place) -> None:
    checks = check_catalog(place.straight)
    assert [(check.name, check.ok) for check in checks] == [(name, True) for name in NAMES], checks
    assert all(check.detail and not check.hint and not check.reason for check in checks)
    assert place.left() == []


def test_checks_at_the_same_time_do_not_disturb_each_other(place: Place) -> None:
    with ThreadPoolExecutor(4) as pool:
        for checks in pool.map(check_catalog, [place.straight] * 8):
            assert all(check.ok for check in checks), checks
    assert place.left() == []


def test_wrong_credentials_are_told(place: Place) -> None:
    found = failed(check_catalog(place.with_catalog(client_secret="wrong")))
    assert (found.name, found.reason) == ("connect", CatalogReason.ACCESS_DENIED)
    assert "wrong" not in found.detail


def test_a_missing_right_to_create_is_told(place: Place) -> None:
    def forbid(seen: Seen) -> Answer | None:
        return Answer(403) if seen.method == "POST" and seen.path.endswith("/namespaces") else None

    place.gateway.before = forbid
    checks = check_catalog(place.behind)
    assert (failed(checks).name, failed(checks).reason) == ("create tables", CatalogReason.ACCESS_DENIED)
    assert [check.name for check in checks] == ["connect", "create tables", "clean up"]


def test_a_catalog_that_answers_401_behind_its_login_is_told(place: Place) -> None:
    place.gateway.before = lambda seen: Answer(401) if "oauth" not in seen.path else None
    found = failed(check_catalog(place.behind))
    assert (found.name, found.reason) == ("connect", CatalogReason.ACCESS_DENIED)


def test_something_that_is_no_catalog_is_told(place: Place) -> None:
    place.gateway.before = lambda _: Answer(200, b"<html>Welcome</html>", (("Content-Type", "text/html"),))
    found = failed(check_catalog(place.behind))
    assert (found.name, found.reason) == ("connect", CatalogReason.UNAVAILABLE)


@pytest.mark.parametrize(("where", "at"), [("", "connect"), ("/transactions/commit", "commit several tables at once")])
def test_a_catalog_that_hangs_is_told_in_time(
    place: Place, monkeypatch: pytest.MonkeyPatch, where: str, at: str
) -> None:
    monkeypatch.setattr(checking, "_ANSWER_SECONDS", 5.0)  # enough for the steps before, and a busy catalog
    released = threading.Event()

    def hang(seen: Seen) -> Answer | None:
        if not seen.path.endswith(where):
            return None
        released.wait(60)
        return Answer(503)

    place.gateway.before = hang
    try:
        found = failed(check_catalog(place.behind))
    finally:
        released.set()
    assert (found.name, found.reason) == (at, CatalogReason.UNAVAILABLE)
    assert place.left() == []


def test_a_commit_of_which_nobody_knows_is_told_and_cleaned_up(place: Place) -> None:
    place.gateway.after = lambda seen, answer: Answer(502) if seen.is_commit else answer
    found = failed(check_catalog(place.behind))
    assert (found.name, found.reason) == ("commit several tables at once", CatalogReason.UNAVAILABLE)
    assert "did not say whether a commit was applied (HTTP 502" in found.detail
    assert place.left() == []


@pytest.mark.parametrize("status", [404, 405, 501])
def test_a_catalog_without_commits_of_several_tables_can_be_used_for_one_at_a_time(place: Place, status: int) -> None:
    place.gateway.before = lambda seen: Answer(status) if seen.path.endswith("/transactions/commit") else None
    checks = check_catalog(place.behind)
    found = failed(checks)
    assert (found.name, found.reason, found.serious) == (NAMES[3], CatalogReason.NON_ATOMIC, False)
    assert [check.name for check in checks] == NAMES
    assert place.left() == []


def without_requirements(seen: Seen) -> None:
    """Remove the requirements from a commit. The body keeps its length, because Content-Length was already sent."""
    if seen.is_commit:
        document = json.loads(seen.body)
        for change in document.get("table-changes", [document]):
            change["requirements"] = []
        object.__setattr__(seen, "body", json.dumps(document).encode().ljust(len(seen.body)))


@pytest.mark.parametrize("alone", [False, True])
def test_a_catalog_that_ignores_what_a_commit_rests_on_is_unfit(place: Place, alone: bool) -> None:
    def ignore(seen: Seen) -> Answer | None:
        if alone and seen.path.endswith("/transactions/commit"):
            return Answer(404)
        return without_requirements(seen)

    place.gateway.before = ignore
    (found,) = [check for check in check_catalog(place.behind) if not check.ok and check.serious]
    assert (found.name, found.reason) == ("refuse stale commits", CatalogReason.STALE_COMMITS)
    assert found.detail == "it does not refuse stale commits: two runs could mix"
    assert place.left() == []


def test_a_catalog_that_refuses_a_commit_and_applies_half_of_it_is_unfit(place: Place) -> None:
    def half(seen: Seen, answer: Answer) -> Answer:
        if answer.status == 409 and seen.path.endswith("/transactions/commit"):
            change = json.loads(seen.body)["table-changes"][0]
            where = change["identifier"]
            with catalogs.client(place.bench.space.catalog) as client:
                path = client.path("namespaces", where["namespace"][0], "tables", where["name"])
                client.ask("POST", path, change)
        return answer

    place.gateway.after = half
    found = failed(check_catalog(place.behind))
    assert (found.name, found.reason) == ("refuse stale commits", CatalogReason.STALE_COMMITS)
    assert "changed a table anyway" in found.detail
    assert place.left() == []


def test_a_catalog_that_confirms_what_it_does_not_do_is_unfit(place: Place) -> None:
    place.gateway.before = lambda seen: Answer(204, b"") if seen.path.endswith("/transactions/commit") else None
    found = failed(check_catalog(place.behind))
    assert (found.name, found.reason) == ("commit several tables at once", CatalogReason.UNFIT)
    assert place.left() == []


def test_keys_that_can_not_write_files_of_tables_are_told(place: Place) -> None:
    checks = check_catalog(replace(place.straight, secret_key="wrong"))
    found = next(check for check in checks if not check.ok)
    assert (found.name, found.reason) == ("read and write files", CatalogReason.FILES_UNREACHABLE)
    assert place.namespaces() == []


def test_what_a_killed_check_left_is_taken_away_later_and_one_in_progress_is_not(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(checking._Trial, "cleans_up", lambda _: "killed")
        check_catalog(place.straight)
    (namespace,) = place.namespaces()
    assert all(check.ok for check in check_catalog(place.straight))
    assert place.namespaces() == [namespace]
    later = datetime.now(UTC) + timedelta(hours=2)
    checking._take_away_left(place.bench.catalog, place.bench.catalog.namespaces(), later)
    assert place.left() == []
