"""Container images of one static program, without a builder: an OCI archive that containerd imports."""

import gzip
import hashlib
import io
import json
import platform
import tarfile
from pathlib import Path
from typing import Any

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
EPOCH = 0


def reference(program: Path) -> str:
    """The name of the image of `program`; it changes with the program's bytes."""
    with program.open("rb") as stream:
        return f"localhost/componentrun/{program.name}:{hashlib.file_digest(stream, 'sha256').hexdigest()[:12]}"


def archive(program: Path, name: str) -> bytes:
    """An OCI archive of an image called `name` that holds and starts `program`, and nothing else."""
    layer = _tar({program.name: program.read_bytes()}, mode=0o755)
    blobs: dict[str, bytes] = {}
    config = _add(
        blobs,
        _json(
            {
                "architecture": ARCHITECTURES[platform.machine()],
                "os": "linux",
                "config": {"Entrypoint": [f"/{program.name}"]},
                "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
            }
        ),
        "application/vnd.oci.image.config.v1+json",
    )
    packed = _add(blobs, gzip.compress(layer, 1, mtime=EPOCH), "application/vnd.oci.image.layer.v1.tar+gzip")
    manifest_type = "application/vnd.oci.image.manifest.v1+json"
    content = {"schemaVersion": 2, "mediaType": manifest_type, "config": config, "layers": [packed]}
    manifest = _add(blobs, _json(content), manifest_type)
    manifest["annotations"] = {"io.containerd.image.name": name}
    files = {f"blobs/sha256/{digest}": content for digest, content in blobs.items()}
    files["oci-layout"] = _json({"imageLayoutVersion": "1.0.0"})
    files["index.json"] = _json({"schemaVersion": 2, "manifests": [manifest]})
    return _tar(files, mode=0o644)


def _add(blobs: dict[str, bytes], content: bytes, media_type: str) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    blobs[digest] = content
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}


def _tar(files: dict[str, bytes], *, mode: int) -> bytes:
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(content), mode, EPOCH
            tar.addfile(entry, io.BytesIO(content))
    return output.getvalue()


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, sort_keys=True).encode()
