"""What a failed test's report says of its runs, where there is no API server to ask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import urllib3

from e2e.tenant.failure_report import add_runs, tenants_of
from e2e.tenant.tenant import Tenant

if TYPE_CHECKING:
    import pytest


@dataclass
class Holder:
    tenant: Any


def _tenant(name: str) -> Tenant:
    tenant = Tenant(Mock(), name)
    api = Mock()
    api.list_namespaced_custom_object.side_effect = urllib3.exceptions.HTTPError("connection refused")
    tenant.__dict__["custom"] = api  # in place of the client that would be made at first use
    return tenant


def _report(when: str, outcome: str) -> Any:
    return Mock(when=when, failed=outcome == "failed", sections=[])


def test_each_tenant_among_the_fixtures_counts_once() -> None:
    one, other = _tenant("one"), _tenant("other")
    fixtures = {"tenant": one, "place": Holder(one), "second": Holder(other), "images": {}, "held": Holder(None)}
    assert tenants_of(fixtures) == [one, other]


def test_where_nobody_answers_the_report_says_so_and_keeps_the_test_s_own_failure() -> None:
    item: pytest.Item = Mock(funcargs={"tenant": _tenant("one")})
    report = _report("call", "failed")
    add_runs(item, report)
    assert report.sections == [("runs of one", "could not be read: connection refused")]


def test_nothing_is_asked_where_a_test_passed_or_its_namespace_is_gone() -> None:
    item: pytest.Item = Mock(funcargs={"tenant": _tenant("one")})
    for report in (_report("call", "passed"), _report("teardown", "failed")):
        add_runs(item, report)
        assert report.sections == []
