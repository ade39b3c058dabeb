"""A bundle has the same bytes everywhere, and one that nobody here built is refused."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
import zlib
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from componentrun.catalogue import bundle as bundles
from componentrun.catalogue.bundle import build_bundle, digest_of, read_bundle
from componentrun.catalogue.folder import read_folder
from componentrun.errors import UserError
from tests.unit.catalogue.make import catalogue, component

if TYPE_CHECKING:
    from pathlib import Path

A = component("acme.ex-a", description="Grüße, 𝄞\n\u2028")
B = component("acme.ex-b", "ClusterComponent")
DIGEST = "sha256:4a25c17d87ca6160c5f7acc5a5b7c541cc76f84925e35100f00ed95408d881d6"


def archive(*members: tuple[str, bytes | None], **attributes: Any) -> bytes:
    """An archive with these files; None instead of bytes: a folder. Attributes change the last member."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as target:
        for i, (name, content) in enumerate(members):
            member = tarfile.TarInfo(name)
            member.type = tarfile.DIRTYPE if content is None else tarfile.REGTYPE
            member.size = len(content or b"")
            for key, value in attributes.items() if i == len(members) - 1 else ():
                setattr(member, key, value)
            target.addfile(member, io.BytesIO(content or b""))
    return buffer.getvalue()


def file(manifest: dict[str, Any]) -> tuple[str, bytes]:
    return f"components/{manifest['metadata']['name']}.yaml", json.dumps(manifest).encode()


def test_a_catalogue_comes_back_from_its_bundle() -> None:
    read = read_bundle(build_bundle(catalogue(A, B)), "`x`")
    assert (read.name, [entry.manifest for entry in read.entries], read.findings) == ("sales", [B, A], ())


def test_the_order_of_entries_does_not_change_the_bytes() -> None:
    one, two = component("acme.ex-a"), component("acme.ex-c")
    assert build_bundle(catalogue(one, two)) == build_bundle(catalogue(two, one))


def test_the_order_of_keys_in_a_component_is_kept() -> None:
    schema = {"z": {"type": "string"}, "a": {"type": "string"}}
    read = read_bundle(build_bundle(catalogue(component(configuration={"schema": schema}))), "`x`")
    assert list(read.entries[0].spec["configuration"]["schema"]) == ["z", "a"]


def test_the_bytes_are_the_same_in_every_release_and_on_every_machine() -> None:
    """Without this, the same folder would get another digest after an upgrade of Python or of this code."""
    assert digest_of(build_bundle(catalogue(A, B))) == DIGEST


def test_time_zone_user_and_hash_seed_do_not_change_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(A))
    code = (
        "import sys, pathlib; from componentrun.catalogue.bundle import build_bundle, digest_of;"
        "from componentrun.catalogue.folder import read_folder;"
        "print(digest_of(build_bundle(read_folder(pathlib.Path(sys.argv[1])))))"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "7", "TZ": "Asia/Tokyo", "LC_ALL": "C", "PYTHONPATH": "operator"}
    other = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], env=environment, capture_output=True, text=True, check=True
    )
    assert other.stdout.strip() == digest_of(build_bundle(read_folder(tmp_path)))


def test_other_tools_can_unpack_it() -> None:
    content = gzip.decompress(build_bundle(catalogue(A, B)))
    with tarfile.open(fileobj=io.BytesIO(content)) as target:
        assert target.getnames() == ["catalogue", "clustercomponents/acme.ex-b.yaml", "components/acme.ex-a.yaml"]
        assert {(member.mtime, member.uid, member.gid, member.uname, member.mode) for member in target} == {
            (0, 0, 0, "", 0o644)
        }


@given(st.binary(max_size=200_000))
def test_the_frame_is_gzip(content: bytes) -> None:
    assert gzip.decompress(bundles._gzip(content)) == content


def test_large_content_has_several_blocks() -> None:
    content = os.urandom(65_535 * 2 + 1)
    assert gzip.decompress(bundles._gzip(content)) == content
    assert gzip.decompress(bundles._gzip(content[:-1])) == content[:-1]


def test_compressed_and_plain_archives_are_read() -> None:
    plain = archive(file(A))
    for content in (plain, gzip.compress(plain)):
        assert [entry.name for entry in read_bundle(content, "`x`").entries] == ["acme.ex-a"]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (archive(("../../etc/passwd", b"x")), "has the file `../../etc/passwd`; expected names such as"),
        (archive(("components/../x.yaml", b"x")), "has the file `components/../x.yaml`"),
        (archive(("/etc/passwd", b"x")), "has the file `/etc/passwd`"),
        (archive(("components/a/b.yaml", b"x")), "has the file `components/a/b.yaml`"),
        (archive(("components/A.yaml", b"x")), "has the file `components/A.yaml`"),
        (archive(("components/a\nb.yaml", b"x")), "has the file"),
        (archive(("x" * 5000, b"x")), "has the file `xxx"),
        (archive(("components", None)), "which is a folder; expected regular files only"),
        (archive(("components/a.yaml", b""), type=tarfile.SYMTYPE, linkname="/etc/passwd"), "which is a link"),
        (archive(("components/a.yaml", b""), type=tarfile.LNKTYPE, linkname="x"), "which is a link"),
        (archive(("components/a.yaml", b""), type=tarfile.FIFOTYPE), "which is a device or another special file"),
        (archive(("components/a.yaml", b""), type=tarfile.CHRTYPE), "which is a device or another special file"),
        (archive(file(A), file(A)), "has `components/acme.ex-a.yaml` twice"),
        (
            archive(("components/other.yaml", file(A)[1])),
            "has Component `acme.ex-a` in the file `components/other.yaml`",
        ),
        (archive(("clustercomponents/acme.ex-a.yaml", file(A)[1])), "has Component `acme.ex-a` in the file"),
        (archive(("catalogue", b'{"name": "No Name"}')), "has an invalid file `catalogue`"),
        (archive(("catalogue", b"[")), "has an invalid file `catalogue`"),
        (archive(("components/a.yaml", b"\xff\xff")), "is no bundle"),
        (b"", "is no bundle"),
        (b"PK\x03\x04 a zip file", "is no bundle"),
        (b"\x1f\x8b\x08 not really", "is damaged"),
        (gzip.compress(archive(file(A)))[:-10], "is damaged: it ends too early"),
        (gzip.compress(archive(file(A))) + b"more", "has 4 bytes behind its end"),
        (archive(file(A))[:700], "is no bundle"),
    ],
)
def test_what_is_no_bundle_is_refused(content: bytes, told: str) -> None:
    with pytest.raises(UserError) as caught:
        read_bundle(content, "`x.tgz`")
    assert told in caught.value.summary
    assert caught.value.advice == "Use a bundle that `componentrun catalogue build` wrote."
    assert len(caught.value.summary) < 400


def test_a_small_file_that_expands_to_a_gigabyte_is_refused_without_expanding_it() -> None:
    machine = zlib.compressobj(9, wbits=31)
    zeros = bytes(1024 * 1024)
    content = b"".join(machine.compress(zeros) for _ in range(1024)) + machine.flush()
    assert len(content) < 2_000_000
    with pytest.raises(UserError, match="has more than 67108864 bytes when it is decompressed"):
        read_bundle(content, "`bomb`")


def test_a_sparse_file_that_claims_a_terabyte_is_refused() -> None:
    member = tarfile.TarInfo("components/a.yaml")
    member.pax_headers = {"GNU.sparse.major": "0", "GNU.sparse.minor": "1", "GNU.sparse.map": "0,1",
                          "GNU.sparse.size": str(2**40), "GNU.sparse.name": "components/a.yaml"}  # fmt: skip
    member.size = 1
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as target:
        target.addfile(member, io.BytesIO(b"x"))
    with pytest.raises(UserError, match="expected regular files only"):
        read_bundle(buffer.getvalue(), "`x`")


def test_a_bundle_larger_than_the_limit_is_neither_read_nor_built(monkeypatch: pytest.MonkeyPatch) -> None:
    content = build_bundle(catalogue(A))
    monkeypatch.setattr(bundles, "MAX_BUNDLE_BYTES", 1000)
    monkeypatch.setattr(bundles, "MAX_FRAME_BYTES", 0)
    with pytest.raises(UserError, match="expected at most 1000"):
        read_bundle(content, "`x`")
    with pytest.raises(UserError, match="Split the catalogue"):
        build_bundle(catalogue(A))


def test_a_bundle_with_too_many_components_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "MAX_ENTRIES", 1)
    assert read_bundle(build_bundle(catalogue(A)), "`x`").entries
    with pytest.raises(UserError, match="more than 1 Components"):
        read_bundle(build_bundle(catalogue(A, B)), "`x`")


def test_what_is_wrong_with_a_component_in_it_is_a_finding() -> None:
    content = archive(("components/a.yaml", b"kind: Pod"), file(A))
    read = read_bundle(content, "`x`")
    assert [finding.rule for finding in read.findings] == ["OtherKind"]


def test_a_name_that_no_file_can_have_is_not_built() -> None:
    with pytest.raises(UserError, match="is no name of an object"):
        build_bundle(catalogue(component("../x")))


def test_the_digest_is_that_of_the_bytes() -> None:
    assert digest_of(b"x") == f"sha256:{hashlib.sha256(b'x').hexdigest()}"
