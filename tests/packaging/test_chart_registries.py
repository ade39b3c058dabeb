"""The chart's policy for images, as helm renders it. Its decisions are tested in a real API server."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.api.names import RUN_LABEL
from componentrun.core.images.allowed import normal_prefix
from componentrun.errors import UserError
from tests.packaging.charts import IMAGE, Chart, of_kind

if TYPE_CHECKING:
    from collections.abc import Sequence

ON = "admissionPolicy.allowedRegistries=true"
NAMES = ("release-componentrun-registries", "release-componentrun-registries-pods")


def policies(rendered: Chart, *values: str, registries: Sequence[str] = ("r.io",)) -> dict[str, dict[str, Any]]:
    """Specs of policies and bindings, by kind and the end of the name."""
    documents = rendered.render(ON, f"operator.allowedRegistries={{{','.join(registries)}}}", *values)
    return {
        f"{item['kind'].removeprefix('ValidatingAdmission')} {item['metadata']['name']}": item["spec"]
        for kind in ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
        for item in of_kind(documents, kind)
        if "registries" in item["metadata"]["name"]
    }


def prefixes(policy: dict[str, Any]) -> list[str]:
    (refused,) = [item["expression"] for item in policy["variables"] if item["name"] == "refused"]
    found = re.search(r"\|\| (\[.*?\](?:[^\[\]]*\])?)\.exists", refused)
    assert found, refused
    return list(json.loads(found[1]))


def test_it_is_off_by_default(rendered: Chart) -> None:
    names = [item["metadata"]["name"] for item in rendered.render("operator.allowedRegistries={r.io}")]
    assert not [name for name in names if "registries" in name]


def test_each_policy_denies_and_fails_closed(rendered: Chart) -> None:
    found = policies(rendered)
    assert sorted(found) == sorted(f"{kind} {name}" for kind in ("Policy", "PolicyBinding") for name in NAMES)
    for name in NAMES:
        assert found[f"Policy {name}"]["failurePolicy"] == "Fail"
        binding = found[f"PolicyBinding {name}"]
        assert binding == {"policyName": name, "validationActions": ["Deny"]}


def test_it_is_about_the_kinds_with_images_and_the_pods_of_runs(rendered: Chart) -> None:
    found = policies(rendered)
    (rule,) = found[f"Policy {NAMES[0]}"]["matchConstraints"]["resourceRules"]
    assert sorted(rule["resources"]) == ["clustercomponents", "componentruns", "components"]
    (rule,) = found[f"Policy {NAMES[1]}"]["matchConstraints"]["resourceRules"]
    assert sorted(rule["resources"]) == ["pods", "pods/ephemeralcontainers"]
    (condition,) = found[f"Policy {NAMES[1]}"]["matchConditions"]
    assert f"'{RUN_LABEL}' in object.metadata.labels" in condition["expression"]


def test_of_some_namespaces_it_leaves_the_others_alone(rendered: Chart) -> None:
    """ClusterComponents are not used then, and a selector of namespaces would not keep them out."""
    found = policies(rendered, "namespaces={a,b}")
    for name in NAMES:
        selector = found[f"PolicyBinding {name}"]["matchResources"]["namespaceSelector"]
        assert selector == {
            "matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["a", "b"]}]
        }
        (rule,) = found[f"Policy {name}"]["matchConstraints"]["resourceRules"]
        assert "clustercomponents" not in rule["resources"]


REGISTRIES = (
    "registry.example.com",
    "Registry.Example.com/team/",
    "registry.example.com:5000/a/b",
    "[fd00::1]:5000",
    "localhost",
    "localhost:5000/x",
    "docker.io",
    "index.docker.io/team",
    "registry-1.docker.io",
    "docker.io/nginx",
    "nginx",
    "library",
    "team/app",
)


def test_registries_have_the_form_that_the_operator_gives_them(rendered: Chart) -> None:
    found = policies(rendered, registries=REGISTRIES)
    for name in NAMES:
        assert prefixes(found[f"Policy {name}"]) == [normal_prefix(text) for text in REGISTRIES]


@pytest.mark.parametrize("text", ["Team", "https://r.io", "r.io/Team", "r.io//a", "r.io/../a", "r.io/app:1", "/"])
def test_what_the_operator_does_not_understand_is_refused(rendered: Chart, text: str) -> None:
    with pytest.raises(UserError):
        normal_prefix(text)
    refusal = rendered.refusal(IMAGE, ON, f"operator.allowedRegistries={{{text}}}")
    assert re.search(f"operator.allowedRegistries: `{re.escape(text)}` is not a registry", refusal)


def test_pods_may_use_images_that_were_built_and_nobody_may_name_them(rendered: Chart) -> None:
    found = policies(rendered, "builds.enabled=true", "builds.repository=Builds.example.com/built")
    assert prefixes(found[f"Policy {NAMES[0]}"]) == ["r.io"]
    assert prefixes(found[f"Policy {NAMES[1]}"]) == ["r.io", "builds.example.com/built"]


def test_without_a_list_it_is_refused(rendered: Chart) -> None:
    assert "operator.allowedRegistries is empty: name the registries there" in rendered.refusal(IMAGE, ON)
