"""Which Storage a run means, and what its Secret must hold."""

import base64
from typing import Any

import pytest

from componentrun.api.common import ObjectMeta
from componentrun.api.storage import Storage, StorageSpec
from componentrun.errors import Reason, UserError
from componentrun.storage.store.resource import choose, parse, settings_of


def storage(name: str = "main", **spec: Any) -> Storage:
    return Storage(
        metadata=ObjectMeta(name=name, namespace="team"), spec=StorageSpec.model_validate({"bucket": "tables", **spec})
    )


def secret(**values: str) -> dict[str, Any]:
    return {"data": {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}}


def test_the_named_one_is_taken_and_else_the_default() -> None:
    both = [storage("a"), storage("b", default=True)]
    assert choose(both, "a", "team").metadata.name == "a"
    assert choose(both, None, "team").metadata.name == "b"


@pytest.mark.parametrize(
    ("storages", "wanted", "reason", "message"),
    [
        ([], None, Reason.STORAGE_NOT_FOUND, r"\(found: none\)"),
        ([storage("a")], None, Reason.STORAGE_NOT_FOUND, r"`a`.*`default: true`"),
        ([storage("a")], "b", Reason.STORAGE_NOT_FOUND, r"no Storage `b` in namespace `team` \(found: `a`\)"),
        ([storage("a", default=True), storage("b", default=True)], None, Reason.INVALID_SPEC, "`a`, `b`"),
    ],
)
def test_no_choice_is_told_with_what_is_there(
    storages: list[Storage], wanted: str | None, reason: Reason, message: str
) -> None:
    with pytest.raises(UserError, match=message) as refused:
        choose(storages, wanted, "team")
    assert refused.value.reason == reason


def pasted(name: str, **spec: Any) -> dict[str, Any]:
    """A Storage whose endpoint was copied from a page: the API server's `\\s` is ASCII, and takes it."""
    return {
        "metadata": {"name": name, "namespace": "team"},
        "spec": {"bucket": "tables", "endpoint": "http://minio\u00a0.test", **spec},
    }


def test_one_that_can_not_be_read_keeps_nobody_from_another_one() -> None:
    there = [parse(pasted("a")), storage("b", default=True)]
    assert choose(there, "b", "team").metadata.name == choose(there, None, "team").metadata.name == "b"
    for wanted in ("a", None):
        with pytest.raises(
            UserError, match=r"Storage `a` can't be read by this release: `spec\.endpoint`: "
        ) as refused:
            choose([parse(pasted("a", default=True)), storage("b")], wanted, "team")
        assert refused.value.reason == Reason.INVALID_SPEC


def test_the_secret_becomes_keys_that_no_repr_shows() -> None:
    settings = settings_of(
        storage(credentials={"secretName": "keys"}), secret(accessKeyId="AK\n", secretAccessKey="hush-hush")
    )
    assert (settings.access_key, settings.secret_key) == ("AK", "hush-hush")
    assert "hush-hush" not in repr(settings)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (None, "`keys` of Storage `main` in namespace `team` does not exist. Create it"),
        (secret(accessKeyId="a"), r"lacks the key `secretAccessKey` \(it has: `accessKeyId`\)"),
        ({"data": {"accessKeyId": "%"}}, "not base64"),
    ],
)
def test_a_secret_that_will_not_do_is_named(given: dict[str, Any] | None, message: str) -> None:
    with pytest.raises(UserError, match=message) as refused:
        settings_of(storage(credentials={"secretName": "keys"}), given)
    assert refused.value.reason == Reason.SECRET_NOT_FOUND


def test_without_credentials_the_machines_own_identity_is_used() -> None:
    assert settings_of(storage(), None).access_key is None
