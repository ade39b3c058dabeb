"""What requests to receivers look like, against what the specifications say."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun.api.storage import StorageOtlp, StorageWebhook
from componentrun.collector.forward import cloudevents, otlp
from componentrun.collector.forward.message import Message
from componentrun.collector.forward.receivers import otlp_receiver, webhook_receiver
from componentrun.errors import UserError
from componentrun.storage.events.events import Event
from tests.unit.collector.forward.receiver import KEY, OTHER, SECRET, secret


def message(seq: int = 1, *, kind: str = "info", source: str = "operator", run: str = "uid", **params: Any) -> Message:
    event = Event(
        f"{run}-{seq}", seq, "2026-11-24T08:00:00.123456789Z", run, "reg/b:1", "č", kind, f"message {seq}",  # type: ignore[arg-type]
        params, None, source, 1,
    )  # fmt: skip
    return Message(event, "team", "clean-7")


def test_a_cloud_event_has_what_the_specification_requires() -> None:
    (event,) = json.loads(cloudevents.batch([message(phase="Running", image="i")]))
    required = {"id": "uid-1", "source": "/namespaces/team/componentruns/clean-7", "specversion": "1.0",
                "type": "dev.componentrun.run.running"}  # fmt: skip
    assert {name: event[name] for name in required} == required
    assert (event["time"], event["subject"]) == ("2026-11-24T08:00:00.123456789Z", "clean-7")
    assert all(name.isascii() and name.isalnum() and name.islower() for name in event)
    assert event["datacontenttype"] == "application/json"
    data = event["data"]
    assert (data["message"], data["params"]["image"], data["runName"], data["seq"]) == ("message 1", "i", "clean-7", 1)


@pytest.mark.parametrize(
    ("told", "kind"),
    [
        (message(phase="Queued"), "queued"),
        (message(phase="Failed", kind="error"), "failed"),
        (message(phase="Succeeded", kind="success"), "succeeded"),
        (message(phase="Running", kind="warn"), "notice"),
        (message(phase=7), "notice"),
        (message(kind="warn"), "notice"),
    ],
)
def test_the_type_says_which_phase_was_reached(told: Message, kind: str) -> None:
    (event,) = json.loads(cloudevents.batch([told]))
    assert event["type"] == f"dev.componentrun.run.{kind}"


def test_the_signature_is_that_of_the_specification() -> None:
    body = b'{"test": 2432232314}'
    signed = cloudevents.signature(KEY, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body)
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@given(st.lists(st.integers(1, 99), min_size=1, max_size=5), st.floats(0, 2e9), st.sampled_from([(KEY,), (KEY, OTHER)]))
def test_a_receiver_can_verify_the_signature_with_any_of_the_keys(
    seqs: list[int], now: float, keys: tuple[bytes, ...]
) -> None:
    messages = [message(seq) for seq in seqs]
    body = cloudevents.batch(messages)
    headers = cloudevents.sign(messages, body, keys, now)
    for key in keys:
        content = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body])
        expected = base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode()
        assert f"v1,{expected}" in headers["webhook-signature"].split(" ")
    assert headers["webhook-timestamp"] == str(int(now))
    again = cloudevents.sign(messages, body, keys, now + 60)
    assert again["webhook-id"] == headers["webhook-id"], "the same events are the same message"


LONG = f"whsec_{base64.b64encode(bytes(65)).decode()}"


@pytest.mark.parametrize(
    "wrong", ["", "   ", "hunter2", "whsec_c2hvcnQ=", f"{SECRET} other", "whsec_é", LONG, SECRET.removeprefix("whsec_")]
)
def test_a_secret_that_is_none_is_refused_without_being_shown(wrong: str) -> None:
    with pytest.raises(UserError) as refused:
        cloudevents.keys_of(wrong, "key `secret` of Secret `hook`")
    assert "key `secret` of Secret `hook` has no key" in refused.value.message
    assert not wrong.strip() or wrong not in refused.value.message


def test_receivers_are_made_of_the_storage_and_its_secrets_and_show_none() -> None:
    hook = StorageWebhook(url="https://hook.test/a?token=abc", secret_name="hook")
    one = webhook_receiver(hook, secret(secret=f"{SECRET}\n"))
    assert one == webhook_receiver(hook, secret(secret=SECRET))
    assert one != webhook_receiver(hook, secret(secret=f"whsec_{base64.b64encode(OTHER).decode()}"))
    assert one.sender.host == "hook.test"
    body, headers = one.request([message()], 7.5)
    assert headers["Content-Type"] == "application/cloudevents-batch+json"
    assert headers["webhook-signature"] == cloudevents.sign([message()], body, [KEY], 7)["webhook-signature"]
    logs = otlp_receiver(
        StorageOtlp(endpoint="https://otel.test:4318/", headers_secret_name="otel"), secret(Authorization="Bearer abc")
    )
    _, headers = logs.request([message()], 7.5)
    assert headers == {"Authorization": "Bearer abc", "Content-Type": "application/json"}
    assert "abc" not in repr(logs)
    assert KEY.hex() not in repr(one)
    for broken in (None, {"data": {}}, {"data": {"secret": "%"}}):
        with pytest.raises(UserError, match="hook"):
            webhook_receiver(hook, broken)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def decoded(value: dict[str, Any]) -> Any:
    """An AnyValue of OTLP as what it stands for."""
    if not value:
        return None
    ((kind, inner),) = value.items()
    if kind == "kvlistValue":
        return {pair["key"]: decoded(pair["value"]) for pair in inner["values"]}
    if kind == "arrayValue":
        return [decoded(item) for item in inner["values"]]
    return {"intValue": int, "doubleValue": float, "stringValue": str, "boolValue": bool}[kind](inner)


def of_otlp(value: Any) -> Any:
    """What becomes of a JSON value: numbers that OTLP can't hold are text."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return float(value) if abs(value) < 1e308 else str(value)
    if isinstance(value, float):
        return value if abs(value) < 1e308 else str(value)
    if isinstance(value, dict):
        return {key: of_otlp(inner) for key, inner in value.items()}
    return [of_otlp(inner) for inner in value] if isinstance(value, list) else value


@given(st.dictionaries(st.sampled_from(["a", "b"]), json_values, min_size=1))
def test_params_are_values_of_otlp(params: dict[str, Any]) -> None:
    event = message().event
    told = Message(Event(event.id, 1, event.time, "uid", "a", "1", "info", "x", params), "team", "clean-7")
    body = json.loads(otlp.logs([told], 1.0), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    (record,) = body["resourceLogs"][0]["scopeLogs"][0]["logRecords"]
    found = {item["key"]: decoded(item["value"]) for item in record["attributes"]}
    assert found["componentrun.params"] == of_otlp(params)


def test_logs_are_grouped_by_run_and_have_time_severity_and_body() -> None:
    told = [message(1), message(2, kind="warn", source="component"), message(1, run="other", kind="error")]
    body = json.loads(otlp.logs(told, 1.5))
    first, second = body["resourceLogs"]
    resource = {item["key"]: item["value"]["stringValue"] for item in first["resource"]["attributes"]}
    assert resource == {
        "service.name": "reg/b:1", "k8s.namespace.name": "team", "componentrun.run.name": "clean-7",
        "componentrun.run.uid": "uid", "componentrun.configuration": "č",
    }  # fmt: skip
    records = first["scopeLogs"][0]["logRecords"]
    assert [(record["severityNumber"], record["severityText"]) for record in records] == [(9, "INFO"), (13, "WARN")]
    assert records[0]["timeUnixNano"] == "1795507200123456789"
    assert records[0]["observedTimeUnixNano"] == "1500000000"
    assert records[1]["body"] == {"stringValue": "message 2"}
    assert {"key": "log.record.uid", "value": {"stringValue": "uid-2"}} in records[1]["attributes"]
    assert second["scopeLogs"][0]["logRecords"][0]["severityNumber"] == 17


@pytest.mark.parametrize(
    ("answer", "number"),
    [(b"", 0), (b"{}", 0), (b'{"partialSuccess":{}}', 0), (b'{"partialSuccess":{"rejectedLogRecords":"3"}}', 3),
     (b"[]", 0), (b'{"partialSuccess":{"rejectedLogRecords":2,"errorMessage":"x"}}', 2)],
)  # fmt: skip
def test_what_a_receiver_did_not_take_is_counted(answer: bytes, number: int) -> None:
    assert otlp.rejected(answer) == number
