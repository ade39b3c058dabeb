"""Settings come from environment variables; what is wrong is named with its value and what was expected."""

from __future__ import annotations

from dataclasses import fields

import pytest

from componentrun.controller.lease import LeaseSettings
from componentrun.controller.settings import Settings, from_environment
from componentrun.core.lease.holder import HolderPod
from componentrun.core.lifecycle.observed import Limits
from componentrun.process.settings import SettingsError
from componentrun.storage.store.settings import StoreTimeouts

IMAGE = {"COMPONENTRUN_AGENT_IMAGE": "registry.example.com/agent:1"}


def test_only_the_image_is_required() -> None:
    assert from_environment(IMAGE) == Settings(agent_image="registry.example.com/agent:1")


def test_everything_can_be_set() -> None:
    found = from_environment(
        IMAGE
        | {
            "COMPONENTRUN_NAMESPACES": "team-a, team-b",
            "COMPONENTRUN_PORT": "9090",
            "COMPONENTRUN_HOST": "127.0.0.1",
            "COMPONENTRUN_PENDING_SECONDS": "15m",
            "COMPONENTRUN_UPLOAD_SECONDS": "90",
            "COMPONENTRUN_DNS_CIDRS": "169.254.20.10/32,fd00::/8",
            "COMPONENTRUN_LOG_LEVEL": "debug",
            "COMPONENTRUN_LOG_FORMAT": "TEXT",
            "COMPONENTRUN_MAX_RUNNING": "20",
            "COMPONENTRUN_WORKERS": "4",
            "COMPONENTRUN_STORE_CONNECT_SECONDS": "2s",
            "COMPONENTRUN_STORE_RESPONSE_SECONDS": "20",
            "COMPONENTRUN_LEASE": "system/operator",
            "COMPONENTRUN_LEASE_SECONDS": "30",
            "COMPONENTRUN_OPERATOR_NAME": "canary",
            "COMPONENTRUN_AGENT_MEMORY_LIMIT": "1Gi",
            "COMPONENTRUN_AGENT_PULL_SECRETS": "one,two",
        }
    )
    assert found.process.namespaces == ("team-a", "team-b")
    assert (found.process.host, found.process.port, found.workers) == ("127.0.0.1", 9090, 4)
    assert found.lease == LeaseSettings("system", "operator", 30)
    assert found.name == "canary"
    assert found.max_running == 20
    assert found.limits.pending == 900
    assert found.pod.upload_seconds == 90
    assert found.pod.agent_memory_limit == "1Gi"
    assert found.pod.agent_pull_secrets == ("one", "two")
    assert found.store_timeouts == StoreTimeouts(connect=2, response=20, request=120)
    assert found.dns_cidrs == ("169.254.20.10/32", "fd00::/8")
    assert (found.process.log_level, found.process.log_format) == ("DEBUG", "text")


@pytest.mark.parametrize("name", [item.name for item in fields(Limits)])
def test_every_limit_has_a_variable(name: str) -> None:
    found = from_environment(IMAGE | {f"COMPONENTRUN_{name.upper()}_SECONDS": "7"})
    assert getattr(found.limits, name) == 7


def test_an_empty_variable_is_an_unset_one() -> None:
    assert from_environment(IMAGE | {"COMPONENTRUN_PORT": " "}).process.port == 8080


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        ({"POD_NAME": "operator-0", "POD_UID": "5f0c"}, HolderPod("operator-0", "5f0c")),
        ({"POD_NAME": "operator-0"}, None),
        ({}, None),
    ],
)
def test_the_lease_knows_the_own_pod_only_by_name_and_uid(pod: dict[str, str], expected: HolderPod | None) -> None:
    given = {"COMPONENTRUN_LEASE": "system/operator", **{f"COMPONENTRUN_{name}": value for name, value in pod.items()}}
    lease = from_environment(IMAGE | given).lease
    assert lease is not None
    assert lease.pod == expected


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("PORT", "0", "a whole number from 1 to 65535"),
        ("PORT", "eight", "a whole number from 1 to 65535"),
        ("HOST", "localhost", "an IP address"),
        ("NAMESPACES", "Team", "`Team` can't be one"),
        ("PENDING_SECONDS", "soon", "seconds from 0"),
        ("PENDING_SECONDS", "-1", "seconds from 0"),
        ("UPLOAD_SECONDS", "1", "seconds from 2"),
        ("DNS_CIDRS", "10.0.0.1/8", "address blocks"),
        ("LEASE", "operator", "the Lease as `namespace/name`"),
        ("LEASE_SECONDS", "1", "seconds from 6"),
        ("POD_NAME", "a_b", "the name or the uid of the process's own pod"),
        ("OPERATOR_NAME", "A b", "a label value"),
        ("LOG_LEVEL", "LOUD", "one of DEBUG, INFO, WARNING, ERROR"),
        ("LOG_FORMAT", "xml", "one of json, text"),
        ("AGENT_CPU_REQUEST", "much", "a number with a unit"),
        ("WORKERS", "10000", "a whole number from 1 to 512"),
        ("STORE_RESPONSE_SECONDS", "0", "seconds from 1"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(name: str, value: str, expected: str) -> None:
    with pytest.raises(SettingsError) as caught:
        from_environment(IMAGE | {f"COMPONENTRUN_{name}": value})
    assert f"COMPONENTRUN_{name} is `{value}`: expected" in caught.value.message
    assert expected in caught.value.message


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        from_environment({"COMPONENTRUN_PORT": "x", "COMPONENTRUN_WORKERS": "y"})
    assert "COMPONENTRUN_AGENT_IMAGE is not set" in caught.value.message
    assert len(caught.value.message.splitlines()) == 4
