"""The chart with several shards of the operator: `operator.shards`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from componentrun.controller.settings import MOST_SHARDS, Settings
from componentrun.core.lease.shard import Shard
from tests.environment import settings_from
from tests.packaging.charts import IMAGE, of_kind

if TYPE_CHECKING:
    from tests.packaging.charts import Chart

LABEL = "componentrun.dev/shard"


def operators(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [item for item in of_kind(documents, "Deployment") if part_of(item) == "operator"]


def part_of(item: dict[str, Any]) -> str:
    return str(item["metadata"]["labels"]["app.kubernetes.io/component"])


def settings_of(deployment: dict[str, Any]) -> Settings:
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return settings_from(Settings, {item["name"]: item["value"] for item in container["env"] if "value" in item})


@pytest.fixture(scope="module")
def documents(rendered: Chart) -> list[dict[str, Any]]:
    return rendered.render("operator.shards=3", "operator.replicas=2")


def test_each_shard_is_a_deployment_with_standbys_of_its_own(documents: list[dict[str, Any]]) -> None:
    found = operators(documents)
    name = "release-componentrun-operator"
    assert [item["metadata"]["name"] for item in found] == [f"{name}-{number}" for number in range(3)]
    assert [item["spec"]["replicas"] for item in found] == [2, 2, 2]
    assert {item["spec"]["template"]["spec"]["serviceAccountName"] for item in found} == {name}
    for number, item in enumerate(found):
        settings = settings_of(item)
        assert settings.shard == Shard(number, 3)
        assert settings.leader_election is not None
        assert settings.leader_election.name == f"{name}-{number}-of-3"


def test_no_deployment_selects_pods_of_another_one(documents: list[dict[str, Any]]) -> None:
    for number, item in enumerate(operators(documents)):
        labels = item["spec"]["template"]["metadata"]["labels"]
        selector = item["spec"]["selector"]["matchLabels"]
        assert labels[LABEL] == selector[LABEL] == str(number)
        assert selector.items() <= labels.items()
        (spread,) = item["spec"]["template"]["spec"]["topologySpreadConstraints"]
        assert spread["labelSelector"]["matchLabels"] == selector


def test_a_drained_node_takes_at_most_one_pod_of_each_shard(documents: list[dict[str, Any]]) -> None:
    budgets = [item for item in of_kind(documents, "PodDisruptionBudget") if part_of(item) == "operator"]
    assert [item["spec"]["selector"] for item in budgets] == [item["spec"]["selector"] for item in operators(documents)]
    assert {item["spec"]["maxUnavailable"] for item in budgets} == {1}
    assert {item["spec"]["unhealthyPodEvictionPolicy"] for item in budgets} == {"AlwaysAllow"}, "they do no work"


def test_a_single_operator_is_never_kept_from_being_drained(rendered: Chart) -> None:
    budgets = of_kind(rendered.render("operator.shards=2"), "PodDisruptionBudget")
    assert [part_of(item) for item in budgets] == []


def test_one_service_reaches_the_metrics_of_all_shards(documents: list[dict[str, Any]]) -> None:
    (service,) = [item for item in of_kind(documents, "Service") if part_of(item) == "operator"]
    assert LABEL not in service["spec"]["selector"]
    for item in operators(documents):
        assert service["spec"]["selector"].items() <= item["spec"]["template"]["metadata"]["labels"].items()


@pytest.mark.parametrize(("shards", "most"), [(1, 8), (2, 8), (12, 12)])
def test_shards_may_change_their_own_leases_and_those_of_other_numbers_and_no_others(
    rendered: Chart, shards: int, most: int
) -> None:
    """The old operators keep their rights while the number is changed."""
    (role,) = of_kind(rendered.render(f"operator.shards={shards}", "operator.replicas=2"), "Role")
    leases = [rule for rule in role["rules"] if rule["resources"] == ["leases"]]
    base = "release-componentrun-operator"
    names = {Shard(number, count).lease_name(base) for count in range(1, most + 1) for number in range(count)}
    restricted = {verb: set(rule.get("resourceNames", ())) for rule in leases for verb in rule["verbs"]}
    assert restricted == {"create": set(), "list": set(), "get": names, "patch": names}


def test_one_shard_is_named_as_before(rendered: Chart) -> None:
    (found,) = operators(rendered.render())
    assert found["metadata"]["name"] == "release-componentrun-operator"
    assert LABEL not in found["spec"]["selector"]["matchLabels"]
    assert settings_of(found).leader_election is None


def test_values_of_a_release_before_this_one_are_one_shard(rendered: Chart) -> None:
    """`helm upgrade --reuse-values` leaves new values unset."""
    assert operators(rendered.render("operator.shards=null")) == operators(rendered.render())


@pytest.mark.parametrize("shards", [0, MOST_SHARDS + 1])
def test_a_wrong_number_of_shards_is_refused(rendered: Chart, shards: int) -> None:
    assert "shards" in rendered.refusal(IMAGE, f"operator.shards={shards}")
