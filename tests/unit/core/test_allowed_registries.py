"""Registries that images may come from: ways around the list, and what it must not refuse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun.core.images.allowed import check_allowed, normal_prefix
from componentrun.core.images.reference import parse_reference
from componentrun.errors import Reason, UserError

DIGEST = f"sha256:{'a' * 64}"


def refusal(image: str, *allowed: str) -> Reason | None:
    """Why an image is refused; None if it is allowed."""
    try:
        check_allowed(parse_reference(image, "spec.image"), [normal_prefix(text) for text in allowed])
    except UserError as error:
        return error.reason
    return None


@pytest.mark.parametrize(
    ("image", "allowed"),
    [
        ("h.io/app", "h.io"),
        ("h.io/team/app:1.2", "h.io/team"),
        ("h.io/team/app", "h.io/team/app"),
        (f"h.io/team/app:1.2@{DIGEST}", "h.io/team/"),
        ("H.IO/team/app", "h.io/team"),
        ("h.io/team/app", "H.io/team"),
        ("h.io:5000/app:1", "h.io:5000"),
        ("[fd00::1]:5000/app:1", "[fd00::1]:5000"),
        ("localhost/app", "localhost"),
        ("ubuntu:24.04", "docker.io"),
        ("ubuntu", "library"),
        ("ubuntu", "docker.io/library"),
        ("docker.io/ubuntu", "docker.io/library/ubuntu"),
        ("index.docker.io/library/ubuntu", "docker.io/library"),
        ("team/app", "docker.io/team"),
        ("app:da39a3ee5e6b4b0d3255bfef95601890afd80709", "docker.io/library"),
    ],
)
def test_allowed(image: str, allowed: str) -> None:
    assert refusal(image, allowed) is None


@pytest.mark.parametrize(
    ("image", "allowed"),
    [
        # Parts of names, ports, suffixes of hosts.
        ("h.io/teams/app", "h.io/team"),
        ("h.io/te/am/app", "h.io/team"),
        ("h.io.evil.com/team/app", "h.io"),
        ("evil.com/h.io/team/app", "h.io"),
        ("h.io:5000/team/app", "h.io"),
        ("h.io:443/team/app", "h.io"),
        ("h.io/team/app", "h.io:5000"),
        ("localhost:5000/app", "localhost"),
        # Docker Hub and its short names.
        ("h.io/library/ubuntu", "docker.io"),
        ("docker.io:443/library/ubuntu", "docker.io"),
        ("ubuntu", "h.io"),
        ("h.io", "h.io"),
        ("h.io:5000", "h.io"),
        ("library/evil", "docker.io/team"),
        ("team/ubuntu", "docker.io/library"),
    ],
)
def test_another_registry_or_path(image: str, allowed: str) -> None:
    assert refusal(image, allowed) is Reason.IMAGE_NOT_ALLOWED


@pytest.mark.parametrize(
    "image",
    [
        # What is behind `@` and `:` must not hide where the image comes from.
        "h.io/app@evil.com/app",
        "h.io@evil.com/app",
        f"h.io/app@{DIGEST}@evil.com/app",
        "h.io/app@",
        "h.io/app@sha256:abc",
        f"h.io/app:@{DIGEST}",
        "h.io/app:",
        "h.io/app:1:2",
        "h.io/app:1/../../evil.com/app",
        "h.io/app:\u0661",
        # Paths that lead elsewhere.
        "h.io/../evil.com/app",
        "h.io/./app",
        "h.io//app",
        "h.io/app/",
        "/h.io/app",
        "//h.io/app",
        "https://h.io/app",
        "h.io/%2e%2e/app",
        "h.io\\app",
        # Spaces and characters that only look like others.
        " h.io/app",
        "h.io/app ",
        "h.io/app\n",
        "h.io\t/app",
        "h.io./app",
        "h.i\u043e/app",
        "h\uff0eio/app",
        "h.io\u2044evil/app",
        "h.io/\u212aapp",
        "",
    ],
)
def test_what_is_no_reference_is_refused(image: str) -> None:
    assert refusal(image, "h.io", "docker.io", "evil.com") is Reason.INVALID_SPEC


def test_a_character_that_is_an_ascii_letter_in_lower_case_only_is_refused() -> None:
    assert refusal("kelvin.io/app", "kelvin.io") is None
    assert refusal("\u212aelvin.io/app", "kelvin.io") is Reason.INVALID_SPEC


@pytest.mark.parametrize("image", [DIGEST, "a" * 64, f"sha512:{'a' * 128}", f"{DIGEST}@{DIGEST}"])
def test_the_id_of_an_image_on_the_node_is_no_image_of_docker_hub(image: str) -> None:
    """The runtime would take any image that lies on the node, even one from another registry."""
    assert refusal(image, "docker.io") is Reason.INVALID_SPEC


PART = st.from_regex(r"[a-z0-9]{1,3}", fullmatch=True)
PATH = st.lists(PART, min_size=1, max_size=3).map("/".join)
HOST = st.sampled_from(["h.io", "H.IO", "h.io:5000", "evil.com", "localhost"])
TAIL = st.sampled_from(["", ":1", f"@{DIGEST}", f":1@{DIGEST}"])


@given(host=HOST, path=PATH, tail=TAIL, allowed_host=HOST, allowed_path=st.one_of(st.just(""), PATH))
def test_a_prefix_allows_what_has_its_host_and_its_first_parts(
    host: str, path: str, tail: str, allowed_host: str, allowed_path: str
) -> None:
    wanted = allowed_path.split("/") if allowed_path else []
    expected = host.lower() == allowed_host.lower() and path.split("/")[: len(wanted)] == wanted
    found = refusal(f"{host}/{path}{tail}", f"{allowed_host}/{allowed_path}")
    assert found is (None if expected else Reason.IMAGE_NOT_ALLOWED)


@given(image=st.text(st.sampled_from("hio.evl:@/[]%\u212aA0- \n"), max_size=24))
def test_no_text_that_names_another_host_is_allowed(image: str) -> None:
    if refusal(image, "h.io") is None:
        assert image.lower().startswith("h.io/")
        assert image.isascii()
