"""Network policies: made, trusted for a while, mended; and the store's addresses."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, cast

import pytest

from componentrun.api.component import Network
from componentrun.api.storage import Storage
from componentrun.controller.reconcile import policies as policies_module
from componentrun.controller.reconcile.policies import Policies, Resolver, endpoint_of
from componentrun.errors import TransientError
from componentrun.process.kubernetes.errors import AlreadyExistsError
from tests.unit.controller.fakekube import NAMESPACE, FakeKube, Writes

if TYPE_CHECKING:
    from componentrun.process.kubernetes.client import Kube

STORAGE = Storage.model_validate(
    {
        "metadata": {"name": "main", "namespace": NAMESPACE, "uid": "storage-uid"},
        "spec": {"bucket": "bucket", "endpoint": "http://store.test:9000"},
    }
)
URL = "http://store.test:9000"


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class FixedResolver(Resolver):
    """Knows one address, until it is told another."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses = ("192.0.2.7",)

    async def resolve(self, host: str, port: int) -> tuple[tuple[str, int], ...]:
        assert host == "store.test"
        return tuple((address, port) for address in self.addresses)


@pytest.fixture
def kube() -> FakeKube:
    return FakeKube(Writes())


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def resolver() -> FixedResolver:
    return FixedResolver()


@pytest.fixture
def policies(kube: FakeKube, resolver: FixedResolver, clock: Clock) -> Policies:
    return Policies(cast("Kube", kube), resolver, clock=clock)


class TestEnsure:
    async def test_a_class_has_one_policy_that_belongs_to_its_storage(self, policies: Policies, kube: FakeKube) -> None:
        for _ in range(3):
            await policies.ensure(Network(), STORAGE, URL)
        [found] = kube.of("networkpolicies")
        assert found["metadata"]["ownerReferences"][0]["uid"] == "storage-uid"
        assert "192.0.2.7/32" in str(found["spec"]["egress"])
        assert kube.writes.log == ["create networkpolicies"]

    async def test_each_class_has_its_own(self, policies: Policies, kube: FakeKube) -> None:
        await policies.ensure(Network(), STORAGE, URL)
        await policies.ensure(Network(mode="bridge"), STORAGE, URL)
        assert len(kube.of("networkpolicies")) == 2

    async def test_what_was_found_right_is_not_looked_at_for_a_minute(
        self, policies: Policies, kube: FakeKube, clock: Clock
    ) -> None:
        await policies.ensure(Network(), STORAGE, URL)
        name = kube.of("networkpolicies")[0]["metadata"]["name"]
        kube.remove("networkpolicies", NAMESPACE, name)
        await policies.ensure(Network(), STORAGE, URL)
        assert kube.of("networkpolicies") == []
        clock.now += 61
        await policies.ensure(Network(), STORAGE, URL)
        assert len(kube.of("networkpolicies")) == 1

    async def test_one_that_somebody_opened_is_closed_again(self, kube: FakeKube) -> None:
        await Policies(cast("Kube", kube), FixedResolver()).ensure(Network(), STORAGE, URL)
        wanted = kube.of("networkpolicies")[0]["spec"]
        name = kube.of("networkpolicies")[0]["metadata"]["name"]
        kube.change("networkpolicies", name, {"spec": {"egress": [{}]}})
        await Policies(cast("Kube", kube), FixedResolver()).ensure(Network(), STORAGE, URL)
        assert kube.of("networkpolicies")[0]["spec"] == wanted

    async def test_one_that_another_operator_made_and_that_is_collected_just_then_is_tried_again(
        self, policies: Policies, kube: FakeKube
    ) -> None:
        """It was an earlier Storage's of the name."""
        kube.refusals["create", "networkpolicies"] = [AlreadyExistsError("it exists", 409)]
        with pytest.raises(TransientError, match="others change network policy"):
            await policies.ensure(Network(), STORAGE, URL)
        await policies.ensure(Network(), STORAGE, URL)
        assert len(kube.of("networkpolicies")) == 1

    async def test_a_store_that_moves_is_followed_at_once(
        self, policies: Policies, kube: FakeKube, resolver: FixedResolver
    ) -> None:
        await policies.ensure(Network(), STORAGE, URL)
        resolver.addresses = ("192.0.2.7", "192.0.2.8")
        await policies.ensure(Network(), STORAGE, URL)
        assert "192.0.2.8/32" in str(kube.of("networkpolicies")[0]["spec"])

    async def test_what_the_api_server_leaves_out_makes_no_difference(self, kube: FakeKube) -> None:
        await Policies(cast("Kube", kube), FixedResolver()).ensure(Network(), STORAGE, URL)
        policy = kube.of("networkpolicies")[0]
        del policy["spec"]["ingress"]  # an empty list, which comes back as nothing
        await Policies(cast("Kube", kube), FixedResolver()).ensure(Network(), STORAGE, URL)
        assert kube.writes.log == ["create networkpolicies"]


class TestResolver:
    @pytest.fixture
    def answers(self, monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
        """What the next look-ups find."""
        waiting: list[set[str]] = []

        async def look_up(host: str, port: int) -> set[str]:
            assert (host, port) == ("store.test", 443)
            return waiting.pop(0)

        monkeypatch.setattr(policies_module, "_look_up", look_up)
        return waiting

    async def test_a_name_is_not_asked_for_every_run(self, answers: list[set[str]], clock: Clock) -> None:
        resolver = Resolver(clock)
        answers.append({"192.0.2.1"})
        for _ in range(3):
            assert await resolver.resolve("store.test", 443) == (("192.0.2.1", 443),)

    async def test_addresses_of_the_last_day_are_kept(self, answers: list[set[str]], clock: Clock) -> None:
        resolver = Resolver(clock)
        answers += [{"192.0.2.1"}, {"192.0.2.2"}, {"192.0.2.3"}]
        await resolver.resolve("store.test", 443)
        clock.now += 31
        assert await resolver.resolve("store.test", 443) == (("192.0.2.1", 443), ("192.0.2.2", 443))
        clock.now += 24 * 3600 - 10
        assert [address for address, _ in await resolver.resolve("store.test", 443)] == ["192.0.2.2", "192.0.2.3"]

    async def test_a_name_that_does_not_exist_is_said_clearly(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*_: Any, **__: Any) -> Any:
            raise socket.gaierror(-2, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", fail)
        with pytest.raises(TransientError, match=r"`nowhere\.test` can't be resolved"):
            await Resolver().resolve("nowhere.test", 443)


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("http://store.test", ("store.test", 80)),
        ("https://store.test", ("store.test", 443)),
        ("http://192.0.2.2:9000", ("192.0.2.2", 9000)),
        ("https://[2001:db8::1]:9000", ("2001:db8::1", 9000)),
    ],
)
def test_an_endpoint_has_a_host_and_a_port(url: str, endpoint: tuple[str, int]) -> None:
    assert endpoint_of(url) == endpoint
