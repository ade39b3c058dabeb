"""One file that holds a catalogue. Pure: bytes in, bytes out.

A bundle is a tar archive in the format of gzip, with one JSON document for each Component:

    catalogue                              the catalogue's name, as JSON
    clustercomponents/NAME.yaml            one file for each ClusterComponent
    components/NAME.yaml                   one file for each Component

The same catalogue always has the same bytes, on every machine: files are ordered by name, their times and owners are
fixed, and gzip only stores (compressed bytes differ between versions of zlib). Its layer has the media type of an
image's layer, and JSON is YAML, so tools that apply manifests from registries can use a bundle without this project.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import struct
import tarfile
import zlib
from typing import TYPE_CHECKING, Any, Final, NoReturn

from componentrun.catalogue.entry import Catalogue, CatalogueEntry
from componentrun.catalogue.limits import MAX_BUNDLE_BYTES, MAX_ENTRIES, MAX_FRAME_BYTES
from componentrun.catalogue.manifests import entries_in
from componentrun.catalogue.settings import settings_from
from componentrun.errors import Reason, UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ARTIFACT_TYPE", "LAYER_TYPE", "build_bundle", "digest_of", "read_bundle"]

ARTIFACT_TYPE: Final = "application/vnd.componentrun.catalogue.v1"
"""Type of the artifact in a registry."""
LAYER_TYPE: Final = "application/vnd.oci.image.layer.v1.tar+gzip"
"""Media type of its one layer, which is the bundle."""
_SETTINGS: Final = "catalogue"
_FOLDERS: Final = {"ClusterComponent": "clustercomponents", "Component": "components"}
_NOT_IN_YAML: Final = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")
_MEMBER: Final = re.compile(r"(clustercomponents|components)/([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?)\.yaml")
_STORED: Final = 65_535
"""Most bytes of a stored block of deflate."""
_GZIP_HEAD: Final = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
"""Without a time and a name; the last byte says that the system is unknown."""
_FORMATS: Final = "a bundle that `componentrun catalogue build` wrote"
_SHOWN: Final = 120


def build_bundle(catalogue: Catalogue) -> bytes:
    """The bundle of a catalogue, which must have no entry twice.

    Raises:
        UserError: it is larger than a bundle may be, or an entry has a name that no file can have.
    """
    members = [(_SETTINGS, {"name": catalogue.name})] if catalogue.name else []
    for entry in catalogue.entries:
        members.append((f"{_FOLDERS[entry.kind]}/{entry.name}.yaml", entry.manifest))
        if not _MEMBER.fullmatch(members[-1][0]):
            _refuse(f"{entry.title} has a name that is no name of an object")
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in sorted(members):
            text = _yaml_safe(json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode()
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(text), 0o644
            archive.addfile(member, io.BytesIO(text))
    if buffer.tell() > MAX_BUNDLE_BYTES:
        raise UserError(
            f"the bundle has {buffer.tell()} bytes; expected at most {MAX_BUNDLE_BYTES}",
            Reason.INVALID_SPEC,
            advice="Split the catalogue.",
        )
    return _gzip(buffer.getvalue())


def digest_of(bundle: bytes) -> str:
    """Digest of the bundle's bytes. The artifact in a registry has another one, that of its manifest."""
    return f"sha256:{hashlib.sha256(bundle).hexdigest()}"


def read_bundle(bundle: bytes, where: str) -> Catalogue:
    """The catalogue in a bundle. Its findings name what is wrong with the Components in it.

    Args:
        bundle: the bytes.
        where: file or reference, for messages.

    Raises:
        UserError: it is no bundle: not an archive, too large, or with members that a bundle does not have.
    """
    content = _decompressed(bundle, where)
    name, entries, findings, seen = "", [], [], set()
    try:
        for member, text in _members(content, where):
            if member in seen:
                _refuse(f"{where} has `{member[:_SHOWN]}` twice")
            seen.add(member)
            if member == _SETTINGS:
                name = _name(text, where)
                continue
            found, more = entries_in(text, member)
            findings += more
            for entry in found:
                _check_member(entry, member, where)
            entries += found
    except (tarfile.TarError, UnicodeDecodeError, EOFError) as error:
        _refuse(f"{where} is no bundle: {error}", error)
    ordered = sorted(entries, key=lambda entry: entry.key)
    return Catalogue(name, tuple(ordered), tuple(findings))


def _gzip(content: bytes) -> bytes:
    """The content in the format of gzip (RFC 1952), in stored blocks of deflate (RFC 1951)."""
    parts = [_GZIP_HEAD]
    for start in range(0, len(content), _STORED) or (0,):
        block = content[start : start + _STORED]
        is_last = start + _STORED >= len(content)
        parts += [struct.pack("<BHH", is_last, len(block), len(block) ^ 0xFFFF), block]
    parts.append(struct.pack("<II", zlib.crc32(content), len(content) & 0xFFFFFFFF))
    return b"".join(parts)


def _decompressed(bundle: bytes, where: str) -> bytes:
    """The archive, whether the bundle is compressed or not. Never holds more than the limit in memory."""
    if len(bundle) > MAX_BUNDLE_BYTES + MAX_FRAME_BYTES:
        _refuse(f"{where} has {len(bundle)} bytes; expected at most {MAX_BUNDLE_BYTES}")
    if not bundle.startswith(_GZIP_HEAD[:3]):
        return bundle
    machine = zlib.decompressobj(wbits=31)
    try:
        content = machine.decompress(bundle, MAX_BUNDLE_BYTES)
    except zlib.error as error:
        _refuse(f"{where} is damaged: {error}", error)
    if machine.unconsumed_tail:
        _refuse(f"{where} has more than {MAX_BUNDLE_BYTES} bytes when it is decompressed")
    if not machine.eof:
        _refuse(f"{where} is damaged: it ends too early")
    if machine.unused_data:
        _refuse(f"{where} has {len(machine.unused_data)} bytes behind its end")
    return content


def _members(content: bytes, where: str) -> Iterator[tuple[str, str]]:
    """Names and texts of the files in the archive.

    Raises:
        UserError: a member is no regular file, or has a name that a bundle does not have.
    """
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
        for number, member in enumerate(archive):
            if number > MAX_ENTRIES:
                _refuse(f"{where} has more than {MAX_ENTRIES} Components")
            shown = f"`{member.name[:_SHOWN]}`"
            if not member.isreg() or member.issparse():
                _refuse(f"{where} has {shown}, which is {_kind(member)}; expected regular files only")
            if member.name != _SETTINGS and not _MEMBER.fullmatch(member.name):
                _refuse(f"{where} has the file {shown}; expected names such as `components/NAME.yaml`")
            file = archive.extractfile(member)
            yield member.name, file.read().decode() if file is not None else ""


def _kind(member: tarfile.TarInfo) -> str:
    if member.issym() or member.islnk():
        return "a link"
    return "a folder" if member.isdir() else "a device or another special file"


def _check_member(entry: CatalogueEntry, member: str, where: str) -> None:
    """Refuse a file whose name says something else than its content."""
    if member != f"{_FOLDERS[entry.kind]}/{entry.name}.yaml":
        _refuse(f"{where} has {entry.kind} `{entry.name[:_SHOWN]}` in the file `{member}`")


def _yaml_safe(text: str) -> str:
    """JSON text that is YAML as well: characters that YAML refuses, or takes for the end of a line, are escaped."""
    return _NOT_IN_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _name(text: str, where: str) -> str:
    content: Any = None
    try:
        content = json.loads(text)
        return settings_from(content).name
    except (ValueError, RecursionError) as error:
        _refuse(f"{where} has an invalid file `{_SETTINGS}`: {error}", error)


def _refuse(summary: str, cause: BaseException | None = None) -> NoReturn:
    raise UserError(summary, Reason.INVALID_SPEC, advice=f"Use {_FORMATS}.") from cause
