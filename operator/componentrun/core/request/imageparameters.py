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
    from collections.abc import Mapping, Sequence

    from componentrun.api.common import SecretKeyRef
    from componentrun.api.component import Component
    from componentrun.api.run.configuration import Configuration
    from componentrun.core.request.parameters import StepParameters

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


def check_not_repeated(steps: Sequence[StepParameters]) -> None:
    """Refuse a run that has the value of a secret image parameter at a `#` key of its own.

    Such a value was copied from the Component, to which it belongs.

    Args:
        steps: the component and the processors of a run.

    Raises:
        UserError: (InvalidSpec) the message names the path and not the value.
    """
    owners = {value: step.component for step in steps for value in step.image_secrets if value}
    if not owners:
        return
    for step in steps:
        for path, value in (*step.secrets.items(), *secret_values(step.parameters)):
            owner = owners.get(value)
            if owner is not None:
                raise UserError(
                    f"{step.path}: `parameters.{path}` has the value of a secret of {owner.KIND} "
                    f"`{owner.metadata.name}`, which gets it in `image_parameters`",
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
