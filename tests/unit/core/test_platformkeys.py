"""The platform's own keys are no parameters."""

from __future__ import annotations

from typing import Any

import pytest

from componentrun.api.componentrun import ComponentRunSpec
from componentrun.core.request.platformkeys import check_secrets
from componentrun.errors import Reason, UserError
from tests.unit.core.make import make_component, make_storage

CATALOG = {"uri": "https://c.test", "warehouse": "w"}
STORAGES = [
    make_storage("main", credentials={"secretName": "store-keys"}),
    make_storage("plain"),
    make_storage("told", events={"webhook": {"url": "https://a.test", "secretName": "signing"}}),
    make_storage("sent", events={"otlp": {"endpoint": "https://b.test", "headersSecretName": "headers"}}),
    make_storage("lake", catalog={**CATALOG, "credentials": {"secretName": "catalog-keys"}}),
    make_storage("open", catalog=CATALOG),
    make_storage("bare", events={"otlp": {"endpoint": "https://b.test"}, "keep": "30d"}),
]


def spec(*secrets: str) -> ComponentRunSpec:
    references: list[dict[str, Any]] = [
        {"path": f"#{name}", "secretKeyRef": {"name": name, "key": "value"}} for name in secrets
    ]
    return ComponentRunSpec.model_validate({"image": "a:1", "configuration": {"secrets": references}})


@pytest.mark.parametrize(
    ("secret", "storage"),
    [("store-keys", "main"), ("signing", "told"), ("headers", "sent"), ("catalog-keys", "lake")],
)
def test_what_a_storage_uses_itself_is_refused_and_named(secret: str, storage: str) -> None:
    with pytest.raises(UserError) as refusal:
        check_secrets(spec("login", secret), None, STORAGES)
    assert refusal.value.reason is Reason.INVALID_SPEC
    assert refusal.value.message.startswith(f"spec.configuration.secrets[1].secretKeyRef.name: Secret `{secret}` ")
    assert f"Storage `{storage}`" in refusal.value.message


def test_all_others_may_be_parameters() -> None:
    check_secrets(spec("login", "keys"), None, STORAGES)
    check_secrets(spec(), None, STORAGES)
    check_secrets(spec("store-keys"), None, [])


def test_those_of_a_component_are_refused_as_well() -> None:
    component = make_component(imageParameterSecrets={"#key": {"name": "store-keys", "key": "value"}})
    with pytest.raises(UserError, match=r"spec.imageParameterSecrets\[`#key`\].name: Secret `store-keys` holds"):
        check_secrets(spec(), component, STORAGES)
