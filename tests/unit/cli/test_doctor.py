"""`doctor`: what it finds, and what it says to do."""

from __future__ import annotations

import copy
import json
import sys
from typing import TYPE_CHECKING, Any

import pytest

from componentrun import __version__
from componentrun.api.crd import KINDS, crd
from componentrun.cli.errors import BadRequestError, EnvironmentFault
from componentrun.client.storage.store import Check
from componentrun.errors import PlatformError, Reason, UserError
from componentrun.process.kubernetes.resources import CRDS, DEPLOYMENTS
from componentrun.wire.loader import CatalogCheck

if TYPE_CHECKING:
    from collections.abc import Callable

    from componentrun.storage.store.settings import StoreSettings
    from tests.unit.cli.world import World

ESTABLISHED = {"conditions": [{"type": "Established", "status": "True"}]}


def deployment(part: str, *, version: str = __version__, available: int = 1) -> dict[str, Any]:
    labels = {
        "app.kubernetes.io/part-of": "componentrun",
        "app.kubernetes.io/component": part,
        "app.kubernetes.io/version": version,
    }
    metadata = {"name": f"componentrun-{part}", "namespace": "componentrun-system", "labels": labels}
    return {"metadata": metadata, "spec": {"replicas": 1}, "status": {"availableReplicas": available}}


@pytest.fixture
def healthy(world: World) -> World:
    """All is well."""
    for kind in KINDS:
        wanted = crd(kind)
        world.cluster.objects[CRDS.plural][wanted["metadata"]["name"]] = copy.deepcopy(wanted) | {"status": ESTABLISHED}
    for part in ("operator", "collector"):
        world.cluster.objects[DEPLOYMENTS.plural][f"componentrun-{part}"] = deployment(part)
    return world


def test_all_is_well(lake: World, monkeypatch: pytest.MonkeyPatch) -> None:
    finds(monkeypatch, CatalogCheck("connect", True, "it answers"))
    result = lake.run("doctor")
    assert result.exit_code == 0, result.stdout
    assert [line.partition(" ")[0] for line in result.stdout.splitlines()] == ["ok"] * 11
    assert result.stderr == "11 checks, none failed\n"


def cluster_away(world: World) -> None:
    world.cluster.problems["version"] = EnvironmentFault("the cluster does not answer", "check it")


def no_crd(world: World) -> None:
    del world.cluster.objects["customresourcedefinitions"]["storages.componentrun.dev"]


def old_crd(world: World) -> None:
    found = world.cluster.objects["customresourcedefinitions"]["storages.componentrun.dev"]
    del found["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["region"]


def no_operator(world: World) -> None:
    del world.cluster.objects["deployments"]["componentrun-operator"]


def operator_not_ready(world: World) -> None:
    world.cluster.objects["deployments"]["componentrun-operator"] = deployment("operator", available=0)


def other_release(world: World) -> None:
    world.cluster.objects["deployments"]["componentrun-collector"] = deployment("collector", version="0.0.9")


def sharded(world: World) -> None:
    one = world.cluster.objects["deployments"].pop("componentrun-collector")
    world.cluster.objects["statefulsets"]["componentrun-collector"] = one | {"spec": {"replicas": 3}}


def no_log_server(world: World) -> None:
    status = {"desiredNumberScheduled": 2, "numberAvailable": 0}
    world.cluster.objects["daemonsets"]["componentrun-node-logs"] = deployment("node-logs") | {"status": status}


def two_defaults(world: World) -> None:
    storages = world.cluster.objects["storages"]
    second = copy.deepcopy(storages["main"])
    second["metadata"]["name"] = "second"
    storages["second"] = second


def no_default(world: World) -> None:
    del world.cluster.objects["storages"]["main"]["spec"]["default"]


def no_storage(world: World) -> None:
    world.cluster.objects["storages"].clear()


def store_away(world: World) -> None:
    world.store.problem = PlatformError("the store did not answer", Reason.STORAGE_UNAVAILABLE)


def no_swap(world: World) -> None:
    world.store.checks.append(Check("compare and swap", "fail", "it ignores `If-Match`", "use another store"))


PROBLEMS: list[tuple[Callable[[World], None], str, int, str]] = [
    (cluster_away, "fail cluster: the cluster does not answer", 1, "check it"),
    (no_crd, "fail CRD storages.componentrun.dev: there is no", 1, ""),
    (old_crd, "warn CRD storages.componentrun.dev: its schema is not that of release", 0, "`helm upgrade` the release"),
    (no_operator, "fail operator: there is no Deployment", 1, "helm/componentrun/README.md"),
    (
        operator_not_ready,
        "fail operator: `componentrun-system/componentrun-operator` has 0 of 1",
        1,
        "describe deployment",
    ),
    (other_release, "warn collector: `componentrun-system/componentrun-collector` is release 0.0.9", 0, "same release"),
    (
        sharded,
        "warn collector: `componentrun-system/componentrun-collector` has 1 of 3",
        0,
        "describe statefulset componentrun-collector",
    ),
    (
        no_log_server,
        "fail node-logs: `componentrun-system/componentrun-node-logs` has 0 of 2",
        1,
        "describe daemonset componentrun-node-logs",
    ),
    (two_defaults, "fail Storage: 2 say `default: true`: main, second", 1, "Remove it from all but one"),
    (no_default, "warn Storage: none says `default: true`", 0, "Set `default: true`"),
    (no_storage, "fail Storage: there is none in namespace `team`", 1, "Create one"),
    (store_away, "fail Storage main: the store did not answer", 1, "--endpoint"),
    (no_swap, "fail Storage main, compare and swap: it ignores `If-Match`", 1, "use another store"),
]


@pytest.mark.parametrize(("spoil", "told", "code", "hint"), PROBLEMS, ids=lambda value: getattr(value, "__name__", ""))
def test_what_is_wrong_is_told_with_what_to_do(
    healthy: World, spoil: Callable[[World], None], told: str, code: int, hint: str
) -> None:
    spoil(healthy)
    result = healthy.run("doctor")
    assert result.exit_code == code
    lines = result.stdout.splitlines()
    (index,) = [i for i, line in enumerate(lines) if line.startswith(told)]
    assert hint in lines[index + 1] if hint else True


@pytest.fixture
def lake(healthy: World) -> World:
    """The Storage has a catalog."""
    healthy.cluster.objects["storages"]["main"]["spec"]["catalog"] = {
        "uri": "https://catalog.test",
        "warehouse": "lake",
    }
    return healthy


def finds(monkeypatch: pytest.MonkeyPatch, *checks: CatalogCheck) -> list[StoreSettings]:
    """Have the loader's code find this; what it is asked with."""
    asked: list[StoreSettings] = []

    def check_catalog(settings: StoreSettings) -> tuple[CatalogCheck, ...]:
        asked.append(settings)
        return checks

    monkeypatch.setattr("componentrun.loader.catalog.checking.check_catalog", check_catalog)
    return asked


def test_a_storage_without_a_catalog_is_a_warning(healthy: World) -> None:
    result = healthy.run("doctor")
    assert result.exit_code == 0
    assert "warn Storage main, catalog: it has no `spec.catalog`, so it keeps no tables" in result.stdout


def test_a_secret_of_the_catalog_that_is_missing_hides_nothing_of_the_bucket(
    lake: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def access() -> StoreSettings:
        raise UserError("Secret `lake` of the catalog of Storage `main` is not there", Reason.SECRET_NOT_FOUND)

    monkeypatch.setattr(lake.store, "catalog_access", access)
    result = lake.run("doctor")
    assert result.exit_code == 1
    assert "ok   Storage main, list: fine\n" in result.stdout
    assert "fail Storage main, catalog: Secret `lake` of the catalog" in result.stdout


def test_a_catalog_is_tried_as_the_loader_tries_it(lake: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = finds(
        monkeypatch,
        CatalogCheck("connect", True, "it answers"),
        CatalogCheck(
            "refuse stale commits", False, "two runs could mix", "use another catalog", "StaleCommitsAccepted"
        ),
        CatalogCheck("clean up", False, "could not drop `a`", "let it drop tables", "CatalogAccessDenied", False),
    )
    result = lake.run("doctor")
    assert result.exit_code == 1
    assert "ok   Storage main, catalog, connect: it answers\n" in result.stdout
    told = "fail Storage main, catalog, refuse stale commits: two runs could mix\n     hint: Use another catalog.\n"
    assert told in result.stdout
    assert "warn Storage main, catalog, clean up: could not drop `a`\n     hint: Let it drop tables.\n" in result.stdout
    assert [settings.catalog is not None for settings in asked] == [True]


@pytest.mark.parametrize(("allowed", "state"), [(False, "warn"), (True, "ok")])
def test_a_catalog_that_commits_one_table_at_a_time_is_a_warning_unless_that_is_allowed(
    lake: World, monkeypatch: pytest.MonkeyPatch, allowed: bool, state: str
) -> None:
    finds(monkeypatch, CatalogCheck("commit several", False, "it can't", "set `allowNonAtomic`", "NonAtomic", False))
    lake.cluster.objects["storages"]["main"]["spec"]["allowNonAtomic"] = allowed
    result = lake.run("doctor")
    assert result.exit_code == 0
    assert f"{state:5}Storage main, catalog, commit several: it can't\n" in result.stdout
    assert ("hint: Set `allowNonAtomic`" in result.stdout) is not allowed


def test_a_catalog_that_is_away_may_have_another_address_outside_the_cluster(
    lake: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    finds(monkeypatch, CatalogCheck("connect", False, "it does not answer", "look at it", "CatalogUnavailable"))
    result = lake.run("doctor", "-o", "json")
    (found,) = [check for check in json.loads(result.stdout) if check["what"] == "Storage main, catalog, connect"]
    assert found["state"] == "fail"
    assert found["advice"].startswith("Look at it. ")
    assert "`COMPONENTRUN_CATALOG_URI`" in found["advice"]


def test_without_what_reads_catalogs_it_says_how_to_install_it(lake: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "componentrun.loader.catalog.checking", raising=False)
    monkeypatch.setitem(sys.modules, "pyiceberg.schema", None)
    result = lake.run("doctor")
    assert result.exit_code == 0
    assert "warn Storage main, catalog: it was not tried from here" in result.stdout
    assert "hint: Install it: `pip install 'componentrun[loader]'`" in result.stdout


@pytest.mark.parametrize(
    ("status", "reason", "state"),
    [("True", "CatalogReady", "ok"), ("False", "NonAtomic", "warn"), ("Unknown", "NoLoader", "fail"),
     ("False", "StaleCommitsAccepted", "fail")],
)  # fmt: skip
def test_what_the_operator_found_out_about_the_catalog_is_told(
    lake: World, monkeypatch: pytest.MonkeyPatch, status: str, reason: str, state: str
) -> None:
    finds(monkeypatch, CatalogCheck("connect", True, "it answers"))
    condition = {"type": "Catalog", "status": status, "reason": reason, "message": "What it found."}
    lake.cluster.objects["storages"]["main"]["status"] = {"conditions": [condition]}
    result = lake.run("doctor")
    assert result.exit_code == (1 if state == "fail" else 0)
    assert f"{state:5}Storage main, catalog as the operator sees it: {reason}: What it found.\n" in result.stdout


def test_a_loader_without_a_pod_is_told(healthy: World) -> None:
    healthy.cluster.objects[DEPLOYMENTS.plural]["componentrun-loader"] = deployment("loader", available=0)
    result = healthy.run("doctor")
    assert result.exit_code == 1
    assert "fail loader: `componentrun-system/componentrun-loader` has 0 of 1" in result.stdout


def test_without_the_right_to_see_deployments_they_are_unknown_not_missing(healthy: World) -> None:
    real = healthy.cluster.list

    def refuse(what: Any, **more: Any) -> Any:
        if what is DEPLOYMENTS:
            raise BadRequestError("you are not allowed to list `deployments.apps`", "ask")
        return real(what, **more)

    healthy.cluster.list = refuse  # type: ignore[method-assign]  # the fault of this test
    result = healthy.run("doctor")
    assert result.exit_code == 0
    assert "warn operator: can't tell: you are not allowed to list `deployments.apps`" in result.stdout


def test_for_programs_every_check_is_an_object(healthy: World) -> None:
    no_operator(healthy)
    result = healthy.run("doctor", "-o", "json")
    found = {check["what"]: check["state"] for check in json.loads(result.stdout)}
    assert (result.exit_code, found["operator"], found["collector"]) == (1, "fail", "ok")
