"""One of two operators works. How long nobody does is logged (`--log-cli-level=INFO`); who works then is asserted."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

import pytest

from e2e.cluster import waiting
from tests.integration.controller.seen import PodsSeen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from e2e.tenant import Tenant
    from tests.integration.controller.conftest import OperatorProcess

# An operator whose Lease is not renewed for some seconds ends, as it should; where others load the API server that
# is no wonder, and nobody starts it again here.
pytestmark = pytest.mark.disruptive

log = logging.getLogger(__name__)
WORDS = "id,text\n1,one\n2,two\n3,three\n"
COPY: dict[str, Any] = {
    "input": {"tables": [{"source": "in.c-main.words", "destination": "words.csv"}]},
    "output": {"tables": [{"source": "words.csv", "destination": "out.c-main.words", "incremental": True}]},
}


@pytest.fixture
def seen(tenant: Tenant) -> Iterator[PodsSeen]:
    with PodsSeen(tenant) as made:
        yield made


@pytest.fixture
def pair(tenant: Tenant, operator: OperatorProcess, second: OperatorProcess) -> tuple[OperatorProcess, OperatorProcess]:
    """The one that works, and the one that stands by; with the Lease as it is by default."""
    lease = {"COMPONENTRUN_LEASE": f"{tenant.namespace}/operator"}
    operator.start(**lease)
    operator.wait_ready()
    _wait_until_it_leads(operator)
    second.start(**lease)
    second.wait_ready()
    assert not _leads(second)
    return operator, second


def _leads(operator: OperatorProcess) -> bool:
    return 'leader_election_master_status{name="componentrun"} 1.0' in operator.ask("/metrics")[1]


def _wait_until_it_leads(operator: OperatorProcess) -> None:
    waiting.until(lambda: None if _leads(operator) else "stands by", what="the operator", timeout=120, every=0.02)


def test_after_a_kill_the_other_one_goes_on(
    tenant: Tenant, pair: tuple[OperatorProcess, OperatorProcess], submit: Any, seen: PodsSeen
) -> None:
    tenant.put_table("in.c-main.words", WORDS)
    first, other = pair
    names = [submit("copy", **COPY) for _ in range(3)]
    first.kill()
    began = time.monotonic()
    _wait_until_it_leads(other)
    log.info("failover after a kill: %.1f s", time.monotonic() - began)
    _ended_once(tenant, seen, names)


def test_after_a_clean_stop_the_other_one_goes_on_and_nothing_was_done_by_halves(
    tenant: Tenant, pair: tuple[OperatorProcess, OperatorProcess], submit: Any, seen: PodsSeen
) -> None:
    tenant.put_table("in.c-main.words", WORDS)
    first, other = pair
    names = [submit("copy", **COPY) for _ in range(3)]
    tenant.wait(names[0], lambda run: bool(run.get("status", {}).get("attempts")))
    began = time.monotonic()
    assert first.process is not None
    first.process.terminate()
    _wait_until_it_leads(other)
    log.info("failover after a clean stop: %.1f s", time.monotonic() - began)
    assert first.process.wait(timeout=60) == 0
    assert "in the middle of a run" not in first.log.read_text()
    _ended_once(tenant, seen, names)


def _ended_once(tenant: Tenant, seen: PodsSeen, names: list[str]) -> None:
    for name in names:
        status = tenant.wait(name)["status"]
        assert (status["phase"], len(status["attempts"])) == ("Succeeded", 1), status
        assert len(seen.of(name)) == 1
    assert len((tenant.table("out.c-main.words") or "").splitlines()) == 1 + 3 * len(names)
