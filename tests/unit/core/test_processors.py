"""The processors of a run: which there are, what each gets, and which are refused."""

from __future__ import annotations

from typing import Any

import pytest

from componentrun.core.request.resolve import EffectiveRun, resolve
from componentrun.errors import Reason, UserError
from tests.unit.core.make import make_component, make_run


def processor(name: str = "unzip", **spec: Any) -> Any:
    spec.setdefault("type", "processor")
    spec.setdefault("image", f"registry.example.com/processors/{name}")
    return make_component(name, **spec)


def resolved(*known: Any, component: dict[str, Any] | None = None, **spec: Any) -> EffectiveRun:
    """A run of Component `cleaner` with these processors known."""
    found = {item.metadata.name: item for item in known or (processor(),)}
    return resolve(
        make_run(component="cleaner", **spec), make_component(**(component or {})), "lake", None, processors=found
    )


def refusal(*known: Any, **arguments: Any) -> UserError:
    with pytest.raises(UserError) as caught:
        resolved(*known, **arguments)
    return caught.value


def steps(*names: str) -> list[dict[str, Any]]:
    return [{"component": name} for name in names]


def test_a_run_without_processors_has_none() -> None:
    assert resolved().processors == ()


def test_they_run_in_order_and_are_numbered_on_each_side() -> None:
    zipper, header = processor("zip"), processor("header")
    found = resolved(
        processor(), zipper, header, processors={"before": steps("unzip"), "after": steps("header", "zip")}
    )
    assert [(item.container, item.component) for item in found.processors] == [
        ("before-1", "unzip"),
        ("after-1", "header"),
        ("after-2", "zip"),
    ]
    assert found.before == found.processors[:1]
    assert found.after == found.processors[1:]


def test_those_of_a_run_replace_those_of_its_component() -> None:
    component = {"processors": {"before": steps("unzip")}}
    assert [item.component for item in resolved(component=component).processors] == ["unzip"]
    other = resolved(processor("zip"), component=component, processors={"after": steps("zip")})
    assert [item.container for item in other.processors] == ["after-1"]
    assert resolved(component=component, processors={}).processors == ()


def test_other_actions_than_run_skip_them_even_if_they_do_not_exist() -> None:
    assert resolved(action="testConnection", processors={"before": steps("gone")}).processors == ()


def test_processors_of_a_processors_component_do_not_run_so_there_is_no_cycle() -> None:
    itself = processor(processors={"before": steps("unzip"), "after": steps("gone")})
    assert [item.container for item in resolved(itself, processors={"after": steps("unzip")}).processors] == ["after-1"]


def test_ten_are_allowed() -> None:
    found = resolved(processors={"before": steps(*["unzip"] * 6), "after": steps(*["unzip"] * 4)}).processors
    assert [item.container for item in found][-1] == "after-4"
    assert len(found) == 10


def test_each_has_its_own_image_command_user_and_timeout() -> None:
    own = processor(tag="1.4", command=["/p"], args=["-v"], runAsUser=4711, readOnlyRootFilesystem=True, timeout="5m")
    (found,) = resolved(own, processors={"before": steps("unzip")}, timeout="2h").processors
    assert found.image == "registry.example.com/processors/unzip:1.4"
    assert (found.command, found.args) == (("/p",), ("-v",))
    assert (found.user_id, found.read_only_root, found.timeout_seconds) == (4711, True, 300)


def test_the_tag_of_a_step_comes_first() -> None:
    (found,) = resolved(processor(tag="1.4"), processors={"after": [{"component": "unzip", "tag": "2.0"}]}).processors
    assert found.image == "registry.example.com/processors/unzip:2.0"


@pytest.mark.parametrize(
    ("spec", "limits"),
    [
        ({}, {"cpu": "1", "memory": "1Gi"}),
        ({"size": "xsmall"}, {"cpu": "1", "memory": "512Mi"}),
        ({"size": "large"}, {"cpu": "14", "memory": "7270Mi"}),
        # What a run asks for in `resources` is for its component.
        ({"resources": {"limits": {"memory": "8Gi"}}}, {"cpu": "1", "memory": "1Gi"}),
    ],
)
def test_memory_is_the_processors_scaled_by_the_runs_size(spec: dict[str, Any], limits: dict[str, str]) -> None:
    own = processor(resources={"limits": {"memory": "1Gi"}})
    (found,) = resolved(own, processors={"before": steps("unzip")}, **spec).processors
    assert found.limits == limits
    assert found.requests == limits


def test_a_size_scales_it_up_to_what_the_processor_allows() -> None:
    own = processor(resources={"limits": {"memory": "1Gi"}}, allowed={"resources": {"memory": "2Gi", "cpu": "3"}})
    (found,) = resolved(own, processors={"before": steps("unzip")}, size="large").processors
    assert found.limits == found.requests == {"cpu": "3", "memory": "2Gi"}
    (found,) = resolved(own, processors={"before": steps("unzip")}).processors
    assert found.limits == {"cpu": "1", "memory": "1Gi"}


def test_config_json_has_only_what_belongs_to_the_processor() -> None:
    found = resolved(
        configuration={"id": "7", "parameters": {"#key": "hush"}, "imageParameters": {"#image": "quiet"}},
        processors={"before": [{"component": "unzip", "parameters": {"level": 3}}]},
        input={"tables": [{"source": "in.c-main.foo"}]},
    )
    assert found.before[0].config == {"parameters": {"level": 3}, "image_parameters": {}, "action": "run"}


def test_the_environment_names_the_processor_and_the_run() -> None:
    found = resolved(
        component={"dataTypeSupport": "hints", "logging": {"gelf": {}}},
        configuration={"id": "7"},
        processors={"after": steps("unzip")},
    )
    own = found.after[0].env
    assert (own["KBC_COMPONENTID"], own["COMPONENTRUN_COMPONENTID"]) == ("unzip", "unzip")
    assert found.env["KBC_COMPONENTID"] == "cleaner"
    # The GELF server is the component's.
    assert {key for key in found.env if "LOGGER" not in key} == set(own)
    assert {own[key] == found.env[key] for key in own if not key.endswith("COMPONENTID")} == {True}


def test_secrets_in_its_parameters_are_redacted() -> None:
    found = resolved(processors={"after": [{"component": "unzip", "parameters": {"#password": "hush-hush"}}]})
    assert "hush-hush" in found.plain_secrets


@pytest.mark.parametrize(
    ("known", "arguments", "reason", "message"),
    [
        (
            {"type": "writer"},
            {"processors": {"after": steps("unzip")}},
            Reason.INVALID_SPEC,
            (
                "spec.processors.after[0].component: Component `unzip` has the type `writer`; expected the type "
                "`processor`. Name another one, or set `type: processor` if its image is one."
            ),
        ),
        (
            {"type": None},
            {"processors": {"after": steps("unzip")}},
            Reason.INVALID_SPEC,
            (
                "spec.processors.after[0].component: Component `unzip` has no type; expected the type `processor`. "
                "Name another one, or set `type: processor` if its image is one."
            ),
        ),
        (
            {},
            {"processors": {"before": steps("unzip", "gone")}},
            Reason.COMPONENT_NOT_FOUND,
            (
                "spec.processors.before[1].component: there is no Component `gone` in the namespace, and no "
                "ClusterComponent. Create it, or name another one."
            ),
        ),
        (
            {"processor": {"positions": ["after"]}},
            {"processors": {"before": steps("unzip")}},
            Reason.INVALID_SPEC,
            (
                "spec.processors.before[0].component: Component `unzip` runs only `after` the component; found it in "
                "`before`. Move it, or use another processor."
            ),
        ),
        (
            {},
            {"processors": {"before": steps(*["unzip"] * 6), "after": steps(*["unzip"] * 5)}},
            Reason.INVALID_SPEC,
            "spec.processors: found 11 processors; expected at most 10. Use fewer, or do the rest in another run.",
        ),
        (
            {"network": {"mode": "bridge"}},
            {"component": {"network": {"mode": "no-internet"}}, "processors": {"before": steps("unzip")}},
            Reason.INVALID_SPEC,
            (
                "spec.processors.before[0].component: Component `unzip` needs the network `bridge`, and the run has "
                "`no-internet`; expected a processor that needs no more than the component, as one pod has one "
                "network. Use another processor, or have the Component of the run allow more."
            ),
        ),
        (
            {"network": {"egress": [{"cidr": "203.0.113.7/32", "port": 443}]}},
            {"component": {"processors": {"after": steps("unzip")}}},
            Reason.INVALID_SPEC,
            (
                "Component `cleaner`: spec.processors.after[0].component: Component `unzip` needs the network "
                "`203.0.113.7/32` port 443, and the run has `none`; expected a processor that needs no more than the "
                "component, as one pod has one network. Use another processor, or have the Component of the run allow "
                "more."
            ),
        ),
        (
            {"image": "unzip@sha256:abc"},
            {"processors": {"after": [{"component": "unzip", "tag": "2"}]}},
            Reason.INVALID_SPEC,
            (
                "spec.processors.after[0].tag: `2` was given, but the image of Component `unzip` is pinned by digest "
                "(`unzip@sha256:abc`). Remove the tag."
            ),
        ),
        (
            {"timeout": "2h"},
            {"timeout": "23h", "processors": {"after": steps("unzip")}},
            Reason.INVALID_SPEC,
            (
                "spec.processors: the timeouts of the component (23h00m) and its processors add up to 25h00m; expected "
                "at most 24h00m. Lower `spec.timeout`, or the `timeout` of the processors' Components."
            ),
        ),
        (
            {"tag": "1", "allowed": {"tags": ["2"]}},
            {"processors": {"after": [{"component": "unzip", "tag": "3"}]}},
            Reason.INVALID_SPEC,
            (
                "spec.processors.after[0].tag: found `3`, which Component `unzip` does not allow; expected one of `1`, "
                "`2`. Use one of them, or have the Component changed."
            ),
        ),
        (
            {"resources": {"limits": {"memory": "0"}}},
            {"processors": {"after": steps("unzip")}},
            Reason.INVALID_SPEC,
            "Component `unzip`: spec.resources.limits.memory: `0` is nothing; expected more than 0",
        ),
    ],
)
def test_what_is_refused(known: dict[str, Any], arguments: dict[str, Any], reason: Reason, message: str) -> None:
    error = refusal(processor(**known), **arguments)
    assert (error.reason, error.message) == (reason, message)


@pytest.mark.parametrize("needed", [{}, {"mode": "no-internet"}, {"egress": [{"cidr": "10.0.0.0/8", "port": 5432}]}])
def test_one_that_needs_less_network_gets_that_of_the_component(needed: dict[str, Any]) -> None:
    found = resolved(
        processor(network=needed),
        component={"network": {"mode": "no-internet"}},
        processors={"before": steps("unzip")},
    )
    assert found.network.mode == "no-internet"


def test_a_network_that_the_run_narrowed_counts() -> None:
    error = refusal(
        processor(network={"mode": "no-internet"}),
        component={"network": {"mode": "bridge"}},
        network={"mode": "none"},
        processors={"before": steps("unzip")},
    )
    assert "the run has `none`" in error.message


def test_a_run_of_an_image_has_processors_too() -> None:
    found = resolve(make_run(processors={"after": steps("unzip")}), None, "lake", None, {"unzip": processor()})
    assert [item.container for item in found.processors] == ["after-1"]


def test_the_longest_run_is_as_long_as_all_steps_together() -> None:
    found = resolved(processor(timeout="5m"), timeout="1h", processors={"before": steps("unzip", "unzip")})
    assert found.total_seconds == 3600 + 2 * 300
