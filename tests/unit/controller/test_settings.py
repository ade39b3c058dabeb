"""Settings come from environment variables; what is wrong is named with its value and what was expected."""

from __future__ import annotations

import re
from dataclasses import fields

import pytest

from componentrun.controller.lease import LeaseSettings
from componentrun.controller.settings import Settings
from componentrun.core.builds.settings import BuildSettings
from componentrun.core.lease.holder import HolderPod
from componentrun.core.lease.shard import WHOLE, Shard
from componentrun.core.limits import Limits
from componentrun.process.settings import SettingsError
from componentrun.storage.store.settings import StoreTimeouts
from tests.environment import settings_from

IMAGE = {"COMPONENTRUN_AGENT_IMAGE": "registry.example.com/agent:1"}


def test_only_the_image_is_required() -> None:
    assert settings_from(Settings, IMAGE) == Settings(agent_image="registry.example.com/agent:1")


def test_everything_can_be_set() -> None:
    found = settings_from(
        Settings,
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
        },
    )
    assert found.namespaces == ("team-a", "team-b")
    assert (found.host, found.port, found.workers) == ("127.0.0.1", 9090, 4)
    assert found.leader_election == LeaseSettings("system", "operator", 30)
    assert found.shard == WHOLE
    assert found.operator_name == "canary"
    assert found.max_running == 20
    assert found.limits.pending == 900
    assert found.pod.upload_seconds == 90
    assert found.pod.agent_memory_limit == "1Gi"
    assert found.pod.agent_pull_secrets == ("one", "two")
    assert found.store_timeouts == StoreTimeouts(connect=2, response=20, request=120)
    assert found.dns_cidrs == ("169.254.20.10/32", "fd00::/8")
    assert (found.log_level, found.log_format) == ("DEBUG", "text")


@pytest.mark.parametrize("name", [item.name for item in fields(Limits)])
def test_every_limit_has_a_variable(name: str) -> None:
    found = settings_from(Settings, IMAGE | {f"COMPONENTRUN_{name.upper()}_SECONDS": "7"})
    assert getattr(found.limits, name) == 7


def test_an_empty_variable_is_an_unset_one() -> None:
    assert settings_from(Settings, IMAGE | {"COMPONENTRUN_PORT": ""}).port == 8080


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
    lease = settings_from(Settings, IMAGE | given).leader_election
    assert lease is not None
    assert lease.pod == expected


SHARD = {
    "COMPONENTRUN_LEASE": "system/operator",
    "COMPONENTRUN_OPERATOR_SHARDS": "3",
    "COMPONENTRUN_OPERATOR_SHARD": "1",
}


def test_several_shards_need_a_lease() -> None:
    """Without one, operators of another number of shards would not be noticed."""
    with pytest.raises(SettingsError, match=r"LEASE is not set: .*as COMPONENTRUN_OPERATOR_SHARDS is more than 1"):
        settings_from(Settings, IMAGE | {"COMPONENTRUN_OPERATOR_SHARDS": "2"})


def test_a_shard_has_a_lease_of_its_own() -> None:
    found = settings_from(Settings, IMAGE | SHARD)
    assert found.shard == Shard(1, 3)
    assert found.leader_election is not None
    assert found.leader_election.name == "operator-1-of-3"


@pytest.mark.parametrize(
    ("given", "watched"),
    [
        ("", ()),
        ("team-2,team-b,team-1", ("team-b",)),
        ("team-1,team-2", ("team-1", "team-2")),  # it owns neither, and drops what it sees
    ],
)
def test_of_listed_namespaces_a_shard_watches_its_own(given: str, watched: tuple[str, ...]) -> None:
    found = settings_from(Settings, IMAGE | SHARD | {"COMPONENTRUN_NAMESPACES": given})
    assert found.watched_namespaces == watched


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("PORT", "-1", "a whole number from 0 to 65535"),
        ("PORT", "eight", "a whole number from 0 to 65535"),
        ("HOST", "localhost", "an IP address"),
        ("NAMESPACES", "Team", "names of namespaces"),
        ("PENDING_SECONDS", "soon", "or a number of seconds, from 0 to 604800"),
        ("PENDING_SECONDS", "-1", "or a number of seconds, from 0 to 604800"),
        ("UPLOAD_SECONDS", "1", "seconds, from 2"),
        ("DNS_CIDRS", "10.0.0.1/8", "address blocks"),
        ("LEASE", "operator", "the Lease as `namespace/name`"),
        ("LEASE_SECONDS", "1", "seconds, from 6"),
        ("OPERATOR_SHARDS", "0", "a whole number from 1 to 64"),
        ("OPERATOR_SHARD", "1", "less than COMPONENTRUN_OPERATOR_SHARDS (1)"),
        ("POD_NAME", "a_b", "the name or the uid of the process's own pod"),
        ("OPERATOR_NAME", "A b", "a label value"),
        ("LOG_LEVEL", "LOUD", "`DEBUG`, `INFO`, `WARNING` or `ERROR`"),
        ("LOG_FORMAT", "xml", "`json` or `text`"),
        ("AGENT_CPU_REQUEST", "much", "a number with a unit"),
        ("WORKERS", "10000", "a whole number from 1 to 512"),
        ("STORE_RESPONSE_SECONDS", "0", "seconds, from 1"),
    ],
)
def test_a_wrong_value_is_named_with_what_was_expected(name: str, value: str, expected: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settings_from(Settings, IMAGE | {f"COMPONENTRUN_{name}": value})
    assert re.search(rf"COMPONENTRUN_{name}( \(chart value `[\w.]+`\))? is `{value}`: expected", caught.value.message)
    assert expected in caught.value.message


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        settings_from(Settings, {"COMPONENTRUN_PORT": "x", "COMPONENTRUN_WORKERS": "y"})
    assert "COMPONENTRUN_AGENT_IMAGE (chart value `image`) is not set" in caught.value.message
    assert len(caught.value.message.splitlines()) == 4


BUILDS = {
    "COMPONENTRUN_BUILDS": "true",
    "COMPONENTRUN_BUILDS_NAMESPACE": "builds",
    "COMPONENTRUN_BUILDS_REPOSITORY": "registry.example.com/builds/",
}


def test_everything_about_builds_can_be_set() -> None:
    found = settings_from(
        Settings,
        IMAGE
        | BUILDS
        | {
            "COMPONENTRUN_AGENT_PULL_SECRETS": "agents",
            "COMPONENTRUN_BUILDS_PUSH_SECRET": "push",
            "COMPONENTRUN_BUILDS_GIT_HOSTS": "git.example.com, Git.example.com:8443",
            "COMPONENTRUN_BUILDS_PLATFORM": "linux/arm64",
            "COMPONENTRUN_BUILDS_CPU": "2",
            "COMPONENTRUN_BUILDS_MEMORY": "2Gi",
            "COMPONENTRUN_BUILDS_DISK": "8Gi",
            "COMPONENTRUN_REGISTRY_PLAIN_HTTP": "registry.example.com",
            "COMPONENTRUN_REGISTRY_CA_BUNDLE": "-----BEGIN CERTIFICATE-----",
        },
    )
    assert found.image_builds == BuildSettings(
        is_enabled=True,
        namespace="builds",
        repository="registry.example.com/builds",
        push_secret="push",
        builder_image="registry.example.com/agent:1",
        builder_pull_secrets=("agents",),
        git_hosts=("git.example.com", "git.example.com:8443"),
        platform="linux/arm64",
        cpu_limit="2",
        memory_limit="2Gi",
        disk_limit="8Gi",
        plain_http=("registry.example.com",),
        ca_bundle="-----BEGIN CERTIFICATE-----",
    )


def test_the_builder_may_have_an_image_of_its_own() -> None:
    found = settings_from(Settings, IMAGE | BUILDS | {"COMPONENTRUN_BUILDS_BUILDER_IMAGE": "registry.example.com/b:1"})
    assert found.image_builds.builder_image == "registry.example.com/b:1"


def test_builds_are_off_unless_they_are_enabled() -> None:
    found = settings_from(Settings, IMAGE).image_builds
    assert found == BuildSettings(builder_image="registry.example.com/agent:1")


@pytest.mark.parametrize("missing", ["COMPONENTRUN_BUILDS_NAMESPACE", "COMPONENTRUN_BUILDS_REPOSITORY"])
def test_builds_need_a_namespace_and_a_repository(missing: str) -> None:
    with pytest.raises(SettingsError) as caught:
        settings_from(Settings, IMAGE | BUILDS | {missing: ""})
    assert caught.value.message == (
        "the settings of the operator can't be used:\n"
        "  COMPONENTRUN_BUILDS (chart value `builds.enabled`) is `true`: "
        f"expected `false`, because {missing} must be set if images are built"
    )
