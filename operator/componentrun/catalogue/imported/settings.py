"""Memory, timeout, network, logging and other settings of an imported component. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from componentrun.contract import SECRET_KEY_PREFIX
from componentrun.wire.jsontext import kind_of
from componentrun.wire.phpvalues import EMPTY, flag_at, list_at, object_at, whole_number

if TYPE_CHECKING:
    from collections.abc import Mapping

    from componentrun.catalogue.imported.report import ImportedComponent

__all__ = [
    "set_actions",
    "set_default_bucket",
    "set_image_parameters",
    "set_logging",
    "set_memory",
    "set_network",
    "set_staging",
    "set_timeout",
    "set_tokens",
]

_MEMORY: Final = re.compile(r"(\d{1,12})\s*([bkmg]?)b?", re.IGNORECASE)
_MEMORY_UNITS: Final = {"": "", "b": "", "k": "Ki", "m": "Mi", "g": "Gi"}
"""Units of Docker, which are binary, and those of Kubernetes."""
_DEFAULT_MEMORY: Final = "256Mi"
_DEFAULT_TIMEOUT: Final = 3600
_MAX_TIMEOUT: Final = 24 * 3600
_NETWORKS: Final = frozenset({"none", "bridge", "no-internet"})
_DEFAULT_NETWORK: Final = "bridge"
"""Default of the original. The default of a Component is `none`."""
_LEVELS: Final = {
    "100": "debug", "200": "info", "250": "notice", "300": "warning", "400": "error", "500": "critical",
    "550": "alert", "600": "emergency",
}  # fmt: skip
"""Levels of Monolog by number, which is how the original writes them."""
_VISIBILITIES: Final = frozenset({"none", "camouflage", "normal", "verbose"})
_ACTION: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_LOCAL_STAGING: Final = frozenset({"local", ""})


def set_memory(component: ImportedComponent, value: Any) -> None:
    """Set the memory limit, which Docker writes as `512m`."""
    if value in EMPTY:
        return
    match = _MEMORY.fullmatch(str(value).strip())
    if match is None or int(match[1]) == 0:
        component.tell("memory", f"found `{str(value)[:80]}`, expected memory such as `512m`; the default applies")
        return
    quantity = f"{int(match[1])}{_MEMORY_UNITS[match[2].lower()]}"
    if quantity != _DEFAULT_MEMORY:
        component.spec["resources"] = {"limits": {"memory": quantity}}


def set_timeout(component: ImportedComponent, value: Any) -> None:
    """Set the timeout, in seconds in the source."""
    seconds = whole_number(value)
    if seconds in EMPTY:
        return
    if not isinstance(seconds, int) or isinstance(seconds, bool) or seconds <= 0:
        component.tell("process_timeout", f"found {kind_of(value)}, expected seconds; the default applies")
        return
    if seconds > _MAX_TIMEOUT:
        component.report.changed(
            component.subject, f"the timeout is {seconds} s; now 24 h, which is the maximum of a Component"
        )
        seconds = _MAX_TIMEOUT
    if seconds != _DEFAULT_TIMEOUT:
        component.spec["timeout"] = _duration(seconds)


def _duration(seconds: int) -> str:
    """The duration as a Component has it, e.g. `1h30m`."""
    hours, rest = divmod(seconds, 3600)
    minutes, rest = divmod(rest, 60)
    parts = ((hours, "h"), (minutes, "m"), (rest, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number)


def set_network(component: ImportedComponent, value: Any) -> None:
    """Set the network. Without a value it is `bridge`, as the original's default is."""
    mode = _DEFAULT_NETWORK if value in EMPTY else str(value)
    if mode not in _NETWORKS:
        component.tell("network", f"found `{mode[:80]}`, expected one of `none`, `bridge`, `no-internet`; now `none`")
        return
    component.spec["network"] = {"mode": mode}


def set_default_bucket(component: ImportedComponent, flag: Any, stage: Any) -> None:
    """Set the default bucket from the flag and the stage."""
    if stage not in (*EMPTY, "in", "out"):
        component.tell("default_bucket_stage", f"found `{str(stage)[:80]}`, expected `in` or `out`; now `in`")
    if flag_at(flag, "default_bucket", component.tell):
        component.spec["defaultBucket"] = "out" if stage == "out" else "in"


def set_actions(component: ImportedComponent, value: Any) -> None:
    """Set the actions besides `run`."""
    names = []
    for name in list_at(value, "synchronous_actions", component.tell):
        if isinstance(name, str) and _ACTION.fullmatch(name):
            names.append(name)
        else:
            component.tell("synchronous_actions", f"`{str(name)[:80]}` is no name of an action")
    component.set("actions", list(dict.fromkeys(names)))


def set_logging(component: ImportedComponent, kind: Any, settings: Any) -> None:
    """Set the GELF server if the component logs through one."""
    logging = object_at(settings, "logging", component.tell)
    if flag_at(logging.get("no_application_errors"), "logging.no_application_errors", component.tell):
        component.tell("logging.no_application_errors", "exit codes above 1 are application errors in every Component")
    if (kind or "standard") == "standard":
        return
    if kind != "gelf":
        component.tell("logging.type", f"found `{str(kind)[:80]}`, expected `standard` or `gelf`")
        return
    gelf: dict[str, Any] = {}
    server = str(logging.get("gelf_server_type") or "tcp")
    if server in {"udp", "http"}:
        gelf["server"] = server
    elif server != "tcp":
        component.tell("logging.gelf_server_type", f"found `{server[:80]}`, expected `tcp`, `udp` or `http`")
    if visibility := _visibility(component, logging.get("verbosity")):
        gelf["visibility"] = visibility
    component.spec["logging"] = {"gelf": gelf}


def _visibility(component: ImportedComponent, value: Any) -> dict[str, str]:
    visibility = {}
    for number, word in object_at(value, "logging.verbosity", component.tell).items():
        level = _LEVELS.get(str(number))
        if level is None or str(word) not in _VISIBILITIES:
            component.tell(
                f"logging.verbosity.{number}", f"found `{str(word)[:80]}`, expected a level and how it is shown"
            )
        else:
            visibility[level] = str(word)
    return visibility


def set_image_parameters(component: ImportedComponent, value: Any) -> None:
    """Set the image parameters. Values at `#` keys are encrypted for the original, so they become references."""
    parameters = object_at(value, "image_parameters", component.tell)
    secrets: dict[str, Any] = {}
    component.set("imageParameters", _without_secrets(component, parameters, (), secrets))
    component.set("imageParameterSecrets", secrets)


def _without_secrets(component: ImportedComponent, value: Any, place: tuple[str, ...], secrets: dict[str, Any]) -> Any:
    """The value without its `#` keys, for each of which a reference is added to `secrets`."""
    if isinstance(value, list):
        return [_without_secrets(component, item, (*place, str(i)), secrets) for i, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    plain = {}
    for key, item in value.items():
        if not key.startswith(SECRET_KEY_PREFIX):
            plain[key] = _without_secrets(component, item, (*place, key), secrets)
            continue
        path = ".".join(re.sub(r"([.\\])", r"\\\1", part) for part in (*place, key))
        secret = {"name": f"{component.name}-image-parameters", "key": _secret_key((*place, key))}
        secrets[path] = secret
        component.report.to_do(
            component.subject,
            f"create Secret `{secret['name']}` with the key `{secret['key']}`: the value of `image_parameters.{path}`, "
            "which only the original can decrypt",
        )
    return plain


def _secret_key(place: tuple[str, ...]) -> str:
    """The key in a Secret for a value in the image parameters."""
    return re.sub(r"[^A-Za-z0-9._-]", "-", ".".join(part.lstrip("#") for part in place)) or "value"


def set_staging(component: ImportedComponent, value: Any) -> None:
    """Report staging that a data folder does not offer."""
    staging = object_at(value, "staging_storage", component.tell)
    for side in ("input", "output"):
        word = str(staging.get(side) or "")
        if word not in _LOCAL_STAGING:
            component.tell(
                f"staging_storage.{side}",
                f"found `{word[:80]}`, expected `local`: runs read and write the data folder only, so the component "
                "may not work unchanged",
            )


def set_tokens(component: ImportedComponent, data: Mapping[str, Any]) -> None:
    """Report tokens that the original passes to the component."""
    if flag_at(data.get("forward_token"), "forward_token", component.tell):
        component.report.to_do(
            component.subject,
            "the component expects a token (`forward_token`): set `forwardToken` with the URL of a service and a "
            "Secret if it needs one",
        )
    if flag_at(data.get("forward_token_details"), "forward_token_details", component.tell):
        component.tell("forward_token_details", "a run has no details of a token")
