"""The folder `component_config` of a component's repository, from which its authors publish it. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from componentrun.catalogue.imported.index import import_component, parse_json
from componentrun.catalogue.imported.naming import ID, component_name, type_from_id
from componentrun.errors import UserError
from componentrun.wire.phpvalues import list_at, object_at

if TYPE_CHECKING:
    from collections.abc import Mapping

    from componentrun.catalogue.imported.image import ImageOptions
    from componentrun.catalogue.imported.report import ImportReport

__all__ = ["CONFIG_FOLDER", "id_in_workflows", "import_repository"]

CONFIG_FOLDER: Final = "component_config"
"""Name of the folder."""

_TEXTS: Final = {
    "component_short_description.md": "description",
    "component_long_description.md": "longDescription",
    "configuration_description.md": "configurationDescription",
    "documentationUrl.md": "documentationUrl",
    "licenseUrl.md": "licenseUrl",
    "sourceCodeUrl.md": "sourceCodeUrl",
    "component_name.md": "name",
    "component_type.md": "type",
}
"""Files with a text, and the fields of an index that have the same meaning."""
_DOCUMENTS: Final = {
    "configSchema.json": "configurationSchema",
    "configRowSchema.json": "configurationRowSchema",
    "emptyConfiguration.json": "emptyConfiguration",
    "emptyConfigurationRow.json": "emptyConfigurationRow",
}
"""Files with JSON, likewise."""
_DATA_DOCUMENTS: Final = {
    "imageParameters.json": "image_parameters",
    "image_parameters.json": "image_parameters",
    "stackParameters.json": "stack_parameters",
    "stack_parameters.json": "stack_parameters",
    "actions.json": "synchronous_actions",
}
"""Files with JSON that is in `data` of an index."""
_ACTIONS: Final = "actions.md"
_LOGGER: Final = "logger"
_LOGGING: Final = "loggerConfiguration.json"
_UI_OPTIONS: Final = frozenset({"uiOptions.json", "uiOptions.md"})
_PUBLISHING: Final = frozenset({"isDeployReady.md"})
"""Files that only the original's registry needs."""
_WORKFLOW_ID: Final = re.compile(
    r"""^\s*(?:export\s+)?KBC_DEVELOPERPORTAL_APP\s*[:=]\s*["']?([A-Za-z0-9][A-Za-z0-9._-]*)["']?\s*(?:\#.*)?$""",
    re.MULTILINE,
)


def id_in_workflows(texts: Mapping[str, str]) -> str:
    """The component's id in the files that build and publish it; empty if they name none, or several."""
    ids = {match for text in texts.values() for match in _WORKFLOW_ID.findall(text) if "." in match}
    return ids.pop() if len(ids) == 1 else ""


def import_repository(
    files: Mapping[str, str], id_: str, where: str, options: ImageOptions, report: ImportReport, *, tag: str = ""
) -> None:
    """Add the Component for a folder `component_config` to a report.

    Args:
        files: texts by their paths in the folder. Of files that are no texts, the path with an empty text.
        id_: the component's id, such as `vendor.ex-name`.
        where: the folder, for messages.
        options: where the images are. A repository does not say it.
        report: what the import collects.
        tag: tag of the image. Defaults to `latest`.
    """
    if not ID.fullmatch(id_) or not component_name(id_):
        report.refused(
            where,
            f"found `{id_[:80]}` for its id, expected one such as `vendor.ex-name`; pass `--id`, or name it as "
            "KBC_DEVELOPERPORTAL_APP in a workflow",
        )
        return
    if not options.prefix:
        report.refused(
            where,
            "a repository does not name its image; pass `--image-prefix REGISTRY/PATH`, below which the image has the "
            f"name `{component_name(id_)}`",
        )
        return
    subject = f"`{component_name(id_)}`"
    data: dict[str, Any] = {"definition": {"type": "prefix", "uri": component_name(id_), "tag": tag}}
    item: dict[str, Any] = {"id": id_, "type": type_from_id(id_), "data": data}
    for path in sorted(files):
        try:
            known = _add(path, files[path].strip(), item, data)
        except UserError as error:
            report.left_out(subject, error.summary)
            continue
        if not known:
            report.left_out(subject, f"`{where}/{path}`: a Component has no field for it")
    logging = object_at(
        data.pop(_LOGGING, None), _LOGGING, lambda path, why: report.left_out(subject, f"`{path}`: {why}")
    )
    if logging or data.get(_LOGGER):
        data["logging"] = logging | {"type": data.pop(_LOGGER, "") or "standard"}
    data.pop(_LOGGER, None)
    import_component(item, where, options, report)


def _add(path: str, text: str, item: dict[str, Any], data: dict[str, Any]) -> bool:
    """Add the content of a file to the entry of an index. False if the file is not known.

    Raises:
        UserError: it is no JSON.
    """
    if path in _PUBLISHING:
        return True
    if path in _TEXTS:
        _put(item, _TEXTS[path], text)
    elif path in _DOCUMENTS:
        _put(item, _DOCUMENTS[path], text and parse_json(text, f"`{path}`"))
    elif path in _DATA_DOCUMENTS:
        _put(data, _DATA_DOCUMENTS[path], text and parse_json(text, f"`{path}`"))
    elif path in _UI_OPTIONS or path == _ACTIONS:
        # Files that end with `.md` hold JSON, too: the name is an accident of the tool that uploads them.
        _put(data if path == _ACTIONS else item, _field(path), _list_of(text, path))
    elif path == _LOGGER:
        _put(data, _LOGGER, text)
    elif path == _LOGGING:
        _put(data, _LOGGING, text and parse_json(text, f"`{path}`"))
    else:
        return False
    return True


def _field(path: str) -> str:
    return "synchronous_actions" if path == _ACTIONS else "uiOptions"


def _list_of(text: str, path: str) -> list[Any]:
    """A list in JSON, or words that commas or lines separate."""
    if text.startswith("["):
        return list_at(parse_json(text, f"`{path}`"), path, lambda _path, _why: None)
    return [word.strip(" \t\"'-*") for word in re.split(r"[,\n]", text) if word.strip(" \t\"'-*")]


def _put(target: dict[str, Any], key: str, value: Any) -> None:
    if value not in ("", None):
        target[key] = value
