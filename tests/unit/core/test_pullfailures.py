"""Why an image can't be pulled: what a kubelet's message says, in the sentences that the operator uses itself."""

from __future__ import annotations

import pytest

from componentrun.core.images import problems
from componentrun.core.images.problems import ImageProblem, Problem
from componentrun.core.podstatus.pullfailures import is_outage, is_refusal, outage, refusal

IMAGE = "127.0.0.1:5000/team/app:1.0"
DIGEST = f"sha256:{'a' * 64}"
REPOSITORY = "127.0.0.1:5000/team/app"
PULL = f'failed to pull and unpack image "{IMAGE}": failed to resolve image: '
NOT_FOUND = f"rpc error: code = NotFound desc = {PULL}{IMAGE}: not found"
HEAD = f"{PULL}unexpected status from HEAD request to https://127.0.0.1:5000/v2/team/app/manifests/1.0: "
TOKEN = "unexpected status from GET request to https://127.0.0.1:5001/token?scope=repository%3Ateam%2Fapp%3Apull: "
DENIED = f"{PULL}pull access denied, repository does not exist or may require authorization: "

REFUSALS = {
    # Of containerd 2.2, seen with docker-registry.
    "wrong password": (f"{HEAD}401 Unauthorized", Problem.WRONG_PASSWORD, "refuses the user name or password"),
    "wrong password of the token service": (
        f"{PULL}failed to authorize: failed to fetch oauth token: {TOKEN}401 Unauthorized",
        Problem.WRONG_PASSWORD,
        "refuses the user name or password",
    ),
    "no password": (
        f"{DENIED}authorization failed: no basic auth credentials",
        Problem.NO_PASSWORD,
        "no pull secret has one",
    ),
    "no password for the token service": (
        f"{DENIED}server message: insufficient_scope: authorization failed",
        Problem.ACCESS_DENIED,
        f"the pull secrets have no login that may read `{REPOSITORY}`",
    ),
    "no anonymous token": (
        f"{PULL}failed to authorize: failed to fetch anonymous token: {TOKEN}401 Unauthorized",
        Problem.NO_PASSWORD,
        "no pull secret has one",
    ),
    "no right": (f"{HEAD}403 Forbidden", Problem.ACCESS_DENIED, "or there is no such repository"),
    "no such tag or repository": (
        NOT_FOUND,
        Problem.NO_SUCH_TAG,
        f"repository `{REPOSITORY}` has no tag `1.0`, or there is no such repository",
    ),
    "another architecture": (
        f"get image config descriptor: no match for platform in manifest {DIGEST}: not found",
        Problem.WRONG_ARCHITECTURE,
        f"image `{IMAGE}` does not exist for the node's architecture",
    ),
    "one of two logins is accepted": (f"[{HEAD}401 Unauthorized, {NOT_FOUND}]", Problem.NO_SUCH_TAG, "no tag `1.0`"),
    # Of Docker and CRI-O.
    "Docker Hub, wrong password": (
        "unauthorized: incorrect username or password",
        Problem.WRONG_PASSWORD,
        "refuses the user name or password",
    ),
    "no such repository": ("name unknown: not known", Problem.NO_SUCH_REPOSITORY, f"no repository `{REPOSITORY}`"),
    "no such tag": ("reading manifest 1.0: manifest unknown", Problem.NO_SUCH_TAG, "no tag `1.0`"),
    "Docker, no right": (
        "pull access denied for team/app, repository does not exist or may require 'docker login'",
        Problem.ACCESS_DENIED,
        "or there is no such repository",
    ),
}

OUTAGES = {
    "away": (
        f'{PULL}failed to do request: Head "https://127.0.0.1:5000/v2/": dial tcp: connect: connection refused',
        Problem.AWAY,
        "registry `127.0.0.1:5000` does not respond: connection refused",
    ),
    "name unknown": (
        "dial tcp: lookup registry.example.com: no such host",
        Problem.AWAY,
        "does not respond: no such host",
    ),
    "too slow": ("net/http: TLS handshake timeout", Problem.AWAY, "does not respond: TLS handshake timeout"),
    "error of its own": (f"{HEAD}503 Service Unavailable", Problem.AWAY, "does not respond: 503 Service Unavailable"),
    "rate limit": (
        f"{HEAD}429 Too Many Requests",
        Problem.RATE_LIMITED,
        "registry `127.0.0.1:5000` refuses more requests for now (429)",
    ),
    "rate limit of Docker Hub": (
        "toomanyrequests: You have reached your unauthenticated pull rate limit",
        Problem.RATE_LIMITED,
        "refuses more requests for now (429)",
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_has_the_sentence_of_its_cause(name: str) -> None:
    message, problem, sentence = REFUSALS[name]
    assert is_refusal(message)
    found = refusal(IMAGE, message)
    assert found is not None
    assert found.problem is problem
    assert sentence in found.summary
    assert found.advice.endswith(".")


@pytest.mark.parametrize("name", OUTAGES)
def test_an_outage_has_the_sentence_of_its_cause(name: str) -> None:
    message, problem, sentence = OUTAGES[name]
    assert not is_refusal(message)
    assert is_outage(message)
    found = outage(IMAGE, message)
    assert found is not None
    assert found.problem is problem
    assert sentence in found.summary
    assert found.advice.endswith(".")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (f"{HEAD}401 Unauthorized", problems.wrong_password(REPOSITORY, "the pull secrets")),
        (f"{DENIED}authorization failed: no basic auth credentials", problems.no_password(REPOSITORY, "")),
        ("name unknown", problems.no_such_repository(REPOSITORY)),
    ],
)
def test_operator_and_kubelet_lead_to_the_same_sentence(message: str, expected: ImageProblem) -> None:
    found = refusal(IMAGE, message)
    assert found == expected


@pytest.mark.parametrize(
    "message",
    ["no space left on device", "x509: certificate signed by unknown authority", "", "manifest invalid", "denied"],
)
def test_a_message_that_names_no_cause_has_no_sentence(message: str) -> None:
    assert refusal(IMAGE, message) is None
    assert outage(IMAGE, message) is None


@pytest.mark.parametrize("image", ["registry.example.com/team/401 Unauthorized:429", "team/access-denied:403"])
def test_the_name_of_an_image_is_no_cause(image: str) -> None:
    assert refusal(image, f"no space left on device while pulling {image}") is None
    assert outage(image, f"QPS exceeded for {image}") is None


def test_an_unknown_image_has_no_sentence() -> None:
    assert refusal("", NOT_FOUND) is None
    assert outage("", f"{HEAD}429 Too Many Requests") is None


@pytest.mark.parametrize(
    ("image", "said"),
    [
        ("team/app", "repository `team/app` has no tag `latest`"),
        ("host:5000/app:1@sha256:aa", "repository `host:5000/app` has no digest `sha256:aa`"),
        ("host:5000/app@sha256:aa", "repository `host:5000/app` has no digest `sha256:aa`"),
    ],
)
def test_what_is_missing_is_a_tag_or_a_digest(image: str, said: str) -> None:
    found = refusal(image, f"failed to resolve image: {image}: not found")
    assert found is not None
    assert said in found.summary
