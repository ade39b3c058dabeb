"""Names of images, as people write them by accident and to get around a list of allowed registries."""

from __future__ import annotations

from typing import Final

__all__ = ["ALLOWED", "DIGEST", "IDS", "MALFORMED", "REFUSED"]

DIGEST: Final = f"sha256:{'a' * 64}"

ALLOWED: Final = (
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
)
"""Images, and a registry that allows them."""

REFUSED: Final = (
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
)
"""Images, and a registry that does not allow them."""

MALFORMED: Final = (
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
)
"""What is no reference of an image."""

IDS: Final = (DIGEST, "a" * 64, f"sha512:{'a' * 128}", f"{DIGEST}@{DIGEST}")
"""Ids of images. A runtime takes them for an image that lies on the node, whatever registry it came from."""
