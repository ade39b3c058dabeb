"""No secret survives in what is written to the cluster."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun.api.componentrun import ComponentRunStatus
from componentrun.core.lifecycle import status
from componentrun.core.lifecycle.actions import KubernetesEvent, StartAttempt, WriteStatus
from componentrun.core.podstatus.diagnosis import diagnose
from componentrun.core.redact.redactor import MARK
from componentrun.core.redact.status import needs_redaction, redact_action, redact_status, redact_text
from componentrun.wire.agents import StageOutResult, to_json
from tests.unit.core.make import at, done_in, done_out, ended, facts, make_pod, make_run, started_status

SECRET = 'hu"sh-1234567890'


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        base64.b64encode(SECRET.encode()).decode(),
        json.dumps(SECRET)[1:-1],
        json.dumps({"password": SECRET}),
    ],
)
def test_every_form_is_hidden(form: str) -> None:
    text = redact_text(f"before {form} after", [SECRET])
    assert SECRET not in text
    assert form not in text
    assert text.startswith("before ")
    assert text.endswith(" after")
    assert MARK in text


def test_last_words_hide_what_they_ask_to_have_hidden() -> None:
    words = "::add-mask::correct-horse\nit is correct-horse"
    assert redact_text(words, []) == f"::add-mask::{MARK}\nit is {MARK}"


def test_a_value_that_the_last_words_ask_to_hide_is_hidden_in_the_message_too() -> None:
    words = {"lastWords": "::add-mask::correct-horse", "message": "It said: correct-horse"}
    after = redact_status(ComponentRunStatus.model_validate(started_status() | words), ())
    assert "correct-horse" not in after.model_dump_json()


def test_the_longer_of_two_values_leaves_no_rest() -> None:
    assert redact_text("abcdef", ["abc", "abcdef"]) == MARK


def test_lines_of_a_long_value_are_hidden_one_by_one() -> None:
    key = "-----BEGIN KEY-----\nMIIEabcd\nefgh5678\n-----END KEY-----"
    assert "efgh5678" not in redact_text("log: efgh5678", [key])


def test_what_is_left_of_a_value_at_a_cut_is_hidden() -> None:
    assert redact_text("…567890 is wrong", [SECRET]) == f"…{MARK} is wrong"
    assert redact_text('it is hu"sh-12…', [SECRET]) == f"it is {MARK}…"
    assert redact_text('it is hu\\"sh-12…', [SECRET]) == f"it is {MARK}…"
    assert redact_text("it is hu%22sh-12%3…", [SECRET]) == f"it is {MARK}…"
    assert redact_text('…2sh-1234567890"', [SECRET]) == f'…{MARK}"'
    assert redact_text("…sh-1234…", [SECRET]) == f"…{MARK}…"


def test_signatures_of_urls_are_hidden() -> None:
    text = redact_text("GET https://s/b/k?X-Amz-Credential=AK%2F1&X-Amz-Signature=f00d failed", [])
    assert "f00d" not in text
    assert "AK%2F1" not in text


def test_no_value_hides_nothing() -> None:
    assert redact_text("a text…", [""]) == "a text…"


@given(st.text(min_size=4, max_size=30), st.text(max_size=50), st.text(max_size=50))
def test_a_value_is_never_left(secret: str, before: str, after: str) -> None:
    if secret in MARK or MARK in secret:
        return
    text = redact_text(before + secret + after, [secret])
    # The mark itself may join with its neighbours into the value; apart from that nothing is left.
    assert secret not in text.replace(MARK, "\0") or secret in before + "\0" + after


def failed_run() -> tuple[ComponentRunStatus, ComponentRunStatus]:
    run = make_run(status=started_status())
    pod = facts(make_pod(stage_in=done_in(), component=ended(1, message=f"bad login {SECRET}"), stage_out=done_out()))
    return run.status, status.finished(run, diagnose(pod), now=at(30))


def test_a_status_with_the_components_words_needs_it() -> None:
    before, after = failed_run()
    assert needs_redaction(before, after)
    assert not needs_redaction(after, after)
    assert not needs_redaction(before, before)


def test_a_status_is_clean_everywhere() -> None:
    _, after = failed_run()
    assert SECRET not in redact_status(after, [SECRET]).model_dump_json()
    assert json.dumps(SECRET)[1:-1] not in redact_status(after, [SECRET]).model_dump_json()
    assert (redact_status(after, [SECRET]).last_words or "").startswith("bad login")


def test_without_the_list_the_components_words_are_withheld() -> None:
    _, after = failed_run()
    clean = redact_status(after, None)
    assert clean.last_words is None
    assert "hu" not in (clean.message or "")
    assert "bad login" not in clean.model_dump_json()
    assert clean.reason == "UserError"


def test_actions_are_clean_too() -> None:
    _, after = failed_run()
    found = redact_action(WriteStatus(after), [SECRET])
    assert isinstance(found, WriteStatus)
    assert found.status == redact_status(after, [SECRET])
    event = KubernetesEvent("Warning", "UserError", f"bad {SECRET}")
    assert redact_action(event, [SECRET]) == KubernetesEvent("Warning", "UserError", f"bad {MARK}")
    withheld = redact_action(event, None)
    assert isinstance(withheld, KubernetesEvent)
    assert "bad" not in withheld.message
    assert redact_action(StartAttempt(1), [SECRET]) == StartAttempt(1)


def test_what_the_component_says_of_its_result_is_hidden_too() -> None:
    before = make_run(status=started_status()).status
    said = before.model_copy(update={"result_message": f"done with {SECRET}"})
    assert needs_redaction(before, said)
    assert not needs_redaction(said, said)
    assert redact_status(said, [SECRET]).result_message == f"done with {MARK}"
    assert redact_status(said, None).result_message is None


def test_a_secret_that_is_coloured_in_the_middle_is_hidden_in_all_that_the_status_says() -> None:
    words = "\x1b[31mlogin with correct-\x1b[1mhorse\x1b[0m failed\x00"
    result = to_json(StageOutResult(ok=True, said="result: correct-\x1b[1mhorse"))
    pod = facts(make_pod(stage_in=done_in(), component=ended(1, message=words), stage_out=ended(message=result)))
    after = redact_status(
        status.finished(make_run(status=started_status()), diagnose(pod), now=at(30)), ["correct-horse"]
    )
    seen = redact_status(status.observed_phase(make_run(status=started_status()), pod, at(30)), ["correct-horse"])
    assert "horse" not in after.model_dump_json() + seen.model_dump_json()
    assert after.last_words == f"login with {MARK} failed"
    assert after.message == f"The component ended with exit code 1: login with {MARK} failed"
    assert seen.result_message == f"result: {MARK}"
