"""`image_parameters` in config.json: those of the Component, which its runs can't change, or the run's own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from componentrun import contract
from componentrun.core.request.config import check_path, secret_values
from componentrun.core.request.parameters import check_depth
from componentrun.errors import Reason, UserError
from componentrun.wire.secretpaths import PATTERN, keys_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from componentrun.api.common import SecretKeyRef
    from componentrun.api.component import Component
    from componentrun.api.run.configuration import Configuration

_PATH: Final = re.compile(PATTERN)

__all__ = ["check_not_repeated", "image_parameters", "image_secret_refs", "own_image_parameters"]


def image_parameters(configuration: Configuration, component: Component | None) -> dict[str, Any]:
    """The image parameters of a run, without the values from Secrets.

    Raises:
        UserError: (InvalidSpec) the run sets some although its Component does; or those of the Component are invalid.
    """
    own = component.spec.image_parameters if component is not None else None
    refs = image_secret_refs(component)
    if component is None or (own is None and not refs):
        return configuration.image_parameters
    if configuration.image_parameters:
        raise UserError(
            f"spec.configuration.imageParameters: {component.KIND} `{component.metadata.name}` sets them, and its runs "
            "can't change them",
            Reason.INVALID_SPEC,
            advice="Remove the field.",
        )
    return own_image_parameters(component)


def own_image_parameters(component: Component) -> dict[str, Any]:
    """The image parameters of a Component, without the values from Secrets.

    Raises:
        UserError: (InvalidSpec) they are invalid.
    """
    own, name = component.spec.image_parameters or {}, f"{component.KIND} `{component.metadata.name}`"
    check_depth(own, f"{name}: spec.imageParameters")
    for path in image_secret_refs(component):
        _check_path(own, path, f"{name}: spec.imageParameterSecrets")
    return own


def image_secret_refs(component: Component | None) -> Mapping[str, SecretKeyRef]:
    """The Secrets of the image parameters, by path."""
    return (component.spec.image_parameter_secrets if component is not None else None) or {}


def check_not_repeated(
    image_values: Iterable[str], secrets: Mapping[str, str], parameters: dict[str, Any], component: Component
) -> None:
    """Refuse a run that has the value of a secret image parameter at a `#` key of its own.

    Such a value was copied from the component, to which it belongs.

    Args:
        image_values: secret values of the Component's image parameters.
        secrets: values of `configuration.secrets`, by path.
        parameters: parameters of the run.
        component: the Component, for messages.

    Raises:
        UserError: (InvalidSpec) the message names the path and not the value.
    """
    taken = {value for value in image_values if value}
    own = [*secrets.items(), *secret_values(parameters)]
    path = next((path for path, value in own if value in taken), None)
    if path is not None:
        raise UserError(
            f"spec.configuration: `parameters.{path}` has the value of a secret of {component.KIND} "
            f"`{component.metadata.name}`, which gets it in `image_parameters`",
            Reason.INVALID_SPEC,
            advice="Use a secret of your own, or remove the parameter.",
        )


def _check_path(parameters: dict[str, Any], path: str, where: str) -> None:
    if not _PATH.match(path) or not keys_of(path)[-1].startswith(contract.SECRET_KEY_PREFIX):
        raise UserError(
            f"{where}: found the path `{path[:100]}`, expected one whose last key starts with `#`, e.g. `db.#password`",
            Reason.INVALID_SPEC,
            advice="Have the Component corrected.",
        )
    check_path(parameters, path, where)
