"""What a field's own schema can't say, in CEL (Kubernetes 1.29 and newer), by the path of the field it is about.

https://kubernetes.io/docs/reference/using-api/cel/

All rules of an object are asked at every write, also at those of a status. The API server makes a table of all fields
of an object for each field of it that a rule looks at, and a run's spec has near to thirty: so a rule stands as deep as
it can, where objects are small and mostly not there, and the spec itself has few (decision 0034).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from componentrun.api import names
from componentrun.api.build.componentbuild import ComponentBuild, ComponentBuildSpec
from componentrun.api.component import ClusterComponent, Component
from componentrun.api.componentrun import ComponentRun, ComponentRunSpec
from componentrun.api.processors import MOST_PROCESSORS
from componentrun.api.storage import Storage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from componentrun.api.common import ApiModel

__all__ = ["MUTABLE_SPEC_FIELDS", "RULES", "with_rules"]

MUTABLE_SPEC_FIELDS: Final = ("suspend", "cancel", "ttlAfterFinished", "podTtlAfterFinished")
"""The fields of a run that may be changed after its creation."""

_ITEMS: Final = "[]"
"""Step of a path from a list to its items."""

Rule = dict[str, str]
ByPath = dict[tuple[str, ...], tuple[Rule, ...]]


def with_rules(node: dict[str, Any], rules: Mapping[tuple[str, ...], Iterable[Rule]]) -> dict[str, Any]:
    """A structural schema with these rules put in.

    Raises:
        KeyError: a path leads nowhere.
    """
    here = [rule for path, found in rules.items() if not path for rule in found]
    changed = dict(node)
    if here:
        changed["x-kubernetes-validations"] = here
    for step in dict.fromkeys(path[0] for path in rules if path):
        below = {path[1:]: found for path, found in rules.items() if path and path[0] == step}
        if step == _ITEMS:
            changed["items"] = with_rules(changed["items"], below)
        else:
            changed["properties"] = {
                **changed["properties"],
                step: with_rules(changed["properties"][step], below),
            }
    return changed


def _fixed_rule(fields: list[str], owner: str = "run") -> Rule:
    """Fields that stay as they are.

    One rule and not one for each: mostly nothing has changed, which is one comparison. The first field that has is
    named.
    """
    same = "(has(self.{0}) == has(oldSelf.{0}) && (!has(self.{0}) || self.{0} == oldSelf.{0}))"
    named = " ".join(f"!{same.format(name)} ? 'spec.{name}' :" for name in fields)
    return {
        "rule": f"self == oldSelf || ({' && '.join(same.format(name) for name in fields)})",
        "messageExpression": (
            f"({named} 'spec') + ' can\\'t be changed once the {owner} is created; create a new {owner}'"
        ),
    }


_FIXED: Final = [field.alias or name for name, field in ComponentRunSpec.model_fields.items()]
_ORDERED: Final = "['gt', 'ge', 'lt', 'le']"
_BACKOFF: Final[Rule] = {
    "rule": (
        "duration(self.initial) >= duration('1s') && duration(self.initial) <= duration(self.max)"
        " && duration(self.max) <= duration('1h')"
    ),
    "message": "spec.retry.backoff: initial must be at least 1s and at most max, and max at most 1h",
}

_FORMS: Final = ("parameters", "parametersText", "parametersFrom")
_FORMS_GIVEN: Final = " + ".join(f"(has(self.{name}) ? 1 : 0)" for name in _FORMS)
_ONE_FORM_OF_PARAMETERS: Final[Rule] = {
    "rule": f"{_FORMS_GIVEN} <= 1",
    # Of two, the third is the one that is not there. Joining a list would cost more than the API server allows.
    "messageExpression": (
        f"'spec.configuration: found ' + ({_FORMS_GIVEN} == 3 ? 'parameters, parametersText and parametersFrom'"
        " : !has(self.parametersFrom) ? 'parameters and parametersText'"
        " : !has(self.parametersText) ? 'parameters and parametersFrom' : 'parametersText and parametersFrom')"
        f" + '; expected at most one of {', '.join(_FORMS)}'"
    ),
}

_PROCESSORS_GIVEN: Final = " + ".join(f"(has(self.{name}) ? self.{name}.size() : 0)" for name in ("before", "after"))
_MOST_PROCESSORS: Final[Rule] = {
    "rule": f"{_PROCESSORS_GIVEN} <= {MOST_PROCESSORS}",
    "message": f"spec.processors: at most {MOST_PROCESSORS} processors, before and after together",
}

_SPARK_GOES_WITH_ITS_ENGINE: Final[Rule] = {
    "rule": "!has(self.spark) || (has(self.engine) && self.engine == 'Spark')",
    "message": "spec.maintenance.spark goes with the engine Spark; set engine to Spark, or leave spark out",
}

_OF_RUNS: Final[ByPath] = {
    (): (
        {
            "rule": f"self.metadata.name.size() <= {names.MAX_RUN_NAME}",
            "message": f"metadata.name: at most {names.MAX_RUN_NAME} characters (the pod's name is made from it)",
        },
        {
            "rule": (
                "!(self.spec.suspend && !oldSelf.spec.suspend)"
                " || !has(oldSelf.status) || !has(oldSelf.status.startTime)"
            ),
            "message": "spec.suspend: the run has started and can't be suspended; set spec.cancel to stop it",
        },
    ),
    ("spec",): (
        {
            "rule": "has(self.component) != has(self.image)",
            "message": "give either spec.component (the name of a Component) or spec.image, and not both",
        },
        {
            "rule": "!(has(self.tag) || has(self.channel)) || has(self.component)",
            "message": (
                "spec.tag and spec.channel belong to spec.component; with spec.image write the tag into the image"
            ),
        },
        {
            "rule": "!(has(self.command) || has(self.args)) || has(self.image)",
            "message": "spec.command and spec.args go with spec.image; a Component has its own",
        },
        {
            "rule": "!(has(self.size) && has(self.resources))",
            "message": "give either spec.size or spec.resources, and not both",
        },
        {
            "rule": (
                "!has(self.input) || !has(self.input.tables)"
                " || !self.input.tables.exists(t, has(t.changedSince) && t.changedSince == 'adaptive')"
                " || (has(self.configuration) && has(self.configuration.id))"
            ),
            "message": (
                "spec.input.tables: changedSince adaptive needs spec.configuration.id, whose last run it looks for"
            ),
        },
        _fixed_rule([alias for alias in _FIXED if alias not in MUTABLE_SPEC_FIELDS]),
    ),
    ("spec", "configuration"): (_ONE_FORM_OF_PARAMETERS,),
    ("spec", "timeout"): (
        {
            "rule": "duration(self) <= duration('24h') && duration(self) > duration('0s')",
            "message": "spec.timeout must be more than 0s and at most 24h",
        },
    ),
    ("spec", "cancel"): ({"rule": "!oldSelf || self", "message": "spec.cancel can't be taken back; create a new run"},),
    ("spec", "input", "tables", _ITEMS): (
        {
            "rule": "has(self.source) != has(self.object)",
            "message": "spec.input.tables: give each either source (a table id) or object (a key), and not both",
        },
        {
            "rule": "!has(self.changedSince) || has(self.source)",
            "message": "spec.input.tables: changedSince belongs to source; of an object it is not known",
        },
        {
            "rule": "!has(self.sliced) || !self.sliced || has(self.source)",
            "message": "spec.input.tables: sliced belongs to source; an object is one file with a header line",
        },
    ),
    ("spec", "input", "tables", _ITEMS, "where"): (
        {
            "rule": (
                f"!(self.operator in {_ORDERED})"
                " || (self.values.size() == 1 && !(has(self.type) && self.type == 'text'))"
            ),
            "message": "spec.input.tables: where with gt, ge, lt or le takes one value, and type number or timestamp",
        },
        {
            "rule": f"self.operator in {_ORDERED} || !has(self.type) || self.type == 'text'",
            "message": "spec.input.tables: where with eq or ne compares text; leave type out",
        },
    ),
    ("spec", "input", "files", _ITEMS): (
        {
            "rule": "has(self.id) || has(self.name) || has(self.glob) || (has(self.tags) && self.tags.size() > 0)",
            "message": "spec.input.files: say which by id, name, glob or tags",
        },
        {
            "rule": (
                "!has(self.id) || !(has(self.name) || has(self.glob) || has(self.limit)"
                " || (has(self.tags) && self.tags.size() > 0))"
            ),
            "message": "spec.input.files: an id says which file; leave name, glob, tags and limit out",
        },
        {
            "rule": "!has(self.name) || !has(self.glob)",
            "message": "spec.input.files: give either name or glob, and not both",
        },
    ),
    ("spec", "retry", "backoff"): (_BACKOFF,),
    ("spec", "processors"): (_MOST_PROCESSORS,),
}

_OF_CHANNELS: Final[tuple[Rule, ...]] = (
    {
        "rule": (
            "(has(self.tag) ? 1 : 0) + (has(self.semver) ? 1 : 0) + (has(self.digest) ? 1 : 0)"
            " + (has(self.build) ? 1 : 0) == 1"
        ),
        "message": "spec.channels: give each exactly one of tag, semver, digest and build",
    },
    {
        "rule": "!has(self.digest) || !has(self.follow) || self.follow == 'Pinned'",
        "message": "spec.channels: a digest never changes; leave follow out, or give tag or semver instead of digest",
    },
    {
        "rule": "!has(self.interval) || (has(self.follow) && self.follow == 'Interval')",
        "message": "spec.channels: interval goes with follow Interval",
    },
    {
        "rule": "!has(self.interval) || duration(self.interval) >= duration('1s')",
        "message": "spec.channels: interval must be at least 1s",
    },
    {
        "rule": "!has(self.build) || !has(self.prePull) || !self.prePull",
        "message": "spec.channels: prePull can't be used with build, because an image is built when a run needs it",
    },
    {
        "rule": (
            "!has(self.build) || !has(self.build.maxAge)"
            " || (has(self.follow) ? self.follow != 'Pinned' : self.name == 'master')"
        ),
        "message": "spec.channels: build.maxAge goes with follow EachRun or Interval; a pinned channel keeps its image",
    },
    {
        "rule": "!has(self.prePullNodes) || (has(self.prePull) && self.prePull)",
        "message": "spec.channels: prePullNodes goes with prePull: true",
    },
)

_NO_BUILDS: Final[Rule] = {
    "rule": "!has(self.build)",
    "message": "spec.channels: build is for Components only, because each namespace has images of its own",
    "fieldPath": ".build",
}
_BUILD_TIMEOUT: Final[Rule] = {
    "rule": "duration(self) >= duration('1s') && duration(self) <= duration('1h')",
    "message": "spec.channels: build.timeout must be at least 1s and at most 1h",
}

_OF_COMPONENTS: Final[ByPath] = {
    ("spec", "retry", "backoff"): (_BACKOFF,),
    ("spec", "processors"): (_MOST_PROCESSORS,),
    ("spec", "channels", _ITEMS): _OF_CHANNELS,
    ("spec", "channels", _ITEMS, "build", "timeout"): (_BUILD_TIMEOUT,),
    ("spec",): (
        {
            "rule": (
                "!has(self.defaultChannel)"
                " || (has(self.channels) && self.channels.exists(c, c.name == self.defaultChannel))"
            ),
            "message": "spec.defaultChannel must be the name of one of spec.channels",
            "fieldPath": ".defaultChannel",
        },
        {
            "rule": "!has(self.verify) || (has(self.channels) && self.channels.size() > 0)",
            "message": "spec.verify needs spec.channels: the operator checks only images that it resolves",
            "fieldPath": ".verify",
        },
    ),
}

RULES: Final[Mapping[type[ApiModel], ByPath]] = {
    ComponentRun: _OF_RUNS,
    Component: _OF_COMPONENTS,
    ClusterComponent: {**_OF_COMPONENTS, ("spec", "channels", _ITEMS): (*_OF_CHANNELS, _NO_BUILDS)},
    ComponentBuild: {
        ("spec",): (
            _fixed_rule(
                [field.alias or name for name, field in ComponentBuildSpec.model_fields.items() if name != "cancel"],
                "build",
            ),
        ),
    },
    Storage: {
        ("spec",): (
            {
                "rule": "!has(self.sts) || has(self.credentials)",
                "message": "spec.sts asks with the keys of spec.credentials; give these, too",
                "fieldPath": ".sts",
            },
        ),
        ("spec", "catalog"): (
            {
                "rule": "!(has(self.credentials) && has(self.sigV4))",
                "message": "spec.catalog: give either credentials or sigV4 (which signs with the Storage's own keys)",
            },
            {
                "rule": "!has(self.oauth2ServerUri) || has(self.credentials)",
                "message": "spec.catalog.oauth2ServerUri needs the client id and secret of spec.catalog.credentials",
                "fieldPath": ".oauth2ServerUri",
            },
        ),
        ("spec", "maintenance"): (_SPARK_GOES_WITH_ITS_ENGINE,),
        ("spec", "maintenance", "spark", "timeout"): (
            {
                "rule": "duration(self) > duration('0s') && duration(self) <= duration('48h')",
                "message": "spec.maintenance.spark.timeout must be more than 0s and at most 48h",
            },
        ),
        ("spec", "catalog", "namespacePrefix"): (
            {
                "rule": "!self.matches('(^|_)(in|out)_')",
                "message": "spec.catalog.namespacePrefix: no word between its underscores may be `in` or `out`",
            },
        ),
    },
}
"""By kind."""
