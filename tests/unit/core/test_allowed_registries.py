"""Registries that images may come from: ways around the list, and what it must not refuse."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun.core.images.allowed import check_allowed, normal_prefix
from componentrun.core.images.reference import parse_reference
from componentrun.errors import Reason, UserError
from tests.imagereferences import ALLOWED, DIGEST, IDS, MALFORMED, REFUSED


def refusal(image: str, *allowed: str) -> Reason | None:
    """Why an image is refused; None if it is allowed."""
    try:
        check_allowed(parse_reference(image, "spec.image"), [normal_prefix(text) for text in allowed])
    except UserError as error:
        return error.reason
    return None


@pytest.mark.parametrize(
    ("image", "allowed"),
    ALLOWED,
)
def test_allowed(image: str, allowed: str) -> None:
    assert refusal(image, allowed) is None


@pytest.mark.parametrize(
    ("image", "allowed"),
    REFUSED,
)
def test_another_registry_or_path(image: str, allowed: str) -> None:
    assert refusal(image, allowed) is Reason.IMAGE_NOT_ALLOWED


@pytest.mark.parametrize(
    "image",
    MALFORMED,
)
def test_what_is_no_reference_is_refused(image: str) -> None:
    assert refusal(image, "h.io", "docker.io", "evil.com") is Reason.INVALID_SPEC


def test_a_character_that_is_an_ascii_letter_in_lower_case_only_is_refused() -> None:
    assert refusal("kelvin.io/app", "kelvin.io") is None
    assert refusal("\u212aelvin.io/app", "kelvin.io") is Reason.INVALID_SPEC


@pytest.mark.parametrize("image", IDS)
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
