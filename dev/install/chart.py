"""Generated parts of the chart: copies of the CRDs and dashboards, and the table of values."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

ROOT: Final = Path(__file__).resolve().parents[2]
CHART: Final = ROOT / "helm" / "componentrun"
_VALUES: Final = ("<!-- values: generated from values.yaml by `make generate` -->", "<!-- values: end -->")
_RIGHTS: Final = ("<!-- rights: generated from the templates by `make generate` -->", "<!-- rights: end -->")
_PARTS: Final = ("operator", "builds", "collector", "buildlogs", "nodelogs", "loader", "maintenance")
_MARK: Final = "# --"


@dataclass(frozen=True)
class Value:
    """A documented value of the chart."""

    name: str
    default: str
    description: str


def generated() -> dict[Path, str]:
    """Every generated file of the chart with its expected content.

    Helm packs only files below the chart's folder, and symbolic links do not work everywhere, so files are copied.
    """
    files = {CHART / "files" / "crds" / crd.name: crd.read_text() for crd in sorted((ROOT / "crds").glob("*.yaml"))}
    for dashboard in sorted((ROOT / "dashboards").glob("*.json")):
        files[CHART / "files" / "dashboards" / dashboard.name] = dashboard.read_text()
    readme = CHART / "README.md"
    files[readme] = _between(_RIGHTS, rights(), _between(_VALUES, table(), readme.read_text()))
    return files


def write() -> list[Path]:
    """Write the generated files and return those that changed."""
    written_files = []
    for file, content in generated().items():
        if not file.is_file() or file.read_text() != content:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
            written_files.append(file)
    return written_files


def table() -> str:
    """The values as a Markdown table."""
    rows = [f"| `{value.name}` | `{value.default}` | {value.description} |\n" for value in values()]
    return "| Value | Default | Meaning |\n| --- | --- | --- |\n" + "".join(rows)


def rights() -> str:
    """RBAC permissions of each part, as a Markdown table."""
    rows = []
    for part in _PARTS:
        template = (CHART / "templates" / f"{part}.yaml").read_text()
        block = template.partition(f'{{{{- define "componentrun.{part}Rules" -}}}}\n')[2].partition("{{- end -}}")[0]
        rules = "".join(line for line in block.splitlines(keepends=True) if not line.startswith("{{"))
        reasons = [line.partition(" # ")[2] for line in rules.splitlines() if line.strip().startswith("verbs:")]
        for rule, reason in zip(yaml.safe_load(rules), reasons, strict=True):
            group = f" ({rule['apiGroups'][0]})" if rule["apiGroups"][0] else ""
            rows.append(f"| {part} | {', '.join(rule['resources'])}{group} | {', '.join(rule['verbs'])} | {reason} |\n")
    return "| Part | Resource | Verbs | Purpose |\n| --- | --- | --- | --- |\n" + "".join(rows)


def _between(marks: tuple[str, str], content: str, text: str) -> str:
    """Return the text with the content placed between the two marks."""
    head, _, tail = text.partition(marks[0])
    return f"{head}{marks[0]}\n{content}{marks[1]}{tail.partition(marks[1])[2]}"


def values() -> list[Value]:
    """Every value in values.yaml that has a comment, in file order."""
    text = (CHART / "values.yaml").read_text()
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(root, yaml.MappingNode), "values.yaml is a mapping"
    return list(_walk(root, text.splitlines(), ""))


def undocumented() -> list[str]:
    """Values without a comment. There should be none."""
    names = {value.name for value in values()}
    document = yaml.safe_load((CHART / "values.yaml").read_text())
    return [
        name
        for name in _leaves(document, "")
        if not any(name == parent or name.startswith(f"{parent}.") for parent in names)
    ]


def _walk(node: yaml.MappingNode, lines: list[str], prefix: str) -> Iterator[Value]:
    for key, value in node.value:
        name = f"{prefix}{key.value}"
        description = _comment(lines, key.start_mark.line)
        if description:
            default = json.dumps(yaml.safe_load(yaml.serialize(value)))
            yield Value(name, default, description)
        elif isinstance(value, yaml.MappingNode):
            yield from _walk(value, lines, f"{name}.")


def _comment(lines: list[str], line: int) -> str:
    """The `# --` comment directly above a line; empty if there is none."""
    words: list[str] = []
    for previous in reversed(lines[:line]):
        text = previous.strip()
        if not text.startswith("#"):
            return ""
        if text.startswith(_MARK):
            return " ".join([text.removeprefix(_MARK).strip(), *words])
        words.insert(0, text.removeprefix("#").strip())
    return ""


def _leaves(value: object, prefix: str) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _leaves(inner, f"{prefix}.{key}" if prefix else str(key))
    else:
        yield prefix
