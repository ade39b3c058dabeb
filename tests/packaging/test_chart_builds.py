"""The chart with builds, as helm renders it: namespace, network, rights, and what the operator is told."""

from __future__ import annotations

import base64
import ssl
import subprocess
import tomllib
from typing import TYPE_CHECKING, Any

import pytest

from componentrun.api import names
from componentrun.api.component import Network
from componentrun.api.storage import Storage
from componentrun.controller import settings as operator_settings
from componentrun.core.builds.dockerfile import buildkit_configuration
from componentrun.core.builds.settings import BuildSettings, RemoteBuilder
from componentrun.core.pod.networkpolicy import build_policy
from dev.install import chart
from tests.environment import settings_from
from tests.packaging.charts import IMAGE, Chart, environment, handshake, of_kind, rights
from tests.packaging.rights import BUILD_LOGS, BUILD_PODS, BUILDS, SEEN_BUILDS

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

ON = ("builds.enabled=true", "builds.repository=registry.example.com/builds")
DOCKERFILES = (*ON, "builds.dockerfile.enabled=true", "builds.dockerfile.seccompProfile=componentrun/buildkit.json")
NAMESPACE = "somewhere-builds"


def in_namespace(documents: Iterable[dict[str, Any]], namespace: str = NAMESPACE) -> dict[str, dict[str, Any]]:
    """Objects of the builds' namespace, by kind."""
    return {item["kind"]: item for item in documents if item["metadata"].get("namespace") == namespace}


def role_rules(documents: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    (role,) = [item for item in of_kind(documents, "ClusterRole") if item["metadata"]["name"].endswith(f"-{name}")]
    return list(role["rules"])


def egress(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return list(in_namespace(documents)["NetworkPolicy"]["spec"]["egress"])


def test_they_are_off_by_default(rendered: Chart) -> None:
    documents = rendered.render()
    assert not of_kind(documents, "Namespace")
    assert not in_namespace(documents)
    assert ("componentbuilds", "create") not in rights(role_rules(documents, "operator"))
    given = environment(documents, "operator")
    assert given["COMPONENTRUN_BUILDS"] == "false"
    assert given["COMPONENTRUN_BUILDS_NAMESPACE"] == given["COMPONENTRUN_BUILDS_BUILDER_IMAGE"] == ""


def test_their_namespace_enforces_restricted_pods_and_outlives_the_chart(rendered: Chart) -> None:
    (namespace,) = of_kind(rendered.render(*ON), "Namespace")
    assert namespace["metadata"]["name"] == NAMESPACE
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert namespace["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


@pytest.mark.parametrize(
    ("profile", "level"), [("componentrun/buildkit.json", "baseline"), ("Unconfined", "privileged")]
)
def test_dockerfiles_need_a_seccomp_profile_and_a_weaker_level(rendered: Chart, profile: str, level: str) -> None:
    documents = rendered.render(
        *ON,
        "builds.dockerfile.enabled=true",
        f"builds.dockerfile.seccompProfile={profile}",
        "builds.dockerfile.image=b:1",
    )
    (namespace,) = of_kind(documents, "Namespace")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == level
    builds = settings_from(operator_settings.Settings, environment(documents, "operator")).image_builds
    assert (builds.dockerfile_image, builds.seccomp_profile) == ("b:1", profile)


def test_dockerfiles_without_a_seccomp_profile_are_refused(rendered: Chart) -> None:
    assert "builds.dockerfile.seccompProfile" in rendered.refusal(IMAGE, *ON, "builds.dockerfile.enabled=true")


class TestBuilders:
    """BuildKits that stay (decision 0112)."""

    ON = (*DOCKERFILES, "builds.dockerfile.builders[0].namespace=team-a", "builds.dockerfile.builders[1].namespace=b")
    NAME = "release-componentrun-builder-team-a"

    def of(self, documents: list[dict[str, Any]], kind: str, name: str = NAME) -> dict[str, Any]:
        (found,) = (item for item in of_kind(documents, kind) if item["metadata"]["name"] == name)
        assert found["metadata"]["namespace"] == NAMESPACE
        return found

    def test_they_are_off_by_default(self, rendered: Chart) -> None:
        documents = rendered.render(*DOCKERFILES)
        assert not [item for item in documents if "builder" in item["metadata"]["name"]]
        assert environment(documents, "operator")["COMPONENTRUN_BUILDS_DOCKERFILE_BUILDERS"] == ""

    def test_the_operator_knows_them(self, rendered: Chart) -> None:
        documents = rendered.render(*self.ON)
        builds = settings_from(operator_settings.Settings, environment(documents, "operator")).image_builds
        address = f"{self.NAME}.{NAMESPACE}.svc:1234"
        assert builds.remote_builder("team-a") == RemoteBuilder("team-a", f"{self.NAME}-client", address)
        assert builds.remote_builder("b") is not None
        assert builds.remote_builder("c") is None
        assert self.of(documents, "Service")["spec"]["ports"][0]["port"] == 1234

    def test_pods_of_builds_of_its_namespace_alone_connect(self, rendered: Chart) -> None:
        documents = rendered.render(*self.ON)
        template = self.of(documents, "Deployment")["spec"]["template"]
        policy = self.of(documents, "NetworkPolicy")["spec"]
        assert policy["podSelector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
        (rule,) = policy["ingress"]
        (peer,) = rule["from"]
        clients = {names.MANAGED_BY_LABEL: names.MANAGED_BY, names.BUILD_NAMESPACE_LABEL: "team-a"}
        assert peer == {"podSelector": {"matchLabels": clients}}
        out = self.of(documents, "NetworkPolicy", f"{self.NAME}-clients")["spec"]
        assert out["podSelector"] == peer["podSelector"]
        assert out["egress"][0]["to"] == [{"podSelector": policy["podSelector"]}]
        assert names.BUILD_NAMESPACE_LABEL not in template["metadata"]["labels"], "it is not the pod of a build"

    def test_it_is_no_stronger_than_buildkit_in_the_pod_of_a_build(self, rendered: Chart) -> None:
        pod = self.of(rendered.render(*self.ON), "Deployment")["spec"]["template"]["spec"]
        assert pod["containers"][0]["securityContext"] == {
            "allowPrivilegeEscalation": True,
            "capabilities": {"drop": ["ALL"], "add": ["SETUID", "SETGID"]},
            "seccompProfile": {"type": "Localhost", "localhostProfile": "componentrun/buildkit.json"},
        }
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsUser"] == 1000

    def test_the_certificate_of_one_namespace_is_refused_by_the_builder_of_another(
        self, rendered: Chart, tmp_path: Path
    ) -> None:
        documents = rendered.render(*self.ON)

        def context(name: str, side: str) -> ssl.SSLContext:
            data = self.of(documents, "Secret", f"release-componentrun-builder-{name}-{side}")["data"]
            for key, value in data.items():
                (tmp_path / key).write_bytes(base64.b64decode(value))
            made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT if side == "client" else ssl.PROTOCOL_TLS_SERVER)
            made.verify_mode = ssl.CERT_REQUIRED
            made.load_verify_locations(tmp_path / "ca.crt")
            made.load_cert_chain(tmp_path / "tls.crt", tmp_path / "tls.key")
            return made

        host = f"{self.NAME}.{NAMESPACE}.svc"
        assert handshake(context("team-a", "server"), context("team-a", "client"), host) == "TLSv1.3"
        with pytest.raises(ssl.SSLError):
            handshake(context("team-a", "server"), context("b", "client"), host)

    def test_it_has_the_configuration_of_others_and_a_limit_of_its_cache(self, rendered: Chart) -> None:
        documents = rendered.render(
            *self.ON,
            "builds.dockerfile.builders[0].cacheSize=5Gi",
            "builds.dockerfile.builders[0].storage.persistent=true",
            "operator.registries.plainHttp={a.example.com:5000}",
            "operator.registries.caBundle=pem",
        )
        files = self.of(documents, "ConfigMap")["data"]
        configuration = tomllib.loads(files["buildkitd.toml"])
        assert configuration.pop("worker") == {"oci": {"gc": True, "maxUsedSpace": "5Gi"}}
        assert configuration == tomllib.loads(buildkit_configuration(["a.example.com:5000"]))
        assert files["authorities.pem"].strip() == "pem"
        subprocess.run(["sh", "-n"], input=files["start"], text=True, check=True)
        volumes = self.of(documents, "Deployment")["spec"]["template"]["spec"]["volumes"]
        assert {"name": "state", "persistentVolumeClaim": {"claimName": self.NAME}} in volumes
        assert self.of(documents, "PersistentVolumeClaim")["spec"]["resources"]["requests"]["storage"] == "20Gi"

    def test_certificates_of_the_platform_team(self, rendered: Chart) -> None:
        tls = "builds.dockerfile.builders[0].tls"
        documents = rendered.render(*self.ON[:-1], f"{tls}.serverSecret=s", f"{tls}.clientSecret=c")
        assert not [item for item in of_kind(documents, "Secret") if "builder" in item["metadata"]["name"]]
        builds = settings_from(operator_settings.Settings, environment(documents, "operator")).image_builds
        assert [builder.secret for builder in builds.remote_builders] == ["c"]
        volumes = self.of(documents, "Deployment")["spec"]["template"]["spec"]["volumes"]
        assert [item["secret"]["secretName"] for item in volumes if "secret" in item] == ["s"]
        assert "tls.clientSecret" in rendered.refusal(IMAGE, *self.ON, f"{tls}.serverSecret=s")

    def test_long_names(self, rendered: Chart) -> None:
        documents = rendered.render(*DOCKERFILES, f"builds.dockerfile.builders[0].namespace={'n' * 63}")
        (service,) = (item for item in of_kind(documents, "Service") if "-builder-" in item["metadata"]["name"])
        assert len(service["metadata"]["name"]) == 63

    def test_two_of_one_namespace_are_refused(self, rendered: Chart) -> None:
        values = (*self.ON, "builds.dockerfile.builders[1].namespace=team-a")
        assert "team-a has two builders" in rendered.refusal(IMAGE, *values)


def test_dockerfiles_are_off_by_default(rendered: Chart) -> None:
    assert not settings_from(
        operator_settings.Settings, environment(rendered.render(*ON), "operator")
    ).image_builds.builds_dockerfiles


def test_a_namespace_that_exists_is_used(rendered: Chart) -> None:
    documents = rendered.render(*ON, "builds.createNamespace=false", "builds.namespace=own")
    assert not of_kind(documents, "Namespace")
    assert sorted(in_namespace(documents, "own")) == ["NetworkPolicy", "Role", "RoleBinding"]
    assert environment(documents, "operator")["COMPONENTRUN_BUILDS_NAMESPACE"] == "own"


class TestNetwork:
    def test_nothing_comes_in_and_only_dns_goes_out(self, rendered: Chart) -> None:
        spec = in_namespace(rendered.render(*ON))["NetworkPolicy"]["spec"]
        assert spec["podSelector"] == {}
        assert spec["policyTypes"] == ["Ingress", "Egress"]
        assert "ingress" not in spec
        (dns,) = spec["egress"]
        assert {port["port"] for port in dns["ports"]} == {53}

    def test_dns_servers_are_those_of_runs(self, rendered: Chart) -> None:
        cidrs = ("169.254.20.10/32",)
        (dns,) = egress(rendered.render(*ON, f"operator.dnsCidrs={{{','.join(cidrs)}}}"))
        manifest = {"metadata": {"name": "main", "namespace": "team", "uid": "1"}, "spec": {"bucket": "tables"}}
        policy = build_policy(Network(), Storage.model_validate(manifest), dns_cidrs=cidrs)
        assert dns == policy["spec"]["egress"][0]

    def test_rules_are_taken_as_they_are(self, rendered: Chart) -> None:
        rule = "builds.network.egress[0]"
        documents = rendered.render(*ON, f"{rule}.ports[0].port=443", f"{rule}.to[0].ipBlock.cidr=192.0.2.0/24")
        assert egress(documents)[1:] == [{"ports": [{"port": 443}], "to": [{"ipBlock": {"cidr": "192.0.2.0/24"}}]}]


class TestRights:
    def test_the_operator_has_those_of_builds_in_all_its_namespaces(self, rendered: Chart) -> None:
        more = rights(role_rules(rendered.render(*ON), "operator")) - rights(role_rules(rendered.render(), "operator"))
        assert more == set(BUILDS)
        documents = rendered.render(*ON, "namespaces={one,two}")
        for namespace in ("one", "two"):
            roles = [item for item in of_kind(documents, "Role") if item["metadata"]["namespace"] == namespace]
            (role,) = [item for item in roles if item["metadata"]["name"].endswith("operator")]
            assert rights(role["rules"]) >= set(BUILDS)

    def test_the_collector_sees_builds(self, rendered: Chart) -> None:
        on, off = rendered.render(*ON), rendered.render()
        assert rights(role_rules(on, "collector")) - rights(role_rules(off, "collector")) == set(SEEN_BUILDS)
        assert environment(on, "collector")["COMPONENTRUN_BUILDS_NAMESPACE"] == NAMESPACE
        assert environment(off, "collector")["COMPONENTRUN_BUILDS_NAMESPACE"] == ""

    @pytest.mark.parametrize("has_collector", [True, False])
    def test_operator_and_collector_alone_have_rights_in_the_namespace_of_builds(
        self, rendered: Chart, has_collector: bool
    ) -> None:
        documents = rendered.render(*ON, f"collector.enabled={str(has_collector).lower()}")
        there = [item for item in documents if item["metadata"].get("namespace") == NAMESPACE]
        roles = {item["metadata"]["name"]: rights(item["rules"]) for item in of_kind(there, "Role")}
        found = {}
        for binding in of_kind(there, "RoleBinding"):
            (subject,) = binding["subjects"]
            assert (subject["kind"], subject["namespace"]) == ("ServiceAccount", "somewhere")
            found[subject["name"]] = roles[binding["roleRef"]["name"]]
        expected = {"release-componentrun-operator": set(BUILD_PODS)}
        assert found == expected | ({"release-componentrun-collector": set(BUILD_LOGS)} if has_collector else {})

    def test_users_cancel_builds_and_nobody_creates_them(self, rendered: Chart) -> None:
        documents = rendered.render()
        found = {
            role: {verb for resource, verb in rights(role_rules(documents, role)) if resource == "componentbuilds"}
            for role in ("view", "edit", "admin")
        }
        assert found == {"view": {"get", "list", "watch"}, "edit": {"patch", "delete"}, "admin": set()}


@pytest.mark.parametrize(
    "used", [{**BUILDS, **BUILD_PODS}, {**SEEN_BUILDS, **BUILD_LOGS}], ids=["operator", "collector"]
)
def test_what_a_right_is_for_stands_where_it_is_said_to(used: dict[tuple[str, str], tuple[str, str]]) -> None:
    for right, (file, code) in used.items():
        assert code in (chart.ROOT / "operator" / "componentrun" / file).read_text(), (right, file)


def test_values_arrive(rendered: Chart) -> None:
    given = environment(
        rendered.render(
            *ON,
            "builds.pushSecret=push",
            "builds.gitHosts={git.example.com,git.example.com:2222}",
            "builds.platform=linux/arm64",
            "builds.resources.cpu=2",
            "builds.resources.memory=2147483648",
            "builds.resources.disk=8Gi",
            "imagePullSecrets[0].name=pull",
        ),
        "operator",
    )
    settings = settings_from(operator_settings.Settings, given)
    assert settings.image_builds == BuildSettings(
        is_enabled=True,
        namespace=NAMESPACE,
        repository="registry.example.com/builds",
        push_secret="push",
        builder_image=settings.agent_image,
        builder_pull_secrets=("pull",),
        git_hosts=("git.example.com", "git.example.com:2222"),
        platform="linux/arm64",
        cpu_limit="2",
        memory_limit="2147483648",
        disk_limit="8Gi",
    )


@pytest.mark.parametrize("values", [("builds=null",), ("builds.resources=null", "builds.network=null")])
def test_values_of_an_earlier_chart_lack_these(rendered: Chart, values: tuple[str, ...]) -> None:
    """`helm upgrade --reuse-values` keeps the values of the earlier chart, without new defaults."""
    given = environment(rendered.render(*values), "operator")
    assert (given["COMPONENTRUN_BUILDS"], given["COMPONENTRUN_BUILDS_MEMORY"]) == ("false", "1Gi")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (("builds.enabled=true",), "builds.repository is empty"),
        ((*ON, "builds.namespace=somewhere"), "also a namespace of runs or of the operator"),
        ((*ON, "namespaces={one,two}", "builds.namespace=two"), "also a namespace of runs or of the operator"),
        ((*ON, "builds.repository=registry.example.com/Builds"), "repository"),
        ((*ON, "builds.repository=https://registry.example.com/builds"), "repository"),
        ((*ON, "builds.gitHosts={https://git.example.com}"), "gitHosts"),
        ((*ON, "builds.platform=amd64"), "platform"),
        ((*ON, "builds.resources.memory=much"), "memory"),
        ((*ON, "builds.resourcse.memory=1Gi"), "resourcse"),
    ],
)
def test_a_wrong_value_is_named(rendered: Chart, values: tuple[str, ...], words: str) -> None:
    assert words in rendered.refusal(IMAGE, *values)
