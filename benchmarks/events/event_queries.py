"""Finding events among those of 100,000 runs."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from typing import TYPE_CHECKING, Final

from benchmarks.events import event_history
from benchmarks.harness.interleave import figures, interleave
from componentrun.storage.events.query import EventQuery, last_events
from componentrun.storage.store.connection import open_store
from e2e.tenant.tenant import CREDENTIALS

if TYPE_CHECKING:
    from benchmarks.harness.interleave import Measure
    from benchmarks.harness.testbed import Testbed
    from benchmarks.report.results import Figure
    from componentrun.storage.store.settings import StoreSettings
    from e2e.tenant import Tenant

__all__ = ["last"]

_PREFIX: Final = "benchmarks/events"
_LAST: Final = 100


def last(testbed: Testbed, repeats: int) -> list[Figure]:
    """The last 100 matching events, over a new connection and with the command line."""
    with testbed.tenant("bench") as tenant:
        settings = dataclasses.replace(tenant.settings, prefix=_PREFIX)
        event_history.keep_or_make(settings)
        tenant.apply("Storage", "many", _storage(tenant))
        busy, quiet = event_history.BUSY, event_history.QUIET
        values = interleave(
            [
                _query("events.last.configuration", settings, EventQuery(*busy)),
                _query("events.last.small-configuration", settings, EventQuery(*quiet)),
                _query("events.last.component", settings, EventQuery(quiet[0])),
                _query("events.last.all", settings, EventQuery()),
                _query("events.last.errors", settings, EventQuery(*busy, types=frozenset({"error"}))),
                _command("events.last.command", tenant, *busy),
            ],
            repeats,
        )
    return figures(values, "s")


def _storage(tenant: Tenant) -> dict[str, object]:
    connection = tenant.connection
    return {
        "endpoint": connection.store_endpoint,
        "bucket": connection.store_bucket,
        "prefix": _PREFIX,
        "region": connection.store_region,
        "credentials": {"secretName": CREDENTIALS},
        "events": {"keep": "forever"},
    }


def _query(name: str, settings: StoreSettings, query: EventQuery) -> Measure:
    def measure() -> dict[str, float]:
        started = time.monotonic()
        found = asyncio.run(last_events(open_store(settings), query, _LAST))
        seconds = time.monotonic() - started
        assert len(found) == _LAST, f"{name}: {len(found)} events"
        return {name: seconds}

    return measure


def _command(name: str, tenant: Tenant, component: str, configuration: str) -> Measure:
    def measure() -> dict[str, float]:
        started = time.monotonic()
        done = tenant.cli(
            "events", "--component", component, "--configuration", configuration, "--storage", "many", "-o", "json"
        )
        seconds = time.monotonic() - started
        assert done.stdout.count("\n") == _LAST, done
        return {name: seconds}

    return measure
