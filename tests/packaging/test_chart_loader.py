"""What the chart puts into a cluster for the loader: who can reach it, what it may do, how the operator finds it."""

from __future__ import annotations

import base64
import ssl
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from componentrun.controller import settings as operator_settings
from componentrun.loader import settings as loader_settings
from componentrun.process.serving.authority import Authority
from componentrun.process.serving.certificate import CERTIFICATE, KEY, Certificate
from componentrun.process.settings import variables
from componentrun.wire import loaderaccess
from dev.install import chart
from tests.environment import settings_from
from tests.packaging.charts import IMAGE, Chart, containers, environment, handshake, of_kind, rights

if TYPE_CHECKING:
    from pathlib import Path

NAME = "release-componentrun-loader"
CALLER = "system:serviceaccount:somewhere:release-componentrun-operator"


@pytest.fixture(scope="module")
def documents(rendered: Chart) -> list[dict[str, Any]]:
    return rendered.render("collector.reader=api")


def deployment(documents: list[dict[str, Any]], part: str = "loader") -> dict[str, Any]:
    (found,) = [item for item in of_kind(documents, "Deployment") if item["metadata"]["name"].endswith(f"-{part}")]
    return found


def pod(documents: list[dict[str, Any]], part: str = "loader") -> dict[str, Any]:
    return dict(deployment(documents, part)["spec"]["template"]["spec"])


def named(documents: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (found,) = [item for item in of_kind(documents, kind) if item["metadata"]["name"] == NAME]
    return found


def test_both_understand_what_they_are_given(documents: list[dict[str, Any]]) -> None:
    given = settings_from(loader_settings.Settings, environment(documents, "loader"))
    assert given == loader_settings.Settings(loader_callers=(CALLER,), loader_scratch_mib=8192)
    accounts = {item["metadata"]["name"] for item in of_kind(documents, "ServiceAccount")}
    assert CALLER.rpartition(":")[2] in accounts
    operator = settings_from(operator_settings.Settings, environment(documents, "operator"))
    assert operator.loader == operator_settings.LoaderSettings(f"https://{NAME}.somewhere.svc:{loaderaccess.PORT}")


def test_values_arrive(rendered: Chart) -> None:
    documents = rendered.render(
        "loader.loads=9", "loader.plans=7", "loader.places=5", "loader.stopSeconds=60", "loader.loadTimeout=1h",
        "loader.answerTimeout=30s", "loader.scratchMiB=1000",
    )  # fmt: skip
    settings = settings_from(loader_settings.Settings, environment(documents, "loader"))
    assert settings.loader_loads == 9
    assert settings.loader_plans == 7
    assert settings.loader_places == 5
    assert settings.loader_stop_seconds == 60
    operator = settings_from(operator_settings.Settings, environment(documents, "operator")).loader
    assert operator is not None
    assert (operator.load_seconds, operator.answer_seconds) == (3600, 30)
    found = pod(documents)
    assert (
        found["terminationGracePeriodSeconds"] > 60 + found["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    )
    (tmp,) = [volume for volume in found["volumes"] if volume["name"] == "tmp"]
    assert tmp["emptyDir"] == {"sizeLimit": "1256Mi"}


def test_whatever_the_loader_reads_the_chart_gives(documents: list[dict[str, Any]]) -> None:
    read = set(variables(loader_settings.Settings))
    (container,) = pod(documents)["containers"]
    given = {variable["name"] for variable in container["env"]}
    # Where it serves, and its folder for files, are fixed in the chart; it watches no namespaces.
    left_out = {"HOST", "PORT", "NAMESPACES", "LOADER_SCRATCH_FOLDER"}
    assert read - given == {f"COMPONENTRUN_{name}" for name in left_out}


class TestImage:
    def image(self, rendered: Chart, *values: str) -> str:
        (container,) = [item for item in containers(rendered.render(*values)) if item["name"] == "loader"]
        return str(container["image"])

    def test_it_is_beside_the_other_one(self, rendered: Chart) -> None:
        version = yaml.safe_load((chart.CHART / "Chart.yaml").read_text())["appVersion"]
        assert self.image(rendered) == f"registry.example.com/componentrun-loader:{version}"
        assert self.image(rendered, "image.tag=1.2.3").endswith("/componentrun-loader:1.2.3")

    def test_it_can_be_named(self, rendered: Chart) -> None:
        named = "loader.image.repository=registry.example.com/other"
        digest = f"sha256:{'0' * 64}"
        assert self.image(rendered, named, "loader.image.tag=1.9.0") == "registry.example.com/other:1.9.0"
        assert self.image(rendered, named, f"loader.image.digest={digest}") == f"registry.example.com/other@{digest}"

    def test_a_digest_of_the_other_image_is_not_taken_for_its_own(self, rendered: Chart) -> None:
        assert "@" not in self.image(rendered, f"image.digest=sha256:{'0' * 64}")


class TestWalls:
    def test_only_the_operator_can_connect_whatever_else_is_chosen(self, rendered: Chart) -> None:
        for values in ((), ("networkPolicy.enabled=true",)):
            policy = named(rendered.render(*values), "NetworkPolicy")["spec"]
            assert policy["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "loader"
            (rule,) = [rule for rule in policy["ingress"] if rule["ports"][0]["port"] == loaderaccess.PORT]
            (peer,) = rule["from"]
            assert set(peer) == {"podSelector"}
            assert peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] == "operator"
            others = [port["port"] for rule in policy["ingress"] for port in rule["ports"]]
            assert others == [loaderaccess.PORT, 8080]

    def test_it_may_ask_whose_a_token_is_and_nothing_else(self, documents: list[dict[str, Any]]) -> None:
        assert rights(named(documents, "ClusterRole")["rules"]) == {("tokenreviews", "create")}
        assert not [item for item in of_kind(documents, "Role") if "loader" in item["metadata"]["name"]]

    def test_no_key_is_in_its_pod(self, documents: list[dict[str, Any]]) -> None:
        """The keys of a Storage come with each request, and are not kept."""
        secrets = [volume["secret"]["secretName"] for volume in pod(documents)["volumes"] if "secret" in volume]
        assert secrets == [f"{NAME}-tls"]
        assert not [item for item in pod(documents)["containers"][0]["env"] if "secretKeyRef" in str(item)]

    def test_the_operator_has_a_token_for_this_alone(self, documents: list[dict[str, Any]]) -> None:
        spec = pod(documents, "operator")
        (volume,) = [volume for volume in spec["volumes"] if volume["name"] == "token"]
        (source,) = volume["projected"]["sources"]
        assert source["serviceAccountToken"]["audience"] == loaderaccess.AUDIENCE
        (mount,) = [mount for mount in spec["containers"][0]["volumeMounts"] if mount["name"] == "token"]
        assert f"{mount['mountPath']}/{source['serviceAccountToken']['path']}" == loaderaccess.TOKEN_FILE

    def test_its_certificate_is_believed_by_the_operator_and_by_nobody_else(
        self, documents: list[dict[str, Any]], tmp_path: Path
    ) -> None:
        (secret,) = of_kind(documents, "Secret")
        assert (secret["metadata"]["name"], secret["type"]) == (f"{NAME}-tls", "kubernetes.io/tls")
        assert set(secret["data"]) == {"ca.crt", CERTIFICATE, KEY}, "the authority's key is nowhere"
        for name, data in secret["data"].items():
            (tmp_path / name).write_bytes(base64.b64decode(data))
        server = Certificate(str(tmp_path), "loader", "loader.tls").context
        client = Authority(str(tmp_path / "ca.crt")).context()
        assert handshake(server, client, loaderaccess.SERVER_NAME) == "TLSv1.3"
        with pytest.raises(ssl.SSLCertVerificationError):
            handshake(server, client, "another.componentrun.dev")
        with pytest.raises(ssl.SSLCertVerificationError):
            handshake(server, ssl.create_default_context(), loaderaccess.SERVER_NAME)

    @pytest.mark.parametrize("own", ["", "from-cert-manager"])
    def test_each_side_has_its_own_part_of_the_certificate(self, rendered: Chart, own: str) -> None:
        documents = rendered.render(f"loader.tls.secretName={own}", "collector.reader=api")
        assert len(of_kind(documents, "Secret")) == (0 if own else 1)
        folder, _, file = loaderaccess.AUTHORITY_FILE.rpartition("/")
        expected = {"loader": (loaderaccess.TLS_FOLDER, [CERTIFICATE, KEY]), "operator": (folder, [file])}
        for part, (path, keys) in expected.items():
            spec = pod(documents, part)
            (volume,) = [volume for volume in spec["volumes"] if volume["name"] == "certificates"]
            assert volume["secret"]["secretName"] == (own or f"{NAME}-tls")
            assert volume["secret"]["items"] == [{"key": key, "path": key} for key in keys]
            (mount,) = [item for item in spec["containers"][0]["volumeMounts"] if item["name"] == "certificates"]
            assert mount == {"name": "certificates", "mountPath": path, "readOnly": True}


class TestService:
    def test_it_leads_to_the_loaders_port(self, documents: list[dict[str, Any]]) -> None:
        spec = named(documents, "Service")["spec"]
        labels = deployment(documents)["spec"]["template"]["metadata"]["labels"]
        assert spec["selector"].items() <= labels.items()
        ports = {port["name"]: (port["port"], port["targetPort"]) for port in spec["ports"]}
        assert ports == {"loader": (loaderaccess.PORT, "loader"), "http": (8080, "http")}
        (container,) = pod(documents)["containers"]
        assert {port["name"]: port["containerPort"] for port in container["ports"]} == {
            "http": 8080,
            "loader": loaderaccess.PORT,
        }

    def test_an_update_starts_the_new_pod_first(self, documents: list[dict[str, Any]]) -> None:
        strategy = deployment(documents)["spec"]["strategy"]
        assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}

    def test_of_several_pods_one_may_be_drained_at_a_time(
        self, rendered: Chart, documents: list[dict[str, Any]]
    ) -> None:
        assert not of_kind(documents, "PodDisruptionBudget")
        several = rendered.render("loader.replicas=3")
        budget = named(several, "PodDisruptionBudget")["spec"]
        assert budget["maxUnavailable"] == 1
        labels = deployment(several)["spec"]["template"]["metadata"]["labels"]
        assert budget["selector"]["matchLabels"].items() <= labels.items()
        assert deployment(several)["spec"]["replicas"] == 3


class TestWithout:
    def test_nothing_of_it_is_left(self, rendered: Chart) -> None:
        documents = rendered.render("loader.enabled=false", "prometheusRule.enabled=true")
        assert not [item for item in documents if "loader" in item["metadata"]["name"]]
        assert settings_from(operator_settings.Settings, environment(documents, "operator")).loader is None
        assert not {"token", "certificates"} & {volume["name"] for volume in pod(documents, "operator")["volumes"]}
        (rule,) = of_kind(documents, "PrometheusRule")
        assert "ComponentRunLoader" not in str(rule)

    def test_its_alerts_come_with_it(self, rendered: Chart) -> None:
        (rule,) = of_kind(rendered.render("prometheusRule.enabled=true"), "PrometheusRule")
        told = yaml.safe_load((chart.CHART / "files" / "alerts.yaml").read_text())
        assert rule["spec"] == told, "all alerts, as they are in the file"

    def test_it_needs_an_image(self, rendered: Chart) -> None:
        assert rendered.run("template", IMAGE).returncode == 0
        assert "image.repository is not set" in rendered.refusal("loader.image.repository=registry.example.com/x")

    def test_with_a_list_of_namespaces_it_has_the_only_right_for_the_whole_cluster(self, rendered: Chart) -> None:
        documents = rendered.render("namespaces={one,two}", "rbac.aggregate=false", "collector.reader=api")
        (role,) = of_kind(documents, "ClusterRole")
        assert rights(role["rules"]) == {("tokenreviews", "create")}
