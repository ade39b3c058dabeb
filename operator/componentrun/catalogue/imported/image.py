"""The image of an imported component. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from componentrun.wire.phpvalues import object_at

if TYPE_CHECKING:
    from collections.abc import Mapping

    from componentrun.catalogue.imported.report import ImportedComponent

__all__ = ["ImageOptions", "set_image"]

_HOSTS: Final = {
    "dockerhub": "docker.io/", "dockerhub-private": "docker.io/", "quayio": "quay.io/", "quayio-private": "quay.io/",
    "aws-ecr": "", "google-cloud-artifacts": "",
}  # fmt: skip
"""Types of registries, and the host that their `uri` lacks."""
_PRIVATE: Final = frozenset({"aws-ecr", "dockerhub-private", "google-cloud-artifacts", "quayio-private"})
_TAG: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_NAMED_HOST: Final = re.compile(r"[^/]*[.:][^/]*/|localhost/")


@dataclass(frozen=True, slots=True)
class ImageOptions:
    """Where the images of imported components are."""

    prefix: str = ""
    """Registry and path that replace those of the source, e.g. `registry.example.com/components`."""

    def repository(self, uri: str) -> str:
        """The repository of an image, below the prefix if there is one."""
        return f"{self.prefix.rstrip('/')}/{uri.rpartition('/')[2]}" if self.prefix else uri


def set_image(component: ImportedComponent, definition: Mapping[str, Any], options: ImageOptions) -> bool:
    """Set image and tag from `data.definition`. False if there is no image; a finding then says why."""
    kind, uri = str(definition.get("type") or ""), str(definition.get("uri") or "").strip()
    if kind == "builder" or definition.get("build_options"):
        component.report.refused(
            component.subject,
            "`data.definition` builds an image when the component runs; expected an image that exists. Build the image "
            "and import the component again",
        )
        return False
    if not uri:
        component.report.refused(component.subject, "`data.definition.uri` is missing; expected an image")
        return False
    host = _HOSTS.get(kind)
    if host is None and not options.prefix:
        component.report.to_do(
            component.subject,
            f"`data.definition.type` is `{kind}`, which is not known: check that `image` names the registry",
        )
    repository = options.repository(uri if not host or _NAMED_HOST.match(uri) else f"{host}{uri}")
    if repository != repository.lower():
        component.report.changed(component.subject, f"image `{repository}` has capital letters; now small ones")
    component.spec["image"] = repository.lower()
    tag = str(definition.get("tag") or "")
    if _TAG.fullmatch(tag):
        component.spec["tag"] = tag
    elif tag:
        component.tell("data.definition.tag", f"found `{tag[:80]}`, expected a tag; runs use `latest`")
    component.keep("digest", definition.get("digest"))
    _set_access(component, kind, definition, options)
    return True


def _set_access(component: ImportedComponent, kind: str, definition: Mapping[str, Any], options: ImageOptions) -> None:
    """Name what is needed to pull the image. Passwords in the source are encrypted, and are not kept."""
    repository = object_at(definition.get("repository"), "data.definition.repository", component.tell)
    component.keep("region", repository.get("region"))
    has_password = any("password" in key.lower() for key in repository)
    if not options.prefix and (kind in _PRIVATE or has_password):
        component.report.to_do(
            component.subject,
            f"the image `{component.spec['image']}` is private: name a Secret with its password in "
            "`imagePullSecrets`, or import with `--image-prefix`",
        )
