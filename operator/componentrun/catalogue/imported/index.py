"""The public component index of the original interface: a list of components, as its API returns it. Pure."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, NoReturn

from componentrun.catalogue.imported import settings
from componentrun.catalogue.imported.image import ImageOptions, set_image
from componentrun.catalogue.imported.naming import ID, component_name, type_of, vendor_of
from componentrun.catalogue.imported.report import ImportedComponent, ImportReport
from componentrun.catalogue.imported.schema import set_configuration
from componentrun.catalogue.limits import MAX_ENTRIES
from componentrun.errors import Reason, UserError
from componentrun.wire.documents import MAX_DEPTH, is_too_deep
from componentrun.wire.jsontext import kind_of, trimmed
from componentrun.wire.phpvalues import EMPTY, list_at, object_at

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["import_component", "import_index", "parse_json"]

_FIELDS: Final = frozenset({
    "categories", "category", "configurationDescription", "configurationRowSchema", "configurationSchema",
    "configurations", "data", "dataTypesConfiguration", "description", "documentationUrl", "emptyConfiguration",
    "expiredOn", "expiredReplacementComponentId", "features", "ico64", "id", "licenseUrl", "longDescription", "name",
    "processorConfiguration", "sourceCodeUrl", "type",
})  # fmt: skip
"""Fields of a component that become fields of a Component."""
_ABOUT: Final = frozenset({
    "branchId", "complexity", "createConfigurationRowSchema", "emptyConfigurationRow", "flags", "hasRun", "hasUI",
    "ico32", "isHidden", "uiOptions", "uri", "version",
})  # fmt: skip
"""Fields that inform people and forms, and don't affect a run."""
_DATA: Final = frozenset({
    "configuration_format", "default_bucket", "default_bucket_stage", "definition", "forward_token",
    "forward_token_details", "image_parameters", "logging", "memory", "network", "process_timeout", "staging_storage",
    "stack_parameters", "synchronous_actions", "vendor",
})  # fmt: skip
_ROOT: Final = "container-root-user"
_HARMLESS_FEATURES: Final = re.compile(r"(has-|dev-|container-tcpkeepalive|no-swap|genericUI|appInfo|encrypt)")
"""Features that don't change what a component finds in its container."""
_TEXT: Final = {"title": 253, "summary": 1024, "vendor": 253, "license": 253}
"""Maximum lengths of texts of one line."""
_MAX_DESCRIPTION: Final = 65_536
_MAX_CATEGORIES: Final = 20
_MAX_CATEGORY: Final = 63
_ADDRESS: Final = re.compile(r"https?://[^\s]{1,2000}")
_POSITIONS: Final = {"before": ["before"], "after": ["after"]}
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


def import_index(text: str, where: str, options: ImageOptions) -> ImportReport:
    """Import an index: a list of components, an object with `components`, or one component.

    Args:
        text: the JSON.
        where: the file, for messages.
        options: where the images are.

    Raises:
        UserError: the text is no index.
    """
    content = parse_json(text, where)
    if isinstance(content, dict):
        content = content.get("components", [content])
    if not isinstance(content, list):
        raise UserError(
            f"{where} holds {kind_of(content)}; expected a list of components",
            Reason.INVALID_SPEC,
            advice="Save the answer of the component index, or the list `components` of it.",
        )
    if len(content) > MAX_ENTRIES:
        raise UserError(
            f"{where} holds {len(content)} components; expected at most {MAX_ENTRIES}",
            Reason.INVALID_SPEC,
            advice="Split the file.",
        )
    report = ImportReport()
    for i, item in enumerate(content):
        import_component(item, f"{where}[{i}]", options, report)
    return report


def parse_json(text: str, where: str) -> Any:
    """Parse JSON from a file.

    Raises:
        UserError: it is no JSON, or nested too deeply.
    """
    try:
        content = json.loads(trimmed(text), parse_constant=_refuse)
    except RecursionError as error:
        raise _nested(where) from error
    except json.JSONDecodeError as error:
        raise UserError(
            f"{where} is not JSON: {error.msg} at line {error.lineno}, column {error.colno}", Reason.INVALID_SPEC
        ) from error
    except ValueError as error:
        raise UserError(f"{where} is not JSON: {error}", Reason.INVALID_SPEC) from error
    if is_too_deep(content):
        raise _nested(where)
    return content


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"it holds `{name}`, which JSON does not know")


def _nested(where: str) -> UserError:
    return UserError(
        f"{where} is nested too deeply; expected at most {MAX_DEPTH} lists and objects in each other",
        Reason.INVALID_SPEC,
    )


def import_component(item: Any, where: str, options: ImageOptions, report: ImportReport) -> None:
    """Add the Component for one entry of an index to a report, or the reason why there is none."""
    id_ = item.get("id") if isinstance(item, dict) else None
    if not isinstance(id_, str) or not ID.fullmatch(id_) or not component_name(id_):
        found = f"`{str(id_)[:80]}`" if isinstance(item, dict) else kind_of(item)
        report.refused(where, f"found {found}, expected a component with an `id` such as `vendor.ex-name`")
        return
    component = ImportedComponent(component_name(id_), report)
    if component.name != id_:
        report.changed(
            component.subject, f"its id is `{id_}`; the component finds `{component.name}` in KBC_COMPONENTID"
        )
        component.keep("id", id_)
    data = object_at(item.get("data"), "data", component.tell)
    definition = object_at(data.get("definition"), "data.definition", component.tell)
    if not set_image(component, definition, options):
        return
    _set_about(component, id_, item, data)
    _set_data(component, data)
    _set_features(component, item)
    set_configuration(
        component,
        schema=item.get("configurationSchema"),
        row_schema=item.get("configurationRowSchema"),
        default=item.get("emptyConfiguration"),
    )
    _set_deprecated(component, item)
    _keep_others(component, item, data)
    component.finish()


def _set_about(component: ImportedComponent, id_: str, item: Mapping[str, Any], data: Mapping[str, Any]) -> None:
    """Set what people read."""
    kind = type_of(str(item.get("type") or "other"))
    if kind is None:
        component.report.changed(component.subject, f"its type is `{str(item.get('type'))[:80]}`; now `other`")
    component.spec["type"] = kind or "other"
    contact = list_at(
        object_at(data.get("vendor"), "data.vendor", component.tell).get("contact"),
        "data.vendor.contact",
        component.tell,
    )
    vendor = next((str(line) for line in contact if line), "") or vendor_of(id_)
    texts = {
        "title": item.get("name"),
        "summary": item.get("description"),
        "vendor": vendor,
        "license": item.get("licenseUrl"),
    }
    for key, value in texts.items():
        component.set(key, _one_line(component, key, value))
    parts = [str(item[key]) for key in ("longDescription", "configurationDescription") if item.get(key)]
    component.set("description", _cut(component, "description", "\n\n".join(parts), _MAX_DESCRIPTION))
    _set_categories(component, [*list_at(item.get("categories"), "categories", component.tell), item.get("category")])
    for key, name in (("icon", "ico64"), ("documentationUrl", "documentationUrl"), ("sourceUrl", "sourceCodeUrl")):
        address = str(item.get(name) or "").strip()
        if not address or _ADDRESS.fullmatch(address):
            component.set(key, address)
        else:
            component.keep(name, address)
            component.report.changed(component.subject, f"`{name}` is `{address[:80]}`, which is no URL; left out")


def _set_categories(component: ImportedComponent, names: list[Any]) -> None:
    categories = list(dict.fromkeys(str(name)[:_MAX_CATEGORY] for name in names if name))
    if len(categories) > _MAX_CATEGORIES:
        component.report.changed(
            component.subject, f"it has {len(categories)} categories; the first {_MAX_CATEGORIES} are kept"
        )
    component.set("categories", categories[:_MAX_CATEGORIES])


def _one_line(component: ImportedComponent, key: str, value: Any) -> str:
    return _cut(component, key, " ".join(str(value or "").split()), _TEXT[key])


def _cut(component: ImportedComponent, key: str, text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    component.report.changed(component.subject, f"`{key}` has {len(text)} characters; cut to {limit}")
    return f"{text[: limit - 1]}…"


def _set_data(component: ImportedComponent, data: Mapping[str, Any]) -> None:
    """Set what a run goes by."""
    settings.set_memory(component, data.get("memory"))
    settings.set_timeout(component, data.get("process_timeout"))
    settings.set_network(component, data.get("network"))
    settings.set_default_bucket(component, data.get("default_bucket"), data.get("default_bucket_stage"))
    settings.set_actions(component, data.get("synchronous_actions"))
    logging = object_at(data.get("logging"), "logging", component.tell)
    settings.set_logging(component, logging.get("type"), logging)
    settings.set_image_parameters(component, data.get("image_parameters"))
    settings.set_staging(component, data.get("staging_storage"))
    settings.set_tokens(component, data)
    if _text(data.get("configuration_format")) not in {"", "json"}:
        component.tell("configuration_format", "the component reads config.yml, and runs write config.json only")
    if stacks := object_at(data.get("stack_parameters"), "stack_parameters", component.tell):
        component.tell("stack_parameters", f"set `imageParameters` to those of one stack ({len(stacks)} stacks there)")


def _set_features(component: ImportedComponent, item: Mapping[str, Any]) -> None:
    features = list_at(item.get("features"), "features", component.tell)
    if _ROOT in features:
        component.spec["runAsUser"] = 0
    component.keep("features", [name for name in features if name != _ROOT])
    for name in features:
        if name != _ROOT and not _HARMLESS_FEATURES.match(str(name)):
            component.tell("features", f"`{str(name)[:80]}` has no counterpart")
    types = object_at(item.get("dataTypesConfiguration"), "dataTypesConfiguration", component.tell)
    support = _text(types.get("dataTypesSupport"))
    if support in {"hints", "authoritative"}:
        component.spec["dataTypeSupport"] = support
    elif support not in {"", "none"}:
        component.tell(
            "dataTypesConfiguration.dataTypesSupport",
            f"found `{support[:80]}`, expected `none`, `hints` or `authoritative`",
        )
    _set_positions(component, item)


def _set_positions(component: ImportedComponent, item: Mapping[str, Any]) -> None:
    processor = object_at(item.get("processorConfiguration"), "processorConfiguration", component.tell)
    position, path = _text(processor.get("allowedProcessorPosition")), "processorConfiguration.allowedProcessorPosition"
    if position in {"", "any"}:
        return
    if position not in _POSITIONS:
        component.tell(path, f"found `{position[:80]}`, expected `before`, `after` or `any`")
    elif component.spec["type"] != "processor":
        component.tell(path, f"found `{position}` of a component of type `{component.spec['type']}`")
    else:
        component.spec["processor"] = {"positions": _POSITIONS[position]}


def _set_deprecated(component: ImportedComponent, item: Mapping[str, Any]) -> None:
    expired, replacement = item.get("expiredOn"), item.get("expiredReplacementComponentId")
    flags = list_at(item.get("flags"), "flags", component.tell)
    if expired in EMPTY and replacement in EMPTY and "deprecated" not in flags:
        return
    deprecated: dict[str, Any] = {"message": "Its vendor no longer offers this component."}
    if replacement not in EMPTY:
        deprecated["replacedBy"] = component_name(str(replacement))
    if date := _DATE.match(str(expired or "")):
        deprecated["endOfLife"] = date[0]
    elif expired not in EMPTY:
        component.tell("expiredOn", f"found `{str(expired)[:80]}`, expected a date")
    component.spec["deprecated"] = deprecated


def _text(value: Any) -> str:
    """The value as text; empty if it is empty."""
    return "" if value in EMPTY else str(value)


def _keep_others(component: ImportedComponent, item: Mapping[str, Any], data: Mapping[str, Any]) -> None:
    """Keep what only informs; report what is not known."""
    for key, value in item.items():
        if key in _ABOUT:
            component.keep(key, value)
        elif key not in _FIELDS and value not in EMPTY:
            component.keep(key, value)
            component.tell(key, "this import does not know the field; it is kept in an annotation")
    for key, value in data.items():
        if key not in _DATA and value not in EMPTY:
            component.tell(f"data.{key}", "this import does not know the field")
    if configurations := item.get("configurations"):
        count = len(configurations) if isinstance(configurations, list | dict) else 1
        component.report.left_out(
            component.subject, f"`configurations`: {count} of them; `componentrun convert` makes runs of configurations"
        )
